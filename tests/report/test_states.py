import re
from pathlib import Path

import pytest

import hdrbench.report
from hdrbench.errors import HdrbenchError
from hdrbench.report.states import STATES, state, tally

CSS = (Path(hdrbench.report.__file__).parent / "assets" / "style.css").read_text(encoding="utf-8")


def test_glyphs_tell_the_states_apart_without_colour():
    assert len({known.glyph for known in STATES.values()}) == len(STATES)
    assert all(len(known.glyph) == 1 for known in STATES.values())


def test_every_severity_has_a_colour():
    assert all(f".s-{known.severity}" in CSS for known in STATES.values())


def test_measured_on_other_data_is_never_good_or_bad():
    assert state("other_data").severity not in {"good", "better", "bad"}


def test_unknown_state_suggests_the_nearest():
    with pytest.raises(HdrbenchError, match="did you mean 'other_data'"):
        state("other_dat")


def test_tally_keeps_the_order_of_the_legend_and_drops_zeros():
    assert [(known.key, n) for known, n in tally({"worse": 2, "equal": 1, "failed": 0})] == [("equal", 1), ("worse", 2)]


@pytest.mark.parametrize("counts", [{"fine": 1}, {"equal": -1}, {"equal": "3"}])
def test_tally_refuses_wrong_counts(counts):
    with pytest.raises(HdrbenchError, match="cell state"):
        tally(counts)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_colours_reach_wcag_aa(scheme):
    blocks = re.findall(r":root \{(.*?)\n *\}", CSS, flags=re.DOTALL)
    variables = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", blocks[0] + (blocks[1] if scheme == "dark" else "")))
    pairs = [
        (name, under)
        for name in ("text", "muted", "accent", "good", "better", "bad", "other", "missing", "idle")
        for under in ("bg", "panel")
    ]
    pairs += [("flag-text", "flag"), ("flag-text", "flag-2"), ("bg", "text")]
    for name, under in pairs:
        low, high = sorted([luminance(variables[name]), luminance(variables[under])])
        assert (high + 0.05) / (low + 0.05) >= 4.5, f"{name} on {under}"
