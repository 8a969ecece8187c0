import math

import numpy as np
import pytest
import torch
from scipy.ndimage import laplace

from hdrbench.imaging.merging import mertens
from hdrbench.imaging.merging.pyramid import blend, depth


def normalised(image):
    """Stretch as IPOL's program does: 1 % of the pixels saturated at either end, judged by one channel at least."""
    count = image[0].numel()
    high = image.amax(0).flatten().sort().values[math.ceil(count - count / 100) - 1]
    low = image.amin(0).flatten().sort().values[math.floor(1 + count / 100) - 1]
    return ((image - low) / (high - low)).clamp(0, 1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_ipols_expected_result(grandcanal, dtype):
    stack = grandcanal.stack.to(dtype)
    fused = blend(stack, mertens.weights(stack), depth(*stack.shape[-2:]))[0]
    difference = ((normalised(fused) * 255 + 0.5).floor().int() - grandcanal.expected).abs()
    assert difference.max() <= 1
    assert (difference == 0).double().mean() >= 0.9999


def quality(image):
    """Section 3.1 of the paper with scipy and numpy, for (3, H, W)."""
    contrast = np.abs(laplace(np.tensordot(mertens.GREY, image, 1), mode="nearest"))
    return contrast * image.std(0) * np.exp(-((image - 0.5) ** 2) / (2 * 0.2**2)).prod(0) + 1e-12


def test_weights_equal_scipys_in_several_bands(random_stack, monkeypatch):
    monkeypatch.setattr("hdrbench.imaging.merging.codes.BAND", 100)
    stack = random_stack(2, 3, 3, 25, 32)
    expected = np.stack([[quality(image) for image in scene] for scene in stack.numpy()])
    expected /= expected.sum(1, keepdims=True)
    np.testing.assert_allclose(mertens.weights(stack).numpy(), expected, rtol=1e-9)
    np.testing.assert_allclose(mertens.weights(stack.clone().requires_grad_()).detach().numpy(), expected, rtol=1e-9)


def test_order_batch_and_transposing_do_not_matter(random_stack):
    stack = random_stack(2, 4, 3, 32, 33)
    fused = mertens.fuse(stack)[0]
    torch.testing.assert_close(mertens.fuse(stack[:, [2, 0, 3, 1]])[0], fused)
    torch.testing.assert_close(mertens.fuse(stack[1:])[0], fused[1:])
    torch.testing.assert_close(mertens.fuse(stack.mT)[0].mT, fused)


def test_one_exposure_and_equal_exposures_come_back(random_stack):
    stack = random_stack(2, 1, 3, 20, 31)
    torch.testing.assert_close(mertens.fuse(stack)[0], stack[:, 0])
    torch.testing.assert_close(mertens.fuse(stack.expand(-1, 3, -1, -1, -1))[0], stack[:, 0])


def test_without_any_measure_it_is_the_mean(random_stack):
    stack = random_stack(1, 3, 3, 20, 20)
    fused = mertens.fuse(stack, contrast=0, saturation=0, exposedness=0)[0]
    torch.testing.assert_close(fused, stack.mean(1))


@pytest.mark.parametrize("name", ["contrast", "saturation", "exposedness"])
def test_exponents_sharpen_each_measure(random_stack, name):
    stack = random_stack(1, 3, 3, 20, 20)
    others = dict.fromkeys({"contrast", "saturation", "exposedness"} - {name}, 0.0)
    once, twice = (mertens.weights(stack, **others, **{name: exponent}) for exponent in (1.0, 2.0))
    torch.testing.assert_close(twice, once**2 / (once**2).sum(1, keepdim=True), rtol=1e-5, atol=1e-9)


def test_grey_has_no_saturation_and_a_ramp_no_contrast_in_single_precision_either():
    ramp = (torch.arange(60).float() / 255).expand(1, 1, 1, 40, 60)
    grey = torch.cat([ramp, ramp + 0.3], 1).expand(-1, -1, 3, -1, -1)
    assert (mertens.weights(grey) == 0.5).all()
    colour = grey * torch.tensor([1.0, 0.7, 0.4]).view(3, 1, 1)
    assert (mertens.weights(colour, saturation=0)[..., 1:-1, 1:-1] == 0.5).all()


def test_single_precision_is_within_a_fraction_of_a_code(grandcanal):
    stack = grandcanal.stack[..., 200:456, 300:656]
    assert (mertens.fuse(stack)[0] - mertens.fuse(stack.float())[0]).abs().max() < 0.2 / 255


def test_gradients(random_stack):
    stack = (0.1 + 0.8 * random_stack(1, 2, 3, 5, 6)).requires_grad_()
    assert torch.autograd.gradcheck(lambda images: mertens.fuse(images)[0], (stack,), atol=1e-4)
    flat = torch.full((1, 2, 3, 8, 8), 0.5, requires_grad=True)
    mertens.fuse(flat)[0].sum().backward()
    assert flat.grad.isfinite().all()


def test_negative_exponents_are_refused(random_stack):
    for exponent in (-1.0, math.nan):
        with pytest.raises(ValueError, match="exponent of saturation >= 0"):
            mertens.fuse(random_stack(1, 2, 3, 8, 8), saturation=exponent)
