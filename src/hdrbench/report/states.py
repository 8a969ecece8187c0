"""What can be said of one cell, as one table of data: glyph, words and colour class of each state."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hdrbench.errors import HdrbenchError, unknown


@dataclass(frozen=True)
class State:
    """One state of a cell.

    Attributes
    ----------
    key
        Name in ``tables.json``.
    glyph
        One character; a state is never told by colour alone.
    label
        Two or three words.
    explanation
        One sentence for the legend.
    severity
        Colour class: ``good``, ``better``, ``bad``, ``other`` (no judgement), ``missing``, ``error``, ``idle``.
    """

    key: str
    glyph: str
    label: str
    explanation: str
    severity: str


_ROWS = [
    ("equal", "=", "equal", "Equal to the printed number at its printed precision.", "good"),
    ("within", "≈", "within tolerance", "Differs from the printed number by less than the declared tolerance.", "good"),
    ("better", "↑", "better", "Better than the printed number by more than the tolerance.", "better"),
    ("worse", "↓", "worse", "Worse than the printed number by more than the tolerance.", "bad"),
    (
        "other_data",
        "◇",
        "other data",
        "Measured on other data than the paper's: the difference is shown for orientation and judged neither way.",
        "other",
    ),
    ("not_reported", "⊕", "not in the paper", "Measured here; the paper prints nothing to compare it with.", "other"),
    (
        "elsewhere",
        "◈",
        "reported elsewhere",
        "Measured here, and compared with a number that another publication prints; judged neither way.",
        "other",
    ),
    ("not_run", "·", "not run", "Implemented, but this run or its evaluation has not been made yet.", "idle"),
    ("data_missing", "∅", "data missing", "The data set is not on this machine.", "missing"),
    ("weights_missing", "w", "weights missing", "Pretrained weights that it needs are not on this machine.", "missing"),
    ("failed", "!", "failed", "The run or its evaluation stopped with an error.", "error"),
    (
        "not_computable",
        "×",
        "not computable",
        "Cannot be computed here: a user study, a proprietary tool, or private data.",
        "idle",
    ),
    ("not_implemented", "–", "not implemented", "The method is not in this repository yet.", "idle"),
]

STATES: dict[str, State] = {row[0]: State(*row) for row in _ROWS}
"""Every state by its key, in the order of the legend."""


def state(key: str) -> State:
    """Look up a state.

    Raises
    ------
    HdrbenchError
        The key is not a state; names the nearest one.
    """
    if key not in STATES:
        raise unknown("cell state", str(key), STATES)
    return STATES[key]


def tally(counts: Mapping[str, Any]) -> list[tuple[State, int]]:
    """Order the cell counts of a page for its bar and legend, leaving out the states that do not occur.

    Parameters
    ----------
    counts
        Number of cells by state key.
    """
    for key, value in counts.items():
        state(key)
        if not isinstance(value, int) or value < 0:
            raise HdrbenchError(f"count of cell state '{key}': expected a number of cells, got {value!r}")
    return [(known, counts[key]) for key, known in STATES.items() if counts.get(key)]
