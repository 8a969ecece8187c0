"""SSIM against libraries and a slow reference of its own, its laws, and its edges."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.metrics import structural_similarity

from hdrbench.errors import HdrbenchError
from hdrbench.metrics.ssim import VARIANTS, ssim
from hdrbench.metrics.windows import BAND

C1, C2 = 0.01**2, 0.03**2


@pytest.fixture(scope="module")
def pair():
    """Three pairs, taller than a band, in part outside [0, 1]."""
    generator = torch.Generator().manual_seed(0)
    ref = torch.rand(3, 3, BAND + 41, 37, generator=generator, dtype=torch.float64) ** 3
    return ref + 0.05 * torch.randn(ref.shape, generator=generator, dtype=torch.float64), ref


def small(*shape):
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.rand(shape, generator=generator, dtype=torch.float64) for _ in range(2))


def slow(pred, ref, *, axes=(0, 1), mode=None, epsilon=0.0):
    """SSIM of (C, H, W) images, term by term with scipy; without a mode, where the window fits."""
    window = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window /= window.sum()

    def mean(image):
        for axis in axes:
            image = ndimage.correlate1d(image, window, axis=axis, mode=mode or "reflect")
        return image if mode else image[5:-5, 5:-5]

    x, y = (image.permute(1, 2, 0).numpy() for image in (pred, ref))
    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x**2) - mx**2, mean(y**2) - my**2, mean(x * y) - mx * my
    return ((2 * mx * my + C1) * (2 * cov + C2) / ((mx**2 + my**2 + C1) * (vx + vy + C2) + epsilon)).mean()


@pytest.mark.parametrize(
    ("variant", "settings"),
    [
        ("wang", {}),
        ("matlab", {"mode": "nearest"}),
        ("matlab_volume", {"mode": "nearest", "axes": (0, 1, 2)}),
        ("torchmetrics", {"mode": "mirror"}),
        ("kornia", {"mode": "mirror", "epsilon": 1e-12}),
        ("kornia_valid", {"epsilon": 1e-12}),
    ],
)
def test_same_as_the_definition(variant, settings, pair):
    expected = [slow(pred, ref, **settings) for pred, ref in zip(*pair, strict=True)]
    assert ssim(*pair, variant=variant).tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("variant", "settings"),
    [
        ("wang", {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}),
        ("sample_covariance", {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": True}),
        ("skimage", {}),
    ],
)
def test_same_as_scikit_image(variant, settings, pair):
    pred, ref = (batch[0].permute(1, 2, 0).numpy() for batch in pair)
    expected = structural_similarity(ref, pred, data_range=1, channel_axis=2, **settings)
    assert ssim(*pair, variant=variant)[0].item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("variant", VARIANTS)
class TestEveryVariant:
    def test_path_with_gradient_gives_the_same_value(self, variant, pair):
        differentiable = ssim(pair[0].clone().requires_grad_(), pair[1], variant=variant)
        assert differentiable.requires_grad
        torch.testing.assert_close(ssim(*pair, variant=variant), differentiable.detach(), rtol=0, atol=1e-12)

    def test_gradient(self, variant):
        pred, ref = (image.requires_grad_() for image in small(1, 2, 12, 13))
        assert torch.autograd.gradcheck(lambda x, y: ssim(x, y, variant=variant), (pred, ref), fast_mode=True)

    def test_images_are_left_as_they_are(self, variant, pair):
        pred, ref = pair[0].clone(), pair[1].clone()
        ssim(pred, ref, variant=variant)
        assert torch.equal(pred, pair[0])
        assert torch.equal(ref, pair[1])

    def test_batch_equals_its_images(self, variant, pair):
        together = ssim(*pair, variant=variant)
        alone = [ssim(pred[None], ref[None], variant=variant).item() for pred, ref in zip(*pair, strict=True)]
        assert together.tolist() == alone

    def test_scale_of_the_domain_is_the_peak(self, variant, pair):
        scaled = ssim(pair[0] * 256, pair[1] * 256, peak=256, variant=variant)
        torch.testing.assert_close(
            scaled, ssim(*pair, variant=variant), rtol=0, atol=3e-7 if "kornia" in variant else 1e-12
        )

    def test_symmetric(self, variant, pair):
        swapped = ssim(pair[1], pair[0], variant=variant)
        torch.testing.assert_close(ssim(*pair, variant=variant), swapped, rtol=0, atol=1e-14)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
    def test_narrow_input_is_not_rounded_again(self, variant, dtype):
        pred, ref = (image.to(dtype) for image in small(1, 3, 20, 21))
        exact = ssim(pred.double(), ref.double(), variant=variant)
        assert torch.equal(ssim(pred, ref, variant=variant), exact)

    @pytest.mark.parametrize("level", [0.0, 0.18, 1.0])
    def test_flat_images(self, variant, level):
        flat, other = (torch.full((1, 3, 12, 12), value, dtype=torch.float64) for value in (level, 0.5))
        # By the epsilon over C1 * C2, and by the error of a sum of weights that is taken for 1, over C2.
        known = {"kornia": 1.2e-5, "kornia_valid": 1.2e-5, "pytorch_msssim": 1e-4}.get(variant, 1e-12)
        assert ssim(flat, flat, variant=variant).item() == pytest.approx(1.0, abs=known)
        expected = (2 * level * 0.5 + C1) / (level**2 + 0.25 + C1)
        assert ssim(flat, other, variant=variant).item() == pytest.approx(expected, abs=known)


def test_only_selfhdr_clips(pair):
    clipped = [image.clamp(0, 1) for image in pair]
    assert torch.equal(ssim(*pair), ssim(*clipped))
    torch.testing.assert_close(ssim(*pair), ssim(*clipped, variant="wang"), rtol=0, atol=1e-15)
    assert (ssim(*pair) - ssim(*pair, variant="wang")).abs().min() > 1e-4


def test_volume_of_one_channel_is_an_image(pair):
    pred, ref = pair[0][:, :1], pair[1][:, :1]
    volume = ssim(pred, ref, variant="matlab_volume")
    torch.testing.assert_close(volume, ssim(pred, ref, variant="matlab"), rtol=0, atol=1e-12)


def test_piq_downsamples_by_the_shorter_side():
    pred, ref = small(1, 1, 650, 641)
    halved = [torch.nn.functional.avg_pool2d(image, 3) for image in (pred, ref)]
    assert torch.equal(ssim(pred, ref, variant="piq"), ssim(*halved, variant="wang"))
    assert torch.equal(
        ssim(pred[..., :383], ref[..., :383], variant="piq"), ssim(pred[..., :383], ref[..., :383], variant="wang")
    )


def test_pyiqa_counts_negative_contrast_as_none():
    pred, _ = small(1, 1, 20, 20)
    assert ssim(1 - pred, pred, variant="wang").item() < -0.5
    assert ssim(1 - pred, pred, variant="pyiqa").item() == 0.0


def test_window_of_pytorch_msssim_is_of_single_precision(pair):
    difference = (ssim(*pair, variant="pytorch_msssim") - ssim(*pair, variant="wang")).abs()
    assert 1e-10 < difference.max() < 1e-6


def test_gradient_mode_decides_not_the_flag(pair):
    with torch.no_grad():
        value = ssim(pair[0].clone().requires_grad_(), pair[1])
    assert not value.requires_grad
    assert torch.equal(value, ssim(*pair))


def test_gradient_reaches_the_reference_alone(pair):
    ref = pair[1][:1].clone().requires_grad_()
    ssim(pair[0][:1], ref, variant="wang").sum().backward()
    assert ref.grad.abs().sum() > 0


@pytest.mark.parametrize(("variant", "least"), [("selfhdr", 11), ("skimage", 7), ("torchmetrics", 6), ("matlab", 1)])
def test_least_size(variant, least):
    fits = torch.rand(1, 3, least, 30)
    assert ssim(fits, fits, variant=variant).item() == pytest.approx(1.0, abs=1e-12)
    with pytest.raises(ValueError, match=f"{least}x{least}|with pixels"):
        ssim(fits[:, :, 1:], fits[:, :, 1:], variant=variant)


def test_bad_arguments_are_refused():
    pred, ref = small(1, 3, 12, 12)
    for peak in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="positive, finite peak"):
            ssim(pred, ref, peak=peak)
    with pytest.raises(HdrbenchError, match="did you mean 'matlab'"):
        ssim(pred, ref, variant="mathlab")
    with pytest.raises(ValueError, match="one shape"):
        ssim(pred, ref[..., 1:])
    with pytest.raises(ValueError, match="NaN"):
        ssim(pred, ref.log().sqrt())


def test_what_has_no_value_is_an_error():
    pred, ref = small(1, 3, 12, 12)
    with pytest.raises(ValueError, match="not a finite number"):
        ssim(pred * 1e200, ref * 1e200, variant="wang")
    with pytest.raises(ValueError, match="with pixels"):
        ssim(pred[:, :0], ref[:, :0])
    with pytest.raises(ValueError, match="with pixels"):
        ssim(pred[:0], ref[:0])
