"""Flat figures in the procedural scenes: trees that stand, and people, cars and balls that move between exposures."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hdrbench.datasets.exact import Array, fractal, smoothstep
from hdrbench.datasets.procedural.raycast import Colour, View

# (alpha, albedo (..., 3), emitted radiance (...), sideways tilt of the surface in [-1, 1]) of a figure
Painted = tuple[Array, Array, Array, Array]


@dataclass(frozen=True)
class Sprite:
    """A figure standing upright at a depth.

    Attributes
    ----------
    kind
        A key of `SHAPES`.
    x, base, z
        Position of the middle of its lower edge, in metres.
    height
        Height in metres.
    first, second
        Albedos.
    values
        Lattice that the noise is read from.
    glow
        Radiance of its lamps, if it has any.
    speed
        Movement from one exposure to the next in pixels of the final frame: right, down.
    """

    kind: str
    x: float
    base: float
    z: float
    height: float
    first: Colour
    second: Colour
    values: Array
    glow: float = 0.0
    speed: tuple[float, float] = (0.0, 0.0)


def _disc(a: Array, h: Array, at: tuple[float, float], radius: float) -> Array:
    return np.sqrt((a - at[0]) * (a - at[0]) + (h - at[1]) * (h - at[1])) - radius


def _plate(a: Array, h: Array, at: tuple[float, float], half: tuple[float, float], round_off: float) -> Array:
    da = np.maximum(np.abs(a - at[0]) - half[0] + round_off, 0.0)
    dh = np.maximum(np.abs(h - at[1]) - half[1] + round_off, 0.0)
    return np.sqrt(da * da + dh * dh) - round_off


def _coat(shape: Array, first: Colour, second: Colour, share: Array) -> Array:
    return np.asarray(first) + (np.asarray(second) - np.asarray(first)) * share[..., None] + np.zeros((*shape.shape, 3))


def _person(sprite: Sprite, a: Array, h: Array, pixel: float) -> Painted:
    head = _disc(a, h, (0.0, 0.91), 0.075)
    torso = _plate(a, h, (0.0, 0.64), (0.13, 0.2), 0.09)
    legs = np.minimum(_plate(a, h, (-0.06, 0.24), (0.05, 0.24), 0.04), _plate(a, h, (0.075, 0.25), (0.05, 0.24), 0.04))
    alpha = np.clip(0.5 - np.minimum(np.minimum(head, torso), legs) / pixel, 0.0, 1.0)
    cloth = fractal(sprite.values, a * 30.0, h * 30.0, 3, pixel * 30.0)
    albedo = _coat(a, sprite.first, sprite.second, (legs < torso).astype(np.float64)) * (0.5 + cloth)[..., None]
    albedo = np.where((head < 0)[..., None], np.asarray((0.5, 0.33, 0.25)), albedo)
    return alpha, albedo, np.zeros_like(a), np.clip(a * 6.0, -0.95, 0.95)


def _car(sprite: Sprite, a: Array, h: Array, pixel: float) -> Painted:
    body = _plate(a, h, (0.0, 0.42), (1.45, 0.25), 0.12)
    cabin = _plate(a, h, (-0.1, 0.78), (0.8, 0.22), 0.2)
    wheels = np.minimum(_disc(a, h, (-0.9, 0.22), 0.22), _disc(a, h, (0.9, 0.22), 0.22))
    alpha = np.clip(0.5 - np.minimum(np.minimum(body, cabin), wheels) / pixel, 0.0, 1.0)
    pane = (_plate(a, h, (-0.1, 0.77), (0.7, 0.14), 0.1) < 0) & (np.abs(a + 0.15) > 0.04)
    albedo = _coat(a, sprite.first, sprite.second, (np.abs(h - 0.4) < 0.03).astype(np.float64))
    albedo = np.where((pane | (wheels < 0))[..., None], 0.02, albedo)
    albedo = np.where((wheels < -0.12)[..., None], 0.4, albedo)
    forward = 1.0 if sprite.speed[0] > 0 else -1.0
    lamps = smoothstep(-_disc(a, h, (1.36 * forward, 0.46), 0.08), -0.02, 0.02)
    return alpha, albedo, lamps * sprite.glow, np.clip((h - 0.5) * 0.3, -0.2, 0.2)


def _ball(sprite: Sprite, a: Array, h: Array, pixel: float) -> Painted:
    alpha = np.clip(0.5 - _disc(a, h, (0.0, 0.5), 0.5) / pixel, 0.0, 1.0)
    bands = (np.floor(a * 4.0 + (h - 0.5) * (h - 0.5) * 3.0 + 8.0).astype(np.int64) & 1).astype(np.float64)
    return alpha, _coat(a, sprite.first, sprite.second, bands), np.zeros_like(a), np.clip(a * 1.9, -0.95, 0.95)


def _tree(sprite: Sprite, a: Array, h: Array, pixel: float) -> Painted:
    trunk = np.abs(a + 0.03 * (fractal(sprite.values, h * 4.0, a * 0.0, 3) - 0.5)) - 0.035 * (1.3 - h)
    trunk = np.maximum(trunk, h - 0.8)
    da, dh = a / 0.36, (h - 0.66) / 0.36
    lumps = fractal(sprite.values, a * 5.0, h * 5.0, 5, pixel * 5.0)
    crown = 1.0 - np.sqrt(da * da + dh * dh) + 1.5 * (lumps - 0.5)
    leaf = smoothstep(crown, 0.0, 0.12)
    alpha = np.maximum(np.clip(0.5 - trunk / pixel, 0.0, 1.0), leaf)
    tone = fractal(sprite.values, a * 14.0 + 3.0, h * 14.0, 4, pixel * 14.0)
    green = (
        np.asarray(sprite.first) * (np.clip(2.4 * tone - 0.5, 0.08, 2.0) * (0.45 + 0.8 * np.clip(h, 0, 1)))[..., None]
    )
    albedo = np.where((leaf > 0.5)[..., None], green, np.asarray(sprite.second) * (0.4 + tone)[..., None])
    return alpha, albedo, np.zeros_like(a), np.clip(a * 2.0 + 1.2 * (lumps - 0.5), -0.9, 0.9)


SHAPES: dict[str, tuple[Callable[[Sprite, Array, Array, float], Painted], float]] = {
    # the painter, and half the width relative to the height
    "person": (_person, 0.2),
    "car": (_car, 1.5),
    "ball": (_ball, 0.55),
    "tree": (_tree, 0.62),
}


@dataclass(frozen=True)
class Figure:
    """A painted sprite: where it lies on the canvas and how it looks; arrays are (h, w) or (h, w, 3)."""

    part: tuple[slice, slice]
    alpha: Array
    albedo: Array
    glow: Array
    tilt: Array
    x: Array
    y: Array
    z: float


def paint(sprite: Sprite, view: View, step: int) -> Figure | None:
    """Paint a sprite at one instant; ``None`` if it lies off the canvas.

    Parameters
    ----------
    sprite
        The sprite.
    view
        The canvas, with twice the resolution of the final frame.
    step
        Exposures since the middle one, -1, 0 or 1.
    """
    shape, half_width = SHAPES[sprite.kind]
    scale = view.focal / sprite.z
    centre = view.width / 2 + sprite.x * scale + 2.0 * sprite.speed[0] * step
    foot = view.horizon - (sprite.base - view.eye) * scale + 2.0 * sprite.speed[1] * step
    reach, rise = half_width * sprite.height * scale, 1.25 * sprite.height * scale
    left, right = max(int(centre - reach) - 2, 0), min(int(centre + reach) + 3, view.width)
    top, bottom = max(int(foot - rise) - 2, 0), min(int(foot) + 3, view.height)
    if left >= right or top >= bottom:
        return None
    columns = (np.arange(left, right) + 0.5 - centre) / scale
    rows = (foot - np.arange(top, bottom) - 0.5) / scale
    a = np.broadcast_to(columns, (bottom - top, right - left))
    h = np.broadcast_to(rows[:, None], a.shape)
    alpha, albedo, glow, tilt = shape(sprite, a / sprite.height, h / sprite.height, 1.0 / (scale * sprite.height))
    x, y = a + (centre - view.width / 2) / scale, h + view.eye + (view.horizon - foot) / scale
    return Figure((slice(top, bottom), slice(left, right)), alpha, albedo, glow, tilt, x, y, sprite.z)
