"""The virtual camera with any response curve."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from hdrbench.datasets.exact import Dice
from hdrbench.datasets.virtual_camera import (
    VirtualCamera,
    auto_gain,
    camera_from,
    curve_files,
    develop,
    expose,
    make_response,
    photograph,
)
from hdrbench.errors import DataMissingError, HdrbenchError
from hdrbench.imaging.response import Response, gamma, sigmoid, tabulated

EVS = (0.0, 2.0, 4.0)
CLEAN = VirtualCamera(EVS, 8, 0.0, 0.0, None)
CURVES = Path(os.environ.get("HDRBENCH_DATA", "no data")) / "dorf_crf"
REAL = pytest.mark.skipif(not CURVES.is_dir(), reason="HDRBENCH_DATA has no folder dorf_crf")


OPTIONS = {"response": "srgb", "evs": [0, 3, 6], "bits": 8, "shot_noise": 0.03, "read_noise": 0.001}


def light(key: int = 0) -> np.ndarray:
    return np.exp2(Dice("light", key).uniforms((60, 80, 3), -9.0, 1.0))


CURVES_OF_ALL_KINDS = [make_response(name, None, Dice(0)) for name in ("gamma:2.2", "srgb", "sigmoid:0.9:0.6")]


@pytest.mark.parametrize("bits", [1, 4, 8, 10, 16])
@pytest.mark.parametrize("curve", CURVES_OF_ALL_KINDS, ids=lambda curve: curve.name)
def test_quantised_to_the_nearest_level(bits, curve):
    camera = VirtualCamera(EVS, bits, 0.0, 0.0, None)
    ramp = (np.linspace(0.0, 1.0, 30_000) ** 3).reshape(100, 100, 3)
    codes = develop(ramp, curve, camera)
    assert codes.dtype == (np.uint8 if bits <= 8 else np.uint16)
    np.testing.assert_allclose(codes / camera.top, curve.evaluate(ramp), atol=0.5 / camera.top + 1e-12)
    assert (codes.min(), codes.max()) == (0, camera.top)
    if bits <= 8:
        assert len(np.unique(codes)) == 2**bits


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("gamma:2.2", lambda x: x ** (1 / 2.2)),
        ("srgb", lambda x: np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)),
    ],
)
def test_codes_follow_the_formula_of_the_curve(name, formula):
    camera = VirtualCamera(EVS, 14, 0.0, 0.0, None)
    ramp = np.linspace(0.0, 1.0, 60_000).reshape(100, 200, 3)
    codes = develop(ramp, make_response(name, None, Dice(0)), camera)
    np.testing.assert_array_equal(codes, np.floor(formula(ramp) * camera.top + 0.5))


def test_light_above_saturation_is_clipped_and_darkness_is_zero():
    exposure = expose(np.array([[[0.0, 0.3, 7.0]]]), 2.0, CLEAN, Dice(0))
    np.testing.assert_allclose(exposure, [[[0.0, 0.6, 1.0]]])
    np.testing.assert_array_equal(develop(exposure, gamma(1.0), CLEAN), [[[0, 153, 255]]])


def test_noise_statistics():
    camera = VirtualCamera(EVS, 16, 0.02, 0.002, None)
    for level in (0.01, 0.09, 0.49):
        for time in (1.0, 1.8):
            noise = expose(np.full((200, 200, 3), level), time, camera, Dice(level, time)) - level * time
            deviation = np.sqrt(0.02**2 * level * time + 0.002**2)
            assert abs(noise.mean()) < 4 * deviation / np.sqrt(noise.size)
            assert noise.std() == pytest.approx(deviation, rel=0.01)
            assert abs(np.mean(noise[:, 1:] * noise[:, :-1])) < 4 * deviation**2 / np.sqrt(noise.size), "white"
            assert np.mean(noise**3) == pytest.approx(0, abs=0.03 * deviation**3)


def test_no_noise_draws_nothing():
    dice = Dice("untouched")
    expose(light(), 1.0, CLEAN, dice)
    assert dice.uniform() == Dice("untouched").uniform()


def test_jpeg_loses_little_and_less_at_higher_quality():
    smooth = np.linspace(0, 1, 64)[:, None, None] * np.linspace(0.2, 1, 96)[None, :, None] * np.array([1.0, 0.8, 0.5])
    stored = develop(smooth, gamma(2.2), CLEAN).astype(int)
    errors = []
    for quality in (50, 95):
        camera = VirtualCamera(EVS, 8, 0.0, 0.0, quality)
        frame = develop(smooth, gamma(2.2), camera)
        assert frame.dtype == np.uint8
        errors.append(np.abs(frame - stored).mean())
        assert np.abs(frame - stored)[..., 0].mean() < 4, "red must stay red"
    assert 0 < errors[1] < errors[0] < 4


def test_auto_gain_clips_what_was_asked_for():
    radiance = np.exp2(Dice("gain").uniforms((100, 100, 3), -6.0, 6.0))
    gain = auto_gain(radiance, CLEAN, clipped=0.1, cores=1.0)
    assert (radiance.max(axis=-1) * gain * 4 >= 1).mean() == pytest.approx(0.1, abs=0.002)
    # A tenth of the picture a thousand times as bright as the rest: the short exposure must still hold it.
    radiance[:10] *= 1000
    gain = auto_gain(radiance, CLEAN, clipped=0.5)
    assert (radiance.max(axis=-1) * gain >= 1).mean() == pytest.approx(0.01, abs=0.002)


def still(curve: Response, camera: VirtualCamera):
    view = light(3)
    return photograph("name", [view] * len(camera.evs), curve, camera, Dice("noise"), clipped=0.1)


@pytest.mark.parametrize("curve", [gamma(2.2), sigmoid(0.85, 0.55), gamma(0.8)], ids=lambda curve: curve.name)
def test_inverse_response_recovers_the_exposure_ratios(curve):
    camera = VirtualCamera(tuple(k / 2 for k in range(9)), 8, 0.003, 0.0005, None)
    scene = still(curve, camera)
    codes = np.stack(scene.ldrs).astype(np.float64)
    linear = curve.invert(codes)
    for shorter, longer, code in zip(linear, linear[1:], codes[1:], strict=False):
        used = (code > 60 / 255) & (code < 240 / 255)
        assert used.mean() > 0.02
        assert np.median(longer[used] / shorter[used]) == pytest.approx(np.sqrt(2), rel=0.01)
    middle = (codes[4] > 60 / 255) & (codes[4] < 240 / 255)
    np.testing.assert_allclose((linear[4] / scene.times[4])[middle], scene.hdr[middle], rtol=0.12)


def test_bracket_is_a_scene():
    scene = still(gamma(2.2), CLEAN)
    assert scene.name == "name"
    assert scene.times == (1, 4, 16)
    assert scene.hdr is not None
    np.testing.assert_allclose(scene.hdr, light(3) * (scene.hdr[0, 0, 0] / light(3)[0, 0, 0]), rtol=1e-6)
    for image in (*scene.ldrs, scene.hdr):
        assert (image.shape, image.dtype) == ((60, 80, 3), np.float32)
        assert image.max() <= 1
    codes = np.rint(np.stack(scene.ldrs).astype(np.float64) * 255)
    np.testing.assert_array_equal((codes / 255).astype(np.float32), np.stack(scene.ldrs))
    clipped = [float((frame.max(axis=-1) == 255).mean()) for frame in codes]
    assert clipped[0] <= 0.011
    assert clipped[1] == pytest.approx(0.1, abs=0.01)


def test_reference_is_the_middle_instant():
    instants = [np.exp2(Dice(i).uniforms((40, 50, 3), -6.0, 3.0)) for i in range(3)]
    scene = photograph("s", instants, gamma(2.2), VirtualCamera(EVS, 14, 0.0, 0.0, None), Dice(9), clipped=0.1)
    np.testing.assert_allclose(scene.ldrs[1], np.clip(scene.hdr * 4, 0, 1) ** (1 / 2.2), atol=1e-4)
    assert np.abs(scene.ldrs[0] - scene.hdr ** (1 / 2.2)).max() > 0.1


def test_black_view_is_refused():
    with pytest.raises(HdrbenchError, match="a view is black"):
        photograph("s", [np.zeros((8, 8, 3))] * 3, gamma(2.2), CLEAN, Dice(0), 0.1)


def test_falling_curve_is_refused():
    falls = Response("falls", lambda x: 1 - np.asarray(x), lambda b: 1 - np.asarray(b))
    with pytest.raises(HdrbenchError, match="'falls' falls somewhere"):
        develop(light(), falls, CLEAN)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"evs": (0.0, 2.0, 2.0)}, "must ascend from 0"),
        ({"evs": (1.0, 2.0)}, "must ascend from 0"),
        ({"bits": 17}, "17 bits; expected 1 to 16"),
        ({"read_noise": -0.1}, "expected values >= 0"),
        ({"shot_noise": float("nan")}, "expected values >= 0"),
        ({"jpeg": 0}, "expected quality 1 to 100 and 8 bits"),
        ({"jpeg": 90, "bits": 14}, "expected quality 1 to 100 and 8 bits"),
    ],
)
def test_impossible_cameras(change, words):
    options = {"evs": EVS, "bits": 8, "shot_noise": 0.0, "read_noise": 0.0, "jpeg": None, **change}
    with pytest.raises(HdrbenchError, match=words):
        VirtualCamera(**options)


def test_camera_of_a_card():
    camera, response = camera_from(OPTIONS, Dice(0))
    assert camera == VirtualCamera((0.0, 3.0, 6.0), 8, 0.03, 0.001, None)
    assert camera.times == (1, 8, 64)
    assert response.name == "srgb"
    drawn = [camera_from({**OPTIONS, "response": "sigmoid"}, Dice(key))[1].name for key in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"shot_nose": 1}, "unknown camera option 'shot_nose'; did you mean 'shot_noise'"),
        ({"jpeg": 95}, "unknown camera option 'jpeg'"),
        ({"response": "srbg"}, "unknown response 'srbg'; expected gamma:EXPONENT, srgb"),
        ({"response": 2.2}, "unknown response '2.2'; expected gamma:EXPONENT, srgb"),
        ({"response": "srgb:2"}, "unknown response 'srgb:2'"),
        ({"response": "dorf:41"}, "no folder of them is named"),
        ({"evs": [-2, 0, 2]}, "must ascend from 0"),
        ({"bits": 17}, "17 bits; expected 1 to 16"),
    ],
)
def test_wrong_camera_options(change, words):
    with pytest.raises(HdrbenchError, match=words):
        camera_from({**OPTIONS, **change}, Dice(0))


@pytest.mark.parametrize("key", OPTIONS)
def test_missing_camera_option(key):
    with pytest.raises(HdrbenchError, match=f"camera option '{key}' is missing"):
        camera_from({name: value for name, value in OPTIONS.items() if name != key}, Dice(0))


HASH = """
import hashlib, numpy as np
from hdrbench.datasets.exact import Dice
from hdrbench.datasets.virtual_camera import VirtualCamera, make_response, photograph
light = np.exp2(Dice("light", 3).uniforms((60, 80, 3), -9.0, 1.0))
camera = VirtualCamera((0.0, 2.0, 4.0), 8, 0.01, 0.001, 90)
scene = photograph("s", [light] * 3, make_response("sigmoid", None, Dice(SEED)), camera, Dice(SEED), 0.1)
print(hashlib.sha256(b"".join(image.tobytes() for image in (*scene.ldrs, scene.hdr))).hexdigest())
"""


def test_seed_decides_everything_in_every_process():
    def run(seed: str, randomised: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": randomised}
        command = [sys.executable, "-c", HASH.replace("SEED", seed)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()

    first = run("5", "1")
    assert len(first) == hashlib.sha256().digest_size * 2
    assert run("5", "2") == first
    assert run("6", "1") != first


@pytest.mark.parametrize("name", ["gamma:2.2", "srgb", "sigmoid:0.9:0.6", "sigmoid"])
def test_responses_without_files(name):
    assert curve_files([name], None) == []
    curve = make_response(name, None, Dice("a"))
    np.testing.assert_allclose(curve.evaluate(curve.invert([0.0, 0.4, 1.0])), [0.0, 0.4, 1.0], atol=1e-12)
    other = make_response(name, None, Dice("b"))
    assert (other.evaluate(0.3) != curve.evaluate(0.3)) == (name == "sigmoid"), "only sigmoid alone is drawn"


@pytest.mark.parametrize("name", ["dorf:41", "emor:5"])
def test_measured_responses_without_their_files(name, tmp_path):
    with pytest.raises(
        DataMissingError, match=r"no folder of them is named; get it from https://cave.*gamma or sigmoid"
    ):
        make_response(name, None, Dice(0))
    with pytest.raises(DataMissingError, match=r"holds neither dorfCurves\.txt nor 201_CRF_data\.mat"):
        make_response(name, tmp_path, Dice(0))
    with pytest.raises(DataMissingError):
        curve_files([name], tmp_path)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gama:2.2", "unknown response 'gama:2.2'; expected gamma:EXPONENT"),
        ("gamma", "unknown response 'gamma'"),
        ("gamma:two", "response 'gamma:two': could not convert"),
        ("sigmoid:0.9", "unknown response"),
        ("dorf:2", "has no curve 2; expected a row from 0 to 1"),
        ("dorf:x", "response 'dorf:x': invalid literal"),
    ],
)
def test_wrong_response_names(tmp_path, name, words):
    rows = np.tile(np.linspace(0, 1, 9), (2, 1))
    savemat(tmp_path / "201_CRF_data.mat", {"I": rows, "B": rows**0.5})
    assert make_response("dorf:1:a name", tmp_path, Dice(0)).evaluate(0.25) == pytest.approx(0.5)
    with pytest.raises(HdrbenchError, match=words):
        make_response(name, tmp_path, Dice(0))


@REAL
def test_drawn_emor_curves_are_response_curves_like_the_measured_ones():
    assert [path.name for path in curve_files(["emor:5"], CURVES)] == ["201_CRF_data.mat", "emor.txt"]
    grid = np.linspace(0, 1, 500)
    drawn = np.stack([make_response("emor:5", CURVES, Dice(key)).evaluate(grid) for key in range(60)])
    measured = np.stack([make_response(f"dorf:{row}", CURVES, Dice(0)).evaluate(grid) for row in range(201)])
    assert np.diff(drawn, axis=1).min() >= 0
    assert (drawn[:, 0] == 0).all()
    assert (drawn[:, -1] == 1).all()
    middle = slice(100, 400)
    assert np.abs(drawn.mean(axis=0) - measured.mean(axis=0))[middle].max() < 0.06
    np.testing.assert_allclose(drawn.std(axis=0)[middle], measured.std(axis=0)[middle], rtol=0.35)
    again = make_response("emor:5", CURVES, Dice(7)).evaluate(grid)
    np.testing.assert_array_equal(again, drawn[7])


def test_a_measured_curve_decides_the_codes():
    curve = tabulated("mine", [0.0, 0.5, 1.0], [0.0, 0.9, 1.0])
    codes = develop(np.array([[[0.25, 0.5, 0.75]]]), curve, CLEAN)
    np.testing.assert_array_equal(codes, [[[115, 230, 242]]])
