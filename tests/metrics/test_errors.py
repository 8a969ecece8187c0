"""PSNR, MSE and L1 against their formulas, on both of their paths."""

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from hdrbench.metrics.mean_error import l1, mse
from hdrbench.metrics.psnr import psnr


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    ref = torch.rand(2, 3, 20, 31, generator=generator) ** 3
    return ref + 0.02 * torch.randn(ref.shape, generator=generator), ref


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("gradient", [False, True])
def test_psnr_is_scikit_images(pair, dtype, gradient):
    """The fast path and the one that is differentiable."""
    pred, ref = (image.to(dtype) for image in pair)
    found = psnr(pred.clone().requires_grad_(gradient), ref, peak=2.0).detach()
    assert found.dtype == torch.float64
    for one, x, y in zip(found, pair[0].double().numpy(), pair[1].double().numpy(), strict=True):
        assert one.item() == pytest.approx(peak_signal_noise_ratio(y, x, data_range=2.0), abs=1e-6)


def test_psnr_of_mixed_and_half_precision(pair):
    exact = psnr(pair[0].double(), pair[1].double())
    torch.testing.assert_close(psnr(pair[0].double(), pair[1]), exact, rtol=0, atol=1e-9)
    halves = pair[0].half(), pair[1].half()
    torch.testing.assert_close(psnr(*halves), psnr(halves[0].double(), halves[1].double()))


@pytest.mark.parametrize(("metric", "formula"), [(mse, lambda d: (d**2).mean()), (l1, lambda d: np.abs(d).mean())])
def test_mean_errors_are_numpys(pair, metric, formula):
    difference = (pair[0].double() - pair[1].double()).numpy()
    assert metric(*pair).tolist() == pytest.approx([formula(d) for d in difference], rel=1e-12)


@pytest.mark.parametrize("metric", [psnr, mse, l1])
def test_gradients(pair, metric):
    pred, ref = (image[:1, :, :4, :5].double() for image in pair)
    assert torch.autograd.gradcheck(lambda x: metric(x, ref), pred.requires_grad_())


def test_values_too_large_for_the_sum_are_still_finite():
    large = torch.full((1, 3, 50, 50), 3e38)
    assert psnr(large, large).item() == float("inf")
