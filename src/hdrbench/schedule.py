"""Learning rates over a run, as pure functions of the iteration, so that a resumed run needs no state of them."""

import math
from typing import Annotated, Literal

from pydantic import Field, FiniteFloat, PositiveInt

from hdrbench.strict import Strict

Factor = Annotated[FiniteFloat, Field(gt=0, le=1)]


class Step(Strict):
    """The rate is multiplied by `factor` after every `epochs` epochs."""

    kind: Literal["step"]
    factor: Factor
    epochs: PositiveInt


class Cosine(Strict):
    """Half a cosine from the rate down to `final` of it, at the last iteration."""

    kind: Literal["cosine"]
    final: Annotated[FiniteFloat, Field(ge=0, le=1)]


class Restarts(Strict):
    """Half a cosine down to 0 over `epochs` epochs, then from the top again over `multiply` times as many (SGDR)."""

    kind: Literal["restarts"]
    epochs: PositiveInt
    multiply: PositiveInt


Schedule = Annotated[Step | Cosine | Restarts, Field(discriminator="kind")]


def factor(schedule: Step | Cosine | Restarts, iteration: int, per_epoch: int, total: int) -> float:
    """Return what the learning rate is multiplied by at an iteration.

    Parameters
    ----------
    schedule
        One of the above.
    iteration
        Counted from 0.
    per_epoch, total
        Iterations of an epoch and of the run.
    """
    if isinstance(schedule, Step):
        return schedule.factor ** (iteration // (per_epoch * schedule.epochs))
    if isinstance(schedule, Cosine):
        return schedule.final + (1.0 - schedule.final) * _half_cosine(iteration / max(total - 1, 1))
    start, length = 0, schedule.epochs * per_epoch
    while iteration >= start + length:
        start, length = start + length, length * schedule.multiply
    return _half_cosine((iteration - start) / length)


def _half_cosine(progress: float) -> float:
    return 0.5 * (1.0 + math.cos(math.pi * progress))
