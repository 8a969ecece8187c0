"""Aligning the frames of a hand-held bracket, by whole-pixel shifts or by optical flow."""

from collections.abc import Sequence
from itertools import pairwise, product
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hdrbench.errors import HdrbenchError
from hdrbench.imaging import flow as optical_flow
from hdrbench.imaging.io import Image
from hdrbench.imaging.transfer import GAMMA

Shift = tuple[int, int]
Bitmap = tuple[NDArray, NDArray]

# Beyond these 8-bit values, noise and clipping decide which side of a threshold a pixel is on.
DARKEST, BRIGHTEST = 16, 239
NOISE = 4  # Pixels this near to the threshold are left out (Ward2003).
COARSEST = 64  # pixels, the shorter side of the smallest pyramid level is at least this
REACH = 16  # pixels, how far the smallest level is searched
LEAST_SHARE = 0.01  # of the pixels have to be clearly above the threshold, and as many clearly below
# Of the disagreement that unrelated pictures would have. Real brackets stay below 0.12, also hand-held ones and moving
# water; crops of them that are known to be aligned wrongly begin at 0.22.
MOST_DISAGREEMENT = 0.2
LEAST_FLOW = 12  # pixels, what OpenCV's flow needs on a side
STEPS = sorted(product((-1, 0, 1), repeat=2), key=lambda step: abs(step[0]) + abs(step[1]))


def align_shifts(images: Sequence[Image], paths: Sequence[Path]) -> tuple[list[Image], list[Shift]]:
    """Shift every frame onto the middle one and cut all to the area that they share.

    Parameters
    ----------
    images
        (H, W, 3) display codes in [0, 1], of one size, in ascending exposure.
    paths
        Their files, for the messages.

    Returns
    -------
    tuple
        The aligned frames, smaller by what was cut, and the shift of each (x to the right, y down) in pixels.

    Raises
    ------
    HdrbenchError
        As `find_shifts`, or the frames share no area.
    """
    shifts = find_shifts(images, paths)
    height, width = images[0].shape[:2]
    left, top = (max(0, *(shift[axis] for shift in shifts)) for axis in (0, 1))
    right, bottom = (side + min(0, *(shift[axis] for shift in shifts)) for axis, side in ((0, width), (1, height)))
    if left >= right or top >= bottom:
        raise HdrbenchError(f"{paths[0]}: the shifts {shifts} leave no area that all frames share; align by flow")
    aligned = [
        np.ascontiguousarray(image[top - y : bottom - y, left - x : right - x])
        for image, (x, y) in zip(images, shifts, strict=True)
    ]
    return aligned, shifts


def align_flow(
    images: Sequence[Image], paths: Sequence[Path], times: Sequence[float], flow: str = "dis"
) -> list[Image]:
    """Warp every frame onto the middle one along optical flow, which also follows things that moved.

    Parameters
    ----------
    images, paths
        As for `align_shifts`. The response is about gamma 2.2, by which frames are brought to one exposure first.
    times
        Relative exposures.
    flow
        A key of `hdrbench.imaging.flow.FLOWS`.

    Raises
    ------
    HdrbenchError
        The frames are smaller than flow can follow.
    """
    if min(images[0].shape[:2]) < LEAST_FLOW:
        height, width = images[0].shape[:2]
        raise HdrbenchError(f"{paths[0]}: is {width}x{height}, too small for optical flow ({LEAST_FLOW} pixels)")
    middle = len(images) // 2
    reference, time = images[middle], times[middle]
    return [
        image if index == middle else optical_flow.align(image, reference, own, time, flow=flow)
        for index, (image, own) in enumerate(zip(images, times, strict=True))
    ]


def apparent_times(images: Sequence[Image], paths: Sequence[Path]) -> list[float]:
    """Tell relative exposures from the pictures, as if their response were gamma 2.2.

    Quantiles of neighbours are compared, not pixels, so that the frames need not be aligned.

    Parameters
    ----------
    images, paths
        As for `align_shifts`.

    Returns
    -------
    list of float
        The first is 1.

    Raises
    ------
    HdrbenchError
        No part is properly exposed in two neighbouring frames.
    """
    # Of all channels, since grey levels mix those that are saturated with those that are not.
    shares = [_shares(_codes(image)) for image in images]
    times = [1.0]
    for first, second in pairwise(range(len(images))):
        fractions, levels = _common_levels(shares[first], shares[second])
        if not len(fractions):
            raise _nothing_in_common(paths[first], paths[second])
        # What does not get brighter is a border or a lens cap, not light.
        rising = levels[:, levels[1] > levels[0]]
        times.append(times[-1] * (float(np.median((rising[1] / rising[0]) ** GAMMA)) if rising.size else 1.0))
    return times


def find_shifts(images: Sequence[Image], paths: Sequence[Path]) -> list[Shift]:
    """Find the whole-pixel shift of each frame onto the middle one with threshold bitmaps (Ward2003).

    Neighbours in exposure are compared, and their shifts added up. The threshold is the quantile with most pixels on both
    sides of it, in both frames, that is neither too dark nor too bright: at the median, as in ``cv2.AlignMTB``, a frame
    that is half black gives arbitrary shifts. The smallest level of the pyramid is searched as a whole, `REACH` pixels in
    all directions, and each further level one pixel around.

    Parameters
    ----------
    images, paths
        As for `align_shifts`.

    Returns
    -------
    list of tuple
        (x, y) of each frame: its pixel ``(column, row)`` belongs at ``(column + x, row + y)`` of the middle frame.

    Raises
    ------
    HdrbenchError
        The frames are too small, or two neighbours have no level in common, are shifted by more than `largest_shift`, or
        still disagree after the best shift.
    """
    height, width = images[0].shape[:2]
    if min(height, width) < COARSEST:
        raise HdrbenchError(
            f"{paths[0]}: is {width}x{height}, too small to find shifts in ({COARSEST} pixels); align by flow"
        )
    greys = [_grey(image) for image in images]
    steps = [
        _pair_shift((greys[first], greys[second]), (paths[first], paths[second]))
        for first, second in pairwise(range(len(greys)))
    ]
    middle = len(greys) // 2
    shifts = [(0, 0)] * len(greys)
    for k in range(middle, len(greys) - 1):
        shifts[k + 1] = (shifts[k][0] + steps[k][0], shifts[k][1] + steps[k][1])
    for k in range(middle, 0, -1):
        shifts[k - 1] = (shifts[k][0] - steps[k - 1][0], shifts[k][1] - steps[k - 1][1])
    return shifts


def largest_shift(size: Sequence[int]) -> int:
    """Shift, in pixels along one axis, that is found between neighbours of a size (height, width).

    An eighth of the shorter side or more; what lies at the end of the search may lie beyond it, and does not count.
    """
    return (REACH - 1) << (_levels(size) - 1)


def _levels(size: Sequence[int]) -> int:
    return (min(size) // COARSEST).bit_length()


def _codes(image: Image) -> NDArray:
    return np.rint(255 * image).astype(np.uint8)


def _grey(image: Image) -> NDArray:
    return cv2.cvtColor(_codes(image), cv2.COLOR_RGB2GRAY)


def _shares(codes: NDArray) -> NDArray:
    """Fractions of the values that are not above each code, (256,)."""
    return np.cumsum(np.bincount(codes.ravel(), minlength=256)) / codes.size


def _common_levels(first: NDArray, second: NDArray) -> tuple[NDArray, NDArray]:
    """List the fractions of darker pixels whose codes are usable in both frames, (F,), and these codes, (2, F)."""
    fractions = np.arange(5, 1000, 5) / 1000
    levels = np.stack([np.searchsorted(shares, fractions) for shares in (first, second)])
    usable = ((levels >= DARKEST) & (levels <= BRIGHTEST)).all(0)
    return fractions[usable], levels[:, usable]


def _best_fraction(first: NDArray, second: NDArray) -> float | None:
    """Choose the fraction of darker pixels that defines the threshold; ``None`` if none will do."""
    fractions, levels = _common_levels(first, second)
    if not len(fractions):
        return None
    told = np.min(
        [
            np.minimum(shares[codes - NOISE - 1], 1.0 - shares[codes + NOISE])
            for shares, codes in zip((first, second), levels, strict=True)
        ],
        axis=0,
    )
    best = int(np.argmax(told))
    return float(fractions[best]) if told[best] >= LEAST_SHARE else None


def _pair_shift(greys: tuple[NDArray, NDArray], paths: tuple[Path, Path]) -> Shift:
    """Find the shift of the second frame onto the first, and make sure of it."""
    fraction = _best_fraction(*(_shares(grey) for grey in greys))
    if fraction is None:
        raise _nothing_in_common(*paths)
    size = greys[0].shape
    shift, first, second = _search(greys, fraction)
    if max(map(abs, shift)) > largest_shift(size):
        raise HdrbenchError(
            f"{paths[0]} and {paths[1]}: shifted by more than {largest_shift(size)} pixels, which is not searched in "
            "images of this size; leave one out, or align by flow"
        )
    left, by_chance = _disagreement(first, second, shift), _chance(first, second, shift)
    if not left < MOST_DISAGREEMENT * by_chance or left > _disagreement(first, second, (0, 0)):
        raise HdrbenchError(
            f"{paths[0]} and {paths[1]}: still disagree in {left:.1%} of the pixels after the best shift {shift}, where "
            f"unrelated pictures would in {by_chance:.1%}: they cannot be aligned by a shift (too far apart, rotated, or "
            "much moved); leave one out, or align by flow"
        )
    return shift


def _search(greys: tuple[NDArray, NDArray], fraction: float) -> tuple[Shift, Bitmap, Bitmap]:
    """Find the best shift from the smallest pyramid level to the largest; returns the bitmaps of that one too."""
    reach = range(-REACH, REACH + 1)
    # Staying comes first, so that a tie does not move the frame.
    candidates = sorted(product(reach, reach), key=lambda shift: abs(shift[0]) + abs(shift[1]))
    for level in reversed(range(_levels(greys[0].shape))):
        height, width = (side >> level for side in greys[0].shape)
        first, second = (
            _bitmap(cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA), fraction) for grey in greys
        )
        x, y = min(candidates, key=lambda shift: _disagreement(first, second, shift))
        candidates = [(2 * x + dx, 2 * y + dy) for dx, dy in STEPS]
    return (x, y), first, second


def _bitmap(grey: NDArray, fraction: float) -> Bitmap:
    """Which pixels are above the threshold, and which are far enough from it to count."""
    threshold = int(np.searchsorted(_shares(grey), fraction))
    return grey > threshold, cv2.absdiff(grey, np.full_like(grey, threshold)) > NOISE


def _shared(first: Bitmap, second: Bitmap, shift: Shift) -> tuple[NDArray, NDArray, NDArray]:
    """Cut both bitmaps to the area shared after the shift: their sides of the threshold, and which pixels count."""
    x, y = shift
    height, width = first[0].shape
    here = np.s_[max(y, 0) : height + min(y, 0), max(x, 0) : width + min(x, 0)]
    there = np.s_[max(-y, 0) : height + min(-y, 0), max(-x, 0) : width + min(-x, 0)]
    return first[0][here], second[0][there], first[1][here] & second[1][there]


def _disagreement(first: Bitmap, second: Bitmap, shift: Shift) -> float:
    """Fraction of the pixels that count in both frames which are on different sides of the threshold; 1 if none count."""
    above, also_above, counted = _shared(first, second, shift)
    total = int(np.count_nonzero(counted))
    return int(np.count_nonzero((above ^ also_above) & counted)) / total if total else 1.0


def _chance(first: Bitmap, second: Bitmap, shift: Shift) -> float:
    """The disagreement to expect of unrelated pictures with as many pixels above the threshold."""
    *sides, counted = _shared(first, second, shift)
    one, other = (int(np.count_nonzero(side & counted)) / max(int(np.count_nonzero(counted)), 1) for side in sides)
    return one * (1.0 - other) + other * (1.0 - one)


def _nothing_in_common(first: Path, second: Path) -> HdrbenchError:
    return HdrbenchError(
        f"{first} and {second}: no part is properly exposed in both, so they cannot be aligned; leave out "
        "the one that is almost black or white"
    )
