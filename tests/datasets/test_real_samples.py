"""The loaders on real files, where HDRBENCH_DATA has them."""

import csv
import os
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pytest

from hdrbench.datasets import catalog, ntire
from hdrbench.datasets.manifest import checksums
from hdrbench.datasets.survey import survey
from hdrbench.imaging.io import read_ldr

DATA = Path(os.environ.get("HDRBENCH_DATA", "."))


def needs(folder):
    return pytest.mark.skipif(not (DATA / folder).is_dir(), reason=f"HDRBENCH_DATA holds no folder {folder}")


def use(name, monkeypatch, counts=None, **changes):
    """Let the catalogue hold a card with other options."""
    card = catalog.card(name)
    card = card.model_copy(update={"options": {**card.options, **changes}, "splits": counts or card.splits})
    monkeypatch.setattr(catalog, "card", lambda _: card)
    return card


@pytest.fixture
def patches(monkeypatch):
    """The four training patches of 256x256 that ADNet's repository shows."""
    files = catalog.card("ntire2021_hdr").options["files"]
    flat = {key: template.removeprefix("training/") for key, template in files["train"].items()}
    changes = {"folder": "ntire2021_hdr_patches", "files": {"train": flat}, "size": [256, 256], "ignored": ["*.txt"]}
    return use("ntire2021_hdr", monkeypatch, counts={"train": 4}, **changes)


@needs("ntire2021_hdr_patches")
def test_ntire_patches_load(patches):
    assert catalog.verify("ntire2021_hdr") == []
    for name in catalog.scene_names("ntire2021_hdr", "train"):
        assert catalog.load_scene("ntire2021_hdr", "train", name).times == (1, 4, 16)


@needs("ntire2021_hdr_patches")
@pytest.mark.parametrize("frame", [0, 1, 2])
@pytest.mark.parametrize("name", ["000000", "000001", "000002", "000003"])
def test_ntire_frames_follow_from_the_reference(patches, name, frame):
    """Through the declared gamma and exposures. Noise is about 4 levels; the outer frames are also moved."""
    scene = catalog.load_scene("ntire2021_hdr", "train", name)
    radiance = scene.hdr.astype(np.float64) * scene.times[frame]
    expected = np.clip(radiance, 0, 1) ** (1 / 2.24)
    judged = (expected > 0.1) & (expected < 0.95)
    difference = 255 * (scene.ldrs[frame] - expected)[judged]
    assert np.median(abs(difference)) < (5 if frame == 1 else 11)
    linear = ntire.coded_reference(patches, "train", name) * scene.times[frame] / scene.times[1]
    if_it_were_linear = np.clip(linear, 0, 1).astype(np.float64) ** (1 / 2.24)
    assert np.median(255 * abs(scene.ldrs[frame] - if_it_were_linear)[judged]) > 30


@needs("ntire2021_hdr_patches")
@pytest.mark.parametrize("name", ["000000", "000001", "000002", "000003"])
def test_ntire_middle_frame_is_unbiased(patches, name):
    scene = catalog.load_scene("ntire2021_hdr", "train", name)
    expected = np.clip(scene.hdr.astype(np.float64) * scene.times[1], 0, 1) ** (1 / 2.24)
    judged = (expected > 0.1) & (expected < 0.95)
    assert abs(np.median(255 * (scene.ldrs[1] - expected)[judged])) < 0.5


@needs("santos2020_pairs")
@pytest.mark.parametrize("name", ["0001", "0002"])
def test_santos_pairs_decode_and_align(name):
    assert catalog.verify("santos2020_pairs") == []
    scene = catalog.load_scene("santos2020_pairs", "test", name)
    ldr, hdr = scene.ldrs[0].mean(axis=-1), np.log(scene.hdr.mean(axis=-1))
    judged = (ldr > 0.1) & (ldr < 0.9)
    judged[:3] = judged[-3:] = judged[:, :3] = judged[:, -3:] = False
    agreement = {}
    for down in range(-2, 3):
        for right in range(-2, 3):
            moved = np.roll(hdr, (down, right), axis=(0, 1))
            agreement[down, right] = np.corrcoef(moved[judged], np.log(ldr[judged]))[0, 1]
    assert max(agreement, key=agreement.get) == (0, 0)
    assert agreement[0, 0] > 0.98
    assert sorted(agreement.values())[-2] < 0.92


@needs("opencv_memorial")
def test_opencv_list_of_reciprocals(monkeypatch):
    options = {"ldr": "memorial*.png", "count": 16, "exposures": "list.txt", "exposure_unit": "reciprocals"}
    options |= {"folder": "opencv_memorial", "ignored": ["readme.txt", "response.csv"]}
    options |= {"splits": {"test": {"folder": ".", "scenes": ["exposures"]}}}
    card = use("folder_of_brackets", monkeypatch, **options)
    assert catalog.verify(card.name) == []
    scene = catalog.load_scene(card.name, "test", "exposures")
    assert scene.times == pytest.approx([2.0**k for k in range(16)], rel=0.05)
    means = [image.mean() for image in scene.ldrs]
    assert means == sorted(means)


@needs("banterle_stacks")
def test_brackets_with_exif(monkeypatch):
    card = use("folder_of_brackets", monkeypatch, folder="banterle_stacks", ignored=["*.txt", "*.hdr"])
    assert catalog.verify(card.name) == []
    assert catalog.scene_names(card.name, "test") == ["stack", "stack_alignment", "stack_ghost"]
    scene = catalog.load_scene(card.name, "test", "stack")
    assert scene.times[-1] == pytest.approx(8000)
    for name, frames, shape in (("stack_alignment", 3, (1080, 720, 3)), ("stack_ghost", 3, (600, 900, 3))):
        scene = catalog.load_scene(card.name, "test", name)
        assert len(scene.ldrs) == frames
        assert sorted(scene.ldrs[0].shape) == sorted(shape)
        means = [image.mean() for image in scene.ldrs]
        assert means == sorted(means)


@needs("ipol_exposure_fusion")
def test_frames_without_exposures_are_ordered_by_level(monkeypatch):
    changes = {"folder": ".", "exposures": None, "exposure_unit": "unknown", "order": "brightness"}
    splits = {"test": {"folder": ".", "scenes": ["ipol_exposure_fusion"]}}
    card = use("folder_of_brackets", monkeypatch, **changes, splits=splits, ldr="grandcanal_*.jpg")
    scene = catalog.load_scene(card.name, "test", "ipol_exposure_fusion")
    for image, word in zip(scene.ldrs, ("under", "mean", "over"), strict=True):
        np.testing.assert_array_equal(image, read_ldr(DATA / f"ipol_exposure_fusion/grandcanal_{word}.jpg"))


@needs("polyhaven_hdri_1k")
def test_folder_of_panoramas(monkeypatch):
    card = use("folder_of_maps", monkeypatch, folder="polyhaven_hdri_1k")
    names = catalog.scene_names(card.name, "test")
    assert len(names) == 18
    scene = catalog.load_scene(card.name, "test", "night")
    assert [image.shape for image in scene.ldrs] == [(512, 1024, 3)] * 3
    assert 0.04 < (scene.ldrs[1].max(axis=-1) == 1).mean() < 0.13


@needs("mefb_scores")
def test_names_of_all_mefb_pairs_fit_the_card():
    with open(DATA / "mefb_scores/pairs.tsv", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    card = catalog.card("mefb")
    assert len(rows) == card.splits["test"]
    for row in rows:
        for side in ("MEFB_A", "MEFB_B"):
            top, scene, name = row[side].split("/")
            assert (top, scene) == (card.options["splits"]["test"], row["sequence"])
            assert fnmatchcase(name, card.options["ldr"])
    assert set(card.options["splits"]["unsupervised_fusion_table1"]["scenes"]) <= {row["sequence"] for row in rows}


@needs("polyhaven_hdri_1k")
def test_manifest_of_radiance_maps_covers_what_the_fingerprint_does():
    """The loader of the hdri cards is older than the manifest and lists its files in its own way."""
    assert len(checksums(catalog.card("hdri_a"))) == catalog.fingerprint("hdri_a")["files"] > 20
    assert survey("hdri_a").counts() == "train 72 of 72, test 12 of 12"
