"""From photographs on disk to files that can be looked at."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hdrbench.errors import DataMissingError, HdrbenchError, ImageError
from hdrbench.imaging.io import read_hdr, read_ldr, write_hdr, write_ldr
from hdrbench.imaging.stack import ExposureList
from hdrbench.imaging.tonemapping import presets
from hdrbench.pipeline import photos

TIMES = (1.0, 4.0, 16.0)


def scene(height=60, width=80):
    """Rectangles over rectangles, radiance in [0.001, 0.9]."""
    generator = np.random.default_rng(5)
    image = np.full((height, width, 3), 0.9, np.float32)
    for _ in range(400):
        y, x = generator.integers(0, height), generator.integers(0, width)
        h, w = generator.integers(4, 20, 2)
        image[y : y + h, x : x + w] = 0.9 * 10.0 ** (-2.9 * generator.random(3))
    return image


def photograph(folder, radiance, shifts=((0, 0),) * 3, *, bits=16):
    """Three frames of a gamma camera named against their order, and their exposures in a text."""
    folder.mkdir(parents=True, exist_ok=True)
    height, width = (side - 20 for side in radiance.shape[:2])
    for name, time, (x, y) in zip("cab", TIMES, shifts, strict=True):
        part = radiance[10 + y : 10 + y + height, 10 + x : 10 + x + width]
        write_ldr(folder / f"{name}.png", np.clip(part * time, 0, 1) ** (1 / 2.2), bits=bits)
    (folder / "stops.txt").write_text("c.png 0\na.png 2\nb.png 4\n")
    return ExposureList(folder / "stops.txt", "stops")


@pytest.fixture
def radiance():
    return scene()


@pytest.mark.parametrize("suffix", [".exr", ".hdr"])
def test_merge_gives_the_radiance_back_and_a_preview(tmp_path, radiance, suffix):
    listed = photograph(tmp_path / "in", radiance)
    out = tmp_path / "deep" / f"merged{suffix}"
    done = photos.merge_photos([tmp_path / "in"], out, method="triangle", listed=listed)
    merged = read_hdr(out)
    truth = radiance[10:-10, 10:-10]
    # RGBE keeps the upper 8 bits of the largest channel's mantissa, and drops the rest.
    shared = truth.max(-1, keepdims=True) / 128 if suffix == ".hdr" else 0.0
    assert (np.abs(merged - truth) <= 0.01 * truth + 1e-4 + shared).all()
    assert (done.out, done.preview, done.shifts) == (out, tmp_path / "deep" / "merged_preview.png", None)
    assert [path.name for path in done.bracket.paths] == ["c.png", "a.png", "b.png"]
    assert sorted(path.name for path in out.parent.iterdir()) == [out.name, "merged_preview.png"]
    tensor = torch.from_numpy(truth).permute(2, 0, 1)[None]
    expected = presets.get(photos.PREVIEW)(tensor)[0].permute(1, 2, 0)
    np.testing.assert_allclose(read_ldr(done.preview), expected, atol=0.02)


def test_merge_aligns_by_shifts(tmp_path):
    radiance = scene(200, 240)
    listed = photograph(tmp_path, radiance, ((4, -3), (0, 0), (-5, 2)))
    options = {"method": "triangle", "listed": listed}
    done = photos.merge_photos([tmp_path], tmp_path / "to" / "out.exr", align="shift", **options)
    assert done.shifts == [(4, -3), (0, 0), (-5, 2)]
    np.testing.assert_allclose(read_hdr(done.out), radiance[12:-13, 14:-15], rtol=0.01, atol=1e-4)
    ghosted = photos.merge_photos([tmp_path / f"{name}.png" for name in "abc"], tmp_path / "ghosted.exr", **options)
    assert np.abs(read_hdr(ghosted.out) - radiance[10:-10, 10:-10]).mean() > 0.01


def test_merge_aligns_by_flow(tmp_path):
    radiance = scene(200, 240)
    listed = photograph(tmp_path, radiance, ((3, -2), (0, 0), (-2, 2)))
    inner = np.s_[20:-20, 20:-20]
    errors = {}
    for align in ("none", "flow"):
        out = tmp_path / align / "out.exr"
        frames = [tmp_path / f"{name}.png" for name in "abc"]
        photos.merge_photos(frames, out, method="triangle", listed=listed, align=align)
        merged, truth = read_hdr(out)[inner], radiance[10:-10, 10:-10][inner]
        errors[align] = np.abs(np.log(merged + 1e-3) - np.log(truth + 1e-3)).mean()
    assert errors["flow"] < errors["none"] / 2


@pytest.mark.parametrize("method", sorted(photos.RADIANCE))
def test_every_method_writes_what_it_says(tmp_path, radiance, method):
    listed = photograph(tmp_path, radiance, bits=8)
    out = tmp_path / "merged.exr"
    photos.merge_photos([tmp_path / f"{name}.png" for name in "abc"], out, method=method, listed=listed)
    light, truth = (image.mean(-1).ravel() for image in (read_hdr(out), radiance[10:-10, 10:-10]))
    assert np.corrcoef(light.argsort().argsort(), truth.argsort().argsort())[0, 1] > 0.9


MISTAKES = {
    "method": ({"method": "debevecc"}, "unknown merging method 'debevecc'; did you mean 'debevec'"),
    "fusion": ({"method": "mertens"}, "unknown merging method 'mertens'; .* use `hdrbench fuse`"),
    "scale": (
        {"preset": "mu_law"},
        "'mu_law' takes radiance up to 1, and merged radiance goes beyond .* 'mu_law_peak'",
    ),
    "alignment": ({"align": "shifts"}, "unknown alignment 'shifts'; did you mean 'shift'"),
    "preset": ({"preset": "reinhard"}, "unknown tone mapping preset 'reinhard'"),
    "suffix": ({"out": "x.png"}, r"x\.png: method 'triangle' writes \.hdr, \.pic, \.exr, got '\.png'"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_named_before_anything_is_read(tmp_path, case):
    """The folder given does not exist, so whatever read it first would complain about that."""
    options, message = MISTAKES[case]
    options = {"method": "triangle", "out": "x.exr", **options}
    with pytest.raises(HdrbenchError, match=message):
        photos.merge_photos([tmp_path / "nowhere"], tmp_path / options.pop("out"), **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("method", "median", "spread"), [("debevec", 0.03, 0.2), ("robertson", 0.2, 0.4)])
def test_recovered_radiance_has_the_unit_of_the_shortest_exposure(tmp_path, radiance, method, median, spread):
    """Of a gamma camera the radiance itself, though nobody said gamma; Robertson's response converges slowly."""
    listed = photograph(tmp_path, radiance, bits=8)
    done = photos.merge_photos([tmp_path], tmp_path / "out" / "x.exr", method=method, listed=listed)
    truth = radiance[10:-10, 10:-10]
    middle = (truth > 0.02) & (truth < 0.3)
    ratio = read_hdr(done.out)[middle] / truth[middle]
    assert np.median(ratio) == pytest.approx(1, abs=median)
    np.testing.assert_allclose(np.quantile(ratio, (0.05, 0.95)), 1, atol=spread)


@pytest.mark.parametrize("method", ["debevec", "robertson"])
def test_sixteen_bits_are_not_thrown_away(tmp_path, method):
    """A shallow ramp: 8-bit frames merge to steps, 16-bit ones to a slope."""
    ramp = np.linspace(0.02, 0.03, 120, dtype=np.float32)
    radiance = np.vstack([np.broadcast_to(ramp[None, :, None], (40, 120, 3)), scene(60, 120)])
    levels = {}
    for bits in (8, 16):
        listed = photograph(tmp_path / str(bits), radiance, bits=bits)
        out = tmp_path / "out" / f"{bits}.exr"
        photos.merge_photos([tmp_path / str(bits)], out, method=method, listed=listed)
        levels[bits] = len(np.unique(read_hdr(out)[5, :, 1]))
    assert levels[8] < 60
    assert levels[16] == 100


def test_frames_that_a_method_cannot_use(tmp_path):
    for name, level in (("a", 0.0), ("b", 1.0)):
        write_ldr(tmp_path / f"{name}.png", np.full((30, 30, 3), level))
    listed = ExposureList(tmp_path / "stops.txt", "stops")
    listed.path.write_text("0 2")
    with pytest.raises(HdrbenchError, match=r"a\.png to b\.png: method 'robertson': cannot recover the response"):
        photos.merge_photos([tmp_path], tmp_path / "out" / "x.exr", method="robertson", listed=listed)
    assert not (tmp_path / "out" / "x.exr").exists()


def test_triangle_needs_three_frames(tmp_path, radiance):
    photograph(tmp_path, radiance)
    listed = ExposureList(tmp_path / "two.txt", "stops")
    listed.path.write_text("0 2")
    with pytest.raises(HdrbenchError, match="'triangle' merges 3 frames, got 2"):
        photos.merge_photos(
            [tmp_path / "c.png", tmp_path / "a.png"], tmp_path / "x.exr", method="triangle", listed=listed
        )
    assert not (tmp_path / "x.exr").exists()


def test_frames_are_never_replaced(tmp_path, radiance):
    listed = photograph(tmp_path, radiance)
    (tmp_path / "c.png").rename(tmp_path / "x_preview.png")
    listed.path.write_text("x_preview.png 0\na.png 2\nb.png 4\n")
    before = (tmp_path / "x_preview.png").read_bytes()
    with pytest.raises(HdrbenchError, match=r"x_preview\.png: is an input, and would be replaced"):
        photos.merge_photos([tmp_path], tmp_path / "x.hdr", method="triangle", listed=listed)
    assert (tmp_path / "x_preview.png").read_bytes() == before
    assert not (tmp_path / "x.hdr").exists()


def test_the_preview_does_not_become_a_frame(tmp_path, radiance):
    """It did: the second time, a folder of three frames held four."""
    listed = photograph(tmp_path, radiance)
    options = {"method": "triangle", "listed": listed}
    for folder in (tmp_path, tmp_path / "x" / ".."):
        (tmp_path / "x").mkdir(exist_ok=True)
        with pytest.raises(HdrbenchError, match=r"x_preview\.png: would be written among the frames"):
            photos.merge_photos([folder], tmp_path / "x.exr", **options)
    assert not list(tmp_path.glob("*.exr"))
    for _ in range(2):
        done = photos.merge_photos([tmp_path], tmp_path / "x" / "x.exr", **options)
        assert len(done.bracket.paths) == 3
    for _ in range(2):
        photos.merge_photos([tmp_path / f"{name}.png" for name in "abc"], tmp_path / "named.exr", **options)


def test_a_bracket_without_exposures_says_what_to_give(tmp_path, radiance):
    photograph(tmp_path, radiance)
    with pytest.raises(DataMissingError, match=r"a\.png: has no EXIF exposure time; give the exposures in a text file"):
        photos.merge_photos([tmp_path], tmp_path / "out" / "x.exr", method="triangle")


@pytest.mark.parametrize("name", sorted(set(presets.PRESETS) - {"mu_law"}))
def test_tonemap_writes_what_the_preset_makes(tmp_path, radiance, name):
    write_hdr(tmp_path / "in.exr", 30 * radiance)
    preset, clipped = photos.tonemap_photo(tmp_path / "in.exr", tmp_path / "deep" / "out.png", name)
    assert preset is presets.get(name)
    assert clipped == 0
    expected = preset(30 * torch.from_numpy(radiance).permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    np.testing.assert_allclose(read_ldr(tmp_path / "deep" / "out.png"), expected, atol=0.51 / 255)


def test_tonemap_mistakes(tmp_path, radiance):
    write_hdr(tmp_path / "in.exr", 30 * radiance)
    for source, out, preset, kind, message in (
        ("in.exr", "out.exr", "drago", HdrbenchError, r"out\.exr: tone mapping writes \.png"),
        ("in.exr", "out.png", "draco", HdrbenchError, "did you mean 'drago'"),
        ("in.exr", "out.png", "mu_law", HdrbenchError, "expects radiance in .0, 1., got up to 27; use 'mu_law_peak'"),
        ("no.exr", "out.png", "drago", ImageError, r"no\.exr: no such file"),
        ("out.png", "out.png", "drago", ImageError, r"out\.png: "),
    ):
        with pytest.raises(kind, match=message):
            photos.tonemap_photo(tmp_path / source, tmp_path / out, preset)
    assert [path.name for path in tmp_path.iterdir()] == ["in.exr"]


def write_with_negatives(path, radiance):
    """`write_hdr` refuses them; other programs do not."""
    import OpenEXR

    OpenEXR.File({"type": OpenEXR.scanlineimage}, {"RGB": radiance}).write(str(path))


def test_negative_radiance_is_clipped_only_when_asked(tmp_path, radiance):
    negative = radiance.copy()
    negative[3, 5, 0], negative[7, 9, 2] = -0.25, -0.5
    write_with_negatives(tmp_path / "in.exr", negative)
    write_hdr(tmp_path / "clipped.exr", np.maximum(negative, 0))
    message = r"in\.exr: 2 of 14400 values are negative, down to -0\.5, .* --clip-negative sets them to 0"
    with pytest.raises(HdrbenchError, match=message):
        photos.tonemap_photo(tmp_path / "in.exr", tmp_path / "out.png", "drago")
    assert not (tmp_path / "out.png").exists()
    _, clipped = photos.tonemap_photo(tmp_path / "in.exr", tmp_path / "out.png", "drago", clip_negative=True)
    assert clipped == 2
    photos.tonemap_photo(tmp_path / "clipped.exr", tmp_path / "same.png", "drago")
    np.testing.assert_array_equal(read_ldr(tmp_path / "out.png"), read_ldr(tmp_path / "same.png"))


@pytest.mark.parametrize("name", ["stack_alignment", "stack_ghost"])
def test_real_brackets_with_exif(tmp_path, name):
    root = os.environ.get("HDRBENCH_DATA")
    folder = Path(root or "") / "banterle_stacks" / name
    if not root or not folder.is_dir():
        pytest.skip(f"HDRBENCH_DATA has no banterle_stacks/{name}")
    done = photos.merge_photos([folder], tmp_path / "out.hdr", method="triangle", align="shift")
    with Image.open(done.preview) as preview:
        size, shown = preview.size, np.asarray(preview)
    assert size == done.bracket.images[0].shape[1::-1]
    assert 60 < shown.mean() < 190
    merged = read_hdr(done.out)
    middle = done.bracket.images[1]
    well = (middle > 0.2) & (middle < 0.8)
    ratio = merged[well] / (middle[well] ** 2.2 / done.bracket.times[1])
    assert 0.8 < np.median(ratio) < 1.25


def test_times_taken_for_stops_contradict_the_pictures(tmp_path, radiance):
    """1, 4, 16 are these frames' times; as stops they would be 2**15 apart."""
    photograph(tmp_path / "in", radiance)
    (tmp_path / "in" / "times.txt").write_text("c.png 1\na.png 4\nb.png 16\n")
    wrong = ExposureList(tmp_path / "in" / "times.txt", "stops")
    with pytest.raises(HdrbenchError, match=r"said to span 15\.0 stops where the pictures look .* stops apart"):
        photos.merge_photos([tmp_path / "in"], tmp_path / "a.exr", listed=wrong)
    right = ExposureList(tmp_path / "in" / "times.txt", "seconds")
    photos.merge_photos([tmp_path / "in"], tmp_path / "a.exr", listed=right)


def test_an_exposure_list_is_not_replaced(tmp_path, radiance):
    photograph(tmp_path / "in", radiance)
    (tmp_path / "in" / "stops.txt").rename(tmp_path / "list_preview.png")
    listed = ExposureList(tmp_path / "list_preview.png", "stops")
    with pytest.raises(HdrbenchError, match=r"list_preview\.png: is an input"):
        photos.merge_photos([tmp_path / "in"], tmp_path / "list.exr", listed=listed)


def test_headers_that_would_exhaust_memory_are_refused(tmp_path):
    (tmp_path / "huge.hdr").write_bytes(b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 100000 +X 100000\n")
    with pytest.raises(ImageError, match=r"huge\.hdr: its header claims 100000x100000"):
        photos.tonemap_photo(tmp_path / "huge.hdr", tmp_path / "a.png", "drago")


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="no folder here that nobody can write to")
def test_a_folder_that_cannot_be_written_to_is_found_out_first(tmp_path, radiance):
    listed = photograph(tmp_path / "in", radiance)
    with pytest.raises(HdrbenchError, match=r"a\.exr: cannot be written there"):
        photos.merge_photos([tmp_path / "in"], Path("/proc/a.exr"), listed=listed)


def test_frames_too_small_for_flow(tmp_path):
    listed = photograph(tmp_path / "in", scene(30, 30))
    with pytest.raises(HdrbenchError, match="too small for optical flow"):
        photos.merge_photos([tmp_path / "in"], tmp_path / "a.exr", listed=listed, align="flow")
