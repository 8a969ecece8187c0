import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from hdrbench.errors import HdrbenchError
from hdrbench.imaging import registration
from hdrbench.imaging.stack import Bracket, read_bracket

TIMES = (0.5, 2.0, 8.0)


def scene(height=400, width=480, *, decades=2.0):
    """Rectangles over rectangles, all radiances of a range alike, (H, W, 3); the brightest is 1."""
    generator = np.random.default_rng(3)
    image = np.ones((height, width, 3), np.float32)
    for _ in range(2000):
        y, x = generator.integers(-20, height), generator.integers(-20, width)
        h, w = generator.integers(5, 60, 2)
        image[max(y, 0) : y + h, max(x, 0) : x + w] = 10.0 ** (-decades * generator.random(3))
    return image


def photograph(radiance, times, shifts):
    """One frame per exposure from a camera that moves: `shifts` are what brings each frame back."""
    height, width = (side - 80 for side in radiance.shape[:2])
    frames = []
    for time, (x, y) in zip(times, shifts, strict=True):
        part = radiance[40 + y : 40 + y + height, 40 + x : 40 + x + width]
        codes = np.clip(part * time, 0, 1) ** (1 / 2.2)
        frames.append((np.rint(255 * codes) / 255).astype(np.float32))
    return Bracket(tuple(Path(f"{k}.png") for k in range(len(times))), tuple(frames), tuple(times))


@pytest.mark.parametrize("shifts", [[(0, 0)] * 3, [(7, -4), (0, 0), (-29, 12)], [(-1, 0), (0, 0), (0, 1)]])
def test_known_shifts_are_found_and_undone(shifts):
    bracket = photograph(scene(), TIMES, shifts)
    aligned, found = registration.align_shifts(bracket)
    assert found == shifts
    still = photograph(scene(), TIMES, [(0, 0)] * 3)
    left, top = (max(0, *(s[axis] for s in shifts)) for axis in (0, 1))
    height, width = aligned.images[0].shape[:2]
    for image, same in zip(aligned.images, still.images, strict=True):
        np.testing.assert_array_equal(image, same[top : top + height, left : left + width])


def test_shifts_add_up_along_the_bracket():
    shifts = [(20, 3), (9, 2), (0, 0), (-12, 1), (-30, 5)]
    assert registration.find_shifts(photograph(scene(), (0.25, 0.5, 1, 2, 4), shifts)) == shifts


def test_a_dark_frame_is_aligned():
    """The first frame is black for the most part, so its median says nothing."""
    shifts = [(6, 5), (0, 0), (-4, 2)]
    bracket = photograph(scene(decades=6.0), (0.02, 0.2, 2.0), shifts)
    assert np.median(bracket.images[0]) < 4 / 255
    assert registration.find_shifts(bracket) == shifts


def test_shifts_beyond_the_search_are_refused():
    assert registration.largest_shift((320, 400)) == 31
    assert registration.largest_shift((4000, 6000)) == 63
    bracket = photograph(scene(), TIMES, [(0, 0), (0, 0), (-36, 0)])
    with pytest.raises(HdrbenchError, match=r"1\.png and 2\.png: shifted by 31 pixels or more"):
        registration.find_shifts(bracket)


def test_frames_without_a_common_level_are_refused():
    black, white = np.zeros((50, 60, 3), np.float32), np.ones((50, 60, 3), np.float32)
    with pytest.raises(HdrbenchError, match=r"0\.png and 1\.png: no part is properly exposed in both"):
        registration.find_shifts(Bracket((Path("0.png"), Path("1.png")), (black, white), (1.0, 4.0)))


def test_frames_that_share_no_area_are_refused(monkeypatch):
    bracket = photograph(scene(200, 200), TIMES, [(0, 0)] * 3)
    monkeypatch.setattr(registration, "find_shifts", lambda _: [(0, 0), (0, 0), (120, 0)])
    with pytest.raises(HdrbenchError, match="leave no area that all frames share"):
        registration.align_shifts(bracket)


def test_flow_follows_what_moved_and_keeps_the_middle_frame():
    bracket = photograph(scene(), TIMES, [(3, 2), (0, 0), (-2, 3)])
    still = photograph(scene(), TIMES, [(0, 0)] * 3)
    aligned = registration.align_flow(bracket)
    assert aligned.images[1] is bracket.images[1]
    inner = np.s_[15:-15, 15:-15]
    for k in (0, 2):
        before, after = (np.abs(b.images[k][inner] - still.images[k][inner]).mean() for b in (bracket, aligned))
        assert after < before / 3


@pytest.mark.parametrize(("name", "moved"), [("stack", False), ("stack_alignment", True), ("stack_ghost", False)])
def test_real_brackets_agree_with_opencv_where_its_median_is_good(name, moved):
    root = os.environ.get("HDRBENCH_DATA")
    folder = Path(root or "") / "banterle_stacks" / name
    if not root or not folder.is_dir():
        pytest.skip(f"HDRBENCH_DATA has no banterle_stacks/{name}")
    bracket = read_bracket([folder])
    found = registration.find_shifts(bracket)
    assert any(max(map(abs, shift)) > 5 for shift in found) == moved
    greys = [cv2.cvtColor(np.rint(255 * image).astype(np.uint8), cv2.COLOR_RGB2GRAY) for image in bracket.images]
    good = [k for k, grey in enumerate(greys) if 16 <= np.median(grey) <= 239]
    assert len(good) >= 3
    opencv = cv2.createAlignMTB(6, 4, True)
    middle = len(greys) // 2
    for k in good:
        np.testing.assert_allclose(found[k], opencv.calculateShift(greys[middle], greys[k]), atol=1)
    if name == "stack":  # from a tripod, its first frame black for the most part: why OpenCV's function is not used
        assert np.abs(opencv.calculateShift(greys[middle], greys[0])).max() > 20
        assert np.abs(found[0]).max() <= 1
