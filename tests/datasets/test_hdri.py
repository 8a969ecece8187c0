"""Stacks from radiance maps: on tiny maps made here, and on the real ones where they are."""

import os

import numpy as np
import pytest

from hdrbench.datasets import catalog, hdri, views
from hdrbench.datasets.exact import Dice
from hdrbench.errors import DataMissingError, HdrbenchError
from hdrbench.imaging.io import write_hdr

REAL = pytest.mark.skipif("HDRBENCH_DATA" not in os.environ, reason="HDRBENCH_DATA is not set")
SIZE = [48, 72]


def bright_map(key: str, height: int, width: int) -> np.ndarray:
    """Smooth random radiance over five decades."""
    dice = Dice(key)
    coarse = np.exp2(dice.uniforms((height // 8, width // 8, 3), -8.0, 8.0))
    return np.kron(coarse, np.ones((8, 8, 1))).astype(np.float32)


@pytest.fixture
def card(tmp_path, monkeypatch):
    monkeypatch.setenv("HDRBENCH_DATA", str(tmp_path))
    for name in ("a", "b", "c"):
        write_hdr(tmp_path / "panoramas" / "deep" / f"{name}.hdr", bright_map(name, 128, 256))
    for name in ("x", "y"):
        write_hdr(tmp_path / "stills" / f"{name}.exr", bright_map(name, 120, 160))
    real = catalog.card("hdri_a")
    options = {
        **real.options,
        "folders": ["panoramas", "stills"],
        "held_out": ["panoramas/deep/b.hdr", "stills/x.exr"],
        "size": SIZE,
    }
    return real.model_copy(update={"name": "mine", "options": options, "splits": {"train": 7, "test": 4}})


def test_scenes_come_from_the_maps_of_their_split(card):
    assert hdri.scene_names(card, "test") == ["000_b", "001_x", "002_b", "003_x"]
    assert hdri.scene_names(card, "train") == ["000_a", "001_c", "002_y", "003_a", "004_c", "005_y", "006_a"]
    assert not set(hdri.maps(card, "test")) & set(hdri.maps(card, "train"))


@pytest.mark.parametrize("split", ["train", "test"])
def test_scenes(card, split):
    for name in hdri.scene_names(card, split):
        scene = hdri.load_scene(card, split, name)
        assert scene.times == (1, 4, 16)
        assert scene.hdr is not None
        for image in (*scene.ldrs, scene.hdr):
            assert image.shape == (*SIZE, 3)
            assert image.dtype == np.float32
            assert image.min() >= 0
            assert image.max() <= 1
        again = hdri.load_scene(card, split, name)
        np.testing.assert_array_equal(np.stack(again.ldrs), np.stack(scene.ldrs))
    first, third = (hdri.load_scene(card, "test", name) for name in ("000_b", "002_b"))
    assert np.abs(first.ldrs[1] - third.ldrs[1]).mean() > 0.05, "views of one map must differ"


def test_unknown_scene(card):
    with pytest.raises(HdrbenchError, match="unknown scene of mine/test '000_bb'; did you mean '000_b'"):
        hdri.load_scene(card, "test", "000_bb")


def test_verify(card, tmp_path):
    assert hdri.verify(card) == []
    broken = tmp_path / "panoramas" / "deep" / "a.hdr"
    broken.write_bytes(broken.read_bytes()[:-40])
    write_hdr(tmp_path / "stills" / "small.hdr", bright_map("s", 24, 32))
    write_hdr(tmp_path / "stills" / "black.hdr", np.zeros((64, 96, 3)))
    problems = hdri.verify(card)
    assert len(problems) == 3
    assert problems[0].startswith(f"{broken}: truncated")
    assert "https://polyhaven.com" in problems[0]
    assert problems[1].startswith(f"{tmp_path}/stills/black.hdr: is black")
    assert problems[2] == f"{tmp_path}/stills/small.hdr: 32x24, expected at least 72x48"


def test_missing_folder_and_map(card, tmp_path):
    (tmp_path / "stills" / "x.exr").unlink()
    assert hdri.verify(card) == [
        f"mine: the test map {tmp_path}/stills/x.exr is missing; get it from {card.homepage}",
    ]
    (tmp_path / "stills" / "y.exr").unlink()
    with pytest.raises(DataMissingError, match=r"folder .*/stills holds no \.hdr or \.exr file; get it from"):
        hdri.scene_names(card, "train")
    (tmp_path / "stills").rmdir()
    with pytest.raises(DataMissingError, match=r"folder .*/stills is missing"):
        hdri.fingerprint(card)


def test_fingerprint_follows_content_not_place(card, tmp_path, monkeypatch):
    first = hdri.fingerprint(card)
    assert first["files"] == 5
    assert first["bytes"] == sum(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file())
    (tmp_path / "panoramas").rename(tmp_path / "elsewhere")
    (tmp_path / "new").mkdir()
    (tmp_path / "elsewhere").rename(tmp_path / "new" / "panoramas")
    (tmp_path / "stills").rename(tmp_path / "new" / "stills")
    monkeypatch.setenv("HDRBENCH_DATA", str(tmp_path / "new"))
    assert hdri.fingerprint(card) == first
    write_hdr(tmp_path / "new" / "stills" / "y.exr", bright_map("other", 120, 160))
    assert hdri.fingerprint(card)["digest"] != first["digest"]


def test_panorama_view_points_where_the_pose_says():
    image = np.full((128, 256, 3), 0.01, np.float32)
    image[44, 64] = 50.0  # a light a quarter turn to the right, 28 degrees up
    pose = views.Pose(across=90.7, down=28.0, roll=0.0, extent=60.0)
    view = views.look(image, pose, (60, 90))
    row, column = np.unravel_index(view[..., 0].argmax(), view.shape[:2])
    assert abs(row - 30) <= 2
    assert abs(column - 45) <= 2
    higher = views.look(image, views.Pose(90.7, 18.0, 0.0, 60.0), (60, 90))
    assert np.unravel_index(higher[..., 0].argmax(), higher.shape[:2])[0] < row - 5, "looking down moves things up"


def test_panorama_has_no_seam():
    columns = np.arange(256)
    wave = (1.5 + np.cos(2 * np.pi * columns / 256)).astype(np.float32)
    image = np.broadcast_to(wave[None, :, None], (128, 256, 3)).copy()
    view = views.look(image, views.Pose(0.0, 0.0, 0.0, 70.0), (40, 60))
    assert np.abs(np.diff(view[20, :, 0])).max() < 0.05


def test_still_crop_is_the_middle_at_full_extent():
    rows, columns = np.mgrid[0:48, 0:72].astype(np.float32)
    image = np.stack([rows, columns, rows + columns], axis=-1)
    np.testing.assert_allclose(views.look(image, views.Pose(0.5, 0.5, 0.0, 1.0), (48, 72)), image, atol=1e-3)


def test_black_views_are_avoided():
    image = bright_map("half", 128, 256)
    image[:, :160] = 0  # a fifth of all poses around three quarters of a turn would see it
    for key in range(20):
        pose = views.draw_pose(image, Dice(key), 0.75, (48, 72))
        assert (views.look(image, pose, (48, 72)).max(axis=-1) <= 0).mean() <= views.MOST_BLACK + 0.02


def test_patches_move_and_stay_nonnegative():
    view, donor = bright_map("v", 96, 144), bright_map("d", 96, 144)
    patch = views.draw_patches(view, donor, Dice("patch"))[0]
    placed = [views.paste(view, patch, step) for step in (-1, 0, 1)]
    masks = [np.abs(image - view).max(axis=-1) > 1e-6 for image in placed]
    centres = [np.argwhere(mask).mean(axis=0) for mask in masks]
    assert all(image.min() >= 0 for image in placed)
    assert abs(centres[2][1] - centres[0][1]) > 3


@REAL
@pytest.mark.parametrize("name", ["hdri_a", "hdri_b"])
def test_real_maps(name):
    card = catalog.card(name)
    try:
        hdri.maps(card, "test")
    except DataMissingError as error:
        pytest.skip(str(error))
    assert catalog.verify(name) == []
    middles = []
    for split, count in card.splits.items():
        names = catalog.scene_names(name, split)
        assert len(names) == count
        for scene_name in names[:: max(len(names) // 6, 1)]:
            scene = catalog.load_scene(name, split, scene_name)
            assert scene.hdr is not None
            assert np.isfinite(scene.hdr).all()
            assert (scene.hdr.max(axis=-1) <= 0).mean() < 0.1, "no view into a hole of the map"
            clipped = [float((ldr.max(axis=-1) > 0.998).mean()) for ldr in scene.ldrs]
            assert clipped[0] < 0.03
            assert 0.005 < clipped[1] < 0.2
            middles.append(clipped[1])
    assert np.mean(np.array(middles) > 0.03) > 0.5
    assert catalog.fingerprint(name)["files"] > len(card.options["held_out"])
