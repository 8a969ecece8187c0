"""The contract that every data set keeps."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
import yaml

from hdrbench.datasets import catalog
from hdrbench.datasets.scene import Scene
from hdrbench.errors import DataMissingError, HdrbenchError

NAMES = catalog.names()
SYNTHETIC = [name for name in NAMES if catalog.card(name).kind == "synthetic"]


def test_all_sets_have_cards():
    assert {"embedded_a", "embedded_b", "hdri_a", "hdri_b", "kalantari", "kalantari_oxford", "real_hdrv"} < set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_card_is_complete(name):
    card = catalog.card(name)
    assert card.name == name
    for field in ("title", "summary", "citation", "licence", "homepage", "layout"):
        assert getattr(card, field).strip(), f"{field} of {name} is empty"
    assert "test" in card.splits
    assert all(count is None or count > 0 for count in card.splits.values())


@pytest.mark.parametrize("name", NAMES)
def test_without_data_every_answer_is_one_line(name, monkeypatch):
    monkeypatch.delenv("HDRBENCH_DATA", raising=False)
    problems = catalog.verify(name)
    if name in SYNTHETIC:
        assert problems == []
        return
    assert len(problems) == 1
    assert "\n" not in problems[0]
    with pytest.raises(DataMissingError) as caught:
        catalog.scene_names(name, "test")
    assert str(caught.value) == problems[0]
    with pytest.raises(DataMissingError):
        catalog.load_scene(name, "test", "any")
    with pytest.raises(DataMissingError):
        catalog.fingerprint(name)


@pytest.mark.parametrize("name", SYNTHETIC)
def test_synthetic_scenes(name):
    card = catalog.card(name)
    for split, count in card.splits.items():
        names = catalog.scene_names(name, split)
        assert len(names) == count == len(set(names))
        scene = catalog.load_scene(name, split, names[-1])
        check_scene(scene, card.options["size"])
        assert scene.times == pytest.approx([2.0**ev for ev in card.options["camera"]["evs"]], rel=1e-14)
        again = catalog.load_scene(name, split, names[-1])
        np.testing.assert_array_equal(np.stack(again.ldrs), np.stack(scene.ldrs))
        np.testing.assert_array_equal(again.hdr, scene.hdr)


def check_scene(scene: Scene, size: list[int]) -> None:
    assert scene.hdr is not None
    for image in (*scene.ldrs, scene.hdr):
        assert image.shape == (*size, 3)
        assert image.dtype == np.float32
        assert image.min() >= 0
        assert image.max() <= 1
    assert scene.times[0] == 1


@pytest.mark.parametrize("name", SYNTHETIC)
def test_fingerprint(name):
    first = catalog.fingerprint(name)
    assert set(first) == {"name", "digest", "scenes", "files", "bytes"}
    assert first == json.loads(json.dumps(catalog.fingerprint(name)))
    assert len(first["digest"]) == 64


def test_fingerprints_differ():
    assert len({catalog.fingerprint(name)["digest"] for name in SYNTHETIC}) == len(SYNTHETIC)


def test_did_you_mean():
    with pytest.raises(HdrbenchError, match="unknown data set 'kalantary'; did you mean 'kalantari'"):
        catalog.card("kalantary")
    with pytest.raises(HdrbenchError, match="unknown split of embedded_a 'tets'; did you mean 'test'"):
        catalog.scene_names("embedded_a", "tets")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"licens": "x"}, "unknown key 'licens'; did you mean 'licence'"),
        ({"kind": "photos"}, "at 'kind'"),
        ({"splits": {"test": "six"}}, r"at 'splits\.test'"),
        ({"name": "other"}, "expected the file's name 'mine'"),
        ({"title": None}, "at 'title'"),
    ],
)
def test_broken_cards(tmp_path, change, words):
    content = {**catalog.card("embedded_a").model_dump(), "name": "mine", **change}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(HdrbenchError, match=words) as caught:
        catalog.read_card(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_card_that_is_not_yaml(tmp_path):
    (tmp_path / "mine.yaml").write_text("name: [")
    with pytest.raises(HdrbenchError, match="not valid YAML"):
        catalog.read_card(tmp_path / "mine.yaml")


@pytest.mark.parametrize(
    ("change", "words"),
    [({"sede": 1}, "unknown option 'sede'; did you mean 'seed'"), ({"seed": None}, "option 'seed' is missing")],
)
def test_wrong_option(monkeypatch, change, words):
    card = catalog.card("embedded_a")
    options = {key: value for key, value in {**card.options, **change}.items() if value is not None}
    monkeypatch.setattr(catalog, "card", lambda _: card.model_copy(update={"options": options}))
    with pytest.raises(HdrbenchError, match=words):
        catalog.verify("embedded_a")


@pytest.mark.parametrize("value", ["", "/no/such/folder"])
def test_data_root_explains_itself(monkeypatch, value):
    monkeypatch.setenv("HDRBENCH_DATA", value)
    with pytest.raises(DataMissingError, match=r"HDRBENCH_DATA is .*; set it to the folder"):
        catalog.data_root()


def test_scene_invariants():
    image = np.zeros((2, 3, 3), np.float32)
    scene = Scene("s", (image, image), (1.0, 4.0), None)
    assert dataclasses.is_dataclass(scene)
    for ldrs, times in [((image,), (1.0, 2.0)), ((image, image), (2.0, 4.0)), ((image, image[:1]), (1.0, 2.0))]:
        with pytest.raises(ValueError, match="scene 's'"):
            Scene("s", ldrs, times, None)


def test_loading_scenes_needs_no_torch():
    code = "import sys; from hdrbench.datasets import catalog, brackets, embedded, hdri; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
