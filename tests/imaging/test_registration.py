import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from hdrbench.errors import HdrbenchError
from hdrbench.imaging import registration
from hdrbench.imaging.stack import Bracket, read_bracket

TIMES = (0.5, 2.0, 8.0)


def scene(height=400, width=480, *, decades=2.0, seed=3):
    """Rectangles over rectangles, all radiances of a range alike, (H, W, 3); the brightest is 1."""
    generator = np.random.default_rng(seed)
    image = np.ones((height, width, 3), np.float32)
    for _ in range(2000):
        y, x = generator.integers(-20, height), generator.integers(-20, width)
        h, w = generator.integers(5, 60, 2)
        image[max(y, 0) : y + h, max(x, 0) : x + w] = 10.0 ** (-decades * generator.random(3))
    return image


def photograph(radiance, times, shifts, margin=40):
    """One frame per exposure from a camera that moves: `shifts` are what brings each frame back."""
    height, width = (side - 2 * margin for side in radiance.shape[:2])
    frames = []
    for time, (x, y) in zip(times, shifts, strict=True):
        part = radiance[margin + y : margin + y + height, margin + x : margin + x + width]
        codes = np.clip(part * time, 0, 1) ** (1 / 2.2)
        frames.append((np.rint(255 * codes) / 255).astype(np.float32))
    return Bracket(tuple(Path(f"{k}.png") for k in range(len(times))), tuple(frames), tuple(times))


@pytest.mark.parametrize("shifts", [[(0, 0)] * 3, [(7, -4), (0, 0), (-29, 12)], [(-1, 0), (0, 0), (0, 1)]])
def test_known_shifts_are_found_and_undone(shifts):
    bracket = photograph(scene(), TIMES, shifts)
    aligned, found = registration.align_shifts(bracket.images, bracket.paths)
    assert found == shifts
    still = photograph(scene(), TIMES, [(0, 0)] * 3)
    left, top = (max(0, *(s[axis] for s in shifts)) for axis in (0, 1))
    height, width = aligned[0].shape[:2]
    for image, same in zip(aligned, still.images, strict=True):
        np.testing.assert_array_equal(image, same[top : top + height, left : left + width])


def test_shifts_add_up_along_the_bracket():
    shifts = [(20, 3), (9, 2), (0, 0), (-12, 1), (-30, 5)]
    bracket = photograph(scene(), (0.25, 0.5, 1, 2, 4), shifts)
    assert registration.find_shifts(bracket.images, bracket.paths) == shifts


def test_a_dark_frame_is_aligned():
    """The first frame is black for the most part, so its median says nothing."""
    shifts = [(6, 5), (0, 0), (-4, 2)]
    bracket = photograph(scene(decades=6.0), (0.02, 0.2, 2.0), shifts)
    assert np.median(bracket.images[0]) < 4 / 255
    assert registration.find_shifts(bracket.images, bracket.paths) == shifts


def test_the_search_grows_with_the_images():
    assert registration.largest_shift((64, 64)) == registration.largest_shift((127, 900)) == 15
    assert registration.largest_shift((320, 400)) == 60
    assert registration.largest_shift((4000, 6000)) == 480
    for side in range(64, 5000, 37):
        assert registration.largest_shift((side, 2 * side)) > 0.11 * side


def test_shifts_of_a_hand_far_beyond_63_pixels_are_found():
    shifts = [(0, 0), (0, 0), (-110, 97)]
    assert found_shifts(cv2.resize(scene(), None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC), shifts, 120) == shifts


def found_shifts(radiance, shifts, margin):
    bracket = photograph(np.clip(radiance, 0, 1), TIMES, shifts, margin)
    return registration.find_shifts(bracket.images, bracket.paths)


@pytest.mark.parametrize("shift", [(61, 0), (0, -64), (70, 66), (95, -100), (-140, 139)])
def test_shifts_beyond_the_search_are_refused(shift):
    radiance = scene(620, 700)
    with pytest.raises(HdrbenchError, match=r"1\.png and 2\.png: (shifted by more than 60 pixels|still disagree in)"):
        found_shifts(radiance, [(0, 0), (0, 0), shift], 150)


@pytest.mark.parametrize("seed", range(8))
def test_what_is_no_shift_is_refused(seed):
    """Pictures of two scenes; and of one scene, turned by 4 degrees."""
    generator = np.random.default_rng(seed)
    first, other = (scene(seed=int(generator.integers(1000))) for _ in range(2))
    matrix = cv2.getRotationMatrix2D((240, 200), 4 if seed % 2 else -4, 1.0)
    turned = cv2.warpAffine(first, matrix, first.shape[1::-1], borderMode=cv2.BORDER_REFLECT)
    for second in (other, turned):
        images = [np.clip(image * time, 0, 1) ** (1 / 2.2) for image, time in ((first, 1.0), (second, 4.0))]
        with pytest.raises(
            HdrbenchError, match=r"(still disagree in .* unrelated pictures would|shifted by more than)"
        ):
            registration.find_shifts([image.astype(np.float32) for image in images], [Path("a"), Path("b")])


def test_tiny_frames_are_refused():
    tiny = photograph(scene(143, 200), TIMES, [(0, 0)] * 3)
    with pytest.raises(HdrbenchError, match=r"0\.png: is 120x63, too small to find shifts in \(64 pixels\)"):
        registration.find_shifts(tiny.images, tiny.paths)
    enough = photograph(scene(144, 200), TIMES, [(0, 0), (0, 0), (3, -2)])
    assert registration.find_shifts(enough.images, enough.paths) == [(0, 0), (0, 0), (3, -2)]


def test_frames_without_a_common_level_are_refused():
    black, white = np.zeros((80, 90, 3), np.float32), np.ones((80, 90, 3), np.float32)
    sparse = black.copy()
    sparse[:8, :8] = 0.5  # less than one pixel in a hundred
    for images in ((black, white), (sparse, sparse)):
        with pytest.raises(HdrbenchError, match=r"0\.png and 1\.png: no part is properly exposed in both"):
            registration.find_shifts(images, (Path("0.png"), Path("1.png")))
    with pytest.raises(HdrbenchError, match=r"0\.png and 1\.png: no part is properly exposed in both"):
        registration.apparent_times((black, white), (Path("0.png"), Path("1.png")))


def test_exposures_are_told_from_the_pictures():
    """Of a gamma camera, though the frames are not aligned and the first has a border that no light reaches."""
    bracket = photograph(scene(), TIMES, [(12, -5), (0, 0), (-20, 9)])
    for image in bracket.images:
        image[:60] = 0.1
    found = registration.apparent_times(bracket.images, bracket.paths)
    np.testing.assert_allclose(found, np.divide(TIMES, TIMES[0]), rtol=0.15)
    same = bracket.images[1]
    assert registration.apparent_times((same, same), bracket.paths[:2]) == [1.0, 1.0]


def test_frames_that_share_no_area_are_refused(monkeypatch):
    bracket = photograph(scene(200, 200), TIMES, [(0, 0)] * 3)
    monkeypatch.setattr(registration, "find_shifts", lambda *_: [(0, 0), (0, 0), (120, 0)])
    with pytest.raises(HdrbenchError, match="leave no area that all frames share"):
        registration.align_shifts(bracket.images, bracket.paths)


def test_flow_follows_what_moved_and_keeps_the_middle_frame():
    bracket = photograph(scene(), TIMES, [(3, 2), (0, 0), (-2, 3)])
    still = photograph(scene(), TIMES, [(0, 0)] * 3)
    aligned = registration.align_flow(bracket.images, bracket.paths, bracket.times)
    assert aligned[1] is bracket.images[1]
    inner = np.s_[15:-15, 15:-15]
    for k in (0, 2):
        before, after = (np.abs(b[k][inner] - still.images[k][inner]).mean() for b in (bracket.images, aligned))
        assert after < before / 3


@pytest.mark.parametrize(("name", "moved"), [("stack", False), ("stack_alignment", True), ("stack_ghost", False)])
def test_real_brackets_agree_with_opencv_where_its_median_is_good(name, moved):
    root = os.environ.get("HDRBENCH_DATA")
    folder = Path(root or "") / "banterle_stacks" / name
    if not root or not folder.is_dir():
        pytest.skip(f"HDRBENCH_DATA has no banterle_stacks/{name}")
    bracket = read_bracket([folder])
    found = registration.find_shifts(bracket.images, bracket.paths)
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


@pytest.mark.parametrize("frames", [("stack_ghost", 0), ("stack_ghost", 1), ("stack", 3), ("stack", 4)])
def test_real_pictures_moved_by_a_known_shift_are_never_aligned_wrongly(frames):
    """Two crops of a bracket from a tripod, as far apart as a hand may move, and much further."""
    root = os.environ.get("HDRBENCH_DATA")
    folder = Path(root or "") / "banterle_stacks" / frames[0]
    if not root or not folder.is_dir():
        pytest.skip(f"HDRBENCH_DATA has no banterle_stacks/{frames[0]}")
    bracket = read_bracket([folder])
    pair = bracket.images[frames[1] : frames[1] + 2]
    (still,) = registration.find_shifts(pair, bracket.paths[:2])[:1]
    height, width = (side * 6 // 10 for side in pair[0].shape[:2])
    found = refused = 0
    generator = np.random.default_rng(frames[1])
    for reach in (0.05, 0.1, 0.4):
        for _ in range(8):
            x, y = (int(shift) for shift in generator.integers(-int(reach * height), int(reach * height) + 1, 2))
            top, left = max(0, -y), max(0, -x)
            crops = [pair[0][top:, left:], pair[1][top + y :, left + x :]]
            crops = [crop[:height, :width] for crop in crops]
            assert crops[0].shape == crops[1].shape == (height, width, 3)
            try:
                (shift,) = registration.find_shifts(crops, bracket.paths[:2])[:1]
            except HdrbenchError:
                refused += 1
                assert reach > 0.1
            else:
                found += 1
                np.testing.assert_allclose(shift, (still[0] - x, still[1] - y), atol=2)
    assert found >= 16
    assert refused
