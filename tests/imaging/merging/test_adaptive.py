import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from hdrbench.errors import HdrbenchError
from hdrbench.imaging.merging import adaptive
from hdrbench.imaging.merging.pyramid import blend

LUMA = np.array([65.481, 128.553, 24.966])


def luma(stack):
    return (
        np.tensordot(stack, LUMA, (1, 0)) + 16 if stack.shape[-1] == 3 else np.einsum("kchw,c->khw", stack, LUMA) + 16
    )


def intensity(stack):
    """Weight 1 for exposures (K, 3, H, W) from dark to bright, as the paper's text has it."""
    plane = luma(stack) / 255
    means = plane.mean((1, 2))
    steps = np.diff(means)
    widths = [steps[0] / 2, *(means[2:] - means[:-2]) / 4, steps[-1] / 2]
    pairs = zip(plane, means, widths, strict=True)
    return np.stack([np.exp(-((y - (1 - mean)) ** 2) / (2 * (3 * width) ** 2)) for y, mean, width in pairs])


def gradient(stack):
    """Weight 2, from frequencies of rounded codes that are looked up at the next higher ones."""
    rare = []
    for plane in luma(stack):
        counts = np.bincount(np.floor(plane + 0.5).astype(int).ravel(), minlength=257) / plane.size
        rare.append(1 / (counts[np.ceil(plane - 1e-5).astype(int)] + np.finfo(float).eps))
    return np.stack(rare) / (np.sum(rare, 0) + 1e-12)


REFERENCES = {"intensity": intensity, "gradient": gradient, "both": lambda stack: intensity(stack) * gradient(stack)}


@pytest.mark.parametrize("use", REFERENCES)
def test_weights_equal_a_plain_reference_in_several_bands(random_stack, use, monkeypatch):
    monkeypatch.setattr("hdrbench.imaging.merging.codes.BAND", 100)
    stack = random_stack(2, 4, 3, 30, 41)
    expected = np.stack([REFERENCES[use](scene) for scene in stack.numpy()])
    np.testing.assert_allclose(adaptive.weights(stack, use=use).numpy(), expected, rtol=1e-9, atol=1e-300)
    # Single precision must look the same codes up.
    np.testing.assert_allclose(adaptive.weights(stack.float(), use=use).numpy(), expected, rtol=1e-3, atol=1e-30)


@pytest.mark.parametrize("use", REFERENCES)
def test_fusing_smooths_the_weights_and_the_sum_does_not(random_stack, use):
    stack = random_stack(1, 3, 3, 40, 50)
    weights = REFERENCES[use](stack[0].numpy())
    plain = weights + 1e-12
    np.testing.assert_allclose(
        adaptive.fuse(stack, use=use, blending="sum")[0][0].numpy(),
        np.einsum("khw,kchw->chw", plain / plain.sum(0), stack[0].numpy()),
        atol=1e-9,
    )
    smooth = np.stack([gaussian_filter(one, 5, mode="nearest", truncate=2) for one in weights]) + 1e-12
    maps = torch.from_numpy(smooth / smooth.sum(0))[None]
    torch.testing.assert_close(adaptive.fuse(stack, use=use, levels=5)[0], blend(stack, maps, 5).clamp(0, 1))


def test_smoothing_is_the_same_without_opencv(random_stack):
    maps = random_stack(1, 2, 1, 12, 30)[:, :, 0]
    torch.testing.assert_close(adaptive._blur(maps.clone().requires_grad_()).detach(), adaptive._blur(maps))


@pytest.mark.parametrize("blending", adaptive.BLENDINGS)
def test_shares_sum_to_1_and_are_equal_where_no_exposure_has_a_weight(random_stack, blending):
    shares = adaptive.fuse(random_stack(2, 3, 3, 20, 30), blending=blending, levels=3)[1]
    torch.testing.assert_close(shares.sum(1), torch.ones_like(shares[:, 0]))
    assert shares.min() > 0
    # Each frame is flat, of a mean far from where its weight 1 is above 0.
    flat = torch.tensor([0.0, 1e-4]).view(1, 2, 1, 1, 1).expand(1, 2, 3, 16, 16)
    shares = adaptive.fuse(flat, use="intensity", blending=blending, levels=3)[1]
    torch.testing.assert_close(shares, torch.full((1, 2, 16, 16), 0.5))


@pytest.mark.parametrize("blending", adaptive.BLENDINGS)
def test_order_and_batch_do_not_matter(random_stack, blending):
    stack = random_stack(2, 4, 3, 33, 40)
    fused = adaptive.fuse(stack, blending=blending)[0]
    torch.testing.assert_close(adaptive.fuse(stack[:, [2, 0, 3, 1]], blending=blending)[0], fused)
    torch.testing.assert_close(adaptive.fuse(stack[1:], blending=blending)[0], fused[1:])
    assert fused.min() >= 0
    assert fused.max() <= 1


def test_the_authors_result_for_house(house):
    fused = adaptive.fuse(house.stack, levels=6)[0][0]
    difference = ((fused * 255 + 0.5).floor().int() - house.expected).abs()
    assert difference.max() <= 1
    assert (difference == 0).double().mean() >= 0.9999


def test_equal_exposures_and_unknown_weights(random_stack):
    stack = random_stack(1, 1, 3, 16, 16).expand(-1, 3, -1, -1, -1)
    for use in ("both", "intensity"):
        with pytest.raises(ValueError, match="different mean luma"):
            adaptive.fuse(stack, use=use)
    torch.testing.assert_close(adaptive.fuse(stack, use="gradient", levels=4)[0], stack[:, 0])
    with pytest.raises(HdrbenchError, match="did you mean 'gradient'"):
        adaptive.weights(stack, use="gradients")
    with pytest.raises(HdrbenchError, match="did you mean 'pyramid'"):
        adaptive.fuse(stack, blending="pyramids")


def test_black_and_white_stacks_are_fused_to_something_finite():
    stack = torch.stack([torch.zeros(3, 16, 16), torch.full((3, 16, 16), 0.5), torch.ones(3, 16, 16)])[None]
    fused = adaptive.fuse(stack)[0]
    assert fused.isfinite().all()
    assert (fused.std((-1, -2)) < 1e-6).all()
