"""A small ray caster: boxes, balls, a ground and a room, lit by a sun and lamps that cast shadows.

World axes are x right, y up, z into the picture, in metres. The camera stands at the origin of x and z and its rays are
(x, y, 1), so the distance along a ray is the depth z. Everything is elementwise arithmetic (`hdrbench.datasets.exact`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hdrbench.datasets.exact import Array, Mask

FAR = 1e9
_TINY = 1e-12

Vector = tuple[Array, Array, Array]
Colour = tuple[float, float, float]


@dataclass(frozen=True)
class View:
    """The picture plane: size in pixels, focal length in pixels, eye height, and the row of the horizon."""

    height: int
    width: int
    focal: float
    eye: float
    horizon: float

    def rays(self) -> tuple[Array, Array]:
        """Compute the directions (x, y) of all pixels, each (H, W); z is 1."""
        x = (np.arange(self.width) + 0.5 - self.width / 2) / self.focal
        y = (self.horizon - np.arange(self.height) - 0.5) / self.focal
        return np.broadcast_to(x, (self.height, self.width)), np.broadcast_to(y[:, None], (self.height, self.width))


@dataclass(frozen=True)
class Box:
    """A box standing anywhere, turned about the vertical by the angle whose cosine and sine are `turn`."""

    centre: Colour
    half: Colour
    turn: tuple[float, float]
    material: str
    hollow: bool = False


@dataclass(frozen=True)
class Ball:
    """A sphere."""

    centre: Colour
    radius: float
    material: str


@dataclass(frozen=True)
class Light:
    """A lamp at `place` (power falls with the square of the distance) or, if `sun`, light from direction `place`.

    `facing` is the axis of a flat source such as a window, which shines to one side only and softly.
    """

    place: Colour
    colour: Colour
    sun: bool = False
    shadows: bool = True
    facing: Colour | None = None


@dataclass(frozen=True)
class Hits:
    """What each pixel sees: object number (-1 is the sky), depth, normal, and surface coordinates in metres."""

    what: NDArray[np.int64]
    depth: Array
    normal: Vector
    u: Array
    v: Array


def _enter_leave(origin: Vector, ray: Vector, box: Box) -> tuple[Array, Array, Vector, Vector]:
    """Find where rays enter and leave a box: distances, and the local ray with the local origin."""
    cosine, sine = box.turn
    ox, oy, oz = (origin[i] - box.centre[i] for i in range(3))
    local_origin = (cosine * ox + sine * oz, oy, cosine * oz - sine * ox)
    local_ray = (cosine * ray[0] + sine * ray[2], ray[1], cosine * ray[2] - sine * ray[0])
    enter, leave = np.asarray(-FAR), np.asarray(FAR)
    for o, r, half in zip(local_origin, local_ray, box.half, strict=True):
        inverse = 1.0 / np.where(r == 0, _TINY, r)
        centre, reach = -o * inverse, half * np.abs(inverse)
        enter, leave = np.maximum(enter, centre - reach), np.minimum(leave, centre + reach)
    return enter, leave, local_origin, local_ray


def _see_box(origin: Vector, ray: Vector, box: Box) -> tuple[Array, Vector, Array, Array]:
    enter, leave, o, r = _enter_leave(origin, ray, box)
    depth = np.where(enter < leave, leave if box.hollow else enter, FAR)
    depth = np.where(depth > 1e-6, depth, FAR)
    p = tuple(o[i] + r[i] * depth for i in range(3))
    gaps = [np.abs(np.abs(p[i]) - box.half[i]) for i in range(3)]
    on_x = (gaps[0] < gaps[1]) & (gaps[0] < gaps[2])
    on_y = ~on_x & (gaps[1] < gaps[2])
    on_z = ~on_x & ~on_y
    flip = -1.0 if box.hollow else 1.0
    nx, ny, nz = (flip * np.where(on, np.sign(p[i]), 0.0) for on, i in zip((on_x, on_y, on_z), range(3), strict=True))
    cosine, sine = box.turn
    normal = (cosine * nx - sine * nz, ny, sine * nx + cosine * nz)
    return depth, normal, np.where(on_x, p[2], p[0]), np.where(on_y, p[2], p[1] + box.half[1])


def _ball_roots(origin: Vector, ray: Vector, ball: Ball) -> tuple[Array, Array]:
    o = tuple(origin[i] - ball.centre[i] for i in range(3))
    a = ray[0] * ray[0] + ray[1] * ray[1] + ray[2] * ray[2]
    b = o[0] * ray[0] + o[1] * ray[1] + o[2] * ray[2]
    c = o[0] * o[0] + o[1] * o[1] + o[2] * o[2] - ball.radius * ball.radius
    inside = b * b - a * c
    root = np.sqrt(np.maximum(inside, 0.0))
    miss = inside <= 0
    return np.where(miss, FAR, (-b - root) / a), np.where(miss, -FAR, (-b + root) / a)


def _see_ball(origin: Vector, ray: Vector, ball: Ball) -> tuple[Array, Vector, Array, Array]:
    depth, _ = _ball_roots(origin, ray, ball)
    depth = np.where(depth > 1e-6, depth, FAR)
    p = tuple(origin[i] + ray[i] * depth - ball.centre[i] for i in range(3))
    normal = (p[0] / ball.radius, p[1] / ball.radius, p[2] / ball.radius)
    return depth, normal, p[0] + p[2], p[1] + ball.radius


def _bounds(view: View, thing: Box | Ball) -> tuple[slice, slice]:
    """Bound the pixels that can see a thing, from the sphere around it."""
    w, h, d = (thing.radius, 0.0, 0.0) if isinstance(thing, Ball) else thing.half
    reach = float(np.sqrt(w * w + h * h + d * d))
    x, y, z = thing.centre[0], thing.centre[1] - view.eye, thing.centre[2]
    near = z - reach
    if near < 0.2:
        return slice(0, view.height), slice(0, view.width)
    # The nearest depth enlarges most on the far side of the axis, the farthest least: take the widest of both.
    edges_x = [(x + side * reach) / depth for side in (-1, 1) for depth in (near, z + reach)]
    edges_y = [(y + side * reach) / depth for side in (-1, 1) for depth in (near, z + reach)]
    left, right = (int(e * view.focal + view.width / 2) for e in (min(edges_x), max(edges_x)))
    top, bottom = (int(view.horizon - e * view.focal) for e in (max(edges_y), min(edges_y)))
    rows = slice(max(top - 1, 0), max(min(bottom + 2, view.height), 0))
    return rows, slice(max(left - 1, 0), max(min(right + 2, view.width), 0))


def cast(view: View, things: Sequence[Box | Ball], ground: bool) -> Hits:
    """Find what every pixel sees.

    The object numbers are positions in `things`; the ground, if there is one, is number ``len(things)``.
    """
    x, y = view.rays()
    what = np.full(x.shape, -1, np.int64)
    depth = np.full(x.shape, FAR)
    normal = tuple(np.zeros(x.shape) for _ in range(3))
    u, v = np.zeros(x.shape), np.zeros(x.shape)
    if ground:
        below = y < -1e-4
        depth = np.where(below, -view.eye / np.where(below, y, -1.0), FAR)
        what[below] = len(things)
        normal[1][below] = 1.0
        u, v = np.where(below, x * depth, 0.0), np.where(below, depth, 0.0)
    origin = (np.asarray(0.0), np.asarray(view.eye), np.asarray(0.0))
    for number, thing in enumerate(things):
        part = _bounds(view, thing)
        ray = (x[part], y[part], np.ones_like(x[part]))
        see = _see_ball if isinstance(thing, Ball) else _see_box
        found = see(origin, ray, thing)  # type: ignore[arg-type]
        nearer = found[0] < depth[part]
        what[part][nearer] = number
        for whole, values in zip((depth, *normal, u, v), (found[0], *found[1], *found[2:]), strict=True):
            whole[part][nearer] = values[nearer]
    return Hits(what, depth, normal, u, v)  # type: ignore[arg-type]


def _blocked(points: Vector, ray: Vector, reach: Array | float, things: Sequence[Box | Ball]) -> Mask:
    """Tell which points have a thing between them and the light, `reach` ray lengths away."""
    blocked = np.zeros(points[0].shape, bool)
    for thing in things:
        if isinstance(thing, Ball):
            enter, leave = _ball_roots(points, ray, thing)
        elif thing.hollow:
            continue
        else:
            enter, leave, _, _ = _enter_leave(points, ray, thing)
        blocked |= (enter < leave) & (leave > 1e-3) & (enter < reach)
    return blocked


def irradiance(light: Light, points: Vector, normal: Vector, things: Sequence[Box | Ball]) -> Array:
    """Compute how strongly a light reaches surface points, 1 = a sun from straight above, or a lamp 1 m away.

    Parameters
    ----------
    light
        The light; its colour is not applied.
    points, normal
        Positions in metres and unit normals, arrays of one shape.
    things
        What may cast shadows. A ball around the lamp itself must not be among them.
    """
    if light.sun:
        ray = tuple(np.asarray(part) for part in light.place)
        cosine = normal[0] * ray[0] + normal[1] * ray[1] + normal[2] * ray[2]
        strength, reach = np.maximum(cosine, 0.0), FAR
    else:
        ray = tuple(light.place[i] - points[i] for i in range(3))
        square = ray[0] * ray[0] + ray[1] * ray[1] + ray[2] * ray[2] + 0.01
        cosine = (normal[0] * ray[0] + normal[1] * ray[1] + normal[2] * ray[2]) / np.sqrt(square)
        strength, reach = np.maximum(cosine, 0.0) / square, 1.0
        if light.facing is not None:
            side = -(light.facing[0] * ray[0] + light.facing[1] * ray[1] + light.facing[2] * ray[2]) / np.sqrt(square)
            # A wide source is soft near by: it neither diverges nor leaves the surfaces beside it black.
            strength = (0.3 + 0.7 * np.maximum(cosine, 0.0)) * np.maximum(side, 0.05) / (square + 1.0)
    if not light.shadows:
        return strength
    lit = np.flatnonzero(strength > 1e-6)
    start = tuple(points[i][lit] + normal[i][lit] * 1e-3 for i in range(3))
    towards = tuple(part[lit] if part.ndim else part for part in ray)
    result = strength.copy()
    result[lit[_blocked(start, towards, reach, things)]] = 0.0  # type: ignore[arg-type]
    return result
