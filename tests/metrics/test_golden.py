"""Every reference value: on this project's own images always, on photographs where HDRBENCH_GOLDEN names a folder of them."""

from collections import Counter

import pytest

from hdrbench.metrics import golden

GOLDEN = golden.load()


@pytest.mark.parametrize("entry", GOLDEN.entries, ids=lambda entry: entry["id"])
def test_value(entry):
    result = golden.compare(entry, GOLDEN)
    if result.skipped:
        pytest.skip(result.skipped)
    assert result.ours == pytest.approx(result.reference, abs=result.tolerance, rel=0)


def test_every_family_has_values():
    families = Counter(entry["metric"] for entry in GOLDEN.entries)
    assert set(families) == set(golden._COMPUTE)


def test_a_wrong_value_fails():
    entry = next(entry for entry in GOLDEN.entries if entry["metric"] == "PSNR")
    assert golden.compare(entry, GOLDEN).passed
    assert not golden.compare({**entry, "value": entry["value"] + 10 * entry["tolerance_abs"]}, GOLDEN).passed
