"""Published sets imitated from radiance maps: on tiny maps made here, and on the real ones where they are."""

import os

import numpy as np
import pytest
from scipy.io import savemat

from hdrbench.datasets import catalog, hdri, photographed
from hdrbench.datasets.exact import Dice
from hdrbench.datasets.photographed import PRESETS
from hdrbench.errors import DataMissingError, HdrbenchError
from hdrbench.imaging.io import write_hdr
from hdrbench.imaging.response import read_dorf

REAL = pytest.mark.skipif("HDRBENCH_DATA" not in os.environ, reason="HDRBENCH_DATA is not set")
NAMES = ["hdri_drtmo", "hdri_vds", "hdri_kalantari"]
SIZE = {"hdri_drtmo": [64, 64], "hdri_vds": [48, 48], "hdri_kalantari": [96, 128]}
CURVES = [1 / 2.2, 1 / 1.8, 0.7, 1.0, 1.4]


def bright_map(key: str, height: int, width: int) -> np.ndarray:
    """Smooth random radiance over five decades."""
    coarse = np.exp2(Dice(key).uniforms((height // 8, width // 8, 3), -8.0, 8.0))
    return np.kron(coarse, np.ones((8, 8, 1))).astype(np.float32)


@pytest.fixture
def data(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    monkeypatch.setenv("HDRBENCH_DATA", str(folder))
    monkeypatch.setenv("HDRBENCH_WORK", str(tmp_path / "work"))
    for name in ("a", "b", "c"):
        write_hdr(folder / "panoramas" / "deep" / f"{name}.hdr", bright_map(name, 128, 256))
    write_hdr(folder / "stills" / "x.exr", bright_map("x", 120, 160))
    (folder / "curves").mkdir()
    grid = np.linspace(0, 1, 200)
    rows = np.stack([grid ** CURVES[row % 5] for row in range(201)])
    savemat(folder / "curves" / "201_CRF_data.mat", {"I": np.tile(grid, (201, 1)), "B": rows})
    return folder


def tiny(name: str, **options) -> catalog.Card:
    real = catalog.card(name)
    folders = ["panoramas"] if name == "hdri_drtmo" else ["panoramas", "stills"]
    changed = {"folders": folders, "held_out": ["panoramas/deep/b.hdr"], "size": SIZE[name]}
    curves = {"curves": "curves"} if name == "hdri_drtmo" else {}
    splits = real.splits if name == "hdri_drtmo" else {"train": 5, "test": 2}
    return real.model_copy(update={"options": real.options | changed | curves | options, "splits": splits})


@pytest.mark.parametrize("name", NAMES)
def test_scenes(data, name):
    card, preset = tiny(name), photographed.preset_of(tiny(name))
    assert photographed.verify(card) == []
    for split in card.splits:
        names = photographed.scene_names(card, split)
        assert len(set(names)) == len(names)
        for scene_name in names[:: max(len(names) // 4, 1)]:
            scene = photographed.load_scene(card, split, scene_name)
            assert scene.times == preset.camera.times
            assert scene.hdr is not None
            for image in (*scene.ldrs, scene.hdr):
                assert image.shape == (*SIZE[name], 3)
                assert image.dtype == np.float32
                assert image.min() >= 0
                assert image.max() <= 1
            if not preset.moving and not preset.camera.shot_noise:
                assert (np.diff(np.stack(scene.ldrs), axis=0) >= 0).all(), "longer exposures are nowhere darker"
            levels = np.stack(scene.ldrs).astype(np.float64) * preset.camera.top
            np.testing.assert_allclose(levels, np.rint(levels), atol=2e-3)
            again = photographed.load_scene(card, split, scene_name)
            np.testing.assert_array_equal(np.stack(again.ldrs), np.stack(scene.ldrs))


def test_rule_of_drtmo(data):
    card = tiny("hdri_drtmo")
    names = photographed.scene_names(card, "test")
    assert len(names) == 1 * 6 * 5
    assert names[0] == "b_80_10_0_agfacolor-vista-200CDBlue"
    assert names[-1] == "b_80_10_300_gamma+1.4"
    assert len(photographed.scene_names(card, "train")) == 2 * 6 * 5
    seconds = 2.0**-10 * np.array(PRESETS["drtmo"].camera.times)
    np.testing.assert_allclose(seconds, [2 ** (-10 + k / 2) for k in range(9)])
    assert catalog.card("hdri_drtmo").options["size"] == [512, 512]


def test_responses_of_one_view_differ_by_the_response_alone(data):
    card = tiny("hdri_drtmo")
    names = [name for name in photographed.scene_names(card, "test") if "_80_10_60_" in name]
    scenes = [photographed.load_scene(card, "test", name) for name in names]
    measured = read_dorf(data / "curves" / "201_CRF_data.mat")
    for scene, row in zip(scenes, (41, 65, 90, 114, 165), strict=True):
        np.testing.assert_array_equal(scene.hdr, scenes[0].hdr)
        for image, at in zip(scene.ldrs, scene.times, strict=True):
            # Where the shortest exposure clips, the reference does not say how bright the light is.
            known = scene.hdr < 1
            expected = measured[row].evaluate(scene.hdr.astype(np.float64) * at)
            np.testing.assert_allclose(image[known], expected[known], atol=0.5 / 255 + 1e-5)


def test_neighbouring_exposures_keep_their_ratio_through_the_measured_inverse(data):
    card = tiny("hdri_drtmo")
    scene = photographed.load_scene(card, "train", "a_80_10_120_gamma+1.4")
    curve = read_dorf(data / "curves" / "201_CRF_data.mat")[165]
    for shorter, longer in zip(scene.ldrs, scene.ldrs[1:], strict=False):
        used = (shorter > 0.3) & (longer < 0.95)
        if used.sum() > 200:
            ratio = np.median(curve.invert(longer[used]) / curve.invert(shorter[used]))
            assert ratio == pytest.approx(np.sqrt(2), rel=0.01)


def test_frames_move_or_stand_still(data):
    def spread(name: str) -> float:
        card = tiny(name)
        worst = 0.0
        for scene_name in photographed.scene_names(card, "train"):
            scene = photographed.load_scene(card, "train", scene_name)
            # In the shadows of the middle exposure the longest one is not clipped, and tells the same light.
            curve = scene.ldrs[-1].astype(np.float64) ** 2.2 / scene.times[-1]
            used = (scene.ldrs[-1] > 0.2) & (scene.ldrs[-1] < 0.9)
            worst = max(worst, float(np.abs(curve / np.maximum(scene.hdr, 1e-6) - 1)[used].mean()))
        return worst

    assert spread("hdri_kalantari") > 0.1
    still = tiny("hdri_vds", responses=["gamma:2.2"])
    scene = photographed.load_scene(still, "train", photographed.scene_names(still, "train")[0])
    used = (scene.ldrs[-1] > 0.2) & (scene.ldrs[-1] < 0.9)
    light = scene.ldrs[-1].astype(np.float64) ** 2.2 / scene.times[-1]
    assert np.abs(np.median((light / np.maximum(scene.hdr, 1e-6))[used]) - 1) < 0.05


@pytest.mark.parametrize("name", NAMES)
def test_splits_share_no_map(data, name):
    card = tiny(name)
    assert not set(hdri.maps(card, "train")) & set(hdri.maps(card, "test"))
    real = catalog.card(name)
    assert len(set(real.options["held_out"])) == len(real.options["held_out"]) > 4


def test_curves_can_be_missing(data):
    (data / "curves" / "201_CRF_data.mat").unlink()
    card = tiny("hdri_drtmo")
    problem = f"{data}/curves holds neither dorfCurves.txt nor 201_CRF_data.mat"
    assert [line[: len(problem)] for line in photographed.verify(card)] == [problem]
    for call in (
        lambda: photographed.load_scene(card, "test", "b_80_10_0_gamma+1.4"),
        lambda: photographed.fingerprint(card),
    ):
        with pytest.raises(DataMissingError, match=r"holds neither.*or choose the responses gamma or sigmoid"):
            call()
    free = tiny("hdri_drtmo", responses=["gamma:2.2", "sigmoid:0.9:0.6"], curves=None)
    assert photographed.verify(free) == []
    assert len(photographed.load_scene(free, "test", "b_80_10_0_2.2").ldrs) == 9
    assert photographed.fingerprint(free)["files"] == 3
    for name in NAMES[1:]:
        assert photographed.verify(tiny(name)) == [], "gamma and sigmoid need no file"


@pytest.mark.parametrize(
    ("change", "splits", "words"),
    [
        ({"preset": "drtomo"}, None, "unknown preset of card hdri_drtmo 'drtomo'; did you mean 'drtmo'"),
        ({"responses": ["dorf:300"]}, None, "has no curve 300; expected a row from 0 to 200"),
        ({"responses": ["dorf:1:x", "dorf:2:x"]}, None, "two scenes are named 'a_80_10_0_x'"),
        ({}, {"train": 5, "test": 2}, "splits.train is 5; with this preset expected null"),
        ({"preset": "vds"}, None, "splits.train is None; with this preset expected a number"),
        ({"folders": ["panoramas", "stills"]}, None, "x.exr: 160x120 is no panorama"),
        ({"size": [64]}, None, "option 'size' is [64], expected [height, width] of at least 32"),
    ],
)
def test_wrong_cards(data, change, splits, words):
    card = tiny("hdri_drtmo", **change)
    card = card.model_copy(update={"splits": splits or card.splits})
    problems = photographed.verify(card)
    assert len(problems) == 1
    assert words in problems[0]


def test_a_still_where_a_panorama_is_needed(data):
    card = tiny("hdri_drtmo", folders=["panoramas", "stills"])
    with pytest.raises(HdrbenchError, match=r"x\.exr: 160x120 is no panorama"):
        photographed.load_scene(card, "train", "x_80_10_0_gamma+1.4")
    with pytest.raises(HdrbenchError, match="unknown scene of hdri_drtmo/test 'b_80_10_30_gamma"):
        photographed.load_scene(card, "test", "b_80_10_30_gamma+1.4")


def test_broken_maps_are_named(data):
    broken = data / "panoramas" / "deep" / "a.hdr"
    broken.write_bytes(broken.read_bytes()[:-40])
    write_hdr(data / "panoramas" / "black.hdr", np.zeros((64, 128, 3)))
    write_hdr(data / "stills" / "y.exr", bright_map("y", 32, 160))
    problems = photographed.verify(tiny("hdri_vds"))
    assert len(problems) == 3
    assert problems[2] == f"{data}/stills/y.exr: 160x32, expected at least 48x48"
    assert problems[0] == f"{data}/panoramas/black.hdr: is black; get it again from {catalog.card('hdri_vds').homepage}"
    assert problems[1].startswith(f"{broken}: truncated")


def test_fingerprint_follows_maps_curves_and_options(data, monkeypatch):
    card = tiny("hdri_drtmo")
    first = photographed.fingerprint(card)
    assert first == photographed.fingerprint(card)
    assert first["scenes"] == {"train": 60, "test": 30}
    assert first["files"] == 4
    digests = {first["digest"], photographed.fingerprint(tiny("hdri_drtmo", seed=1))["digest"]}
    preset = photographed.PRESETS["drtmo"]
    monkeypatch.setitem(
        photographed.PRESETS, "drtmo", photographed.Preset(preset.camera, preset.responses, (0, 60), False, (0.2, 0.3))
    )
    digests.add(photographed.fingerprint(card)["digest"])
    monkeypatch.undo()
    monkeypatch.setenv("HDRBENCH_DATA", str(data))
    for path in ("curves/201_CRF_data.mat", "panoramas/deep/c.hdr"):
        content = bytearray((data / path).read_bytes())
        content[-1] ^= 1
        (data / path).write_bytes(content)
        digests.add(photographed.fingerprint(card)["digest"])
    assert len(digests) == 5


def test_three_exposures_go_through_the_preparation_of_every_set(data, monkeypatch):
    from hdrbench.pipeline.prepare import Prepared  # brings torch in, which the killed process can do without

    cards = {name: tiny(name) for name in NAMES}
    monkeypatch.setattr(catalog, "card", cards.__getitem__)

    def facts(name):
        made = {"task": "single_image", "preparation": {"flow": "dis"}, "code": "c", "left_out": {}}
        return made | {"dataset": name, "digest": photographed.fingerprint(cards[name])["digest"]}

    prepared = Prepared(facts("hdri_kalantari"), "test")
    prepared.fill()
    assert len(list(prepared.folder.iterdir())) == 2
    scene = photographed.load_scene(cards["hdri_kalantari"], "test", prepared.names[1])
    np.testing.assert_array_equal(prepared[1]["middle"], scene.ldrs[1])
    np.testing.assert_array_equal(prepared[1]["hdr"], scene.hdr)
    with pytest.raises(HdrbenchError, match="expected 3 exposures, got 9"):
        Prepared(facts("hdri_drtmo"), "test").fill()


@REAL
@pytest.mark.parametrize("name", NAMES)
def test_real_maps(name):
    card = catalog.card(name)
    problems = catalog.verify(name)
    if problems and "missing" in problems[0]:
        pytest.skip(problems[0])
    assert problems == []
    names = catalog.scene_names(name, "test")
    assert len(names) == (card.splits["test"] or 5 * 6 * 5)
    for scene_name in names[:: len(names) // 2]:
        scene = catalog.load_scene(name, "test", scene_name)
        assert scene.hdr is not None
        assert np.isfinite(scene.hdr).all()
        assert scene.ldrs[0].shape == (*card.options["size"], 3)
        means = [float(ldr.mean()) for ldr in scene.ldrs]
        assert means == sorted(means)
        assert (scene.ldrs[0].max(axis=-1) == 1).mean() < 0.03
        assert (scene.hdr.max(axis=-1) <= 0).mean() < 0.1, "no view into a hole of the map"
