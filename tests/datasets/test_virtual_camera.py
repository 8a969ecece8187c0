"""The virtual camera with any response curve."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from hdrbench.datasets import camera as plain
from hdrbench.datasets.exact import Dice
from hdrbench.datasets.virtual_camera import (
    VirtualCamera,
    auto_gain,
    curve_files,
    develop,
    expose,
    make_response,
    photograph,
    to_unit,
)
from hdrbench.errors import DataMissingError, HdrbenchError
from hdrbench.imaging.response import Response, gamma, sigmoid, tabulated

EVS = (0.0, 2.0, 4.0)
CLEAN = VirtualCamera(EVS, 8, 0.0, 0.0, None)
CURVES = Path(os.environ.get("HDRBENCH_DATA", "no data")) / "dorf_crf"
REAL = pytest.mark.skipif(not CURVES.is_dir(), reason="HDRBENCH_DATA has no folder dorf_crf")


def light(key: int = 0) -> np.ndarray:
    return np.exp2(Dice("light", key).uniforms((60, 80, 3), -9.0, 1.0))


@pytest.mark.parametrize("bits", [8, 14])
def test_with_gamma_it_is_the_camera_of_the_hdri_sets(bits):
    noisy = VirtualCamera(EVS, bits, 0.02, 0.001, None)
    known = plain.Camera("gamma2.2", EVS, bits, 0.02, 0.001)
    assert noisy.times == known.times
    assert auto_gain(light(), noisy, 0.1) == plain.auto_gain(light(), known, 0.1)
    frame = develop(expose(light(), 4.0, noisy, Dice(1)), gamma(2.2), noisy)
    np.testing.assert_array_equal(to_unit(frame, noisy.top), plain.capture(light(), 4.0, known, Dice(1)))


@pytest.mark.parametrize("bits", [1, 4, 8, 10, 16])
@pytest.mark.parametrize("curve", [gamma(2.2), sigmoid(0.9, 0.6)], ids=lambda curve: curve.name)
def test_quantised_to_the_nearest_level(bits, curve):
    camera = VirtualCamera(EVS, bits, 0.0, 0.0, None)
    ramp = (np.linspace(0.0, 1.0, 30_000) ** 3).reshape(100, 100, 3)
    codes = develop(ramp, curve, camera)
    assert codes.dtype == (np.uint8 if bits <= 8 else np.uint16)
    np.testing.assert_allclose(codes / camera.top, curve.evaluate(ramp), atol=0.5 / camera.top + 1e-12)
    assert (codes.min(), codes.max()) == (0, camera.top)
    if bits <= 8:
        assert len(np.unique(codes)) == 2**bits


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


def still(curve: Response, camera: VirtualCamera):
    view = light(3)
    return photograph([view] * len(camera.evs), curve, camera, Dice("noise"), clipped=0.1)


@pytest.mark.parametrize("curve", [gamma(2.2), sigmoid(0.85, 0.55), gamma(0.8)], ids=lambda curve: curve.name)
def test_inverse_response_recovers_the_exposure_ratios(curve):
    camera = VirtualCamera(tuple(k / 2 for k in range(9)), 8, 0.003, 0.0005, None)
    stack = still(curve, camera)
    linear = [curve.invert(codes / stack.top) for codes in stack.codes]
    for shorter, longer, codes in zip(linear, linear[1:], stack.codes[1:], strict=False):
        used = (codes > 60) & (codes < 240)
        assert used.mean() > 0.02
        assert np.median(longer[used] / shorter[used]) == pytest.approx(np.sqrt(2), rel=0.01)
    middle = (stack.codes[4] > 60) & (stack.codes[4] < 240)
    np.testing.assert_allclose((linear[4] / stack.times[4])[middle], stack.hdr[middle], rtol=0.12)


def test_stack_becomes_a_scene():
    stack = still(gamma(2.2), CLEAN)
    scene = stack.scene("name")
    assert scene.times == (1, 4, 16)
    assert stack.codes.shape == (3, 60, 80, 3)
    assert scene.hdr is not None
    np.testing.assert_allclose(scene.hdr, light(3) * (scene.hdr[0, 0, 0] / light(3)[0, 0, 0]), rtol=1e-6)
    clipped = [float((codes.max(axis=-1) == 255).mean()) for codes in stack.codes]
    assert clipped[0] <= 0.011
    assert clipped[1] == pytest.approx(0.1, abs=0.01)
    np.testing.assert_array_equal(np.rint(np.stack(scene.ldrs).astype(np.float64) * 255), stack.codes)


def test_black_view_is_refused():
    with pytest.raises(HdrbenchError, match="a view is black"):
        photograph([np.zeros((8, 8, 3))] * 3, gamma(2.2), CLEAN, Dice(0), 0.1)


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


HASH = """
import hashlib, numpy as np
from hdrbench.datasets.exact import Dice
from hdrbench.datasets.virtual_camera import VirtualCamera, make_response, photograph
light = np.exp2(Dice("light", 3).uniforms((60, 80, 3), -9.0, 1.0))
camera = VirtualCamera((0.0, 2.0, 4.0), 8, 0.01, 0.001, 90)
stack = photograph([light] * 3, make_response("sigmoid", None, Dice(SEED)), camera, Dice(SEED), 0.1)
print(hashlib.sha256(stack.codes.tobytes() + stack.hdr.tobytes()).hexdigest())
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


@pytest.mark.parametrize("name", ["gamma:2.2", "sigmoid:0.9:0.6", "sigmoid"])
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
