"""Every card of files against a tiny folder in the layout of the real download."""

import math
from pathlib import Path

import numpy as np
import pytest
from tiny_sets import RADIANCE, SIZE, WRITERS, frame, make, put

from hdrbench.datasets import brackets, catalog, ntire
from hdrbench.datasets.survey import loader_of, survey
from hdrbench.errors import DataMissingError, HdrbenchError
from hdrbench.imaging.io import read_hdr, read_ldr

IN_TEST_BRACKETS = {"kalantari_oxford", "real_hdrv"}
WITHOUT_FILES = ("embedded", "hdri", "photographed", "on_request")


def cards():
    return {path.stem for path in (Path(catalog.__file__).parent / "cards").glob("*.yaml")}


def test_every_card_of_files_has_a_layout():
    """The other loaders make their scenes, or have none."""
    made = {name for name in cards() if catalog.card(name).loader in WITHOUT_FILES}
    assert set(WRITERS) == cards() - made - IN_TEST_BRACKETS


@pytest.mark.parametrize("name", WRITERS)
def test_layout(name, tmp_path, monkeypatch):
    card = make(name, tmp_path, monkeypatch)
    assert catalog.verify(name) == []
    for split, count in card.splits.items():
        names = catalog.scene_names(name, split)
        assert len(names) == count == len(set(names))
        for scene in names:
            loaded = catalog.load_scene(name, split, scene)
            assert loaded.name == scene
            assert {image.shape for image in loaded.ldrs} == {(*SIZE, 3)}
            means = [image.mean() for image in loaded.ldrs]
            assert means == sorted(means)
    with pytest.raises(HdrbenchError, match="unknown scene of"):
        catalog.load_scene(name, "test", "no such scene")
    for escape in ("", ".", "..", "../test"):
        with pytest.raises(HdrbenchError, match="unknown scene of"):
            catalog.load_scene(name, "test", escape)
    first = catalog.fingerprint(name)
    assert first == catalog.fingerprint(name)
    assert first["scenes"] == card.splits


@pytest.mark.parametrize("name", WRITERS)
def test_missing_folder_is_one_line(name, tmp_path, monkeypatch):
    make(name, tmp_path, monkeypatch)
    (tmp_path / catalog.card(name).options["folder"]).rename(tmp_path / "elsewhere")
    problems = catalog.verify(name)
    assert len(problems) == 1
    assert "is missing; get it from" in problems[0]


@pytest.mark.parametrize("name", WRITERS)
def test_fingerprint_feels_one_changed_byte(name, tmp_path, monkeypatch):
    card = make(name, tmp_path, monkeypatch)
    before = catalog.fingerprint(name)["digest"]
    path = loader_of(card).used(card, "test", catalog.scene_names(name, "test")[0])[-1]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    assert catalog.fingerprint(name)["digest"] != before


TIMES = {
    "kalantari": (1, 4, 16),
    "drtmo": tuple(2.0 ** (k / 2) for k in range(9)),
    "vds": (1, 2, 4, 8, 16, 32, 64),
    "hdreye": (1,),
    "hdreye_brackets": tuple(2.0**k for k in range(9)),
    "ntire2021_hdr": (1, 4, 16),
    "folder_of_brackets": (1, 250 / 30, 62.5),
}


@pytest.mark.parametrize("name", TIMES)
def test_times(name, tmp_path, monkeypatch):
    make(name, tmp_path, monkeypatch)
    scene = catalog.load_scene(name, "test", catalog.scene_names(name, "test")[0])
    assert scene.times == pytest.approx(TIMES[name], rel=1e-12)
    assert scene.times[0] == 1


@pytest.mark.parametrize("name", ["sice", "mef_sequences", "mefb", "hdrps_brackets"])
def test_unknown_times_are_nan(name, tmp_path, monkeypatch):
    make(name, tmp_path, monkeypatch)
    scene = catalog.load_scene(name, "test", catalog.scene_names(name, "test")[0])
    assert scene.times[0] == 1
    assert all(math.isnan(time) for time in scene.times[1:])


def test_frames_of_sice_are_in_order_of_their_numbers(tmp_path, monkeypatch):
    make("sice", tmp_path, monkeypatch)
    scene = catalog.load_scene("sice", "train", "1")
    np.testing.assert_array_equal(scene.ldrs[10], read_ldr(tmp_path / "sice/Dataset_Part1/1/11.JPG"))
    np.testing.assert_array_equal(scene.ldrs[1], read_ldr(tmp_path / "sice/Dataset_Part1/1/2.JPG"))


def test_label_of_sice(tmp_path, monkeypatch):
    card = make("sice", tmp_path, monkeypatch)
    label = brackets.load_label(card, "train", "2")
    np.testing.assert_array_equal(label, read_ldr(tmp_path / "sice/Dataset_Part1/Label/2.JPG"))
    (tmp_path / "sice/Dataset_Part1/Label/2.JPG").unlink()
    assert [": the label is missing; get the scene again" in line for line in catalog.verify("sice")] == [True]


def test_sets_without_labels_say_so(tmp_path, monkeypatch):
    card = make("kalantari", tmp_path, monkeypatch)
    with pytest.raises(HdrbenchError, match="has no display-referred references"):
        brackets.load_label(card, "train", "001")


def test_listed_split_names_its_missing_scene(tmp_path, monkeypatch):
    make("mef_sequences", tmp_path, monkeypatch)
    (tmp_path / "mef_sequences/House").rename(tmp_path / "mef_sequences/haus")
    problems = catalog.verify("mef_sequences")
    assert problems[0].startswith(f"{tmp_path}/mef_sequences/House: the scene is missing; get it from")
    assert "split 'unsupervised_fusion_table1' has 4 scenes, expected 5" in problems[1]


def test_pairs_by_order(tmp_path, monkeypatch):
    make("hdr_real", tmp_path, monkeypatch)
    base = tmp_path / "hdr_real/R_CVPR2020_jpg_training"
    second = catalog.load_scene("hdr_real", "train", "00001")
    np.testing.assert_array_equal(second.hdr, read_hdr(base / "HDR_gt/gt_1.hdr"))
    (base / "HDR_gt/gt_0.hdr").unlink()
    problems = catalog.verify("hdr_real")
    assert len(problems) == 1
    assert "2 LDR images and 1 references, which are paired by their order, so no pair can be trusted" in problems[0]
    assert catalog.load_scene("hdr_real", "test", "0").hdr is not None


@pytest.mark.parametrize(
    ("lost", "left", "what"), [("HDR", "LDR/C46_LDR.tif", "reference"), ("LDR", "HDR/C46_HDR.hdr", "LDR image")]
)
def test_pairs_by_name_name_the_lonely(lost, left, what, tmp_path, monkeypatch):
    make("hdreye", tmp_path, monkeypatch)
    next((tmp_path / "hdreye/images" / lost).glob("C46*")).unlink()
    line = f"{tmp_path}/hdreye/images/{left}: its {what} is missing; get it from {catalog.card('hdreye').homepage}"
    assert catalog.verify("hdreye") == [line]
    assert survey("hdreye").left_out == {"test": {"C46": line}}
    with pytest.raises(DataMissingError, match=f"its {what} is missing"):
        catalog.load_scene("hdreye", "test", "C46")


def test_absolute_references_are_divided(tmp_path, monkeypatch):
    make("aim2025_itm", tmp_path, monkeypatch)
    np.testing.assert_allclose(catalog.load_scene("aim2025_itm", "test", "0001").hdr, RADIANCE, rtol=1e-6)


@pytest.mark.parametrize(("split", "scene"), [("train", "000000"), ("test", "0060")])
def test_ntire_reference_is_linear_and_saturates_with_the_short_frame(split, scene, tmp_path, monkeypatch):
    card = make("ntire2021_hdr", tmp_path, monkeypatch)
    loaded = catalog.load_scene("ntire2021_hdr", split, scene)
    np.testing.assert_allclose(loaded.hdr, RADIANCE, atol=1e-4)
    short = np.clip(loaded.hdr, 0, 1) ** (1 / 2.24)
    assert abs(short - loaded.ldrs[0]).max() < 0.51 / 255 + 1e-4
    medium = np.clip(ntire.coded_reference(card, split, scene), 0, 1)
    assert abs(medium - loaded.ldrs[1]).max() < 0.51 / 255


def test_maps_are_photographed_on_the_scale_of_the_camera(tmp_path, monkeypatch):
    make("folder_of_maps", tmp_path, monkeypatch)
    assert catalog.scene_names("folder_of_maps", "test") == ["day_sky", "night"]
    scene = catalog.load_scene("folder_of_maps", "test", "day_sky")
    assert scene.times == (1, 4, 16)
    inside = (scene.hdr > 0.05) & (scene.hdr < 0.9)
    assert inside.mean() > 0.2
    np.testing.assert_allclose(scene.ldrs[0][inside] ** 2.2, scene.hdr[inside], atol=0.06)


def test_photos(tmp_path, monkeypatch):
    make("folder_of_photos", tmp_path, monkeypatch)
    assert catalog.scene_names("folder_of_photos", "test") == ["b", "in town_straße"]
    scene = catalog.load_scene("folder_of_photos", "test", "in town_straße")
    assert scene.hdr is None
    np.testing.assert_array_equal(scene.ldrs[0], read_ldr(tmp_path / "photos/in town/straße.jpg"))
    put(tmp_path / "photos" / "b.jpg", frame(1))
    with pytest.raises(HdrbenchError, match=r"b\.jpg and .*b\.png: both would be scene 'b'; rename one"):
        catalog.load_scene("folder_of_photos", "test", "b")


@pytest.mark.parametrize(
    ("text", "unit", "times"),
    [
        ("IMG_0.JPG 1/30\nIMG_1.JPG 1/250\nIMG_2.JPG 1/4\n", "times", (1, 250 / 30, 62.5)),
        ("IMG_0.JPG 30\r\nIMG_1.JPG 250\r\nIMG_2.JPG 4", "reciprocals", (1, 250 / 30, 62.5)),
        ("0, -3, 3", "stops", (1, 8, 64)),
    ],
)
def test_text_of_seconds_reciprocals_or_stops(text, unit, times, tmp_path, monkeypatch):
    changes = {"exposures": "shots.txt", "exposure_unit": unit}
    make("folder_of_brackets", tmp_path, monkeypatch, **changes)
    (tmp_path / "brackets/my café #1/shots.txt").write_text(text, newline="")
    assert catalog.verify("folder_of_brackets") == []
    assert catalog.load_scene("folder_of_brackets", "test", "my café #1").times == pytest.approx(times)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"exposure_unit": "unknown"}, "exposures is 'exif' but exposure_unit is 'unknown'; correct one"),
        ({"exposures": None}, "exposures is None but exposure_unit is 'times'; correct one"),
        ({"order": "brightness"}, "order 'brightness' does not go with exposures 'exif'"),
        ({"order": "nmae"}, "unknown order of card .* 'nmae'; did you mean 'name'"),
        ({"exposure_unit": "stpos"}, "unknown exposure unit of card .*; did you mean 'stops'"),
        ({"hdr_scale": "absolute"}, "unknown hdr_scale"),
    ],
)
def test_options_that_contradict_each_other(changes, words, tmp_path, monkeypatch):
    make("folder_of_brackets", tmp_path, monkeypatch, **changes)
    with pytest.raises(HdrbenchError, match=words):
        catalog.verify("folder_of_brackets")


@pytest.mark.parametrize("number", [1, 7])
def test_gap_among_numbered_frames(number, tmp_path, monkeypatch):
    make("sice", tmp_path, monkeypatch)
    folder = tmp_path / "sice/Dataset_Part1/1"
    (folder / f"{number}.JPG").unlink()
    (line,) = catalog.verify("sice")
    assert line.startswith(f"{folder}: frame {number} of 11 is missing; get it from")
    assert set(survey("sice").left_out["train"]) == {"1"}
    with pytest.raises(DataMissingError, match=f"frame {number} of 11 is missing"):
        catalog.load_scene("sice", "train", "1")


def test_numbers_of_a_camera_are_no_gap(tmp_path, monkeypatch):
    make("sice", tmp_path, monkeypatch)
    for path in list((tmp_path / "sice/Dataset_Part1/1").iterdir()):
        path.rename(path.with_stem(str(int(path.stem) * 2 + 2600)))
    assert catalog.verify("sice") == []


def test_label_without_a_scene(tmp_path, monkeypatch):
    make("sice", tmp_path, monkeypatch)
    path = tmp_path / "sice/Dataset_Part1/Label/3.JPG"
    put(path, frame(2))
    (line,) = survey("sice").remarks
    assert line.startswith(f"{path}: has no scene {tmp_path}/sice/Dataset_Part1/3; get it from")
    assert survey("sice").counts() == "train 2 of 2, test 1 of 1"


def test_copy_where_the_order_is_unknown(tmp_path, monkeypatch):
    make("mefb", tmp_path, monkeypatch)
    folder = tmp_path / "mefb/input/Night"
    (folder / "Night_B.JPG").write_bytes((folder / "Night_A.jpg").read_bytes())
    line = survey("mefb").left_out["test"]["Night"]
    assert line.startswith(f"{folder / 'Night_B.JPG'}: is the same picture as Night_A.jpg")
    assert survey("mefb").counts() == "test 2 of 3, unsupervised_fusion_table1 2 of 2"
