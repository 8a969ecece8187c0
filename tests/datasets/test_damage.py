"""What happens to real downloads: each damage gives one clear line, and the other scenes stay usable."""

import os
import struct
import zlib

import numpy as np
import pytest
from tiny_sets import RADIANCE, SIZE, frame, make

from hdrbench.datasets import catalog, judging
from hdrbench.datasets.survey import fingerprint, info, survey
from hdrbench.errors import DataMissingError, HdrbenchError, ImageError
from hdrbench.imaging.io import write_hdr, write_ldr

HUGE = 100_000


def only_problem(name, path, *words):
    """Require one line that begins with the path, and that only the damaged scene is left out."""
    problems = catalog.verify(name)
    assert len(problems) == 1, problems
    assert problems[0].startswith(str(path)), problems
    assert "\n" not in problems[0]
    for word in words:
        assert word in problems[0]


def left_out(name):
    return {f"{split}/{scene}" for split, scenes in survey(name).left_out.items() for scene in scenes}


@pytest.fixture
def scene(tmp_path, monkeypatch):
    """Folder of Kalantari's training scene 001, whose neighbours are 002, 'Barbeque Day' and 'Größe'."""
    make("kalantari", tmp_path, monkeypatch)
    return tmp_path / "kalantari/Training/001"


def check_others(name="kalantari"):
    assert left_out(name) == {"train/001"}
    assert survey(name).counts() == "train 1 of 2, test 2 of 2"
    assert len(catalog.load_scene(name, "train", "002").ldrs) == 3


def test_whole_set(scene):
    assert catalog.verify("kalantari") == []
    found = survey("kalantari")
    assert found.usable == {"train": ("001", "002"), "test": ("Barbeque Day", "Größe")}
    assert found.remarks == ()


def test_missing_exposure(scene):
    (scene / "262A2616.tif").unlink()
    only_problem("kalantari", scene, "2 files match '*.tif', expected 3; get the scene again from http")
    check_others()


def test_exposure_too_many(scene):
    write_ldr(scene / "262A2618.tif", frame(64), bits=16)
    only_problem("kalantari", scene, "4 files match '*.tif', expected 3; remove the extra ones")
    check_others()


def test_extra_file_does_no_harm(scene):
    (scene / "Thumbs.db").write_bytes(b"x")
    only_problem("kalantari", scene / "Thumbs.db", "unexpected; remove it")
    assert left_out("kalantari") == set()
    assert survey("kalantari").remarks[0].startswith(str(scene / "Thumbs.db"))


@pytest.mark.parametrize("text", [b"0\r\n2\r\n4\r\n", b"0\n2\n4", b"\xef\xbb\xbf0\n2\n4\n", b"0\r\n2\r\n4"])
def test_line_ends_of_exposure_text_do_not_matter(scene, text):
    (scene / "exposure.txt").write_bytes(text)
    assert catalog.verify("kalantari") == []
    assert catalog.load_scene("kalantari", "train", "001").times == (1, 4, 16)


@pytest.mark.parametrize("text", [b"0\n2\n4\n", b"-2\n0\n2\n"])
def test_stops_where_times_are_expected(tmp_path, monkeypatch, text):
    make("kalantari", tmp_path, monkeypatch, exposure_unit="times")
    for path in tmp_path.rglob("exposure.txt"):
        path.write_bytes(b"1\n4\n16\n")
    broken = tmp_path / "kalantari/Training/001/exposure.txt"
    broken.write_bytes(text)
    only_problem("kalantari", broken, "expected a number above 0", "if they are stops, say so in exposure_unit")
    check_others()


def test_times_where_stops_are_expected(scene):
    (scene / "exposure.txt").write_bytes(b"1\n16\n64\n")
    only_problem(
        "kalantari", scene / "exposure.txt", "63 stops apart", "if they are times, say so in exposure_unit of the card"
    )
    check_others()


@pytest.mark.parametrize("name", ["262A2616.tif", "HDRImg.hdr", "exposure.txt"])
def test_zero_bytes(scene, name):
    (scene / name).write_bytes(b"")
    only_problem("kalantari", scene / name, "0 exposures" if name.endswith("txt") else "is empty (0 bytes)")
    check_others()


@pytest.mark.parametrize("keep", [4, 30, 0.5, 0.95])
@pytest.mark.parametrize("name", ["262A2616.tif", "HDRImg.hdr"])
def test_truncated_tiff_and_radiance(scene, name, keep):
    data = (scene / name).read_bytes()
    (scene / name).write_bytes(data[: keep if keep > 1 else int(len(data) * keep)])
    only_problem("kalantari", scene / name, "copy it again")
    check_others()


@pytest.mark.parametrize("keep", [0, 4, 0.5, 0.99])
@pytest.mark.parametrize("side", ["png", "exr"])
def test_damaged_png_and_exr(tmp_path, monkeypatch, side, keep):
    make("santos2020_pairs", tmp_path, monkeypatch)
    write_ldr(tmp_path / "santos2020_pairs/0002.png", frame(4))
    write_hdr(tmp_path / "santos2020_pairs/0002.exr", RADIANCE)
    path = tmp_path / "santos2020_pairs" / f"0001.{side}"
    data = path.read_bytes()
    path.write_bytes(data[: keep if keep > 1 else int(len(data) * keep)])
    problems = [line for line in catalog.verify("santos2020_pairs") if "expected 1; remove the extra" not in line]
    assert len(problems) == 1
    assert problems[0].startswith(str(path))
    assert survey("santos2020_pairs").counts() == "test 1 of 2"


@pytest.mark.parametrize("keep", [0, 3, 0.5, 0.98])
def test_damaged_jpeg(tmp_path, monkeypatch, keep):
    make("sice", tmp_path, monkeypatch)
    path = tmp_path / "sice/Dataset_Part1/1/7.JPG"
    data = path.read_bytes()
    path.write_bytes(data[: keep if keep > 1 else int(len(data) * keep)])
    only_problem("sice", path, "copy it again")
    assert left_out("sice") == {"train/1"}


def test_one_image_of_another_size(scene):
    write_ldr(scene / "262A2616.tif", frame(4)[:-1], bits=16)
    problems = catalog.verify("kalantari")
    assert len(problems) == 1
    assert f"{scene / '262A2616.tif'} is {SIZE[1]}x{SIZE[0] - 1}" in problems[0]
    check_others()


def test_reference_of_another_size(scene):
    write_hdr(scene / "HDRImg.hdr", RADIANCE[:, 2:])
    assert f"{scene / 'HDRImg.hdr'} is {SIZE[1] - 2}x{SIZE[0]}" in catalog.verify("kalantari")[0]
    check_others()


def test_eight_bit_where_sixteen_are_expected(scene):
    write_ldr(scene / "262A2616.tif", frame(4), bits=8)
    only_problem("kalantari", scene / "262A2616.tif", "has 8 bit, expected 16 bit; get the file as published")
    with pytest.raises(ImageError, match="has 8 bit, expected 16 bit"):
        catalog.load_scene("kalantari", "train", "001")
    check_others()


def test_frames_in_wrong_order(scene):
    for old, new in (("262A2615", "z"), ("262A2617", "262A2615"), ("z", "262A2617")):
        (scene / f"{old}.tif").rename(scene / f"{new}.tif")
    only_problem("kalantari", scene / "262A2617.tif", "should be brighter than 262A2615.tif, but is not")
    check_others()


def test_symlink_loops(scene):
    (scene.parent / "loop").symlink_to(scene.parent, target_is_directory=True)
    (scene.parent / "self").symlink_to(scene.parent / "self")
    problems = catalog.verify("kalantari")
    assert [line.split(":")[0] for line in problems] == [str(scene.parent / "loop"), str(scene.parent / "self")]
    assert "symbolic link leads back to" in problems[0]
    assert "leads nowhere or in a circle; remove it" in problems[1]
    assert left_out("kalantari") == set()


def test_frame_that_links_to_itself(scene):
    path = scene / "262A2616.tif"
    path.unlink()
    path.symlink_to(path)
    only_problem("kalantari", path, "cannot be read (Too many levels of symbolic links)")
    check_others()


def test_symlink_loop_below_a_folder_of_maps(tmp_path, monkeypatch):
    make("folder_of_maps", tmp_path, monkeypatch)
    (tmp_path / "maps/day/up").symlink_to(tmp_path / "maps", target_is_directory=True)
    assert catalog.scene_names("folder_of_maps", "test") == ["day_sky", "night"]
    only_problem("folder_of_maps", tmp_path / "maps/day/up", "symbolic link leads back to", "remove it")


def huge_png(path):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", HUGE, HUGE, 16, 2, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 10**6)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)


def huge_tiff(path):
    write_ldr(path, np.zeros((8, 8, 3)), bits=16)
    data = bytearray(path.read_bytes())
    place = struct.unpack("<I", data[4:8])[0]
    for at in range(place + 2, place + 2 + 12 * struct.unpack("<H", data[place : place + 2])[0], 12):
        tag = struct.unpack("<H", data[at : at + 2])[0]
        if tag in (256, 257):
            data[at : at + 12] = struct.pack("<HHII", tag, 4, 1, HUGE)
    path.write_bytes(bytes(data))


def huge_radiance(path):
    path.write_bytes(f"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y {HUGE} +X {HUGE}\n".encode() + bytes(64))


def huge_jpeg(path):
    write_ldr(path, np.zeros((8, 8, 3)))
    data = bytearray(path.read_bytes())
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", 65535, 65535)
    path.write_bytes(bytes(data))


def huge_exr(path):
    write_hdr(path, np.zeros((8, 8, 3)))
    data = path.read_bytes()
    at = data.index(b"dataWindow\0box2i\0") + 21
    path.write_bytes(data[:at] + struct.pack("<4i", 0, 0, HUGE - 1, HUGE - 1) + data[at + 16 :])


HUGE_FILES = [
    ("kalantari", "kalantari/Training/001/262A2616.tif", huge_tiff),
    ("kalantari", "kalantari/Training/001/HDRImg.hdr", huge_radiance),
    ("sice", "sice/Dataset_Part1/1/7.JPG", huge_jpeg),
    ("santos2020_pairs", "santos2020_pairs/0001.exr", huge_exr),
    ("santos2020_pairs", "santos2020_pairs/0001.png", huge_png),
    ("folder_of_maps", "maps/night.hdr", huge_radiance),
    ("folder_of_photos", "photos/b.png", huge_png),
]


@pytest.mark.parametrize(("name", "path", "damage"), HUGE_FILES)
def test_header_that_claims_terabytes(name, path, damage, tmp_path, monkeypatch):
    make(name, tmp_path, monkeypatch)
    damage(tmp_path / path)
    claim = "65535x65535" if damage is huge_jpeg else "100000x100000"
    only_problem(name, tmp_path / path, f"its header claims {claim}", "get it again")


def test_names_with_spaces_and_accents(scene):
    assert catalog.load_scene("kalantari", "test", "Größe").times == (1, 4, 16)
    broken = scene.parents[1] / "Test/Barbeque Day/262A2616.tif"
    broken.write_bytes(b"")
    only_problem("kalantari", broken, "is empty")
    assert left_out("kalantari") == {"test/Barbeque Day"}


def test_name_with_pattern_characters(tmp_path, monkeypatch):
    make("folder_of_brackets", tmp_path, monkeypatch)
    (tmp_path / "brackets/my café #1").rename(tmp_path / "brackets/a[1]*?")
    assert catalog.verify("folder_of_brackets") == []
    assert len(catalog.load_scene("folder_of_brackets", "test", "a[1]*?").ldrs) == 3


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("exposures.npy", np.array([1, 1, 3]), "expected 3 ascending stops"),
        ("exposures.npy", np.array([1, 2]), "expected 3 number(s), got shape (2,)"),
        ("exposures.npy", np.array([0.0, np.nan, 3]), "holds NaN"),
        ("alignratio.npy", np.array(0.0), "expected a factor above 0"),
        ("alignratio.npy", np.array("x"), "expected one number(s)"),
        ("exposures.npy", None, "no such file; get the scene again"),
        ("alignratio.npy", b"", "not a complete .npy file"),
        ("gt.png", b"", "is empty"),
        ("1.png", b"\x89PNG", "copy it again"),
    ],
)
def test_damaged_ntire_scene(file, content, words, tmp_path, monkeypatch):
    make("ntire2021_hdr", tmp_path, monkeypatch)
    path = tmp_path / "ntire2021_hdr/training/000000" / file
    path.unlink()
    if isinstance(content, np.ndarray):
        np.save(path, content)
    elif content is not None:
        path.write_bytes(content)
    only_problem("ntire2021_hdr", path, words)
    assert left_out("ntire2021_hdr") == {"train/000000"}


def test_pickles_are_not_opened(tmp_path, monkeypatch):
    make("aim2025_itm", tmp_path, monkeypatch)
    path = tmp_path / "aim2025_itm/test/GT/0001.npy"
    np.save(path, np.array([object()]), allow_pickle=True)
    only_problem("aim2025_itm", path, "not a complete .npy file")


def test_nothing_there(tmp_path, monkeypatch):
    make("kalantari", tmp_path, monkeypatch)
    (tmp_path / "kalantari").rename(tmp_path / "away")
    with pytest.raises(DataMissingError, match="is missing; get it from"):
        survey("kalantari")


def test_info_says_what_the_card_says(tmp_path, monkeypatch):
    card = make("kalantari", tmp_path, monkeypatch)
    rows = info("kalantari")
    assert rows["Citation"] == card.citation
    assert rows["Exposures are given in"] == "stops"
    assert rows["Code value that becomes 1"] == "65536"
    assert rows["Bits per channel"] == "16"
    assert rows["Scenes"] == "train 2, test 2"
    assert all(rows.values())


@pytest.mark.parametrize("name", ["folder_of_brackets", "santos2020_pairs"])
def test_an_empty_folder_is_not_complete(name, tmp_path, monkeypatch):
    monkeypatch.setenv("HDRBENCH_DATA", str(tmp_path))
    (tmp_path / catalog.card(name).options["folder"]).mkdir(parents=True)
    assert any("holds no scene" in problem for problem in catalog.verify(name))


def test_neighbours_that_are_exchanged(tmp_path, monkeypatch):
    make("sice", tmp_path, monkeypatch)
    folder = tmp_path / "sice/Dataset_Part1/1"
    for old, new in (("5", "z"), ("6", "5"), ("z", "6")):
        (folder / f"{old}.JPG").rename(folder / f"{new}.JPG")
    only_problem("sice", folder / "6.JPG", "should be brighter than 5.JPG, but is not")
    assert left_out("sice") == {"train/1"}


def test_copy_of_a_frame(scene):
    (scene / "262A2616.tif").write_bytes((scene / "262A2615.tif").read_bytes())
    only_problem("kalantari", scene / "262A2616.tif", "is the same picture as 262A2615.tif")
    check_others()


def test_black_frame_between_others(scene):
    write_ldr(scene / "262A2616.tif", np.zeros((*SIZE, 3)), bits=16)
    only_problem("kalantari", scene / "262A2616.tif", "should be brighter than 262A2615.tif, but is not")
    check_others()


def test_size_is_told_by_the_header_alone(scene, monkeypatch):
    for path in (*scene.glob("*.tif"), scene / "HDRImg.hdr"):
        path.unlink()
    for k, time in enumerate((1, 4, 16)):
        write_ldr(scene / f"{k}.tif", frame(time)[:, :-2], bits=16)
    write_hdr(scene / "HDRImg.hdr", RADIANCE[:, :-2])
    opened, open_ldr = [], judging.open_ldr
    monkeypatch.setattr(judging, "open_ldr", lambda path, **how: opened.append(path) or open_ldr(path, **how))
    only_problem("kalantari", scene, f"images are {SIZE[1] - 2}x{SIZE[0]}, expected {SIZE[1]}x{SIZE[0]}")
    assert opened
    assert not [path for path in opened if path.parent == scene]


PIPES = [
    ("kalantari", "kalantari/Training/001/262A2616.tif"),
    ("kalantari", "kalantari/Training/001/HDRImg.hdr"),
    ("kalantari", "kalantari/Training/001/exposure.txt"),
    ("folder_of_brackets", "brackets/my café #1/IMG_1.JPG"),
    ("ntire2021_hdr", "ntire2021_hdr/training/000000/gt.png"),
    ("ntire2021_hdr", "ntire2021_hdr/training/000000/exposures.npy"),
    ("santos2020_pairs", "santos2020_pairs/0001.exr"),
    ("folder_of_maps", "maps/night.hdr"),
    ("folder_of_photos", "photos/b.png"),
]


@pytest.mark.parametrize(("name", "path"), PIPES)
def test_pipe_is_never_opened(name, path, tmp_path, monkeypatch):
    """To open it would wait for ever."""
    card = make(name, tmp_path, monkeypatch)
    (tmp_path / path).unlink()
    os.mkfifo(tmp_path / path)
    only_problem(name, tmp_path / path, "is not a regular file")
    (left,) = left_out(name)
    split, scene = left.split("/")
    with pytest.raises(HdrbenchError, match="is not a regular file"):
        catalog.load_scene(name, split, scene)
    for each in card.splits:
        fingerprint(name, each)


def test_exposure_text_that_is_none(scene):
    (scene / "exposure.txt").write_bytes(b"0\n2\n4\n" + b"#" * 2**16)
    only_problem("kalantari", scene / "exposure.txt", "is larger than 65536 bytes, so it is no list of exposures")
    check_others()


def test_ending_in_capitals(scene):
    (scene / "262A2616.tif").rename(scene / "262A2616.TIF")
    problems = catalog.verify("kalantari")
    assert problems[0].startswith(f"{scene}: 2 files match '*.tif', expected 3; rename 262A2616.TIF")
    check_others()
