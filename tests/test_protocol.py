import dataclasses

import pytest

from hdrbench import protocol, spec
from hdrbench.errors import HdrbenchError
from hdrbench.protocol import PROTOCOLS, Protocol
from hdrbench.workspace import papers


def test_every_paper_that_prints_tables_has_a_protocol_of_its_name():
    assert {paper for paper in papers() if any(table.reported for table in spec.load(paper).tables)} <= set(PROTOCOLS)


def test_every_setting_changes_the_hash_and_the_words_do_not():
    base = Protocol("somewhere")
    assert dataclasses.replace(base, source="elsewhere").digest() == base.digest()
    other = {
        "alignment": "crf",
        "normalisation": "reference maximum",
        "ssim": "wang",
        "vdp_encoding": "sRGB-display",
        "vdp_order": "reference first",
        "tone_map": "none",
    }
    for field in dataclasses.fields(Protocol):
        if field.name in ("source", "vdp2", "vdp3"):
            continue
        value = other.get(field.name, (getattr(base, field.name) or 1) + 1 if field.name not in other else None)
        assert dataclasses.replace(base, **{field.name: value}).digest() != base.digest(), field.name


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alignment": "medain"}, "did you mean 'median'"),
        ({"ssim": "matlb"}, "did you mean 'matlab'"),
        ({"crop": -1}, "whole number of pixels"),
        ({"crop": 1.5}, "whole number of pixels"),
        ({"display_peak": 0.0}, "must be positive and finite"),
        ({"ppd": 0.0}, "must be positive and finite"),
        ({"peak": float("nan")}, "must be positive and finite"),
        ({"display_black": 2000.0}, "display_black must lie"),
        ({"vdp2": "2.2.0"}, "unknown vdp2"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, message):
    with pytest.raises(HdrbenchError, match=message):
        Protocol("somewhere", **settings)


def test_unknown_protocol_suggests_a_near_one():
    with pytest.raises(HdrbenchError, match="did you mean 'usme_hdr'"):
        protocol.get("usme-hdr")
