"""Pictures of each task for the viewer."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from hdrbench import methods
from hdrbench.datasets.scene import Scene
from hdrbench.pipeline.tasks.exposure_fusion import inputs as fusion
from hdrbench.pipeline.tasks.paired_image import inputs as paired
from hdrbench.pipeline.tasks.stack_generation import inputs as generation
from hdrbench.report.pictures import Shown, exposure_fusion, paired_image, stack_generation

EVS = (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)


def scene():
    radiance = 0.02 + 2 * np.random.default_rng(0).random((32, 48, 3)) ** 3
    ldrs = tuple(
        (np.rint(255 * np.clip(radiance * 2.0**ev, 0, 1) ** (1 / 2.2)) / np.float32(255)).astype(np.float32)
        for ev in EVS
    )
    return Scene("s", ldrs, tuple(2.0 ** (ev + 2) for ev in EVS), None)


def shown(method, name, network=None):
    return Shown(SimpleNamespace(method=method, name=name), network or nn.Identity())


def test_a_generated_stack_stands_beside_the_real_one():
    arrays = generation.prepare(scene(), "test", size=None, merges=["opencv_debevec"])
    found = stack_generation.pictures([shown("gamma_linear", "naive"), shown("gamma_linear", "again")], arrays, "cpu")
    generated, real = ([key for key in found if key.startswith(start)] for start in ("naive_", "real_"))
    assert generated == ["naive_ev-2", "naive_ev-1", "naive_ev+1", "naive_ev+2"]
    assert real == ["real_ev-2", "real_ev-1", "real_ev+1", "real_ev+2"]
    assert [key for key in found if key.startswith("again_")] == ["again_ev-2", "again_ev+2"]
    assert {key for key, picture in found.items() if picture.kind == "hdr"} == {"result", "hdr_again", "reference"}
    assert found["input"].exposure_time == 4
    assert found["naive_ev+1"].exposure_time == pytest.approx(8)
    ratio = found["reference"].image / scene_radiance()
    assert np.median(np.abs(np.log2(ratio))) < 0.2


def scene_radiance():
    """Radiance of the scene, 1 = saturation of the shortest exposure."""
    return (0.02 + 2 * np.random.default_rng(0).random((32, 48, 3)) ** 3) / 4


def test_weights_of_fusion_tell_their_mean_and_spread():
    arrays = fusion.prepare(scene(), "test", pair="outermost", longest_side=None)
    found = exposure_fusion.pictures([shown("mertens", "mertens", methods.build("mertens", {}))], arrays, "cpu")
    weight = found["weight_mertens"]
    assert f"(mean {weight.image.mean():.3f}, sd {weight.image.std():.3f})" in weight.label
    assert np.array_equal(found["under"].image, arrays["under"])


def test_every_run_that_learnt_from_pairs_stands_beside_the_reference():
    light = 0.02 + 2 * np.random.default_rng(0).random((32, 48, 3)).astype(np.float32) ** 3
    pairs = paired.prepare(Scene("s", scene().ldrs, scene().times, light), "test", size=None, headroom=8.0)
    runs = [shown("expandnet", "ours", methods.build("expandnet", {"width": 2})), shown("gamma_linear", "naive_one")]
    with torch.inference_mode():
        found = paired_image.pictures(runs, pairs, "cpu")
    assert list(found) == ["input", "result", "hdr_naive_one", "baseline", "reference"]
    assert [key for key, picture in found.items() if picture.kind == "ldr"] == ["input"]
    assert found["hdr_naive_one"].label == "HDR, naive one"
    assert np.array_equal(found["hdr_naive_one"].image, found["baseline"].image)
    assert np.array_equal(found["reference"].image, pairs["hdr"])
    assert found["input"].exposure_time == 8
