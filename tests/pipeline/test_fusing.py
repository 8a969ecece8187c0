"""From photographs on disk to one picture, without exposures."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hdrbench import methods
from hdrbench.errors import HdrbenchError, ImageError, WeightsMissingError
from hdrbench.imaging.io import read_ldr, write_ldr
from hdrbench.metrics.mef_ssim import mef_ssim
from hdrbench.pipeline import checkpoint, fusing

TIMES = {"b": 1.0, "c": 3.0, "a": 9.0}
CLASSICAL = ("adaptive_weights", "mertens")


def scene(height=100, width=120):
    """Rectangles over rectangles, radiance in [0.001, 0.9]."""
    generator = np.random.default_rng(5)
    image = np.full((height, width, 3), 0.9, np.float32)
    for _ in range(400):
        y, x = generator.integers(0, height), generator.integers(0, width)
        h, w = generator.integers(4, 30, 2)
        image[y : y + h, x : x + w] = 0.9 * 10.0 ** (-2.9 * generator.random(3))
    return image


def photograph(folder, shifts=((0, 0),) * 3, *, size=(100, 120)):
    """Frames of a gamma camera named against their order, without EXIF; returns them in no order."""
    folder.mkdir(parents=True, exist_ok=True)
    radiance = scene(size[0] + 20, size[1] + 20)
    for (name, time), (x, y) in zip(TIMES.items(), shifts, strict=True):
        part = radiance[10 + y : 10 + y + size[0], 10 + x : 10 + x + size[1]]
        write_ldr(folder / f"{name}.png", np.clip(part * time, 0, 1) ** (1 / 2.2))
    return [folder / f"{name}.png" for name in "abc"]


def stack_of(paths):
    return torch.stack([torch.from_numpy(read_ldr(path)).permute(2, 0, 1) for path in paths])[None]


def trained(path, name="unsupervised_fusion", **options):
    """A checkpoint as training writes it, of random weights."""
    torch.manual_seed(0)
    checkpoint.write(
        path,
        checkpoint.pack(methods.build(name, options), None),
        {"identity": {"method": name, "options": options}},
    )
    return path


@pytest.mark.parametrize("method", CLASSICAL)
def test_frames_are_ordered_fused_and_scored(tmp_path, method):
    frames = photograph(tmp_path)
    done = fusing.fuse_photos(frames, tmp_path / "deep" / "out.png", method=method)
    assert [path.stem for path in done.frames] == ["b", "c", "a"]
    assert done.used == done.frames
    assert done.shifts is None
    stack = stack_of(done.frames)
    np.testing.assert_allclose(done.means, stack.mean((0, 2, 3, 4)), rtol=1e-5)
    made = methods.get(method)
    expected = made.fuse(made.build(), stack).image
    written = stack_of([done.out])[:, 0]
    torch.testing.assert_close(written, expected, rtol=0, atol=0.51 / 255)
    assert list(done.scores) == [
        "MEF-SSIM on the 3 frames given, three scales",
        "MEF-SSIM on the 3 frames given, one scale",
    ]
    for score, levels in zip(done.scores.values(), (3, 1), strict=True):
        assert score == mef_ssim(written, stack, levels=levels).item()
        assert 0.5 < score < 1


def test_options_reach_the_method(tmp_path):
    frames = photograph(tmp_path)
    pictures = [
        read_ldr(fusing.fuse_photos(frames, tmp_path / "out.png", method="adaptive_weights", options=options).out)
        for options in ({}, {"blending": "sum"}, {"blending": "pyramid"})
    ]
    np.testing.assert_array_equal(pictures[0], pictures[2])
    assert np.abs(pictures[1] - pictures[0]).max() > 0.1


def test_a_trained_method_takes_weights_and_two_frames(tmp_path):
    frames = photograph(tmp_path)
    weights = trained(tmp_path / "run.safetensors", width_divisor=32)
    done = fusing.fuse_photos(frames, tmp_path / "out.png", method="unsupervised_fusion", weights=weights)
    assert [path.stem for path in done.frames] == ["b", "c", "a"]
    assert [path.stem for path in done.used] == ["b", "a"]
    network = methods.build("unsupervised_fusion", {"width_divisor": 32}).eval()
    checkpoint.unpack(checkpoint.read(weights)[0], network, None)
    with torch.inference_mode():
        expected = methods.get("unsupervised_fusion").fuse(network, stack_of(done.used)).image
    written = stack_of([done.out])[:, 0]
    torch.testing.assert_close(written, expected, rtol=0, atol=0.51 / 255)
    assert [name.split(",")[0] for name in done.scores][::2] == [
        "MEF-SSIM on the 3 frames given",
        "MEF-SSIM on the 2 frames used",
    ]
    assert list(done.scores.values())[2] == mef_ssim(written, stack_of(done.used)).item()


def test_weights_that_do_not_serve(tmp_path):
    frames, out = photograph(tmp_path), tmp_path / "out.png"
    other = trained(tmp_path / "other.safetensors", "adaptive_weights", blending="pyramid")
    good = trained(tmp_path / "good.safetensors", width_divisor=32)
    tensors, facts = checkpoint.read(good)
    checkpoint.write(tmp_path / "less.safetensors", dict(list(tensors.items())[3:]), facts)
    (tmp_path / "text.safetensors").write_text("no weights")
    how = r"`dvc repro replications/unsupervised_fusion` trains it, then give --weights results/unsupervised_fusion/"
    for weights, options, kind, message in (
        (None, {}, WeightsMissingError, f"has to be trained, and no weights are given; {how}"),
        (tmp_path / "none.safetensors", {}, WeightsMissingError, rf"none\.safetensors: no such file; {how}"),
        (other, {}, HdrbenchError, "holds weights of method 'adaptive_weights', expected 'unsupervised_fusion'"),
        (tmp_path / "less.safetensors", {}, HdrbenchError, "does not fit method 'unsupervised_fusion'"),
        (tmp_path / "text.safetensors", {}, HdrbenchError, r"text\.safetensors: damaged, or no weights of a run"),
        (good, {"width_divisor": 2}, HdrbenchError, r"the options of their run inside; leave \['width_divisor'\] out"),
    ):
        with pytest.raises(kind, match=message):
            fusing.fuse_photos(frames, out, method="unsupervised_fusion", weights=weights, options=options)
    assert not out.exists()
    fusing.fuse_photos(frames, out, method="adaptive_weights", weights=other)
    by_weights = read_ldr(out)
    fusing.fuse_photos(frames, out, method="adaptive_weights", options={"blending": "pyramid"})
    np.testing.assert_array_equal(by_weights, read_ldr(out))


MISTAKES = {
    "method": ({"method": "merten"}, "unknown method 'merten'; did you mean 'mertens'"),
    "no fusion": (
        {"method": "gamma_linear"},
        "'gamma_linear' does not fuse exposures; those that do: adaptive_weights, mertens, unsupervised_fusion",
    ),
    "alignment": ({"align": "shifts"}, "unknown alignment 'shifts'; did you mean 'shift'"),
    "suffix": ({"out": "x.exr"}, r"x\.exr: fusion writes \.png, .* got '\.exr'"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_named_before_anything_is_read(tmp_path, case):
    """The folder given does not exist, so whatever read it first would complain about that."""
    options, message = MISTAKES[case]
    options = {"method": "mertens", "out": "x.png", **options}
    with pytest.raises(HdrbenchError, match=message):
        fusing.fuse_photos([tmp_path / "nowhere"], tmp_path / options.pop("out"), **options)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_option_is_named(tmp_path):
    frames = photograph(tmp_path)
    for method, message in (("mertens", "unexpected keyword argument 'blend'"), ("adaptive_weights", "'blend'")):
        with pytest.raises(HdrbenchError, match=message):
            fusing.fuse_photos(frames, tmp_path / "out.png", method=method, options={"blend": "sum"})


def test_frames_are_never_replaced_nor_joined(tmp_path):
    frames = photograph(tmp_path)
    before = [path.read_bytes() for path in frames]
    with pytest.raises(HdrbenchError, match=r"a\.png: is an input, and would be replaced"):
        fusing.fuse_photos(frames, tmp_path / "a.png", method="mertens")
    (tmp_path / "link.png").symlink_to(tmp_path / "b.png")
    with pytest.raises(HdrbenchError, match=r"b\.png: is an input, and would be replaced"):
        fusing.fuse_photos(frames, tmp_path / "link.png", method="mertens")
    (tmp_path / "link.png").unlink()
    with pytest.raises(HdrbenchError, match=r"out\.png: would be written among the frames"):
        fusing.fuse_photos([tmp_path], tmp_path / "out.png", method="mertens")
    assert [path.read_bytes() for path in frames] == before
    assert not (tmp_path / "out.png").exists()


def test_frames_that_cannot_be_fused(tmp_path):
    frames = photograph(tmp_path)
    write_ldr(tmp_path / "small.png", np.zeros((50, 60, 3)))
    with pytest.raises(ImageError, match=r"small\.png is 60x50: expected one size"):
        fusing.fuse_photos([*frames, tmp_path / "small.png"], tmp_path / "out.png", method="mertens")
    with pytest.raises(HdrbenchError, match="1 frames, expected at least 2"):
        fusing.fuse_photos(frames[:1], tmp_path / "out.png", method="mertens")
    write_ldr(tmp_path / "again.png", read_ldr(frames[0]))
    pair = [frames[0], tmp_path / "again.png"]
    with pytest.raises(HdrbenchError, match="method 'adaptive_weights': expected exposures of different mean luma"):
        fusing.fuse_photos(pair, tmp_path / "out.png", method="adaptive_weights")
    assert not (tmp_path / "out.png").exists()


def test_a_method_of_more_frames_than_there_are(tmp_path, monkeypatch):
    four = methods.Method("four", "Mertens2009", nn.Identity, fuse=lambda network, stack: None, frames=4)
    monkeypatch.setattr(methods, "get", lambda name: four)
    with pytest.raises(HdrbenchError, match="method 'four' fuses 4 frames, got 3; add some"):
        fusing.fuse_photos(photograph(tmp_path), tmp_path / "out.png", method="four")


def test_tiny_pictures_are_fused_and_say_why_they_have_no_score(tmp_path):
    frames = photograph(tmp_path, size=(20, 30))
    done = fusing.fuse_photos(frames, tmp_path / "out.png", method="mertens")
    three, one = done.scores.values()
    assert "needs images of at least 44x44" in three
    assert isinstance(one, float)


def test_shifts_and_flow_align_without_exposures(tmp_path):
    shifts = ((6, -5), (0, 0), (-7, 3))
    frames, still = photograph(tmp_path, shifts), photograph(tmp_path / "still")
    expected = read_ldr(fusing.fuse_photos(still, tmp_path / "still.png", method="mertens").out)
    done = fusing.fuse_photos(frames, tmp_path / "shift.png", method="mertens", align="shift")
    assert done.shifts == list(shifts)
    inner = np.s_[20:-20, 20:-20]
    errors = {"shift": np.abs(read_ldr(done.out)[17:-15, 14:-13] - expected[20:-20, 20:-20]).mean()}
    for align in ("none", "flow"):
        out = fusing.fuse_photos(frames, tmp_path / f"{align}.png", method="mertens", align=align).out
        errors[align] = np.abs(read_ldr(out)[inner] - expected[inner]).mean()
    assert errors["shift"] < 0.02
    assert errors["flow"] < errors["none"] / 2


REAL = {
    "banterle_stacks/stack/*.jpg": (7, 0.94),
    "ipol_exposure_fusion/*.jpg": (3, 0.96),
}


@pytest.mark.parametrize("pattern", REAL)
@pytest.mark.parametrize(("method", "options"), [("mertens", {}), ("adaptive_weights", {"blending": "pyramid"})])
def test_real_stacks(tmp_path, pattern, method, options):
    """Stacks from a tripod; pyramids keep nearly all of their structure, single frames do not."""
    root = os.environ.get("HDRBENCH_DATA")
    frames = sorted(Path(root or "").glob(pattern)) if root else []
    if not frames:
        pytest.skip(f"HDRBENCH_DATA has no {pattern}")
    count, least = REAL[pattern]
    done = fusing.fuse_photos(frames, tmp_path / "out.png", method=method, options=options)
    assert len(done.used) == count
    score = next(iter(done.scores.values()))
    stack = stack_of(done.frames)
    assert score > least
    assert score > mef_ssim(stack[:, count // 2], stack).item() + 0.05
