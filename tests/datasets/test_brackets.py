"""Folders of real brackets, written here in the layouts of the real downloads."""

import numpy as np
import pytest

from hdrbench.datasets import brackets, catalog
from hdrbench.errors import DataMissingError, HdrbenchError, ImageError
from hdrbench.imaging.io import read_hdr, write_hdr, write_ldr

RNG = np.random.default_rng(11)
SIZE = (20, 30)
STOPS_CRLF = b"0.000000\r\n2.000000\r\n4.000000\r\n"
CODES = [RNG.integers(0, top, (*SIZE, 3)) for top in (16384, 32768, 65536)]
RADIANCE = RNG.random((*SIZE, 3)).astype(np.float32)
LAYOUTS = {
    # names of the LDR files, the reference, the text, and what may lie beside them
    "kalantari": (["262A0898.tif", "262A0899.tif", "262A0900.tif"], "HDRImg.hdr", "exposure.txt", []),
    "kalantari_oxford": (
        ["input_1_aligned.tif", "input_2_aligned.tif", "input_3_aligned.tif"],
        "ref_hdr_aligned.hdr",
        "input_exp.txt",
        ["ref_1_aligned.tif", "ref_2_aligned.tif", "ref_3_aligned.tif"],
    ),
    "real_hdrv": (["ue.tif", "ve.tif", "we.tif"], "gt.hdr", "ev.txt", []),
}
SCENES = {"train": ["001", "002"], "test": ["BarbequeDay"]}


def write_scene(folder, layout, text=STOPS_CRLF):
    ldrs, hdr, exposures, beside = layout
    for name, codes in zip(ldrs, CODES, strict=True):
        write_ldr(folder / name, codes / 65535, bits=16)
    for name in beside:
        write_ldr(folder / name, CODES[0] / 65535, bits=16)
    write_hdr(folder / hdr, RADIANCE)
    (folder / exposures).write_bytes(text)


@pytest.fixture(params=LAYOUTS)
def card(request, tmp_path, monkeypatch):
    """The card of each set with two training scenes and one test scene of a small size."""
    return make(request.param, tmp_path, monkeypatch)


@pytest.fixture
def kalantari(tmp_path, monkeypatch):
    return make("kalantari", tmp_path, monkeypatch)


def make(name, tmp_path, monkeypatch):
    monkeypatch.setenv("HDRBENCH_DATA", str(tmp_path))
    card = catalog.card(name)
    options = {**card.options, "size": list(SIZE) if card.options["size"] else None}
    for split, scenes in SCENES.items():
        for scene in scenes:
            write_scene(tmp_path / options["folder"] / options["splits"][split] / scene, LAYOUTS[name])
    splits = {split: len(scenes) for split, scenes in SCENES.items()}
    small = card.model_copy(update={"options": options, "splits": splits})
    monkeypatch.setattr(catalog, "card", lambda _: small)
    return small


def scene_folder(card, tmp_path, split="train", scene="001"):
    return tmp_path / card.options["folder"] / card.options["splits"][split] / scene


def test_scene_content(card, tmp_path):
    assert brackets.verify(card) == []
    assert catalog.scene_names(card.name, "train") == ["001", "002"]
    scene = catalog.load_scene(card.name, "test", "BarbequeDay")
    assert scene.times == (1, 4, 16)
    divisor = card.options["divisor"] or 65535
    for image, codes in zip(scene.ldrs, CODES, strict=True):
        np.testing.assert_array_equal(image, (codes / divisor).astype(np.float32))
    reference = next(scene_folder(card, tmp_path).glob("*.hdr"))
    np.testing.assert_array_equal(scene.hdr, read_hdr(reference))


def test_fingerprint_covers_exactly_what_is_read(card, tmp_path):
    first = catalog.fingerprint(card.name)
    assert first["files"] == 3 * 5
    assert first["scenes"] == {"train": 2, "test": 1}
    folder = scene_folder(card, tmp_path)
    (folder / "notes.md").write_text("not read")
    for name in LAYOUTS[card.name][3]:
        (folder / name).unlink()
    assert catalog.fingerprint(card.name) == first
    (folder / LAYOUTS[card.name][2]).write_bytes(b"0\n3\n6\n")
    assert catalog.fingerprint(card.name)["digest"] != first["digest"]


@pytest.mark.parametrize(
    ("text", "times"),
    [
        (b"0.000000\n2.000000\n4.000000", (1, 4, 16)),
        (b"0.000000\n2.000000\n4.000000\n", (1, 4, 16)),
        (b"0.000000\r\n3.000000\r\n6.000000\r\n", (1, 8, 64)),
        (b"-2\r\n0\r\n2", (1, 4, 16)),
        (b"0 2 4\n", (1, 4, 16)),
    ],
)
def test_stops(kalantari, tmp_path, text, times):
    (scene_folder(kalantari, tmp_path) / "exposure.txt").write_bytes(text)
    assert brackets.load_scene(kalantari, "train", "001").times == times


def test_times_instead_of_stops(kalantari, tmp_path):
    card = kalantari.model_copy(update={"options": {**kalantari.options, "exposure_unit": "times"}})
    (scene_folder(kalantari, tmp_path) / "exposure.txt").write_bytes(b"0.25\n0.5\n1.0\n")
    assert brackets.load_scene(card, "train", "001").times == (1, 2, 4)
    (scene_folder(kalantari, tmp_path) / "exposure.txt").write_bytes(STOPS_CRLF)
    with pytest.raises(
        HdrbenchError, match=r"exposure\.txt: '0\.000000' is no exposure.*above 0.*if they are stops, say"
    ):
        brackets.load_scene(card, "train", "001")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"0\n2\n", "2 exposures for 3 frames; give one for each"),
        (b"", "0 exposures for 3 frames"),
        (b"0\n2\n4\n6\n", "4 exposures for 3 frames"),
        (b"4\n2\n0\n", r"got 16 for 262A0898\.tif and 4 for 262A0899\.tif \(relative times\); correct the exposures"),
        (b"0\n0\n4\n", r"got 1 for 262A0898\.tif and 1 for 262A0899\.tif"),
        (b"0\nnan\n4\n", "'nan' is no exposure"),
        (b"0\ninf\n4\n", "'inf' is no exposure"),
        (b"0\ntwo\n4\n", "'two' is no exposure"),
        (b"1\n40\n160\n", "159 stops apart, expected at most 24.*if they are times, say so in exposure_unit"),
    ],
)
def test_wrong_exposure_text(kalantari, tmp_path, text, words):
    path = scene_folder(kalantari, tmp_path) / "exposure.txt"
    path.write_bytes(text)
    with pytest.raises(HdrbenchError, match=rf"^{path}: .*{words}"):
        brackets.load_scene(kalantari, "train", "001")
    problems = brackets.verify(kalantari)
    assert len(problems) == 1
    assert problems[0].startswith(str(path))


def test_missing_reference(card, tmp_path):
    folder = scene_folder(card, tmp_path)
    (folder / LAYOUTS[card.name][1]).unlink()
    with pytest.raises(
        DataMissingError, match=rf"^{folder}/.*: the reference is missing; get the scene again from http"
    ):
        brackets.load_scene(card, "train", "001")
    assert len(brackets.verify(card)) == 1
    options = {**card.options, "hdr_optional": ["train"]}
    lenient = card.model_copy(update={"options": options})
    assert brackets.load_scene(lenient, "train", "001").hdr is None
    assert brackets.verify(lenient) == []


def test_missing_frame(card, tmp_path):
    folder = scene_folder(card, tmp_path)
    (folder / LAYOUTS[card.name][0][1]).unlink()
    problems = brackets.verify(card)
    assert len(problems) == 1
    assert problems[0].startswith(f"{folder}: 2 files match '{card.options['ldr']}', expected 3; get the scene again")


def test_missing_text(card, tmp_path):
    folder = scene_folder(card, tmp_path)
    (folder / LAYOUTS[card.name][2]).unlink()
    assert [": the exposure text is missing" in problem for problem in brackets.verify(card)] == [True]


def test_two_references(tmp_path, monkeypatch):
    card = make("real_hdrv", tmp_path, monkeypatch)
    write_hdr(scene_folder(card, tmp_path) / "second.hdr", RADIANCE)
    assert "expected one reference matching '*.hdr', got gt.hdr, second.hdr" in brackets.verify(card)[0]


def test_unexpected_file(card, tmp_path):
    path = scene_folder(card, tmp_path) / "Thumbs.db"
    path.write_bytes(b"x")
    assert brackets.verify(card) == [f"{path}: unexpected; remove it, or list it under 'ignored' in the card"]


def test_truncated_frame(card, tmp_path):
    path = scene_folder(card, tmp_path) / LAYOUTS[card.name][0][2]
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ImageError, match=rf"^{path}: "):
        brackets.load_scene(card, "train", "001")
    problems = brackets.verify(card)
    assert len(problems) == 1
    assert problems[0].startswith(str(path))
    assert card.homepage in problems[0]


def test_wrong_size_of_one_file(card, tmp_path):
    path = scene_folder(card, tmp_path) / LAYOUTS[card.name][0][2]
    write_ldr(path, np.zeros((10, 30, 3)), bits=16)
    problems = brackets.verify(card)
    assert len(problems) == 1
    assert f"{path} is 30x10" in problems[0]
    assert "is 30x20" in problems[0]


def test_wrong_size_of_a_scene(kalantari, tmp_path):
    card = kalantari.model_copy(update={"options": {**kalantari.options, "size": [1000, 1500]}})
    problems = brackets.verify(card)
    assert len(problems) == 3
    folder = scene_folder(kalantari, tmp_path)
    assert problems[0].startswith(f"{folder}: images are 30x20, expected 1500x1000; get the scene again")


def test_missing_scene(card, tmp_path):
    scene_folder(card, tmp_path, "train", "002").rename(tmp_path / "away")
    problems = brackets.verify(card)
    assert len(problems) == 1
    assert "split 'train' has 1 scenes, expected 2; get the rest from" in problems[0]
    with pytest.raises(HdrbenchError, match=r"unknown scene of .*/train '002'; did you mean '001'"):
        brackets.load_scene(card, "train", "002")


def test_missing_split(card, tmp_path):
    place = scene_folder(card, tmp_path).parent
    place.rename(tmp_path / "away")
    assert brackets.verify(card) == [f"{card.name}: folder {place} is missing; get it from {card.homepage}"]


def test_wrong_unit(kalantari):
    card = kalantari.model_copy(update={"options": {**kalantari.options, "exposure_unit": "stop"}})
    with pytest.raises(HdrbenchError, match="unknown exposure unit of card kalantari 'stop'; did you mean 'stops'"):
        brackets.verify(card)
