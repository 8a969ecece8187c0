"""One cell of a table: our number beside the printed one, and what to make of the difference."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from hdrbench.spec import Tolerance


@dataclass(frozen=True)
class Measured:
    """A number of ours: value, spread, how many images it is the mean of, and whether the paper's is comparable.

    `image` names the image where the number is of one alone, in a table whose rows are scenes. At least `places` decimals
    are shown, however many are printed.
    """

    value: float
    sd: float | None
    n: int | None
    comparable: bool
    reason: str | None = None
    image: str | None = None
    places: int = 0


@dataclass(frozen=True)
class Missing:
    """Why there is no number: a state of `hdrbench.report.states` and one line."""

    state: str
    reason: str


@dataclass(frozen=True)
class Cell:
    """What the page shows of one row and column; every field is in tables.json.

    `delta` is positive where ours is better, and `rank` is 1 or 2 for the best two of our own numbers in a column, as far as
    its rows show the same. `metric` is a metric's name, or a cost's; `subject` and `protocol` go with metrics.
    """

    state: str
    reason: str | None
    reported: str | None
    value: float | None = None
    text: str | None = None
    delta: float | None = None
    delta_text: str | None = None
    delta_percent: float | None = None
    rank: int | None = None
    sd: float | None = None
    n: int | None = None
    image: str | None = None
    metric: str | None = None
    subject: str | None = None
    protocol: str | None = None
    better: str | None = None
    unit: str | None = None
    decimals: int | None = None
    run: str | None = None
    test: str | None = None
    command: str | None = None

    def fields(self) -> dict[str, Any]:
        """Return the cell as a plain mapping."""
        return asdict(self)


def is_number(printed: str | None) -> bool:
    """Whether a paper prints a number, and not nothing, a dash or words."""
    try:
        return printed is not None and math.isfinite(float(printed))
    except ValueError:
        return False


def decimals(printed: str) -> int:
    """Count the decimals of a printed number."""
    return len(printed.partition(".")[2])


def printed_decimals(printed: str | None, otherwise: int) -> int:
    """Count the decimals of what is printed if that is a number."""
    return decimals(printed) if printed and is_number(printed) else otherwise


def judge(value: float, reported: str, better: str | None, tolerance: Tolerance | None) -> str:
    """Compare a number with the printed one.

    Returns
    -------
    str
        ``"equal"`` at the printed precision; ``"within"`` half a unit of the last printed digit or the declared
        tolerance; else ``"better"`` or ``"worse"`` (``"worse"`` too where no direction is good).
    """
    places = decimals(reported)
    if f"{value:.{places}f}" == reported:
        return "equal"
    difference = value - float(reported)
    allowed = max(0.5 * 10.0**-places, tolerance.value if tolerance else 0.0)
    if abs(difference) <= allowed * (1 + 1e-9):
        return "within"
    return "better" if better and (difference > 0) == (better == "higher") else "worse"


def measured_cell(
    found: Measured, reported: str | None, better: str | None, tolerance: Tolerance | None, places: int
) -> Cell:
    """Fill a cell that has a number of ours; `places` is used where nothing is printed."""
    digits = max(found.places, printed_decimals(reported, places))
    if reported is None or not is_number(reported):
        return Cell(
            "not_reported",
            found.reason,
            reported,
            found.value,
            f"{found.value:.{digits}f}",
            sd=found.sd,
            n=found.n,
            image=found.image,
            decimals=digits,
        )
    sign = -1.0 if better == "lower" else 1.0
    delta = sign * (found.value - float(reported))
    return Cell(
        state=judge(found.value, reported, better, tolerance) if found.comparable else "other_data",
        reason=found.reason,
        reported=reported,
        value=found.value,
        text=f"{found.value:.{digits}f}",
        delta=delta,
        delta_text=f"{delta:+.{digits}f}",
        delta_percent=100.0 * delta / abs(float(reported)) if float(reported) else None,
        sd=found.sd,
        n=found.n,
        image=found.image,
        decimals=digits,
    )


def ranks(values: list[float | None], better: str | None) -> list[int | None]:
    """Rank the best value 1 and the second best 2; equal values share a rank."""
    if better is None:
        return [None] * len(values)
    known = sorted({value for value in values if value is not None}, reverse=better == "higher")
    place = {value: rank for rank, value in enumerate(known[:2], 1)}
    return [place.get(value) if value is not None else None for value in values]
