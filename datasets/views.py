"""Moving views of real radiance maps: perspective cuts from panoramas, crops from stills, and patches that move.

All images are (H, W, 3) float32, linear RGB, finite and >= 0.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hdrbench.datasets.exact import Dice
from hdrbench.datasets.scene import Image

# A view is refused if more of it than this is exactly black (the hole under the tripod, masked-out parts).
MOST_BLACK = 0.03
_TRIES = 24

Size = tuple[int, int]


@dataclass(frozen=True)
class Pose:
    """Where the camera looks: angles in degrees for a panorama, fractions of the picture for a still.

    Attributes
    ----------
    across, down
        Yaw and pitch, or the middle of the crop.
    roll
        Turn about the viewing axis in degrees.
    extent
        Horizontal field of view in degrees, or the crop's size relative to the largest possible one.
    """

    across: float
    down: float
    roll: float
    extent: float


def is_panorama(image: Image) -> bool:
    """Tell whether a map is an equirectangular panorama: twice as wide as high."""
    return image.shape[1] == 2 * image.shape[0]


def look(image: Image, pose: Pose, size: Size) -> Image:
    """Take the view of a map that a camera at `pose` has, (height, width) = `size`."""
    return _look_around(image, pose, size) if is_panorama(image) else _crop(image, pose, size)


def _look_around(image: Image, pose: Pose, size: Size) -> Image:
    height, width = size
    focal = width / 2 / np.tan(np.radians(pose.extent) / 2)
    x, y = np.meshgrid(np.arange(width) + 0.5 - width / 2, np.arange(height) + 0.5 - height / 2)
    roll, pitch = np.radians(pose.roll), np.radians(pose.down)
    x, y = np.cos(roll) * x - np.sin(roll) * y, np.sin(roll) * x + np.cos(roll) * y
    up = np.sin(pitch) * focal - np.cos(pitch) * y
    ahead = np.cos(pitch) * focal + np.sin(pitch) * y
    yaw = np.arctan2(x, ahead) + np.radians(pose.across)
    elevation = np.arctan2(up, np.hypot(x, ahead))
    rows, columns = image.shape[:2]
    map_x = ((yaw / (2 * np.pi)) % 1.0 * columns - 0.5).astype(np.float32)
    map_y = np.clip((0.5 - elevation / np.pi) * rows - 0.5, 0, rows - 1).astype(np.float32)
    view = cv2.remap(image, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return view.astype(np.float32, copy=False)


def _crop(image: Image, pose: Pose, size: Size) -> Image:
    height, width = size
    rows, columns = image.shape[:2]
    # Pixels of the map per pixel of the frame; the map is first reduced by area, because a linear warp alone aliases.
    step = pose.extent * min(columns / width, rows / height)
    if step > 1:
        reduced = (max(round(columns / step), width), max(round(rows / step), height))
        image = cv2.resize(image, reduced, interpolation=cv2.INTER_AREA).astype(np.float32, copy=False)
        rows, columns, step = image.shape[0], image.shape[1], 1.0
    centre = (
        np.clip(pose.across * columns, step * width / 2, columns - step * width / 2),
        np.clip(pose.down * rows, step * height / 2, rows - step * height / 2),
    )
    roll = np.radians(pose.roll)
    turn = step * np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    offset = np.array(centre) - 0.5 - turn @ np.array([(width - 1) / 2, (height - 1) / 2])
    matrix = np.column_stack([turn, offset])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    crop = cv2.warpAffine(image, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    return crop.astype(np.float32, copy=False)


def draw_pose(image: Image, dice: Dice, turn: float, size: Size) -> Pose:
    """Draw a pose whose view is worth looking at.

    Poses are drawn until the view is hardly anywhere exactly black and not one flat surface; of `_TRIES` poor ones the
    best is taken.

    Parameters
    ----------
    image
        The map.
    dice
        Source of the pose.
    turn
        In [0, 1): part of a panorama's circle where the views of this number begin.
    size
        Height and width of the view.
    """
    best: tuple[float, Pose] | None = None
    small = (size[0] // 4, size[1] // 4)
    for _ in range(_TRIES):
        if is_panorama(image):
            yaw = 360.0 * turn + dice.uniform(-40.0, 40.0)
            pose = Pose(yaw, dice.uniform(-12.0, 16.0), dice.uniform(-3.0, 3.0), dice.uniform(62.0, 76.0))
        else:
            pose = Pose(dice.uniform(), dice.uniform(), dice.uniform(-1.5, 1.5), dice.uniform(0.72, 0.95))
        quality = _quality(look(image, pose, small))
        if quality >= 1:
            return pose
        if best is None or quality > best[0]:
            best = (quality, pose)
    assert best is not None
    return best[1]


def _quality(view: Image) -> float:
    """Rate a view by the stops between its dark and bright parts, 6 being worth 1; black pixels count against it."""
    peak = view.max(axis=-1)
    black = float((peak <= 0).mean())
    if black > MOST_BLACK:
        return -black
    dark, bright = np.quantile(peak[peak > 0], [0.05, 0.98])
    return float(np.log2(bright / dark)) / 6.0


def nudge(image: Image, pose: Pose, dice: Dice, size: Size) -> Pose:
    """Move a camera as a hand does between two exposures: by up to about five pixels, and a little roll."""
    pixels = dice.uniform(-5.0, 5.0), dice.uniform(-4.0, 4.0)
    roll = pose.roll + dice.uniform(-0.4, 0.4)
    if is_panorama(image):
        per_pixel = pose.extent / size[1]
        return Pose(pose.across + pixels[0] * per_pixel, pose.down + pixels[1] * per_pixel, roll, pose.extent)
    share = pose.extent * min(image.shape[1] / size[1], image.shape[0] / size[0])
    across, down = pixels[0] * share / image.shape[1], pixels[1] * share / image.shape[0]
    # The crop must have room to move on both sides.
    half_x, half_y = (share * (size[i] / 2 + 8) / image.shape[i] for i in (1, 0))
    middle = (_inside(pose.across, half_x), _inside(pose.down, half_y))
    return Pose(middle[0] + across, middle[1] + down, roll, pose.extent)


def _inside(position: float, half: float) -> float:
    return 0.5 if half >= 0.5 else min(max(position, half), 1.0 - half)


@dataclass(frozen=True)
class Patch:
    """A piece of another view that moves over the picture.

    Attributes
    ----------
    content
        (h, w, 3) radiance.
    cover
        (h, w) opacity in [0, 1].
    place
        Its middle at the middle exposure, row and column.
    speed
        Movement per exposure in pixels, rows and columns.
    """

    content: Image
    cover: NDArray[np.float32]
    place: tuple[float, float]
    speed: tuple[float, float]


def draw_patches(view: Image, donor: Image, dice: Dice) -> list[Patch]:
    """Draw one to three patches from a donor view, about as bright as the view they move over."""
    height, width = view.shape[:2]
    level = float(np.median(view)) / max(float(np.median(donor)), 1e-12)
    patches = []
    for _ in range(dice.integer(1, 3)):
        h, w = dice.integer(28, 84), dice.integer(24, 72)
        top, left = dice.integer(0, height - h), dice.integer(0, width - w)
        content = donor[top : top + h, left : left + w] * np.float32(level * dice.uniform(0.4, 2.5))
        shape = _SHAPES[dice.integer(0, len(_SHAPES) - 1)]
        cover = np.clip(0.5 + shape(h, w) / dice.uniform(1.0, 5.0), 0.0, 1.0).astype(np.float32)
        place = (dice.uniform(0.15, 0.85) * height, dice.uniform(0.12, 0.88) * width)
        sign = 1.0 if dice.chance(0.5) else -1.0
        patches.append(Patch(content, cover, place, (dice.uniform(-2.0, 2.0), sign * dice.uniform(4.0, 13.0))))
    return patches


def _ellipse(height: int, width: int) -> NDArray[np.float64]:
    y, x = np.mgrid[0:height, 0:width]
    radius = np.hypot((y + 0.5 - height / 2) / (height / 2 - 1), (x + 0.5 - width / 2) / (width / 2 - 1))
    return (1.0 - radius) * min(height, width) / 2 - 0.5


def _rounded(height: int, width: int) -> NDArray[np.float64]:
    y, x = np.mgrid[0:height, 0:width]
    corner = min(height, width) / 4
    dy = np.maximum(np.abs(y + 0.5 - height / 2) - height / 2 + 1 + corner, 0)
    dx = np.maximum(np.abs(x + 0.5 - width / 2) - width / 2 + 1 + corner, 0)
    return corner - np.hypot(dy, dx) - 0.5


def _figure(height: int, width: int) -> NDArray[np.float64]:
    """Outline of a standing person: a head above a body."""
    y, x = np.mgrid[0:height, 0:width]
    head = height / 8 - np.hypot(y + 0.5 - height / 7, x + 0.5 - width / 2)
    taper = np.where(y > 0.62 * height, 0.62, 1.0) * min(width, height / 2) * 0.45
    body = np.minimum(taper - np.abs(x + 0.5 - width / 2), np.minimum(y - height * 0.26, height - 1.5 - y))
    return np.maximum(head, body)


_SHAPES: tuple[Callable[[int, int], NDArray[np.float64]], ...] = (_ellipse, _rounded, _figure)


def paste(view: Image, patch: Patch, step: int) -> Image:
    """Put a patch on a view where it is `step` exposures after the middle one; positions are between pixels."""
    height, width = view.shape[:2]
    h, w = patch.cover.shape
    offset = (
        patch.place[1] + step * patch.speed[1] - w / 2,
        patch.place[0] + step * patch.speed[0] - h / 2,
    )
    matrix = np.array([[1.0, 0.0, offset[0]], [0.0, 1.0, offset[1]]])
    cover = cv2.warpAffine(patch.cover, matrix, (width, height), flags=cv2.INTER_LINEAR)[..., None]
    content = cv2.warpAffine(
        patch.content, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return view + (content - view) * cover
