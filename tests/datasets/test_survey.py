"""Which scenes of a damaged set stay usable, and what is said about the others and about what lies beside them."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from tiny_sets import RADIANCE, frame, make, put, put_hdr

from hdrbench.datasets import catalog, folders, judging, manifest
from hdrbench.datasets.survey import fingerprint, loader_of, survey
from hdrbench.errors import DataMissingError, HdrbenchError


def copy(source: Path, target: Path):
    """Copy a folder's files, so that a tiny set gets another scene."""
    target.mkdir()
    for path in source.iterdir():
        (target / path.name).write_bytes(path.read_bytes())


def three_of_brackets(root):
    copy(root / "kalantari/Training/001", root / "kalantari/Training/003")
    return "train", root / "kalantari/Training/002/262A2616.tif"


def three_of_ntire(root):
    for name in ("000001", "000002"):
        copy(root / "ntire2021_hdr/training/000000", root / "ntire2021_hdr/training" / name)
    return "train", root / "ntire2021_hdr/training/000001/gt.png"


def three_of_pairs(root):
    for name in ("0002", "0003"):
        put(root / "santos2020_pairs" / f"{name}.png", frame(4))
        put_hdr(root / "santos2020_pairs" / f"{name}.exr")
    return "test", root / "santos2020_pairs/0002.exr"


def three_of_photos(root):
    put(root / "photos/c.png", frame(1))
    return "test", root / "photos/b.png"


def three_of_maps(root):
    put_hdr(root / "maps/dawn.hdr")
    return "test", root / "maps/dawn.hdr"


THREE = {
    "kalantari": three_of_brackets,
    "ntire2021_hdr": three_of_ntire,
    "santos2020_pairs": three_of_pairs,
    "folder_of_photos": three_of_photos,
    "folder_of_maps": three_of_maps,
}


@pytest.mark.parametrize(
    ("name", "damage"),
    [*((name, "truncated") for name in THREE), *((name, "missing") for name in THREE if not name.startswith("folder"))],
)
def test_one_damaged_scene_of_three_leaves_two(name, damage, tmp_path, monkeypatch):
    card = make(name, tmp_path, monkeypatch)
    split, path = THREE[name](tmp_path)
    whole = survey(name)
    assert (len(whole.usable[split]), whole.left_out[split]) == (3, {})
    before = catalog.fingerprint(name)["digest"]
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-40])
    else:
        path.unlink()
    found = survey(name)
    assert len(found.usable[split]) == 2
    ((scene, line),) = found.left_out[split].items()
    assert set(found.usable[split]) | {scene} == set(whole.usable[split])
    where = path.parent if name == "kalantari" and damage == "missing" else path
    where = path.with_suffix(".png") if name == "santos2020_pairs" and damage == "missing" else where
    assert line.startswith(f"{where}: ")
    assert card.homepage in line
    assert "\n" not in line
    assert line in found.problems
    assert f"{split} 2 of 3" in found.counts()
    assert all(catalog.load_scene(name, split, each).ldrs for each in found.usable[split])
    after = catalog.fingerprint(name)
    assert after["digest"] != before
    assert after["scenes"][split] == 3


def test_several_faults_of_a_scene_are_one_line(tmp_path, monkeypatch):
    make("kalantari", tmp_path, monkeypatch)
    scene = tmp_path / "kalantari/Training/001"
    for name in ("262A2615.tif", "HDRImg.hdr"):
        (scene / name).write_bytes(b"")
    found = survey("kalantari")
    line = found.left_out["train"]["001"]
    assert line.startswith(f"{scene / '262A2615.tif'}: is empty")
    assert line.endswith("(and 1 more: hdrbench data verify kalantari)")
    assert [path for path in ("262A2615.tif", "HDRImg.hdr") if any(path in text for text in found.problems)]
    assert len(found.problems) == 2


def test_every_loader_judges_scene_by_scene_or_as_a_whole():
    """Loaders whose scenes are made from several files each have no scenes that could be judged alone."""
    whole = {"embedded", "hdri", "photographed", "on_request"}
    loaders = {catalog.card(name).loader: loader_of(catalog.card(name)) for name in catalog.names()}
    assert whole < set(loaders)
    for name, loader in loaders.items():
        for needed in ("scene_problems", "split_problems", "survey", "used"):
            assert hasattr(loader, needed) == (name not in whole), (name, needed)


def test_images_are_decoded_once(tmp_path, monkeypatch):
    make("sice", tmp_path, monkeypatch)
    (tmp_path / "sice/Dataset_Part1/1/7.JPG").write_bytes(b"")
    opened = Counter()

    def counting(path, *, bits, divisor):
        opened[path] += 1
        return open_ldr(path, bits=bits, divisor=divisor)

    open_ldr = judging.open_ldr
    monkeypatch.setattr(judging, "open_ldr", counting)
    found = manifest.verify_full("sice")
    assert found.counts == "train 1 of 2, test 1 of 1"
    assert len(found.problems) == 1
    assert set(opened.values()) == {1}
    assert len(opened) == 3 * 12


def test_ntire_scenes_are_decoded_once(tmp_path, monkeypatch):
    make("ntire2021_hdr", tmp_path, monkeypatch)
    opened = []
    open_ldr = judging.open_ldr
    monkeypatch.setattr(judging, "open_ldr", lambda path, **how: opened.append(path) or open_ldr(path, **how))
    assert survey("ntire2021_hdr").problems == ()
    assert len(opened) == len(set(opened)) == 2 * 4


@pytest.mark.parametrize("file", ["0.png", "1.png", "2.png", "gt.png", "exposures.npy", "alignratio.npy"])
def test_ntire_scene_that_lacks_a_file_does_not_vanish(file, tmp_path, monkeypatch):
    card = make("ntire2021_hdr", tmp_path, monkeypatch)
    path = tmp_path / "ntire2021_hdr/training/000000" / file
    path.unlink()
    line = f"{path}: no such file; get the scene again from {card.homepage}"
    assert catalog.scene_names("ntire2021_hdr", "train") == ["000000"]
    assert survey("ntire2021_hdr").left_out == {"train": {"000000": line}, "test": {}}
    assert catalog.verify("ntire2021_hdr") == [line]


@pytest.mark.parametrize("place", ["training/000000/3.png", "training/readme.txt", "validation/0060_mask.png"])
def test_extra_ntire_file(place, tmp_path, monkeypatch):
    make("ntire2021_hdr", tmp_path, monkeypatch)
    path = tmp_path / "ntire2021_hdr" / place
    path.write_bytes(b"x")
    line = f"{path}: unexpected; remove it, or list it under 'ignored' in the card"
    found = survey("ntire2021_hdr")
    assert (found.remarks, found.problems) == ((line,), (line,))
    assert found.counts() == "train 1 of 1, test 1 of 1"
    make("ntire2021_hdr", tmp_path, monkeypatch, ignored=[path.name])
    assert survey("ntire2021_hdr").problems == ()


@pytest.mark.parametrize(("name", "place"), [("sice", "Dataset_Part1"), ("kalantari", "Test"), ("mefb", "input")])
def test_file_beside_the_scenes(name, place, tmp_path, monkeypatch):
    make(name, tmp_path, monkeypatch)
    path = tmp_path / name / place / "stray.jpg"
    path.write_bytes(b"x")
    line = f"{path}: unexpected; remove it, or list it under 'ignored' in the card"
    assert catalog.verify(name) == [line]
    assert survey(name).remarks == (line,)
    assert not any(survey(name).left_out.values())


def test_references_beside_the_scenes_are_no_strays(tmp_path, monkeypatch):
    make("kalantari", tmp_path, monkeypatch, hdr="{split}/{scene}.hdr")
    for path in list((tmp_path / "kalantari").rglob("HDRImg.hdr")):
        path.rename(path.parent.with_name(f"{path.parent.name}.hdr"))
    assert catalog.verify("kalantari") == []


def test_label_of_another_size(tmp_path, monkeypatch):
    make("sice", tmp_path, monkeypatch)
    path = tmp_path / "sice/Dataset_Part1/Label/2.JPG"
    put(path, frame(2)[:, 1:])
    found = survey("sice")
    line = found.left_out["train"]["2"]
    assert f"{path} is 15x12: expected one size" in line
    assert f"{tmp_path}/sice/Dataset_Part1/2/1.JPG is 16x12" in line
    assert found.counts() == "train 1 of 2, test 1 of 1"


TEXTS = {
    # unit that the card says, text, and whether the frames, 1 : 4 : 16, contradict it
    "stops": ("stops", "0 2 4", False),
    "stops from 1": ("stops", "1 3 5", False),
    "stops below 0": ("stops", "-5 -3 -1", False),
    "times": ("times", "1 4 16", False),
    "seconds": ("times", "1/250 2/125 8/125", False),
    "reciprocals": ("reciprocals", "1600 400 100", False),
    "times as stops": ("stops", "1 4 16", True),
    "seconds as stops": ("stops", "0.001 0.004 0.016", True),
    "reciprocals of something else": ("reciprocals", "4096 64 1", True),
}


@pytest.mark.parametrize("case", TEXTS)
def test_exposures_that_the_pictures_contradict(case, tmp_path, monkeypatch):
    unit, text, wrong = TEXTS[case]
    make("kalantari", tmp_path, monkeypatch, exposure_unit=unit)
    for path in tmp_path.rglob("exposure.txt"):
        path.write_text(text.replace(" ", "\n"))
    found = survey("kalantari")
    assert found.counts() == ("train 0 of 2, test 0 of 2" if wrong else "train 2 of 2, test 2 of 2")
    for line in found.left_out["train"].values():
        assert line.startswith(f"{tmp_path}/kalantari/Training/")
        assert "exposure.txt: exposures are said to span" in line
        assert "exposure_unit of the card" in line


def test_contradiction_names_the_other_unit(tmp_path, monkeypatch):
    make("kalantari", tmp_path, monkeypatch)
    path = tmp_path / "kalantari/Training/001/exposure.txt"
    path.write_text("1\n4\n16\n")
    (line,) = catalog.verify("kalantari")
    assert line.startswith(f"{path}: exposures are said to span 15.0 stops where the pictures look ")
    assert "in another unit the same numbers would span 4.0; correct them, or if they are times, say so" in line


def test_names_with_times_that_the_card_takes_for_stops(tmp_path, monkeypatch):
    make("vds", tmp_path, monkeypatch, exposures={"name": "_x([0-9.]+)EV_"}, ldr="{scene}_x*EV_true.jpg.png")
    for path in tmp_path.rglob("*EV_true.jpg.png"):
        stop = float(path.name.split("_")[1].removesuffix("EV"))
        path.rename(path.with_name(f"{path.name.split('_')[0]}_x{2 ** (stop + 3) / 4:g}EV_true.jpg.png"))
    problems = [line for line in catalog.verify("vds") if "are said to span" in line]
    assert len(problems) == 2
    assert "if they are times, say so in exposure_unit of the card" in problems[0]


def test_ntire_exposures_that_the_pictures_contradict(tmp_path, monkeypatch):
    card = make("ntire2021_hdr", tmp_path, monkeypatch)
    path = tmp_path / "ntire2021_hdr/training/000000/exposures.npy"
    np.save(path, np.array([1, 4, 16]))
    (line,) = survey("ntire2021_hdr").problems
    assert line.startswith(f"{path}: exposures are said to span 15.0 stops where the pictures look ")
    assert line.endswith(f"; get it again from {card.homepage}")


def test_split_that_is_not_there(tmp_path, monkeypatch):
    make("kalantari", tmp_path, monkeypatch)
    (tmp_path / "kalantari/Test").rename(tmp_path / "away")
    found = survey("kalantari")
    assert found.counts() == "train 2 of 2, test none"
    assert found.remarks == found.problems == tuple(catalog.verify("kalantari"))
    assert "Test is missing; get it from" in found.remarks[0]


def test_wrong_card_is_no_fault_of_the_scenes(tmp_path, monkeypatch):
    make("kalantari", tmp_path, monkeypatch, order="nmae")
    with pytest.raises(HdrbenchError, match="unknown order of card kalantari 'nmae'"):
        survey("kalantari")
    make("kalantari", tmp_path, monkeypatch, ordre="name")
    with pytest.raises(HdrbenchError, match="card kalantari: unknown option 'ordre'"):
        survey("kalantari")


def test_two_photos_of_one_name_cost_one_scene(tmp_path, monkeypatch):
    make("folder_of_photos", tmp_path, monkeypatch)
    put(tmp_path / "photos/b.jpg", frame(1))
    found = survey("folder_of_photos")
    assert found.usable == {"test": ("in town_straße",)}
    assert "b.jpg and" in found.left_out["test"]["b"]
    assert "both would be scene 'b'; rename one" in found.left_out["test"]["b"]


def test_sets_whose_scenes_stand_or_fall_together(tmp_path, monkeypatch):
    """Each scene is made from several maps, so one damaged map spoils all; their number is known all the same."""
    monkeypatch.setenv("HDRBENCH_DATA", str(tmp_path))
    card = catalog.card("hdri_a")
    names = ("lit.hdr", "dark.hdr")
    for name in names:
        put_hdr(tmp_path / "maps" / name, np.tile(RADIANCE, (20, 24, 1)))
    options = {**card.options, "folders": ["maps"], "held_out": ["maps/dark.hdr"]}
    card = card.model_copy(update={"options": options, "splits": {"train": 3, "test": 2}})
    monkeypatch.setattr(catalog, "card", lambda _: card)
    assert survey("hdri_a").counts() == "train 3 of 3, test 2 of 2"
    (tmp_path / "maps/lit.hdr").write_bytes(b"")
    found = survey("hdri_a")
    assert found.counts() == "train 0 of 3, test 0 of 2"
    assert set(found.left_out["train"].values()) == set(found.left_out["test"].values()) == set(found.problems)
    assert found.problems[0].startswith(f"{tmp_path}/maps/lit.hdr: is empty")
    (tmp_path / "maps/dark.hdr").unlink()
    with pytest.raises(DataMissingError, match=r"test map .* is missing"):
        survey("hdri_a")


def test_a_set_on_request_is_not_on_this_machine():
    with pytest.raises(DataMissingError, match="usme_real_world"):
        survey("usme_real_world")


def test_link_to_itself_has_a_fingerprint(tmp_path, monkeypatch):
    make("kalantari", tmp_path, monkeypatch)
    before = catalog.fingerprint("kalantari")
    path = tmp_path / "kalantari/Training/001/262A2616.tif"
    path.unlink()
    path.symlink_to(path)
    after = catalog.fingerprint("kalantari")
    assert after["digest"] != before["digest"]
    assert after["files"] == before["files"] - 5
    assert survey("kalantari").counts() == "train 1 of 2, test 2 of 2"


def test_the_camera_of_a_folder_is_checked_first(tmp_path, monkeypatch):
    card = make("folder_of_maps", tmp_path, monkeypatch, camera={"response": "gamma:2.2"})
    with pytest.raises(HdrbenchError, match="camera option 'bits' is missing"):
        folders.survey(card)


def test_fingerprint_of_a_split_covers_its_own_files_only(tmp_path, monkeypatch):
    make("kalantari", tmp_path, monkeypatch)
    before = {split: fingerprint("kalantari", split) for split in ("train", "test")}
    assert set(before["test"]) == {"name", "digest", "files", "bytes"}
    assert before["test"]["files"] == 2 * 5
    assert before["train"]["digest"] != before["test"]["digest"]
    path = tmp_path / "kalantari/Test/Barbeque Day/HDRImg.hdr"
    path.write_bytes(path.read_bytes()[:-1] + b"\x07")
    assert fingerprint("kalantari", "train") == before["train"]
    assert fingerprint("kalantari", "test")["digest"] != before["test"]["digest"]
    path.unlink()
    assert fingerprint("kalantari", "test")["files"] == 5
    (tmp_path / "kalantari/Test").rename(tmp_path / "away")
    assert fingerprint("kalantari", "train") == before["train"]
    with pytest.raises(DataMissingError, match="Test is missing"):
        fingerprint("kalantari", "test")
    with pytest.raises(HdrbenchError, match="unknown split of kalantari 'tset'"):
        fingerprint("kalantari", "tset")


def test_fingerprint_of_a_split_of_generated_scenes_is_that_of_the_set():
    assert fingerprint("embedded_a", "test") == catalog.fingerprint("embedded_a")


def test_fingerprint_of_a_split_follows_the_options(tmp_path, monkeypatch):
    make("kalantari", tmp_path, monkeypatch)
    before = fingerprint("kalantari", "test")
    make("kalantari", tmp_path, monkeypatch, divisor=65535)
    assert fingerprint("kalantari", "test")["digest"] != before["digest"]
