"""A procedural world and its picture: geometry, materials, lights and figures put together into radiance."""

from dataclasses import dataclass, replace

import numpy as np

from hdrbench.datasets.exact import Array, Mask, halve, window
from hdrbench.datasets.procedural.raycast import FAR, Ball, Box, Colour, Hits, Light, Vector, View, cast, irradiance
from hdrbench.datasets.procedural.sprites import Sprite, paint
from hdrbench.datasets.procedural.texture import Material, Sky, albedo, sky_radiance

BAND = 32
DARKEST = 0.001


@dataclass(frozen=True)
class Opening:
    """A window in a wall of the room.

    Attributes
    ----------
    axis
        0 for a side wall, 2 for the far wall.
    wall
        Position of the wall on that axis.
    centre, half
        Middle and half the size: along the wall, and upwards.
    """

    axis: int
    wall: float
    centre: tuple[float, float]
    half: tuple[float, float]

    def contains(self, along: Array, up: Array, margin: float = 0.0) -> Mask:
        """Tell which wall positions lie in the opening."""
        inside = np.abs(along - self.centre[0]) < self.half[0] - margin
        return inside & (np.abs(up - self.centre[1]) < self.half[1] - margin)

    def bars(self, along: Array, up: Array) -> Mask:
        """Tell which positions in the opening are frame instead of glass."""
        cross = (np.abs(along - self.centre[0]) < 0.025) | (np.abs(up - self.centre[1] - 0.2 * self.half[1]) < 0.02)
        return cross | ~self.contains(along, up, 0.05)


@dataclass(frozen=True)
class World:
    """All that can be seen, and the light on it.

    Attributes
    ----------
    things
        Boxes and balls; the material of each is a key of `materials`.
    materials
        Materials by name; ``"ground"`` is the ground's, and its absence means that there is none.
    lights
        The sun and the lamps.
    ambient
        Light from above and from below.
    sky
        What is behind everything.
    openings
        Windows of the room, if the world is one.
    figures
        Trees and movers.
    """

    things: tuple[Box | Ball, ...]
    materials: dict[str, Material]
    lights: tuple[Light, ...]
    ambient: tuple[Colour, Colour]
    sky: Sky
    openings: tuple[Opening, ...]
    figures: tuple[Sprite, ...]


@dataclass(frozen=True)
class Canvas:
    """The picture of what does not move: radiance (H, W, 3) and depth (H, W), twice as fine as the frame."""

    view: View
    radiance: Array
    depth: Array


def _outside(world: World, view: View, hits: Hits) -> Mask:
    """Mark the pixels that see the sky, directly or through a window."""
    sky = hits.what < 0
    x, y = view.rays()
    for opening in world.openings:
        position = (x * hits.depth, y * hits.depth + view.eye, hits.depth)
        along = position[2 - opening.axis]
        on_wall = (np.abs(position[opening.axis] - opening.wall) < 1e-3) & ~sky
        glass = opening.contains(along, position[1]) & ~opening.bars(along, position[1])
        sky = sky | (on_wall & glass)
    return sky


def _occlusion(world: World, points: Vector, normal: Vector) -> Array:
    """Estimate how much of the surroundings' light is kept off by things near by: 1 in the open, less in corners."""
    factor = np.ones_like(points[0])
    for thing in world.things:
        if isinstance(thing, Ball):
            dx, dz, size, low = points[0] - thing.centre[0], points[2] - thing.centre[2], thing.radius, thing.centre[1]
            gap = np.maximum(np.sqrt(dx * dx + dz * dz) - 0.7 * size, 0.0)
        elif thing.hollow:
            for axis in range(3):
                for side in (-1.0, 1.0):
                    wall = np.abs(points[axis] - thing.centre[axis] - side * thing.half[axis])
                    factor = factor * (0.6 + 0.4 * wall / (wall + 0.35))
            continue
        else:
            cosine, sine = thing.turn
            ox, oz = points[0] - thing.centre[0], points[2] - thing.centre[2]
            dx = np.maximum(np.abs(cosine * ox + sine * oz) - thing.half[0], 0.0)
            dz = np.maximum(np.abs(cosine * oz - sine * ox) - thing.half[2], 0.0)
            gap, size, low = np.sqrt(dx * dx + dz * dz), thing.half[1], thing.centre[1] - thing.half[1]
        below = points[1] < low + 0.02
        factor = np.where(below, factor * (0.12 + 0.88 * gap / (gap + 0.45 * size)), factor)
    on_wall = np.abs(normal[1]) < 0.5
    return np.where(on_wall, factor * (0.45 + 0.55 * np.clip(points[1], 0.0, 1.0)), factor)


def _through_windows(world: World, sun: Light, points: Vector) -> Mask:
    """Tell which points of a room the sun reaches through a window."""
    lit = np.zeros(points[0].shape, bool)
    for opening in world.openings:
        slope = sun.place[opening.axis]
        reach = (opening.wall - points[opening.axis]) / (slope if slope != 0 else 1e-9)
        other = 2 - opening.axis
        along, up = points[other] + reach * sun.place[other], points[1] + reach * sun.place[1]
        lit |= (reach > 0) & opening.contains(along, up) & ~opening.bars(along, up)
    return lit


def _light(world: World, points: Vector, normal: Vector, occluded: bool = True) -> Array:
    """Add up the light on surface points (n,) as (n, 3)."""
    above, below = (np.asarray(colour) for colour in world.ambient)
    total = below + (above - below) * (0.5 + 0.5 * normal[1])[:, None]
    if occluded:
        total = total * _occlusion(world, points, normal)[:, None]
    casters = [thing for thing in world.things if world.materials[thing.material].kind != "glow"]
    for light in world.lights:
        strength = irradiance(light, points, normal, casters)
        if light.sun and world.openings:
            strength = np.where(_through_windows(world, light, points), strength, 0.0)
        total = total + strength[:, None] * np.asarray(light.colour)
    return total


def _mirrored(world: World, rays: Vector, normal: Vector) -> Array:
    """Compute the radiance of the sky in the mirror direction; a room mirrors its windows only faintly."""
    along = 2.0 * (rays[0] * normal[0] + rays[1] * normal[1] + rays[2] * normal[2])
    x, y, z = (rays[i] - along * normal[i] for i in range(3))
    # A polished surface is not a mirror: the disc comes back forty times wider and weaker.
    disc = (world.sky.disc[0] / 40.0, world.sky.disc[1] / 40.0, world.sky.disc[2] / 40.0)
    rough = replace(world.sky, stars=0.0, disc=disc, sun_cosine=1.0 - 40.0 * (1.0 - world.sky.sun_cosine))
    sky = sky_radiance(rough, x, y, z, 0.02)
    return np.where((y > -0.05)[:, None], sky, 0.3 * np.asarray(world.ambient[1]))


def _shade(world: World, view: View, hits: Hits, solid: Mask) -> Array:
    """Compute the radiance (n, 3) of the pixels that see a surface."""
    x, y = view.rays()
    what, depth = hits.what[solid], hits.depth[solid]
    rays = (x[solid], y[solid], np.ones_like(depth))
    points = (rays[0] * depth, rays[1] * depth + view.eye, depth)
    normal = (hits.normal[0][solid], hits.normal[1][solid], hits.normal[2][solid])
    light = _light(world, points, normal)
    length = np.sqrt(rays[0] * rays[0] + rays[1] * rays[1] + 1.0)
    facing = np.abs(rays[0] * normal[0] + rays[1] * normal[1] + rays[2] * normal[2]) / length
    footprint = depth / view.focal / np.maximum(facing, 0.02)
    u, v = hits.u[solid], hits.v[solid]
    seen = np.zeros((*depth.shape, 3))
    for number, name in enumerate([*(thing.material for thing in world.things), "ground"]):
        mine = np.flatnonzero(what == number)
        if not mine.size:
            continue
        material = world.materials[name]
        colour, glow = albedo(material, u[mine], v[mine], footprint[mine])
        seen[mine] = np.clip(colour, DARKEST, 1.0) * light[mine] + glow
        if material.gloss > 0:
            share = material.gloss * (1.0 - 0.8 * facing[mine])
            towards = (rays[0][mine], rays[1][mine], rays[2][mine])
            seen[mine] += share[:, None] * _mirrored(
                world, towards, (normal[0][mine], normal[1][mine], normal[2][mine])
            )
    return seen


def _render_band(world: World, view: View) -> tuple[Array, Array]:
    hits = cast(view, world.things, "ground" in world.materials)
    x, y = view.rays()
    sky = _outside(world, view, hits)
    radiance = np.zeros((view.height, view.width, 3))
    radiance[sky] = sky_radiance(world.sky, x[sky], y[sky], np.ones_like(x[sky]), 1.0 / view.focal)
    radiance[~sky] = _shade(world, view, hits, ~sky)
    return radiance, np.where(sky, FAR, hits.depth)


def render(world: World, view: View) -> Canvas:
    """Render everything that does not move."""
    # Bands of rows keep the temporaries in the processor's cache, which makes this three times as fast.
    tops = range(0, view.height, BAND)
    views = [replace(view, height=min(BAND, view.height - top), horizon=view.horizon - top) for top in tops]
    bands = [_render_band(world, band) for band in views]
    canvas = Canvas(view, np.concatenate([band[0] for band in bands]), np.concatenate([band[1] for band in bands]))
    for figure in world.figures:
        if figure.speed == (0.0, 0.0):
            _stand(world, canvas, figure, 0)
    return canvas


def _stand(world: World, canvas: Canvas, sprite: Sprite, step: int) -> None:
    """Paint a figure into the canvas, in place, where nothing is in front of it."""
    figure = paint(sprite, canvas.view, step)
    if figure is None:
        return
    share = figure.alpha * (figure.z < canvas.depth[figure.part])
    seen = share > 0
    tilt = figure.tilt[seen]
    points = (figure.x[seen], figure.y[seen], np.full_like(tilt, figure.z))
    normal = (tilt, np.full_like(tilt, 0.25), -np.sqrt(np.maximum(1.0 - 0.0625 - tilt * tilt, 0.01)))
    light = _light(world, points, normal, occluded=False)
    colour = np.clip(figure.albedo[seen], DARKEST, 1.0) * light + figure.glow[seen][:, None] * np.asarray(
        (1.0, 0.93, 0.8)
    )
    part = canvas.radiance[figure.part]
    part[seen] += (colour - part[seen]) * share[seen][:, None]


def frame(world: World, canvas: Canvas, step: int, shift: tuple[float, float], size: tuple[int, int]) -> Array:
    """Take the world's radiance at one instant.

    Parameters
    ----------
    world, canvas
        The world and its rendered still part; neither is changed.
    step
        Exposures since the middle one, -1, 0 or 1: where the movers are.
    shift
        Movement of the camera in pixels of the frame: down, right.
    size
        Height and width of the frame.

    Returns
    -------
    numpy.ndarray
        Radiance (H, W, 3).
    """
    moment = replace(canvas, radiance=canvas.radiance.copy())
    for sprite in sorted(world.figures, key=lambda figure: -figure.z):
        if sprite.speed != (0.0, 0.0):
            _stand(world, moment, sprite, step)
    height, width = 2 * size[0], 2 * size[1]
    top = (canvas.view.height - height) / 2 + 2.0 * shift[0]
    left = (canvas.view.width - width) / 2 + 2.0 * shift[1]
    return halve(window(moment.radiance, top, left, height, width))
