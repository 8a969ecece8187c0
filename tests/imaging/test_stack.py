"""Reading a bracket: real ones, every way to write exposures, and everything that can be wrong with them."""

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import IFDRational
from scipy.io import loadmat

from hdrbench.errors import DataMissingError, HdrbenchError, ImageError
from hdrbench.imaging import stack
from hdrbench.imaging.io import read_hdr, write_ldr
from hdrbench.imaging.stack import ExposureList, read_bracket

NAMES = ("a b.png", "ü.png", "c.png")
SECONDS = (1 / 60, 1 / 1000, 1 / 250)  # of NAMES: not in order


def real(*parts):
    root = os.environ.get("HDRBENCH_DATA")
    folder = Path(root or "").joinpath(*parts)
    if not root or not folder.is_dir():
        pytest.skip(f"HDRBENCH_DATA has no {'/'.join(parts)}")
    return folder


def write_frame(path, level, *, size=(12, 10), seconds=None, iso=None, aperture=None, orientation=None):
    """A picture of one level, with a mark in its corner and EXIF as far as given."""
    pixels = np.full((*size, 3), round(255 * level), np.uint8)
    pixels[0, 0] = 0, 128, 255
    exif = Image.Exif()
    inside = exif.get_ifd(0x8769)
    if seconds is not None:
        inside[0x829A] = seconds
    if iso is not None:
        inside[0x8827] = iso
    if aperture is not None:
        inside[0x829D] = aperture
    if orientation is not None:
        exif[0x0112] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, exif=exif.tobytes())


def rational(value):
    fraction = Fraction(value).limit_denominator(10**6)
    return IFDRational(fraction.numerator, fraction.denominator)


@pytest.fixture
def folder(tmp_path):
    """Three frames without EXIF, whose brightness goes with SECONDS."""
    for name, seconds in zip(NAMES, SECONDS, strict=True):
        write_frame(tmp_path / "in" / name, (seconds * 40) ** 0.5)
    return tmp_path / "in"


def listed(folder, text, unit="seconds"):
    path = folder.parent / "exposures.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return ExposureList(path, unit)


TEXTS = {
    "named": ("a b.png 0.0166666667\nü.png 0.001\nc.png 0.004\n", "seconds"),
    "any order, commas, comments": ("# camera\nc.png, 0.004\n\nü.png,0.001\na b.png\t0.0166666667", "seconds"),
    "crlf and byte order mark": ("\ufeffa b.png 1/60\r\nü.png 1/1000\r\nc.png 1/250", "seconds"),
    "reciprocals": ("a b.png 60\nü.png 1000\nc.png 250\n", "reciprocals"),
    "alone, one per line": ("1/60\n1/250\n1/1000\n", "seconds"),
    "alone, in one line": ("60,250,1000", "reciprocals"),
    "stops": ("a b.png 4.0588937\nü.png 0\nc.png 2", "stops"),
    "negative stops": ("2.0588937 0 -2", "stops"),
}


@pytest.mark.parametrize("case", TEXTS)
def test_exposure_lists(folder, case):
    """Exposures without names belong to the frames in order of their names: 'a b.png', 'c.png', 'ü.png'."""
    bracket = read_bracket([folder], listed(folder, *TEXTS[case]))
    assert [path.name for path in bracket.paths] == ["ü.png", "c.png", "a b.png"]
    assert bracket.times == pytest.approx((1, 4, 1000 / 60), rel=1e-6)
    assert [image.mean() for image in bracket.images] == sorted(image.mean() for image in bracket.images)
    assert {image.shape for image in bracket.images} == {(12, 10, 3)}


def test_files_in_any_order_give_the_same_bracket(folder):
    text = listed(folder, TEXTS["named"][0])
    expected = read_bracket([folder], text)
    for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2)):
        bracket = read_bracket([folder / NAMES[k] for k in order], text)
        assert (bracket.paths, bracket.times) == (expected.paths, expected.times)
        for image, same in zip(bracket.images, expected.images, strict=True):
            np.testing.assert_array_equal(image, same)


def test_exposures_alone_follow_the_order_of_the_files_given(folder):
    bracket = read_bracket([folder / name for name in NAMES], listed(folder, "60\n1000\n250", "reciprocals"))
    assert [path.name for path in bracket.paths] == ["ü.png", "c.png", "a b.png"]


LISTS = {
    "missing": (
        "a b.png 1\nc.png 2",
        "seconds",
        DataMissingError,
        "no exposure for .*ü.png; add a line 'ü.png EXPOSURE'",
    ),
    "extra": ("a b.png 1\nc.png 2\nü.png 3\nd.png 4", "seconds", HdrbenchError, "lists 'd.png', which is not among"),
    "twice": ("a b.png 1\nc.png 2\nc.png 2\nü.png 3", "seconds", HdrbenchError, "'c.png' is listed twice"),
    "count": ("1 2", "seconds", DataMissingError, "2 exposures for 3 frames"),
    "half named": ("a b.png 1\n2\n3", "seconds", HdrbenchError, "name it in every line, or in none"),
    "header": (
        "name seconds\na b.png 1",
        "seconds",
        HdrbenchError,
        "'seconds' is no exposure; expected a number above 0",
    ),
    "word": ("a b.png one\nc.png 2\nü.png 3", "seconds", HdrbenchError, "'one' is no exposure"),
    "nan": ("nan 1 2", "stops", HdrbenchError, "'nan' is no exposure; expected a number, in stops"),
    "fraction": ("1/0 1 2", "seconds", HdrbenchError, "'1/0' is no exposure"),
    "stops as seconds": (
        "0 2 4",
        "seconds",
        HdrbenchError,
        "'0' is no exposure; expected a number above 0, in seconds",
    ),
    "negative stops as seconds": ("2 0.5 -2", "seconds", HdrbenchError, "'-2' is no exposure"),
    "reciprocals as stops": (
        "60 250 1000",
        "stops",
        HdrbenchError,
        "exposures.txt: exposures 940 stops apart, expected at most 24; .*unit",
    ),
    "reciprocals as seconds": ("60 250 1000", "seconds", HdrbenchError, "ü.png: should be brighter than .*a b.png"),
    "equal": ("1 1 2", "seconds", HdrbenchError, "a b.png and .*c.png have the same exposure"),
    "unit": ("1 2 3", "stop", HdrbenchError, "unknown unit of exposures 'stop'; did you mean 'stops'"),
    "empty": ("", "seconds", DataMissingError, "0 exposures for 3 frames"),
    "binary": (b"\xff\xfe\x00\x01", "seconds", HdrbenchError, "is no exposure"),
}


@pytest.mark.parametrize("case", LISTS)
def test_wrong_exposure_lists_give_one_line(folder, case):
    text, unit, kind, message = LISTS[case]
    with pytest.raises(kind, match=message) as caught:
        read_bracket([folder], listed(folder, text, unit))
    assert "\n" not in str(caught.value)


def test_frames_of_one_name_in_two_folders_cannot_be_told_apart_by_name(folder, tmp_path):
    write_frame(tmp_path / "other" / "c.png", 0.9)
    with pytest.raises(HdrbenchError, match=r"lists 'c.png', which several frames are called"):
        read_bracket([folder, tmp_path / "other"], listed(folder, "a b.png 1\nü.png 2\nc.png 3"))


def test_missing_list(folder):
    with pytest.raises(DataMissingError, match=r"nowhere\.txt: no such file"):
        read_bracket([folder], ExposureList(folder / "nowhere.txt", "seconds"))


def test_a_folder_gives_its_images_and_leaves_the_rest(folder):
    (folder / "list.txt").write_text("1 2 3")
    (folder / ".hidden.png").write_bytes(b"")
    assert [path.name for path in stack.find_frames([folder])] == sorted(NAMES)


def test_inputs_that_are_not_there_or_there_twice(folder, tmp_path):
    with pytest.raises(DataMissingError, match="nowhere: no such file or folder"):
        stack.find_frames([tmp_path / "nowhere"])
    with pytest.raises(HdrbenchError, match=r"c\.png: is named twice"):
        stack.find_frames([folder, folder / ".." / "in" / "c.png"])
    with pytest.raises(DataMissingError, match="1 frames, expected at least 2"):
        stack.find_frames([folder / "c.png"])
    with pytest.raises(DataMissingError, match="no files: 0 frames"):
        stack.find_frames([])
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(DataMissingError, match="loop: no such file"):
        stack.find_frames([tmp_path / "loop"])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(b""), "c.png: is empty"),
        (lambda path: path.write_bytes(path.read_bytes()[:-30]), "c.png: (truncated|corrupt)"),
        (lambda path: write_frame(path, 0.5, size=(9, 9)), "c.png is 9x9"),
        (lambda path: Image.new("L", (10, 12)).save(path), "c.png: expected 3 channels"),
    ],
)
def test_broken_frames(folder, damage, message):
    damage(folder / "c.png")
    with pytest.raises(ImageError, match=message):
        read_bracket([folder], listed(folder, TEXTS["named"][0]))


def test_a_raw_file_is_named_in_the_error(folder):
    (folder / "x.cr2").write_bytes(b"II*\0")
    with pytest.raises(ImageError, match=r"x\.cr2: expected a file ending in \.png"):
        read_bracket([folder, folder / "x.cr2"], listed(folder, TEXTS["named"][0]))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_exif_times(tmp_path, suffix):
    for index, seconds in enumerate((1 / 30, 1 / 500, 2.5)):
        write_frame(tmp_path / f"{index}{suffix}", 0.1 * (1 + np.log2(1000 * seconds)) / 2, seconds=rational(seconds))
    bracket = read_bracket([tmp_path])
    assert [path.stem for path in bracket.paths] == ["1", "0", "2"]
    assert bracket.times == pytest.approx((1, 500 / 30, 1250), rel=1e-4)


def test_no_exif_at_all(folder):
    with pytest.raises(
        DataMissingError, match=r"a b\.png: has no EXIF exposure time; give the exposures in a text file"
    ):
        read_bracket([folder])


def test_exif_aperture_and_iso_count_when_they_vary(tmp_path):
    """Half the aperture's area, four times the gain: exposure = time * ISO / aperture ** 2."""
    settings = [(1 / 100, 100, 8.0), (1 / 100, 400, 8.0), (1 / 50, 100, 4.0)]
    for index, (seconds, iso, aperture) in enumerate(settings):
        frame = tmp_path / f"{index}.jpg"
        write_frame(frame, 0.2 + 0.2 * index, seconds=rational(seconds), iso=iso, aperture=rational(aperture))
    assert read_bracket([tmp_path]).times == pytest.approx((1, 4, 8))


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({}, "b.jpg: has no EXIF exposure time, but others have; give"),
        ({"seconds": IFDRational(0, 1)}, "b.jpg: has no EXIF exposure time"),
        ({"seconds": IFDRational(1, 0)}, "b.jpg: has no EXIF exposure time"),
        ({"seconds": rational(1 / 10)}, "b.jpg: has no EXIF ISO speed, but others have"),
        ({"seconds": rational(1 / 10), "iso": 100}, "b.jpg: has no EXIF aperture, but others have"),
        ({"seconds": rational(1 / 100), "iso": 100, "aperture": 8.0}, "have the same exposure"),
    ],
)
def test_incomplete_exif(tmp_path, second, message):
    write_frame(tmp_path / "a.jpg", 0.2, seconds=rational(1 / 100), iso=100, aperture=8.0)
    write_frame(tmp_path / "b.jpg", 0.4, **second)
    with pytest.raises(HdrbenchError, match=message):
        read_bracket([tmp_path])


def test_garbled_exif(tmp_path):
    write_frame(tmp_path / "a.jpg", 0.2, seconds=rational(1 / 100))
    write_frame(tmp_path / "b.jpg", 0.4, seconds=rational(1 / 10), iso="many")
    with pytest.raises(ImageError, match=r"b\.jpg: its metadata cannot be read \(.*many"):
        read_bracket([tmp_path])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_frames_are_turned_upright_as_pillow_does(tmp_path, orientation):
    for name, level, seconds in (("a.png", 0.2, 0.1), ("b.png", 0.6, 0.4)):
        write_frame(tmp_path / name, level, seconds=rational(seconds), orientation=orientation)
    bracket = read_bracket([tmp_path])
    for path, image in zip(bracket.paths, bracket.images, strict=True):
        with Image.open(path) as file:
            upright = np.asarray(ImageOps.exif_transpose(file))
        np.testing.assert_array_equal(np.rint(255 * image), upright)


def test_opencv_memorial_list_of_reciprocals():
    folder = real("opencv_memorial", "exposures")
    bracket = read_bracket([folder], ExposureList(folder / "list.txt", "reciprocals"))
    assert bracket.times == pytest.approx([2.0**k for k in range(16)])
    assert [path.name for path in bracket.paths] == [f"memorial{k:02}.png" for k in range(15, -1, -1)]
    with pytest.raises(HdrbenchError, match="should be brighter"):
        read_bracket([folder], ExposureList(folder / "list.txt", "seconds"))


@pytest.mark.parametrize(
    ("name", "times"),
    [
        ("stack", (1, 4, 32, 4000 / 30, 500, 2000, 8000)),
        ("stack_alignment", (1, 4, 16)),
        ("stack_ghost", (1, 4, 100 / 6)),
    ],
)
def test_exif_of_real_cameras(name, times):
    bracket = read_bracket([real("banterle_stacks", name)])
    assert bracket.times == pytest.approx(times)
    means = [image.mean() for image in bracket.images]
    assert means == sorted(means)


STOPS = {
    "2 apart": (0, 2, 4),
    "3 apart": (0, 3, 6),
    "1 apart": tuple(range(7)),
    "halves": tuple(k / 2 for k in range(9)),
}


def photographed(radiance, stops, response=lambda light: light ** (1 / 2.2), step=0):
    """Eight bit, 8 % of the samples of the middle frame clipped; each frame is moved by `step` more pixels."""
    gain = 1 / np.quantile(radiance, 0.92) / 2.0 ** stops[len(stops) // 2]
    frames = [response(np.clip(radiance * gain * 2.0**stop, 0, 1)) for stop in stops]
    return [np.roll(np.rint(255 * frame) / 255, step * k, (0, 1)).astype(np.float32) for k, frame in enumerate(frames)]


@pytest.mark.parametrize("step", [0, 9])
def test_pictures_contradict_a_wrong_unit(step):
    radiance = np.random.default_rng(2).lognormal(-3, 1.5, (60, 80, 3))
    frames = photographed(radiance, STOPS["2 apart"], step=step)
    assert stack.contradiction((1, 4, 16), frames) is None
    assert stack.contradiction((1, 4, 16), frames, (1, 2.0**3, 2.0**15)) is None
    text = stack.contradiction((1, 2.0**3, 2.0**15), frames)
    assert text.startswith("exposures are said to span 15.0 stops where the pictures look ")
    assert text.endswith(" stops apart")
    doubtful = (1, 2.0**2.5, 2.0**8.5)
    assert stack.contradiction(doubtful, frames) is None
    assert stack.contradiction(doubtful, frames, (1, 4, 16)).endswith("the same numbers would span 4.0")
    assert "said to span 0.0 stops" in stack.contradiction((1, 1.001, 1.01), frames)


@pytest.mark.parametrize("text", ["16\n1\n4\n", "c.png 4\nb.png 1\na.png 16\n"])
def test_times_in_any_order_that_are_taken_for_stops(tmp_path, text):
    frames = photographed(np.random.default_rng(2).lognormal(-3, 1.5, (60, 80, 3)), STOPS["2 apart"])
    for name, frame in zip("bca", frames, strict=True):
        write_ldr(tmp_path / "in" / f"{name}.png", frame)
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(
        HdrbenchError, match=r"b\.png to a\.png: .* span 15\.0 stops .* numbers would span 4\.0; correct"
    ):
        read_bracket([tmp_path / "in"], ExposureList(tmp_path / "list.txt", "stops"))
    assert read_bracket([tmp_path / "in"], ExposureList(tmp_path / "list.txt", "seconds")).times == (1, 4, 16)


def test_frames_without_common_light_contradict_nothing():
    dark, light = np.full((20, 20, 3), 0.02, np.float32), np.full((20, 20, 3), 0.97, np.float32)
    assert stack.contradiction((1, 2.0**20), (dark, light)) is None


@pytest.mark.parametrize("case", STOPS)
def test_no_real_camera_contradicts_the_truth(case):
    """All 201 curves of DoRF, on real radiance; the other reading is the worst that could be: one that fits best."""
    found = loadmat(real("dorf_crf") / "201_CRF_data.mat")
    paths = [real("polyhaven_hdri_1k") / f"{name}.hdr" for name in ("night", "lobby")]
    maps = [np.maximum(read_hdr(path, allow_negative=True)[::24, ::24], 0) for path in paths]
    times, gamma_five = 2.0 ** np.array(STOPS[case]), 159
    for curve, (light, level) in enumerate(zip(found["I"], found["B"], strict=True)):
        for radiance in maps:
            frames = photographed(radiance, STOPS[case], lambda x, i=light, b=level: np.interp(x, i, b))
            other = None if curve == gamma_five else times ** (1 / 2)
            assert stack.contradiction(times, frames, other) is None, curve


def test_a_sample_is_small_and_a_small_image_is_its_own():
    large, small = np.zeros((3991, 5991, 3), np.float32), np.ones((12, 16, 3), np.float32)
    assert stack.SAMPLES / 2 < np.prod(stack.sample(large).shape[:2]) < 2 * stack.SAMPLES
    np.testing.assert_array_equal(stack.sample(small), small)


def test_frames_between_the_ends_brighten_too(tmp_path):
    for name, level in (("a.png", 0.1), ("b.png", 0.5), ("c.png", 0.3), ("d.png", 0.8)):
        write_frame(tmp_path / name, level)
    (tmp_path / "stops.txt").write_text("0 1 2 3")
    with pytest.raises(HdrbenchError, match=r"c\.png: should be brighter than .*b\.png, exposed 1\.0 stops less"):
        read_bracket([tmp_path], ExposureList(tmp_path / "stops.txt", "stops"))


@pytest.mark.parametrize("name", ["b.png", "stops.txt"])
def test_pipes_are_never_opened(name, tmp_path):
    """To open one would wait for ever."""
    for frame, level in (("a.png", 0.1), ("b.png", 0.5)):
        write_frame(tmp_path / frame, level)
    (tmp_path / "stops.txt").write_text("0 1")
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    with pytest.raises(HdrbenchError, match=f"{name}: is not a regular file"):
        read_bracket([tmp_path], ExposureList(tmp_path / "stops.txt", "stops"))


def test_list_that_is_far_too_long(tmp_path):
    for frame, level in (("a.png", 0.1), ("b.png", 0.5)):
        write_frame(tmp_path / frame, level)
    (tmp_path / "stops.txt").write_text("0 1\n" + "#" * 2**16)
    with pytest.raises(HdrbenchError, match="is larger than 65536 bytes"):
        read_bracket([tmp_path], ExposureList(tmp_path / "stops.txt", "stops"))
