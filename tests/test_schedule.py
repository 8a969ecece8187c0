import math

import pytest
from pydantic import TypeAdapter, ValidationError

from hdrbench.schedule import Cosine, Restarts, Schedule, Step, factor


def test_steps():
    schedule = Step(kind="step", factor=0.5, epochs=2)
    assert [factor(schedule, k, 3, 18) for k in (0, 5, 6, 11, 12)] == [1, 1, 0.5, 0.5, 0.25]


def test_cosine_goes_from_one_to_its_end_and_never_rises():
    schedule = Cosine(kind="cosine", final=0.002)
    rates = [factor(schedule, k, 5, 100) for k in range(100)]
    assert rates[0] == 1
    assert rates[-1] == pytest.approx(0.002)
    assert rates == sorted(rates, reverse=True)


def test_restarts_are_those_of_pytorch():
    from torch import nn, optim

    schedule = Restarts(kind="restarts", epochs=2, multiply=2)
    optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    theirs = optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=8, T_mult=2)
    for iteration in range(60):
        assert factor(schedule, iteration, 4, 60) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-12)
        optimizer.step()
        theirs.step()
    assert math.isclose(factor(schedule, 8, 4, 60), 1.0)


@pytest.mark.parametrize("given", [{"kind": "stairs"}, {"kind": "step", "factor": 0, "epochs": 1}, {"kind": "cosine"}])
def test_wrong_schedules_are_refused(given):
    with pytest.raises(ValidationError):
        TypeAdapter(Schedule).validate_python(given)
