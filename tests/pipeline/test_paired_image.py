"""The task of HDR from one image, learnt from pairs: how pairs are made, and what is scored."""

import numpy as np
import pytest
import torch
from torch import nn

from hdrbench import methods
from hdrbench.datasets.scene import Scene
from hdrbench.errors import HdrbenchError
from hdrbench.methods import Batch, Method, Reconstruction
from hdrbench.metrics import scoring
from hdrbench.pipeline.tasks.paired_image import inputs, outputs
from hdrbench.protocol import get

NAIVE = methods.get("gamma_linear")
EVS = (0.0, 1.0, 2.0, 3.0, 4.0)
SIZE = (32, 48)


def radiance(size=SIZE, peak=1.0):
    """A ramp over five decades, 1 = saturation of the shortest exposure; the largest value is `peak`."""
    ramp = np.geomspace(1e-5, 1, size[1])[None, :, None] * np.linspace(0.5, 1, size[0])[:, None, None]
    return (peak * ramp * np.asarray([1.0, 0.9, 0.8])).astype(np.float32)


def scene(evs=EVS, size=SIZE, peak=1.0):
    """A still stack of a gamma 2.2 camera without quantisation."""
    light = radiance(size, peak)
    ldrs = tuple((np.clip(light * 2.0**ev, 0, 1) ** (1 / 2.2)).astype(np.float32) for ev in evs)
    return Scene("s", ldrs, tuple(2.0**ev for ev in evs), light)


def prepared(headroom=None, size=None, **options):
    return inputs.prepare(scene(**options), "test", size=size, headroom=headroom)


def naive(arrays):
    return outputs.apply(NAIVE, nn.Identity(), arrays, ["result"], "cpu").hdr[0].permute(1, 2, 0).numpy()


def test_the_input_is_the_middle_exposure_or_the_only_one():
    assert np.array_equal(prepared()["ldr"], scene().ldrs[2])
    assert np.array_equal(prepared(evs=(0.0,))["ldr"], scene(evs=(0.0,)).ldrs[0])
    with pytest.raises(HdrbenchError, match=r"expected 1, 3, 5, \.\.\. exposures, got 2"):
        prepared(evs=(0.0, 1.0))


@pytest.mark.parametrize("peak", [0.3, 1.0, 40.0])
def test_a_reference_is_divided_by_its_maximum(peak):
    arrays = prepared(peak=peak)
    assert set(arrays) == {"ldr", "hdr", "times"}
    assert arrays["hdr"].max() == 1
    np.testing.assert_allclose(arrays["hdr"], radiance(), rtol=1e-6)


@pytest.mark.parametrize("headroom", [2.0, 4.0, 64.0])
def test_or_scaled_so_that_1_is_a_multiple_of_the_inputs_saturation(headroom):
    hdr = prepared(headroom)["hdr"]
    np.testing.assert_allclose(hdr, (4 * radiance() / headroom).clip(0, 1), rtol=1e-6)


@pytest.mark.parametrize("options", [{}, {"headroom": 8.0}, {"headroom": 2.0}, {"peak": 7.0}, {"evs": (0.0,)}])
def test_gamma_alone_is_right_where_nothing_is_clipped_whatever_the_scale(options):
    arrays = prepared(**options)
    unclipped = (arrays["ldr"].max(-1) < 1) & (arrays["hdr"].max(-1) < 1)
    assert unclipped.mean() > 0.5
    np.testing.assert_allclose(naive(arrays)[unclipped], arrays["hdr"][unclipped], rtol=1e-4)


def test_pictures_are_brought_to_a_size():
    arrays = prepared(size=[16, 16])
    assert arrays["ldr"].shape == arrays["hdr"].shape == (16, 16, 3)
    assert arrays["hdr"].max() == 1
    assert np.array_equal(np.rint(arrays["ldr"] * 255) / np.float32(255), arrays["ldr"])


@pytest.mark.parametrize("size", [[0, 0], [16], [8, 32], [32.5, 32], [True, 32]])
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(HdrbenchError, match="size is"):
        prepared(size=size)


def test_what_cannot_be_paired_is_one_line():
    whole = scene()
    with pytest.raises(HdrbenchError, match="has no reference"):
        inputs.prepare(Scene("s", whole.ldrs, whole.times, None), "test", size=None, headroom=None)
    with pytest.raises(HdrbenchError, match="is black"):
        inputs.prepare(Scene("s", whole.ldrs, whole.times, -whole.hdr), "test", size=None, headroom=None)
    with pytest.raises(HdrbenchError, match="headroom is 0"):
        prepared(headroom=0)


def test_the_reference_is_a_perfect_result():
    arrays = prepared()
    hdr = torch.from_numpy(arrays["hdr"]).permute(2, 0, 1)[None]
    perfect = Method("perfect", "Liu2026", nn.Identity, lambda *_: Reconstruction(hdr, {}))
    result = outputs.apply(perfect, nn.Identity(), arrays, ["result"], "cpu")
    for metric, best in (("psnr_mu", float("inf")), ("ssim_mu", 1.0), ("ciede2000", 0.0)):
        subject = outputs.subject("result", result, arrays, get("expocm"), "cpu")
        assert scoring.score(metric, subject).item() == best


def test_what_cannot_be_scored_is_one_line():
    arrays = prepared()
    with pytest.raises(HdrbenchError, match="does not reconstruct HDR"):
        outputs.apply(methods.get("mertens"), nn.Identity(), arrays, ["result"], "cpu")
    broken = Method("broken", "Liu2026", nn.Identity, lambda *_: Reconstruction(torch.tensor(float("nan")), {}))
    with pytest.raises(HdrbenchError, match="not finite"):
        outputs.apply(broken, nn.Identity(), arrays, ["result"], "cpu")
    with pytest.raises(HdrbenchError, match="unknown subject 'image'"):
        outputs.check("image", NAIVE, {})


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("expocm", {"width": 4}),
        ("expocm", {"width": 4, "naive_level": 0.25}),
        ("expocm", {"width": 4, "sampler": "ddim", "ddim_steps": 2}),
        ("expandnet", {"width": 2}),
    ],
)
def test_learning_methods_take_crops_and_whole_images_of_odd_sizes(method, options):
    arrays = prepared(size=[37, 51], headroom=4.0)
    network = methods.build(method, options)
    result = outputs.apply(methods.get(method), network, arrays, ["result"], "cpu").hdr
    assert result.shape == (1, 3, 37, 51)
    assert 0 <= result.min() <= result.max() <= 1
    crops = {name: torch.from_numpy(arrays[name])[None].permute(0, 3, 1, 2) for name in inputs.CROPPED}
    objective = methods.get(method).objective
    assert objective is not None
    assert all(torch.isfinite(value) for value in objective()[0](network, Batch(crops)).values())


def test_the_example_is_what_the_networks_take():
    for method in ("expocm", "expandnet"):
        assert methods.build(method, {"width": 4})(*inputs.example(24, 16)).shape == (1, 3, 24, 16)
