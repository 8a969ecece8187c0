"""The virtual camera."""

import numpy as np
import pytest

from hdrbench.datasets.camera import Camera, auto_gain, camera_from, capture, photograph
from hdrbench.datasets.exact import Dice
from hdrbench.errors import HdrbenchError

CLEAN = Camera("gamma2.2", (0.0, 2.0, 4.0), 14, 0.0, 0.0)
OPTIONS = {"response": "srgb", "evs": [0, 3, 6], "bits": 8, "shot_noise": 0.03, "read_noise": 0.001}


def ramp() -> np.ndarray:
    return np.broadcast_to(np.linspace(0, 2, 400)[:, None, None], (400, 30, 3))


def test_times():
    assert CLEAN.times == (1, 4, 16)
    assert camera_from(OPTIONS).times == (1, 8, 64)


@pytest.mark.parametrize("time", [1.0, 4.0])
def test_gamma_response(time):
    frame = capture(ramp(), time, CLEAN, Dice(0))
    np.testing.assert_allclose(frame, np.clip(ramp() * time, 0, 1) ** (1 / 2.2), atol=0.51 / (2**14 - 1))
    assert frame.dtype == np.float32


def test_srgb_response_and_8_bits():
    camera = Camera("srgb", (0.0, 3.0, 6.0), 8, 0.0, 0.0)
    frame = capture(ramp(), 1.0, camera, Dice(0))
    linear = np.clip(ramp(), 0, 1)
    curve = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(frame, curve, atol=0.51 / 255)
    np.testing.assert_array_equal((np.rint(frame * 255.0) / 255).astype(np.float32), frame)


def test_noise_grows_as_the_root_of_exposure():
    camera = Camera("gamma2.2", (0.0, 2.0, 4.0), 16, 0.02, 0.001)
    for level in (0.04, 0.36):
        linear = capture(np.full((200, 200, 3), level), 1.0, camera, Dice(level > 0.1)).astype(np.float64) ** 2.2
        assert linear.mean() == pytest.approx(level, rel=0.01)
        assert linear.std() == pytest.approx(np.sqrt(0.02**2 * level + 0.001**2), rel=0.03)


def test_auto_gain_clips_what_was_asked_for():
    radiance = np.exp2(Dice("gain").uniforms((100, 100, 3), -6.0, 6.0))
    gain = auto_gain(radiance, CLEAN, clipped=0.1, cores=1.0)
    assert (radiance.max(axis=-1) * gain * 4 >= 1).mean() == pytest.approx(0.1, abs=0.002)
    # A tenth of the picture a thousand times as bright as the rest: the short exposure must still hold it.
    radiance[:10] *= 1000
    gain = auto_gain(radiance, CLEAN, clipped=0.5)
    assert (radiance.max(axis=-1) * gain >= 1).mean() == pytest.approx(0.01, abs=0.002)


def test_reference_is_the_middle_instant():
    instants = [np.exp2(Dice(i).uniforms((40, 50, 3), -6.0, 3.0)) for i in range(3)]
    scene = photograph("s", instants, CLEAN, Dice(9), clipped=0.1)
    assert scene.hdr is not None
    assert scene.hdr.max() <= 1
    np.testing.assert_allclose(scene.ldrs[1], np.clip(scene.hdr * 4, 0, 1) ** (1 / 2.2), atol=1e-4)
    assert np.abs(scene.ldrs[0] - scene.hdr ** (1 / 2.2)).max() > 0.1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"shot_nose": 1}, "unknown camera option 'shot_nose'; did you mean 'shot_noise'"),
        ({"response": "srbg"}, "unknown camera response 'srbg'; did you mean 'srgb'"),
        ({"evs": [-2, 0, 2]}, "must ascend from 0"),
        ({"evs": [0, 2, 2]}, "must ascend from 0"),
    ],
)
def test_wrong_options(change, words):
    with pytest.raises(HdrbenchError, match=words):
        camera_from({**OPTIONS, **change})


def test_missing_option():
    with pytest.raises(HdrbenchError, match="camera option 'bits' is missing"):
        camera_from({key: value for key, value in OPTIONS.items() if key != "bits"})
