"""MS-SSIM against a slow reference of its own, its laws, and its edges."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity

from hdrbench.metrics.ms_ssim import MANTIUK, WANG, ms_ssim

C1 = 0.01**2


@pytest.fixture(scope="module")
def pair():
    """Two smooth noisy pairs of odd size."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(2, 3, 23, 25, generator=generator, dtype=torch.float64)
    ref = torch.nn.functional.interpolate(coarse, size=(179, 197), mode="bilinear")
    return (ref + 0.1 * torch.randn(ref.shape, generator=generator, dtype=torch.float64)).clamp(0, 1), ref


def halved(plane):
    plane = np.pad(plane, [(0, side % 2) for side in plane.shape], mode="symmetric")
    return sum(plane[i::2, j::2] for i in (0, 1) for j in (0, 1)) / 4


def means(x, y):
    """Mean contrast and mean index of a pair of planes: scikit-image's map, its luminance divided out."""
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1, "full": True}
    index = structural_similarity(x, y, **settings)[1][5:-5, 5:-5]
    mx, my = (gaussian_filter(plane, 1.5, truncate=3.5)[5:-5, 5:-5] for plane in (x, y))
    return (index * (mx**2 + my**2 + C1) / (2 * mx * my + C1)).mean(), index.mean()


def slow(x, y, exponents):
    score = 1.0
    for scale, exponent in enumerate(exponents, start=1):
        contrast, index = means(x, y)
        score *= (contrast if scale < len(exponents) else index) ** exponent
        x, y = halved(x), halved(y)
    return score


@pytest.mark.parametrize("exponents", [WANG, MANTIUK, (0.5, 0.5)])
def test_same_as_the_definition(exponents, pair):
    planes = zip(pair[0].flatten(0, 1).numpy(), pair[1].flatten(0, 1).numpy(), strict=True)
    expected = np.array([slow(x, y, exponents) for x, y in planes]).reshape(2, 3).mean(1)
    assert ms_ssim(*pair, exponents=exponents).tolist() == pytest.approx(expected.tolist(), abs=1e-12)


@pytest.mark.parametrize(("exponents", "last"), [(WANG, 0.1333), (MANTIUK, 1.0)])
@pytest.mark.parametrize("level", [0.0, 0.18, 1.0])
def test_flat_images(exponents, last, level):
    flat, other = (torch.full((1, 1, 176, 176), value, dtype=torch.float64) for value in (level, 0.5))
    assert ms_ssim(flat, flat, exponents=exponents).item() == 1.0
    expected = ((2 * level * 0.5 + C1) / (level**2 + 0.25 + C1)) ** last
    assert ms_ssim(flat, other, exponents=exponents).item() == pytest.approx(expected, abs=1e-12)


def test_path_with_gradient_gives_the_same_value(pair):
    differentiable = ms_ssim(pair[0].clone().requires_grad_(), pair[1])
    torch.testing.assert_close(ms_ssim(*pair), differentiable.detach(), rtol=0, atol=1e-12)


def test_gradient(pair):
    pred, ref = (batch[:1, :1, :46, :45].clone().requires_grad_() for batch in pair)
    assert torch.autograd.gradcheck(lambda x, y: ms_ssim(x, y, exponents=WANG[2:]), (pred, ref), fast_mode=True)


@pytest.mark.parametrize("exponents", [WANG, MANTIUK])
def test_negative_image_scores_nothing(exponents, pair):
    pred = (1 - pair[1]).requires_grad_()
    score = ms_ssim(pred, pair[1], exponents=exponents)
    assert score.tolist() == [0.0, 0.0]
    score.sum().backward()
    assert torch.equal(pred.grad, torch.zeros_like(pred))


def test_exponent_of_one_keeps_the_sign(pair):
    assert (ms_ssim(1 - pair[1], pair[1], exponents=(1.0,)) < 0).all()


def test_batch_equals_its_images(pair):
    alone = [ms_ssim(pred[None], ref[None]).item() for pred, ref in zip(*pair, strict=True)]
    assert ms_ssim(*pair).tolist() == alone
    channels = [ms_ssim(pair[0][:, [c]], pair[1][:, [c]]) for c in range(3)]
    torch.testing.assert_close(torch.stack(channels).mean(0), ms_ssim(*pair), rtol=0, atol=1e-14)


def test_scale_of_the_domain_is_the_peak(pair):
    torch.testing.assert_close(ms_ssim(pair[0] * 256, pair[1] * 256, peak=256), ms_ssim(*pair), rtol=0, atol=1e-12)


def test_images_are_left_as_they_are_and_float32_is_not_rounded_again(pair):
    before = [batch.clone() for batch in pair]
    ms_ssim(*pair)
    assert all(torch.equal(batch, copy) for batch, copy in zip(pair, before, strict=True))
    narrow = [batch.float() for batch in pair]
    assert torch.equal(ms_ssim(*narrow), ms_ssim(*(batch.double() for batch in narrow)))


def test_bad_input_is_refused(pair):
    pred, ref = pair
    with pytest.raises(ValueError, match="176x176"):
        ms_ssim(pred[..., :175], ref[..., :175])
    with pytest.raises(ValueError, match="44x44"):
        ms_ssim(pred[..., :43], ref[..., :43], exponents=WANG[2:])
    with pytest.raises(ValueError, match="positive, finite peak"):
        ms_ssim(pred, ref, peak=0.0)
    with pytest.raises(ValueError, match="one shape"):
        ms_ssim(pred, ref[:1])
    with pytest.raises(ValueError, match="with pixels"):
        ms_ssim(pred[:, :0], ref[:, :0])
