"""Aligning the frames of a hand-held bracket, by whole-pixel shifts or by optical flow."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from hdrbench.errors import HdrbenchError
from hdrbench.imaging import flow as optical_flow
from hdrbench.imaging.stack import Bracket

Shift = tuple[int, int]
Bitmap = tuple[NDArray, NDArray]

LEVELS = 6  # Of the pyramid; each doubles the largest shift that can be found.
DARKEST, BRIGHTEST = (
    16,
    239,
)  # Beyond these 8-bit values, noise and clipping decide which side of a threshold a pixel is on.
NOISE = 4  # Pixels this near to the threshold are left out (Ward2003).
LEAST_FLOW = 12  # pixels, what OpenCV's flow needs on a side
COARSEST = 16  # pixels, the shorter side of the smallest pyramid level


def align_shifts(bracket: Bracket) -> tuple[Bracket, list[Shift]]:
    """Shift every frame onto the middle one and cut all to the area that they share.

    Returns
    -------
    tuple
        The aligned bracket, smaller by what was cut, and the shift of each frame (x to the right, y down) in pixels.

    Raises
    ------
    HdrbenchError
        As `find_shifts`, or the frames share no area.
    """
    shifts = find_shifts(bracket)
    height, width = bracket.images[0].shape[:2]
    left, top = (max(0, *(shift[axis] for shift in shifts)) for axis in (0, 1))
    right, bottom = (side + min(0, *(shift[axis] for shift in shifts)) for axis, side in ((0, width), (1, height)))
    if left >= right or top >= bottom:
        raise HdrbenchError(
            f"{bracket.paths[0]}: the shifts {shifts} leave no area that all frames share; align by flow"
        )
    images = [
        np.ascontiguousarray(image[top - y : bottom - y, left - x : right - x])
        for image, (x, y) in zip(bracket.images, shifts, strict=True)
    ]
    return replace(bracket, images=tuple(images)), shifts


def align_flow(bracket: Bracket, flow: str = "dis") -> Bracket:
    """Warp every frame onto the middle one along optical flow, which also follows things that moved.

    Parameters
    ----------
    bracket
        Frames whose response is about gamma 2.2, by which they are brought to one exposure first.
    flow
        A key of `hdrbench.imaging.flow.FLOWS`.

    Raises
    ------
    HdrbenchError
        The frames are smaller than flow can follow.
    """
    if min(bracket.images[0].shape[:2]) < LEAST_FLOW:
        height, width = bracket.images[0].shape[:2]
        raise HdrbenchError(
            f"{bracket.paths[0]}: is {width}x{height}, too small for optical flow ({LEAST_FLOW} pixels)"
        )
    middle = len(bracket.images) // 2
    reference, time = bracket.images[middle], bracket.times[middle]
    images = [
        image if index == middle else optical_flow.align(image, reference, own, time, flow=flow)
        for index, (image, own) in enumerate(zip(bracket.images, bracket.times, strict=True))
    ]
    return replace(bracket, images=tuple(images))


def find_shifts(bracket: Bracket) -> list[Shift]:
    """Find the whole-pixel shift of each frame onto the middle one with threshold bitmaps (Ward2003).

    Neighbours in exposure are compared, and their shifts added up. The threshold is the quantile nearest to the median that
    is neither too dark nor too bright in both: at the median itself, as in ``cv2.AlignMTB``, a frame that is half black
    gives arbitrary shifts.

    Returns
    -------
    list of tuple
        (x, y) of each frame: its pixel ``(column, row)`` belongs at ``(column + x, row + y)`` of the middle frame.

    Raises
    ------
    HdrbenchError
        Two neighbouring frames have no level in common, or are shifted by `largest_shift` or more.
    """
    greys = [cv2.cvtColor(np.rint(255 * image).astype(np.uint8), cv2.COLOR_RGB2GRAY) for image in bracket.images]
    steps = []
    for first, second in pairwise(range(len(greys))):
        fraction = _common_level(greys[first], greys[second])
        if fraction is None:
            raise HdrbenchError(
                f"{bracket.paths[first]} and {bracket.paths[second]}: no part is properly exposed in both, "
                "so they cannot be aligned; leave one out"
            )
        step = _pair_shift(greys[first], greys[second], fraction)
        limit = largest_shift(greys[first].shape)
        if max(map(abs, step)) == limit:
            raise HdrbenchError(
                f"{bracket.paths[first]} and {bracket.paths[second]}: shifted by {limit} pixels or more, which is not "
                "searched in images of this size; leave one out, or align by flow"
            )
        steps.append(step)
    middle = len(greys) // 2
    shifts = [(0, 0)] * len(greys)
    for k in range(middle, len(greys) - 1):
        shifts[k + 1] = (shifts[k][0] + steps[k][0], shifts[k][1] + steps[k][1])
    for k in range(middle, 0, -1):
        shifts[k - 1] = (shifts[k][0] - steps[k - 1][0], shifts[k][1] - steps[k - 1][1])
    return shifts


def largest_shift(size: Sequence[int]) -> int:
    """Shift, in pixels along one axis, up to which neighbours of a size (height, width) are searched: at most 63."""
    return 2 ** _levels(size) - 1


def _levels(size: Sequence[int]) -> int:
    return sum(min(size) >> level >= COARSEST for level in range(LEVELS))


def _common_level(first: NDArray, second: NDArray) -> float | None:
    """Choose the fraction of darker pixels that defines the threshold; ``None`` if none will do."""
    fractions = np.arange(5, 1000, 5) / 1000
    levels = np.quantile(first, fractions), np.quantile(second, fractions)
    usable = np.all([(level >= DARKEST) & (level <= BRIGHTEST) for level in levels], axis=0)
    return None if not usable.any() else float(min(fractions[usable], key=lambda fraction: abs(fraction - 0.5)))


def _pair_shift(reference: NDArray, moving: NDArray, fraction: float) -> Shift:
    """Find the shift from the coarsest pyramid level to the finest, one pixel per level."""
    x = y = 0
    for level in reversed(range(_levels(reference.shape))):
        height, width = (side >> level for side in reference.shape)
        pair = [cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA) for image in (reference, moving)]
        first, second = (_bitmap(image, fraction) for image in pair)
        # Staying comes first, so that a tie does not move the frame.
        around = sorted(((dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)), key=lambda d: abs(d[0]) + abs(d[1]))
        candidates = [(2 * x + dx, 2 * y + dy) for dx, dy in around]
        x, y = min(candidates, key=lambda shift: _disagreement(first, second, shift))
    return x, y


def _bitmap(grey: NDArray, fraction: float) -> Bitmap:
    """Which pixels are above the threshold, and which are far enough from it to count."""
    threshold = np.quantile(grey, fraction)
    return grey > threshold, np.abs(grey - threshold) > NOISE


def _disagreement(first: Bitmap, second: Bitmap, shift: Shift) -> float:
    """Fraction of the pixels shared after the shift that are on different sides of the threshold."""
    x, y = shift
    height, width = first[0].shape
    if abs(x) >= width or abs(y) >= height:
        return 1.0
    here = np.s_[max(y, 0) : height + min(y, 0), max(x, 0) : width + min(x, 0)]
    there = np.s_[max(-y, 0) : height + min(-y, 0), max(-x, 0) : width + min(-x, 0)]
    counted = first[1][here] & second[1][there]
    return float(((first[0][here] ^ second[0][there]) & counted).mean())
