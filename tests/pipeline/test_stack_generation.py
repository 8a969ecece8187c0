"""The task of generating a stack: what is prepared, what is scored, and against what."""

import numpy as np
import pytest
import torch
from torch import nn

from hdrbench import methods
from hdrbench.datasets.scene import Scene
from hdrbench.errors import HdrbenchError
from hdrbench.imaging.merging.generated import merge_stack
from hdrbench.methods import Method
from hdrbench.metrics import scoring
from hdrbench.pipeline.tasks.stack_generation import inputs, outputs
from hdrbench.protocol import get

EVS = (-2.0, -1.0, 0.0, 1.0, 2.0)
NAIVE = methods.get("gamma_linear")
PROTOCOL = get("cevr")


def scene(evs=EVS, size=(32, 48)):
    """A still stack of a gamma 2.2 camera; EV 0 clips a part of it."""
    axis = np.linspace(0, 1, size[1])
    radiance = np.stack([0.02 + 3 * axis**2 * (1 + 0.3 * k) for k in range(3)], -1)
    radiance = np.broadcast_to(radiance, (*size, 3)) * np.linspace(0.5, 1, size[0])[:, None, None]
    ldrs = tuple(
        (np.rint(255 * np.clip(radiance * 2.0**ev, 0, 1) ** (1 / 2.2)) / np.float32(255)).astype(np.float32)
        for ev in evs
    )
    return Scene("s", ldrs, tuple(2.0 ** (ev - evs[0]) for ev in evs), None)


def prepared(merges=("debevec",), **options):
    return inputs.prepare(scene(**options), "test", size=None, merges=list(merges))


def score(metric, name, method=NAIVE, network=None, arrays=None, protocol=PROTOCOL):
    arrays = prepared() if arrays is None else arrays
    result = outputs.apply(method, network or nn.Identity(), arrays, [name], "cpu")
    return scoring.score(metric, outputs.subject(name, result, arrays, protocol, "cpu")).item()


def perfect(arrays):
    """A method that knows the real exposures."""
    stack = torch.from_numpy(arrays["stack"]).permute(0, 3, 1, 2)

    def expose(network, image, evs):
        return torch.stack([stack[EVS.index(ev)] for ev in evs])[None]

    return Method("perfect", "Debevec1997", nn.Identity, expose=expose)


def test_training_scenes_keep_the_stack_and_test_scenes_their_merges_too():
    whole = scene()
    train = inputs.prepare(whole, "train", size=None, merges=["debevec"])
    assert set(train) == {"stack", "times"}
    assert np.array_equal(train["stack"], np.stack(whole.ldrs))
    test = prepared(["debevec", "robertson"])
    assert set(test) == {"stack", "times", "debevec", "robertson", "response"}
    stack = torch.from_numpy(test["stack"]).permute(0, 3, 1, 2)[None]
    expected = merge_stack(stack, EVS, "robertson")[0].permute(1, 2, 0)
    np.testing.assert_array_equal(test["robertson"], expected)
    assert test["response"].shape == (3, 256)
    assert np.allclose(test["response"].max(1), 1)


def test_images_are_brought_to_a_size_as_8_bit_pictures():
    reduced = inputs.prepare(scene(size=(64, 96)), "train", size=[32, 32], merges=[])["stack"]
    assert reduced.shape == (5, 32, 32, 3)
    assert np.array_equal(reduced, np.rint(reduced * 255) / np.float32(255))


@pytest.mark.parametrize("size", [0, [16], [8, 32], [32.5, 32], [True, 32]])
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(HdrbenchError, match="size is"):
        inputs.prepare(scene(), "train", size=[size] if isinstance(size, int) else size, merges=[])


@pytest.mark.parametrize("evs", [(0.0, 1.0), (-1.0, 0.0, 1.0, 2.0), (0.0,)])
def test_a_stack_without_a_middle_is_refused(evs):
    with pytest.raises(HdrbenchError, match=r"expected 3, 5, 7, \.\.\. exposures"):
        inputs.prepare(scene(evs), "train", size=None, merges=[])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ev+1", ("exposure", None, (1.0,))),
        ("ev-0.5", ("exposure", None, (-0.5,))),
        ("debevec -1:1:0.5", ("stack", "debevec", (-1.0, -0.5, 0.0, 0.5, 1.0))),
        ("robertson -2,0,2", ("stack", "robertson", (-2.0, 0.0, 2.0))),
        ("merged debevec", ("merged", "debevec", ())),
        ("reconstructed opencv_debevec", ("reconstructed", "opencv_debevec", ())),
        ("encoding", ("encoding", None, ())),
    ],
)
def test_names_of_subjects(name, expected):
    assert outputs.read_subject(name) == expected


@pytest.mark.parametrize(
    "name", ["ev1", "ev", "ev+", "debevec", "debevec 1:0:1", "mertens -2:2:1", "merged", "merged mertens", "result", ""]
)
def test_names_that_are_no_subject(name):
    with pytest.raises(HdrbenchError, match=r"unknown subject|expected two or more"):
        outputs.read_subject(name)


def test_a_method_that_knows_the_exposures_is_perfect():
    arrays = prepared()
    method = perfect(arrays)
    assert score("psnr_display", "ev+1", method, arrays=arrays) == float("inf")
    assert score("ssim_display", "ev-2", method, arrays=arrays) == 1
    assert score("l1_l", "debevec -2:2:1", method, arrays=arrays) < 1e-6
    assert score("psnr_display", "debevec -2:2:1", method, arrays=arrays) == float("inf")


def test_the_naive_stack_is_right_where_nothing_was_clipped_and_wrong_where_it_was():
    darker, brighter = score("psnr_display", "ev-2"), score("psnr_display", "ev+1")
    assert brighter > 45
    assert darker < 35


def test_exposures_are_scored_as_8_bit_codes_whatever_the_protocol_does_to_light():
    arrays = prepared()
    result = outputs.apply(NAIVE, nn.Identity(), arrays, ["ev+1"], "cpu")
    image = result.exposures[1.0]
    assert torch.equal((image * 255).round() / 255, image)
    for protocol in ("cevr", "cevr_kim_kautz", "multi_exposure_generation"):
        assert score("psnr_display", "ev+1", arrays=arrays, protocol=get(protocol)) == score("psnr_display", "ev+1")


def test_one_merge_serves_two_protocols():
    arrays = prepared()
    result = outputs.apply(NAIVE, nn.Identity(), arrays, ["debevec -1:1:1"], "cpu")
    one, two = (
        outputs.subject("debevec -1:1:1", result, arrays, get(name), "cpu") for name in ("cevr", "cevr_kim_kautz")
    )
    assert one.pred is two.pred
    assert scoring.score("psnr_display", one) != scoring.score("psnr_display", two)


def test_real_exposures_are_merged_by_methods_that_can():
    chosen = methods.build("debevec", {"evs": [-1, 0, 1]})
    everything = methods.build("debevec", {})
    method = methods.get("debevec")
    assert score("l1_l", "merged debevec", method, everything) < 1e-6
    assert score("l1_l", "merged debevec", method, chosen) > 1e-4
    with pytest.raises(HdrbenchError, match=r"no exposure at EV \+1\.5, only -2, -1, \+0, \+1, \+2"):
        score("l1_l", "merged debevec", method, methods.build("debevec", {"evs": [0, 1.5]}))


def test_the_encoding_is_compared_through_the_response():
    class Decoder(nn.Module):
        def represent(self, image):
            return image**2.2

    arrays = prepared()
    good = score("psnr_display", "encoding", network=Decoder(), arrays=arrays)
    Decoder.represent = lambda self, image: image**1.5
    assert good > 10 + score("psnr_display", "encoding", network=Decoder(), arrays=arrays)


@pytest.mark.parametrize(
    ("name", "method", "message"),
    [
        ("ev+1", "debevec", "'Debevec and Malik' cannot expose"),
        ("merged debevec", "gamma_linear", "cannot merge"),
        ("reconstructed debevec", "debevec", "cannot reconstruct"),
        ("encoding", "gamma_linear", "cannot represent"),
        ("ev+0.5", "gamma_linear", r"no real exposure at EV \+0\.5"),
        ("robertson -1:1:1", "gamma_linear", "is not merged by 'robertson'"),
    ],
)
def test_what_cannot_be_scored_is_one_line(name, method, message):
    with pytest.raises(HdrbenchError, match=message):
        score("l1_l", name, methods.get(method), methods.build(method, {}))


def test_methods_without_a_stack_are_scored_by_what_they_reconstruct():
    """Gamma 2.2 alone is right but for what is clipped, whatever its scale."""
    assert score("psnr_display", "reconstructed debevec") > 20


def test_what_a_method_refuses_costs_only_what_needs_it():
    def expose(network, image, evs):
        if any(ev % 1 for ev in evs):
            raise HdrbenchError("whole steps only")
        return NAIVE.expose(network, image, evs)

    stepwise, arrays = Method("steps", "Debevec1997", nn.Identity, expose=expose), prepared()
    names = ["ev+1", "ev-0.5", "debevec -1:1:1", "debevec -1:1:0.5"]
    result = outputs.apply(stepwise, nn.Identity(), arrays, names, "cpu")
    for name in names:
        if "0.5" in name:
            with pytest.raises(HdrbenchError, match="whole steps only"):
                outputs.subject(name, result, arrays, PROTOCOL, "cpu")
        else:
            assert outputs.subject(name, result, arrays, PROTOCOL, "cpu").pred.shape == (1, 3, 32, 48)


@pytest.mark.parametrize(
    ("name", "method", "message"),
    [
        ("ev+9x", "cevr", "unknown subject"),
        ("debevec 3:-3:1", "cevr", "expected two or more"),
        ("merged debevec", "cevr", "'CEVR' cannot merge"),
        ("robertson -1:1:1", "cevr", "add it to preparation.merges"),
        ("ev+1", "debevec", "cannot expose"),
    ],
)
def test_subjects_are_checked_before_anything_is_run(name, method, message):
    with pytest.raises(HdrbenchError, match=message):
        outputs.check(name, methods.get(method), {"merges": ["debevec"]})


def test_a_result_that_is_not_finite_is_refused():
    broken = Method(
        "broken", "Debevec1997", nn.Identity, expose=lambda network, image, evs: image[:, None] * float("nan")
    )
    with pytest.raises(HdrbenchError, match="not finite"):
        score("l1_l", "ev+1", broken)
