"""Alignment: factors are found again, and the CRF correction equals the published code's values."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from hdrbench.metrics.alignment import align, crf_correction

GOLDEN = Path(__file__).parents[1] / "golden"
CRF = json.loads((GOLDEN / "crf_correction.json").read_text())


def images(count=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, 24, 31, generator=generator, dtype=torch.float64) ** 3 + 1e-3


@pytest.mark.parametrize("how", ["median", "max", "crf"])
def test_a_factor_is_undone(how):
    ref = images()
    factors = torch.tensor([0.2, 7.0], dtype=torch.float64).view(2, 1, 1, 1)
    # A cubic in PQ values follows a factor closely, not exactly.
    tolerance = {"rtol": 2e-2, "atol": 1e-3} if how == "crf" else {}
    torch.testing.assert_close(align(ref * factors, ref, how, cd_per_unit=1000.0), ref, **tolerance)


def test_none_changes_nothing():
    torch.testing.assert_close(align(images() * 3, images(), "none"), images() * 3, rtol=0, atol=0)


def test_the_crf_correction_leaves_equal_images_as_they_are():
    ref = images() * 1000
    torch.testing.assert_close(crf_correction(ref, ref), ref, rtol=1e-6, atol=1e-6)


def test_images_do_not_touch_each_other():
    pred, ref = images(3, 1), images(3, 2)
    for how in ("median", "max", "crf"):
        torch.testing.assert_close(align(pred, ref, how)[1:2], align(pred[1:2], ref[1:2], how))


def test_the_median_of_many_values_is_the_same_median():
    from hdrbench.metrics import alignment

    for size in (9, 10):
        values = torch.rand(size, dtype=torch.float64)
        torch.testing.assert_close(alignment._median(values), values.quantile(0.5))


@pytest.mark.parametrize("entry", CRF["values"], ids=lambda entry: entry["test"])
def test_crf_correction_equals_the_published_code(entry):
    pred, ref = (
        torch.from_numpy(np.load(GOLDEN / f"{entry[key]}.npy")).double().permute(2, 0, 1)[None] * CRF["cd_per_unit"]
        for key in ("test", "ref")
    )
    corrected = crf_correction(pred, ref)
    assert corrected.mean().item() == pytest.approx(entry["mean"], abs=1e-7)
    assert corrected.square().mean().sqrt().item() == pytest.approx(entry["root_mean_square"], abs=1e-7)
    for row, column, rgb in entry["pixels"]:
        assert corrected[0, :, row, column].tolist() == pytest.approx(rgb, abs=1e-6)


@pytest.mark.parametrize("how", ["median", "max"])
def test_a_black_prediction_has_no_factor(how):
    with pytest.raises(ValueError, match="positive"):
        align(torch.zeros(1, 3, 8, 8), images(1)[..., :8, :8], how)


def test_a_reference_that_is_mostly_black_has_no_median_to_align_to():
    ref = images(1)
    ref[..., :15, :] = 0
    with pytest.raises(ValueError, match="positive median of the reference"):
        align(images(1, 3), ref, "median")


def test_unknown_alignment():
    with pytest.raises(ValueError, match="known: none, median, max, crf"):
        align(images(), images(), "mean")
