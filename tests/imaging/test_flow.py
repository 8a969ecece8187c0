import numpy as np
import pytest

from hdrbench.errors import HdrbenchError, WeightsMissingError
from hdrbench.imaging import flow


@pytest.fixture(scope="module")
def texture():
    import cv2

    noise = np.random.default_rng(0).random((160, 200, 3)).astype(np.float32)
    smooth = sum(cv2.GaussianBlur(noise, (0, 0), s) * s for s in (1.5, 4, 10))
    return (smooth - smooth.min()) / (smooth.max() - smooth.min())


def test_warp_by_whole_pixels_is_a_shift_and_marks_what_left_the_frame(texture):
    motion = np.zeros((*texture.shape[:2], 2), np.float32)
    motion[..., 0], motion[..., 1] = 5, -3
    warped, inside = flow.warp(texture, motion)
    np.testing.assert_allclose(warped[10:-10, 10:-10], texture[7:-13, 15:-5], atol=1e-5)
    assert not inside[:, -5:].any()
    assert not inside[:3].any()
    assert inside[3:, :-5].all()


@pytest.mark.parametrize("time", [1.0, 16.0])
def test_align_undoes_a_shift_across_exposures(texture, time):
    """The neighbour is shifted by (4, 2) pixels and four stops away; aligned, it matches its unshifted self."""
    crop = np.s_[20:-20, 20:-20]
    reference = texture[crop]
    still = flow.equalise(reference, 4.0, time)
    moved = flow.equalise(texture[18:-22, 16:-24], 4.0, time)
    aligned = flow.align(moved, reference, time, 4.0)
    inner = np.s_[12:-12, 12:-12]
    before, after = (np.abs(image[inner] - still[inner]).mean() for image in (moved, aligned))
    assert after < before / 5


def test_identical_frames_align_to_themselves(texture):
    np.testing.assert_allclose(flow.align(texture, texture, 4.0, 4.0), texture, atol=2e-3)


def test_unknown_flow_and_missing_raft_weights(texture, monkeypatch, tmp_path):
    with pytest.raises(HdrbenchError, match="did you mean 'dis'"):
        flow.align(texture, texture, 1.0, 1.0, flow="diss")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsMissingError, match=flow.RAFT_FILE):
        flow.raft_flow(texture, texture)
