"""Every reference value: on this project's own images always, on photographs where HDRBENCH_GOLDEN names a folder of them."""

from collections import Counter

import pytest
import torch

from hdrbench.errors import HdrbenchError
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


@pytest.mark.parametrize("content", ["{", "{}", '{"entries": 3}', "[]"])
def test_damaged_reference_values_are_one_line(content, tmp_path, monkeypatch):
    monkeypatch.setenv("HDRBENCH_GOLDEN", str(tmp_path))
    (tmp_path / "metrics_golden.json").write_text(content)
    with pytest.raises(HdrbenchError, match=r"metrics_golden\.json: is damaged"):
        golden.load()


def test_an_entry_of_a_metric_that_is_not_here_is_skipped_with_a_reason():
    entry = {"id": "x", "metric": "FSIM", "implementation": "pu21", "value": 1, "tolerance_abs": 1, "parameters": {}}
    assert "no metric here is called 'FSIM'" in golden.compare(entry, GOLDEN).skipped


@pytest.mark.parametrize("name", ["HDR-VDP-2.2.2-Q", "HDR-VDP-3.0.7"])
def test_single_precision_is_good_to_two_digits(name, monkeypatch):
    metric = golden.hdrvdp2 if name.startswith("HDR-VDP-2") else golden.hdrvdp3
    called = "hdrvdp2" if name.startswith("HDR-VDP-2") else "hdrvdp3"
    monkeypatch.setattr(golden, called, lambda *images, **options: metric(*images, dtype=torch.float32, **options))
    for entry in GOLDEN.entries:
        if entry["metric"] == name:
            assert golden.compare(entry, GOLDEN).difference < 0.02
