"""MEF-SSIM against its definition, patch by patch, and the laws it must keep."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from hdrbench.metrics import mef_ssim as module
from hdrbench.metrics.mef_ssim import mef_ssim


def patch_score(fused, stack, window):
    """Score one patch as Ma2015 defines it: (11, 11) against (K, 11, 11), grey levels."""
    eps = np.finfo(float).eps
    structures = stack - stack.mean((1, 2), keepdims=True)
    norms = np.sqrt((structures**2).sum((1, 2)))
    joint = stack.sum(0)
    consistency = (np.linalg.norm(joint - joint.mean()) + eps) / (norms.sum() + eps)
    power = 10.0 if consistency >= 1 else min(math.tan(math.pi / 2 * consistency), 10.0)
    contrasts = norms + 0.001
    weights = (contrasts / 11) ** power + eps
    desired = ((weights / weights.sum() / contrasts)[:, None, None] * structures).sum(0)
    norm = np.linalg.norm(desired)
    if norm > 0:
        desired = desired / norm * contrasts.max()
    mean, fused_mean = (window * desired).sum(), (window * fused).sum()
    variance = (window * (desired - mean) ** 2).sum()
    spread = (window * (fused - fused_mean) ** 2).sum()
    covariance = (window * (desired - mean) * (fused - fused_mean)).sum()
    c = (0.03 * 255) ** 2
    return (2 * covariance + c) / (variance + spread + c)


def naive(fused, stack):
    """Average `patch_score` over all patches."""
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    window /= window.sum()
    height, width = fused.shape
    patches = [(slice(y, y + 11), slice(x, x + 11)) for y in range(height - 10) for x in range(width - 10)]
    return np.mean([patch_score(fused[p], stack[:, *p], window) for p in patches])


def halve(image):
    """Average 2x2 pixels, an odd last row or column mirrored."""
    height, width = image.shape
    padded = np.pad(image, ((0, height % 2), (0, width % 2)), mode="symmetric")
    return (padded[::2, ::2] + padded[1::2, ::2] + padded[::2, 1::2] + padded[1::2, 1::2]) / 4


def scene(height, width, exposures, seed=0):
    """Return a stack (K, H, W) of whole grey levels, with black and saturated areas, and a fusion of it."""
    rng = np.random.default_rng(seed)
    layers = [gaussian_filter(rng.standard_normal((height, width)), s) * s for s in (1, 3, 8)]
    radiance = np.exp(1.5 * sum(layers) / np.std(sum(layers)))
    stack = np.stack(
        [np.rint(255 * np.clip(radiance * t, 0, 1) ** (1 / 2.2)) for t in np.geomspace(0.03, 3, exposures)]
    )
    stack[-1, : height // 2, : width // 2] = 255
    stack[0, : height // 2, : width // 3] = 0
    return stack, np.rint(stack.mean(0))


def tensors(stack, fused):
    """Turn grey levels into what `mef_ssim` takes."""
    return torch.from_numpy(fused / 255)[None, None], torch.from_numpy(stack / 255)[None, :, None]


@pytest.mark.parametrize(("shape", "exposures"), [((23, 31), 2), ((24, 22), 3), ((19, 26), 5)])
def test_one_scale_is_the_definition(shape, exposures):
    stack, fused = scene(*shape, exposures)
    for image in (fused, stack[0], stack[-1], 255 - fused):
        assert mef_ssim(*tensors(stack, image), levels=1).item() == pytest.approx(naive(image, stack), abs=1e-10)


def test_three_scales_are_the_definition():
    stack, fused = scene(45, 46, 3)
    product = 1.0
    for exponent in (0.0448, 0.2856, 0.3001):
        product *= naive(fused, stack) ** (exponent / (0.0448 + 0.2856 + 0.3001))
        stack, fused = np.stack([halve(plane) for plane in stack]), halve(fused)
    stack, fused = scene(45, 46, 3)
    assert mef_ssim(*tensors(stack, fused)).item() == pytest.approx(product, abs=1e-10)


def test_flat_exposures_have_no_part():
    stack, _ = scene(30, 30, 1)
    with_flat = np.concatenate([np.zeros((1, 30, 30)), stack, np.full((1, 30, 30), 255.0)])
    assert mef_ssim(*tensors(with_flat, stack[0]), levels=1).item() == pytest.approx(1.0, abs=1e-6)
    flat = np.stack([np.full((30, 30), v) for v in (3.0, 99.0, 255.0)])
    assert mef_ssim(*tensors(flat, np.full((30, 30), 7.0)), levels=1).item() == pytest.approx(1.0, abs=1e-12)
    black = torch.zeros(1, 1, 48, 48)
    assert mef_ssim(black, black[:, None]).item() == pytest.approx(1.0, abs=1e-12)


def test_cancelling_structures_leave_none():
    plane = np.random.default_rng(0).integers(0, 256, (30, 30)).astype(float)
    fused, stack = tensors(np.stack([plane, 255 - plane]), plane)
    flat, _ = tensors(plane[None], np.full((30, 30), 9.0))
    assert mef_ssim(flat, stack, levels=1).item() == pytest.approx(1.0, abs=1e-9)
    assert 0 < mef_ssim(fused, stack, levels=1).item() < 0.1


def test_sign_of_the_product():
    scores = torch.tensor([[0.9, 0.8, 0.7], [-0.9, -0.8, -0.7], [0.9, -0.8, 0.7], [-0.9, -0.8, 0.7], [0.0, 1.0, 1.0]])
    products = [module._product(row).item() for row in scores.double()]
    assert products[0] == pytest.approx(0.9 ** (0.0448 / 0.6305) * 0.8 ** (0.2856 / 0.6305) * 0.7 ** (0.3001 / 0.6305))
    assert products[1:] == [-products[0], 0.0, 0.0, 0.0]
    plane = np.random.default_rng(0).integers(0, 256, (60, 60)).astype(float)
    assert -1 <= mef_ssim(*tensors(plane[None], 255 - plane)).item() < -0.8


def test_grey_of_colour_is_rounded():
    rng = np.random.default_rng(1)
    stack, fused = rng.integers(0, 256, (3, 3, 50, 47)), rng.integers(0, 256, (3, 50, 47))
    weights = np.array([0.298936, 0.587043, 0.114021])
    grey_stack, grey = (
        np.rint(np.einsum("c,kchw->khw", weights, stack)),
        np.rint(np.einsum("c,chw->hw", weights, fused)),
    )
    score = mef_ssim(torch.from_numpy(fused / 255)[None], torch.from_numpy(stack / 255)[None])
    assert score.item() == mef_ssim(*tensors(grey_stack, grey)).item()


def test_strips_do_not_show(monkeypatch):
    stack, fused = scene(100, 60, 4)
    expected = mef_ssim(*tensors(stack, fused)).item()
    monkeypatch.setattr(module, "STRIP", 1)
    assert mef_ssim(*tensors(stack, fused)).item() == pytest.approx(expected, abs=1e-13)


def test_plain_tensor_filters_are_those_of_opencv(monkeypatch):
    plane = torch.from_numpy(scene(30, 40, 1)[0][0])
    box, gauss = module._box(plane), module._gauss(plane)
    monkeypatch.setattr(module, "_on_cpu", lambda plane: False)
    assert torch.equal(module._box(plane), box)
    torch.testing.assert_close(module._gauss(plane), gauss, rtol=1e-13, atol=0)


def test_laws():
    pairs = [tensors(*scene(48, 52, 3, seed)) for seed in range(3)]
    fused, stack = (torch.cat(batch) for batch in zip(*pairs, strict=True))
    before = fused.clone(), stack.clone()
    together = mef_ssim(fused, stack)
    assert together.shape == (3,)
    assert together.dtype == torch.float64
    assert ((together > 0.5) & (together < 1)).all()
    assert [mef_ssim(*pair).item() for pair in pairs] == together.tolist()
    assert mef_ssim(fused.float(), stack.float()).tolist() == together.tolist()
    torch.testing.assert_close(mef_ssim(fused, stack[:, [2, 0, 1]]), together, rtol=1e-12, atol=0)
    torch.testing.assert_close(mef_ssim(fused.mT, stack.mT), together, rtol=1e-12, atol=0)
    noise = torch.randn(fused.shape, generator=torch.Generator().manual_seed(0))
    scores = torch.stack([mef_ssim((fused + s * noise).clamp(0, 1), stack) for s in (0.03, 0.1, 0.3)])
    assert (scores.diff(dim=0) < 0).all()
    assert torch.equal(fused, before[0])
    assert torch.equal(stack, before[1])


def test_bad_input_is_refused():
    fused, stack = torch.rand(1, 3, 44, 44), torch.rand(1, 2, 3, 44, 44)
    assert torch.isfinite(mef_ssim(fused, stack)).all()
    with pytest.raises(ValueError, match="44x44"):
        mef_ssim(fused[..., 1:], stack[..., 1:])
    assert torch.isfinite(mef_ssim(fused[..., 33:], stack[..., 33:], levels=1)).all()
    with pytest.raises(ValueError, match="11x11"):
        mef_ssim(fused[..., 34:], stack[..., 34:], levels=1)
    with pytest.raises(ValueError, match="levels"):
        mef_ssim(fused, stack, levels=2)
    with pytest.raises(ValueError, match="expected fused"):
        mef_ssim(fused[:, :1], stack)
    with pytest.raises(ValueError, match="expected fused"):
        mef_ssim(fused, stack[0])
    with pytest.raises(ValueError, match="fused has values"):
        mef_ssim(255 * fused, stack)
    with pytest.raises(ValueError, match="stack has values from nan"):
        mef_ssim(fused, stack * float("nan"))
    with pytest.raises(ValueError, match="floating-point"):
        mef_ssim(fused, stack.long())
