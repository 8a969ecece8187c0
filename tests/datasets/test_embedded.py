"""Procedural scenes: the bits are fixed, the light is real, and things move."""

import functools
import hashlib

import cv2
import numpy as np
import pytest

from hdrbench.datasets import catalog, embedded
from hdrbench.datasets.scene import Scene
from hdrbench.errors import HdrbenchError

SETS = ["embedded_a", "embedded_b"]
CAMERA = catalog.card("embedded_a").options["camera"]

# Whoever changes these has changed the data set: raise embedded.GENERATOR_VERSION with them.
GOLDEN = {
    ("embedded_a", "train", "train000"): "e41fecb60f75bd323094ba1ab79d023eeae719dae3d2e1ad425f9771f2d397bc",
    ("embedded_b", "test", "test001"): "afb93fef492a42aa52257a0e27fc5a5ad0e25a5282b810142fb59e7c80b0e4c7",
    ("embedded_stacks", "train", "train000"): "f00448f1f28c7be33612dbfc20c2be85ca801a12a81d51a4fd1678dd5f54ade4",
    ("embedded_stacks", "test", "test001"): "d0de4a8531e32424f329b182cb4f983a45df0cd66122ae351d6b93b7af68124a",
    ("embedded_drtmo", "train", "train000"): "6686473f4fbd95ae998086f66d56aca71ee3d1d3cf379b1675552d9a0e1a68c5",
    ("embedded_hdreye", "test", "test001"): "be1d7f3047bb105bcc0c6a72ecc0de77161aa2511059ee93c72d10ab09f41a3f",
}


@functools.cache
def load(name: str, split: str, scene: str) -> Scene:
    return catalog.load_scene(name, split, scene)


@pytest.mark.parametrize(("name", "split", "scene"), GOLDEN)
def test_golden_bytes(name, split, scene):
    assert embedded.GENERATOR_VERSION == 1
    loaded = load(name, split, scene)
    assert loaded.hdr is not None
    digest = hashlib.sha256(b"".join(image.tobytes() for image in (*loaded.ldrs, loaded.hdr))).hexdigest()
    assert digest == GOLDEN[name, split, scene]


@pytest.mark.parametrize("name", SETS)
def test_five_decades_of_luminance(name):
    card = catalog.card(name)
    decades = []
    for scene in [*catalog.scene_names(name, "test"), "train000", "train001"]:
        radiance = embedded.world_of(card, scene)[1].radiance
        assert np.isfinite(radiance).all()
        assert radiance.min() > 0
        luminance = radiance @ np.array([0.2126, 0.7152, 0.0722])
        # The darkest thousandth is shadow that covers area, not one unlucky pixel.
        decades.append(np.log10(luminance.max() / np.quantile(luminance, 0.001)))
    assert np.mean(np.array(decades) >= 5) >= 0.75
    assert np.median(decades) >= 5
    assert min(decades) > 3


@pytest.mark.parametrize("name", SETS)
def test_exposures_are_worth_merging(name):
    clipped = []
    for scene in catalog.scene_names(name, "test"):
        loaded = load(name, "test", scene)
        clipped.append([float((ldr.max(axis=-1) > 0.998).mean()) for ldr in loaded.ldrs])
    short, middle, long = np.array(clipped).T
    assert (short < 0.03).all(), "the short exposure holds all but the cores of sun and lamps"
    assert (middle > 0.01).all()
    assert np.mean(middle > 0.03) >= 0.5
    assert (middle < 0.2).all()
    assert (long > middle).all()
    assert (long < 0.95).all()


def test_the_world_moves_between_exposures():
    loaded = load("embedded_a", "test", "test003")
    assert loaded.hdr is not None
    short, middle, long = (np.clip(ldr**2.2 / t, 0, 1 / 16) for ldr, t in zip(loaded.ldrs, loaded.times, strict=True))
    still = np.clip(loaded.hdr, 0, 1 / 16)
    assert np.abs(middle - still).mean() < 0.3 * min(np.abs(short - still).mean(), np.abs(long - still).mean())
    grey = [cv2.cvtColor(np.sqrt(image * 16).astype(np.float32), cv2.COLOR_RGB2GRAY) for image in (short, middle)]
    (dx, dy), _ = cv2.phaseCorrelate(grey[0].astype(np.float64), grey[1].astype(np.float64))
    assert 0.3 < np.hypot(dx, dy) < 8, "the camera moves by a few pixels"


def test_still_stacks_stand_still():
    """Within what noise and 8 bit leave, every exposure says the same about the light where it neither clips nor is dark."""
    for scene in ("train000", "test001"):
        loaded = load("embedded_stacks", scene[:-3], scene)
        assert loaded.hdr is not None
        assert loaded.times == (1, 2, 4, 8, 16, 32, 64)
        for ldr, time in zip(loaded.ldrs, loaded.times, strict=True):
            code = ldr.astype(np.float64)
            used = (code > 0.35) & (code < 0.9) & (loaded.hdr < 1)
            assert used.mean() > 0.01
            off = np.abs(code[used] ** 2.2 / time / loaded.hdr[used] - 1)
            # The noise at code 0.35 (exposure 0.1) has a standard deviation of 2 %; moved edges are off by a multiple.
            assert np.quantile(off, 0.999) < 0.12


def test_a_moving_stack_can_have_any_odd_number_of_exposures():
    card = catalog.card("embedded_a")
    camera = {**card.options["camera"], "evs": [0, 1, 2, 3, 4]}
    longer = card.model_copy(update={"options": {**card.options, "camera": camera}})
    assert embedded.verify(longer) == []
    scene = embedded.load_scene(longer, "test", "test003")
    assert scene.hdr is not None
    assert scene.times == (1, 2, 4, 8, 16)
    linear = [
        np.clip(ldr.astype(np.float64) ** 2.2 / t, 0, 1 / 16) for ldr, t in zip(scene.ldrs, scene.times, strict=True)
    ]
    off = [float(np.abs(frame - np.clip(scene.hdr, 0, 1 / 16)).mean()) for frame in linear]
    assert off[2] < 0.3 * min(off[:2] + off[3:]), "the middle one alone is where the reference is"


def test_still_stack_is_the_middle_of_the_moving_one():
    card = catalog.card("embedded_a")
    stopped = card.model_copy(update={"options": {**card.options, "still": True}})
    still, moving = embedded.load_scene(stopped, "train", "train000"), load("embedded_a", "train", "train000")
    assert still.hdr is not None
    assert moving.hdr is not None
    # Another fraction of clipped pixels is drawn after fewer draws, so the two agree up to one factor.
    inside = (still.hdr < 1) & (moving.hdr < 1)
    ratio = still.hdr[inside].astype(np.float64) / moving.hdr[inside]
    np.testing.assert_allclose(ratio, np.median(ratio), rtol=1e-5)


def test_colours_are_saturated_somewhere():
    for name in SETS:
        spread = []
        for scene in catalog.scene_names(name, "test"):
            middle = load(name, "test", scene).ldrs[1]
            seen = middle[middle.max(axis=-1) > 0.1]
            spread.append(float(np.quantile(1 - seen.min(axis=-1) / seen.max(axis=-1), 0.95)))
        assert np.median(spread) > 0.6


def test_sets_and_splits_differ():
    first = [load(name, split, f"{split}000").ldrs[1] for name in SETS for split in ("train", "test")]
    for i, one in enumerate(first):
        for other in first[i + 1 :]:
            assert np.corrcoef(one.ravel(), other.ravel())[0, 1] < 0.8


def test_unknown_scene():
    with pytest.raises(HdrbenchError, match="unknown scene of embedded_a/test 'test06'; did you mean 'test00"):
        catalog.load_scene("embedded_a", "test", "test06")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"size": [16, 16]}, "option 'size'"),
        ({"size": 192}, "option 'size'"),
        ({"seed": "x"}, "option 'seed'"),
        ({"camera": {}}, "camera option 'bits' is missing"),
        ({"still": 1}, "option 'still' is 1, expected true or false"),
        ({"camera": {**CAMERA, "evs": [0, 1, 2, 3]}}, "has 4 exposures, expected an odd number"),
        ({"camera": {**CAMERA, "evs": []}}, "must ascend from 0"),
    ],
)
def test_verify_finds_wrong_options(change, words):
    card = catalog.card("embedded_a")
    problems = embedded.verify(card.model_copy(update={"options": {**card.options, **change}}))
    assert len(problems) == 1
    assert words in problems[0]


def test_fingerprint_follows_the_options():
    card = catalog.card("embedded_a")
    other = card.model_copy(update={"options": {**card.options, "seed": 1}})
    assert embedded.fingerprint(card)["digest"] != embedded.fingerprint(other)["digest"]
