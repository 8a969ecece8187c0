import numpy as np
import pytest
import torch
from torch import nn

from hdrbench import methods
from hdrbench.datasets.scene import Scene
from hdrbench.errors import HdrbenchError
from hdrbench.methods import Fusion, Method
from hdrbench.metrics import scoring
from hdrbench.pipeline import digest, tasks
from hdrbench.pipeline.prepare import pack, unpack
from hdrbench.pipeline.tasks.exposure_fusion import inputs, outputs
from hdrbench.protocol import get

PAIR = Method("two", "Mertens2009", nn.Identity, fuse=lambda network, stack: Fusion(stack.mean(1), None), frames=2)
ANY = Method("any", "Mertens2009", nn.Identity, fuse=lambda network, stack: Fusion(stack.mean(1), None))


def stack(count=5, size=(24, 36)):
    generator = np.random.default_rng(0)
    base = generator.random((*size, 3))
    ldrs = tuple(
        (np.rint(255 * np.clip(base * 2.0**k / 8, 0, 1)) / np.float32(255)).astype(np.float32) for k in range(count)
    )
    return Scene("s", ldrs, tuple(2.0**k for k in range(count)), None)


@pytest.mark.parametrize("name", tasks.names())
def test_every_task_says_what_the_engine_asks(name):
    task, results = tasks.inputs(name), tasks.outputs(name)
    assert task.CROPPED
    assert all(isinstance(tensor, torch.Tensor) for tensor in task.example(16, 24))
    assert callable(task.prepare)
    assert callable(results.check)
    assert callable(results.apply)
    assert callable(results.subject)


@pytest.mark.parametrize("name", tasks.names())
def test_a_changed_metric_trains_nothing_again(name):
    modules = digest.closure(
        "hdrbench.pipeline.train", "hdrbench.pipeline.prepare", f"hdrbench.pipeline.tasks.{name}.inputs"
    )
    assert "hdrbench.datasets.scene" in modules
    assert not [module for module in modules if module.startswith(("hdrbench.metrics", "hdrbench.protocol"))]


def test_an_unknown_task_suggests_a_near_one():
    with pytest.raises(HdrbenchError, match="did you mean 'single_image'"):
        tasks.inputs("single_images")


@pytest.mark.parametrize(
    ("count", "choice", "expected"),
    [
        (2, "outermost", (0, 1)),
        (7, "outermost", (0, 6)),
        (7, "quartiles", (1, 5)),
        (9, "quartiles", (2, 6)),
        (3, "quartiles", (0, 2)),
    ],
)
def test_the_pair(count, choice, expected):
    assert inputs.choose_pair(count, choice) == expected


def test_training_scenes_keep_the_pair_and_test_scenes_the_stack_too():
    scene = stack()
    train = inputs.prepare(scene, "train", pair="outermost", longest_side=None)
    test = inputs.prepare(scene, "test", pair="outermost", longest_side=None)
    assert set(train) == {"under", "over"}
    assert np.array_equal(test["stack"], np.stack(scene.ldrs))
    assert np.array_equal(test["under"], scene.ldrs[0])
    assert np.array_equal(train["over"], scene.ldrs[-1])


def test_images_are_reduced_only_where_it_is_asked_for_and_they_are_larger():
    scene = stack(size=(20, 40))
    reduced = inputs.prepare(scene, "test", pair="outermost", longest_side=20)
    assert reduced["stack"].shape == (5, 10, 20, 3)
    means = scene.ldrs[0].reshape(10, 2, 20, 2, 3).mean((1, 3))
    assert np.allclose(reduced["under"], means, atol=1e-6)
    kept = inputs.prepare(scene, "test", pair="outermost", longest_side=40)
    assert np.array_equal(kept["over"], scene.ldrs[-1])


def test_reduced_white_stays_white():
    """The areas of 2047 pixels do not divide evenly, and the mean of ones may round to more than 1."""
    white = inputs.reduce(np.ones((64, 2047, 3), np.float32), 1200)
    assert white.max() <= 1
    assert white.min() > 0.999  # OpenCV weighs the last column a little less


@pytest.mark.parametrize("longest_side", [0, -5, True, 20.5, float("nan")])
def test_a_size_that_is_none_is_refused(longest_side):
    with pytest.raises(HdrbenchError, match="expected at least 16 pixels, or null"):
        inputs.prepare(stack(), "test", pair="outermost", longest_side=longest_side)


def test_a_single_frame_cannot_be_fused():
    with pytest.raises(HdrbenchError, match="expected 2 exposures or more, got 1"):
        inputs.prepare(stack(1), "test", pair="outermost", longest_side=None)


def test_methods_of_two_frames_are_scored_on_the_pair_and_others_on_the_stack_too():
    scene = inputs.prepare(stack(), "test", pair="outermost", longest_side=None)
    protocol = get("unsupervised_fusion")
    for method, names in ((PAIR, ["pair", "pair_on_stack"]), (ANY, list(outputs.SUBJECTS))):
        result = outputs.apply(method, nn.Identity(), scene, names, "cpu")
        subjects = {name: outputs.subject(name, result, scene, protocol, "cpu") for name in names}
        assert subjects["pair"].fused[1].shape == (1, 2, 3, 24, 36)
        assert subjects["pair_on_stack"].fused[1].shape == (1, 5, 3, 24, 36)
        scores = {name: scoring.score("mef_ssim_single", subject).item() for name, subject in subjects.items()}
        assert scores["pair"] != scores["pair_on_stack"]
    with pytest.raises(HdrbenchError, match="fuses 2 exposures, not a whole stack"):
        outputs.apply(PAIR, nn.Identity(), scene, ["stack"], "cpu")
    with pytest.raises(HdrbenchError, match="did you mean 'pair'"):
        outputs.apply(PAIR, nn.Identity(), scene, ["pairs"], "cpu")


def test_fused_images_are_scored_as_8_bit_pictures():
    scene = inputs.prepare(stack(), "test", pair="outermost", longest_side=None)
    result = outputs.apply(PAIR, nn.Identity(), scene, ["pair"], "cpu")
    scored = outputs.subject("pair", result, scene, get("unsupervised_fusion"), "cpu").fused[0]
    assert torch.equal(scored * 255, (scored * 255).round())


def test_a_method_that_cannot_do_the_task_says_so():
    scene = inputs.prepare(stack(), "test", pair="outermost", longest_side=None)
    with pytest.raises(HdrbenchError, match="does not fuse exposures"):
        outputs.apply(methods.get("gamma_linear"), nn.Identity(), scene, ["pair"], "cpu")


@pytest.mark.parametrize(("levels", "dtype"), [(255, "uint8"), (65535, "uint16"), (16383, "float32")])
def test_code_values_are_kept_as_such_where_nothing_is_lost(levels, dtype):
    codes = np.random.default_rng(0).integers(0, levels + 1, (9, 8, 3))
    image = (codes / np.float64(levels)).astype(np.float32)
    packed = pack(image)
    assert packed.dtype == dtype
    assert np.array_equal(unpack(packed), image)


def test_radiance_and_times_are_kept_as_they_are():
    radiance = np.random.default_rng(0).random((4, 4, 3)).astype(np.float32) * 7
    assert pack(radiance) is radiance
    times = np.array([0.0, 1.0], np.float32)
    assert pack(times) is times
