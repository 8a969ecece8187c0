"""Random worlds: a street or yard by day, a room with a window, a street by night.

Radiance is relative: a white surface in full sun is about 10, the sun's disc 3e5, a dark doorway 1e-3 and less.
"""

from collections.abc import Callable

import numpy as np

from hdrbench.datasets.exact import Dice, lattice
from hdrbench.datasets.procedural.raycast import Ball, Box, Colour, Light, View
from hdrbench.datasets.procedural.sprites import Sprite
from hdrbench.datasets.procedural.texture import Material, Sky
from hdrbench.datasets.procedural.world import Opening, World

Things = list[Box | Ball]
Materials = dict[str, Material]


def _unit(x: float, y: float, z: float) -> Colour:
    norm = float(np.sqrt(x * x + y * y + z * z))
    return x / norm, y / norm, z / norm


def _scaled(colour: Colour, factor: float) -> Colour:
    return colour[0] * factor, colour[1] * factor, colour[2] * factor


def _grey(dice: Dice, low: float, high: float) -> Colour:
    """Draw a colour of low saturation."""
    level = dice.uniform(low, high)
    return level * dice.uniform(0.9, 1.1), level, level * dice.uniform(0.8, 1.1)


def _vivid(dice: Dice) -> Colour:
    """Draw a saturated colour."""
    channels = [dice.uniform(0.45, 0.85), dice.uniform(0.05, 0.6), dice.uniform(0.02, 0.1)]
    turn, flip = dice.integer(0, 2), dice.chance(0.5)
    channels = channels[turn:] + channels[:turn]
    return (channels[0], channels[2], channels[1]) if flip else (channels[0], channels[1], channels[2])


def _turn(dice: Dice, most: float) -> tuple[float, float]:
    cosine, _, sine = _unit(1.0, 0.0, dice.uniform(-most, most))
    return cosine, sine


def _material(dice: Dice, kind: str, first: Colour, second: Colour, size: float, gloss: float = 0.0) -> Material:
    return Material(kind, first, second, size, lattice(dice), gloss)


def _movers(dice: Dice, near: float, far: float, room: bool) -> list[Sprite]:
    """Draw two to four figures that move by several pixels between exposures."""
    kinds = ["person", "person", "ball"] if room else ["person", "person", "car", "ball"]
    movers = []
    for _ in range(dice.integer(2, 4)):
        kind = kinds[dice.integer(0, len(kinds) - 1)]
        height = {"person": dice.uniform(1.5, 1.85), "car": 1.5, "ball": dice.uniform(0.3, 0.8)}[kind]
        z = dice.uniform(max(near, 7.0) if kind == "car" else near, far)
        speed = (dice.uniform(4.0, 12.0) * (1.0 if dice.chance(0.5) else -1.0), dice.uniform(-0.8, 0.8))
        base = dice.uniform(0.0, 1.2) if kind == "ball" else 0.0
        x = z * dice.uniform(-0.42, 0.42)
        movers.append(Sprite(kind, x, base, z, height, _vivid(dice), _grey(dice, 0.03, 0.5), lattice(dice), 0.0, speed))
    return movers


def _trees(dice: Dice, count: int, near: float, far: float) -> list[Sprite]:
    trees = []
    for _ in range(count):
        z = dice.uniform(near, far)
        leaf = (dice.uniform(0.08, 0.3), dice.uniform(0.2, 0.36), dice.uniform(0.03, 0.1))
        x = z * dice.uniform(-0.6, 0.6)
        trees.append(Sprite("tree", x, 0.0, z, dice.uniform(3.0, 8.0), leaf, (0.16, 0.11, 0.07), lattice(dice)))
    return trees


def _buildings(dice: Dice, things: Things, materials: Materials, lit: Colour, lit_share: float) -> None:
    """Add houses with facades, bricks or plaster, and dark doorways."""
    for number in range(dice.integer(2, 5)):
        name, kind = f"house{number}", ("facade", "facade", "bricks", "mottled")[dice.integer(0, 3)]
        wall = _vivid(dice) if dice.chance(0.25) else _grey(dice, 0.12, 0.55)
        second = (0.04, 0.05, 0.06) if kind == "facade" else _grey(dice, 0.3, 0.7)
        size = dice.uniform(2.0, 3.2) if kind == "facade" else dice.uniform(0.25, 0.6)
        materials[name] = Material(kind, wall, second, size, lattice(dice), 0.0, lit, lit_share)
        half = (dice.uniform(2.0, 6.0), dice.uniform(1.8, 6.5), dice.uniform(2.0, 4.0))
        z = dice.uniform(11.0, 38.0)
        x = z * dice.uniform(-0.75, 0.75)
        turn = _turn(dice, 0.35)
        things.append(Box((x, half[1], z), half, turn, name))
        door = (dice.uniform(0.5, 1.4), dice.uniform(1.0, 1.4), 0.03)
        along = dice.uniform(-0.6, 0.6) * half[0]
        front = half[2] + 0.01
        place = (x + turn[0] * along + turn[1] * front, door[1], z + turn[1] * along - turn[0] * front)
        things.append(Box(place, door, turn, "cavity"))


def _clutter(dice: Dice, things: Things, materials: Materials, near: float, far: float, spread: float) -> None:
    """Add crates, poster pillars and polished balls."""
    for number in range(dice.integer(3, 6)):
        name = f"clutter{number}"
        z = dice.uniform(near, far)
        x = z * dice.uniform(-spread, spread)
        if dice.chance(0.35):
            radius = dice.uniform(0.2, 0.7)
            materials[name] = _material(dice, "mottled", _vivid(dice), _vivid(dice), radius, dice.uniform(0.05, 0.5))
            things.append(Ball((x, radius, z), radius, name))
            continue
        half = (dice.uniform(0.2, 0.6), dice.uniform(0.2, 0.9), dice.uniform(0.2, 0.6))
        kind = ("boards", "stripes", "tiles", "mottled")[dice.integer(0, 3)]
        materials[name] = _material(dice, kind, _vivid(dice), _grey(dice, 0.1, 0.7), dice.uniform(0.15, 0.35))
        things.append(Box((x, half[1], z), half, _turn(dice, 0.9), name))


def _ground(dice: Dice) -> Material:
    kind = dice.integer(0, 3)
    if kind == 0:
        return _material(dice, "mottled", (0.10, 0.17, 0.04), (0.22, 0.24, 0.08), dice.uniform(0.6, 1.4))
    if kind == 1:
        return _material(dice, "tiles", _grey(dice, 0.2, 0.5), _grey(dice, 0.1, 0.2), dice.uniform(0.5, 1.2))
    if kind == 2:
        return _material(dice, "mottled", (0.35, 0.27, 0.18), (0.22, 0.17, 0.12), dice.uniform(0.5, 1.5))
    return _material(dice, "mottled", (0.12, 0.12, 0.13), (0.2, 0.2, 0.2), dice.uniform(0.3, 0.8))


def _day_sky(dice: Dice, sun: Colour) -> Sky:
    low = max(0.0, 1.0 - 3.0 * sun[1])
    bright = dice.uniform(0.6, 1.2)
    zenith = _scaled((0.9 + 0.5 * low, 1.7, 3.3 - 0.8 * low), bright)
    horizon = _scaled((3.4 + 1.6 * low, 3.4 - 0.5 * low, 3.6 - 2.0 * low), bright)
    cloud = _scaled((6.0, 5.8 - 0.8 * low, 5.6 - 2.0 * low), bright)
    ranges: list[Colour] = [(0.9, 1.1, 1.5), (0.5, 0.65, 0.6), (0.16, 0.24, 0.08)]
    hills = tuple(_scaled(colour, dice.uniform(0.6, 1.1)) for colour in ranges[: dice.integer(1, 3)])
    disc: Colour = (3.2e5, 2.8e5, 2.2e5)
    cover = dice.uniform(0.2, 0.9) if dice.chance(0.8) else 0.0
    return Sky(zenith, horizon, sun, 0.99975, disc, dice.uniform(2.0, 7.0), cloud, cover, hills, 0.0, lattice(dice))


def day(dice: Dice, _: View) -> World:
    """Draw a street, yard or meadow by day; the sun is in the picture more often than not."""
    in_view = dice.chance(0.8)
    sun = _unit(dice.uniform(-0.42, 0.42), dice.uniform(0.12, 0.36), 1.0)
    if not in_view:
        sun = _unit(dice.uniform(-1.0, 1.0), dice.uniform(0.35, 1.1), dice.uniform(-0.9, 0.5))
    sky = _day_sky(dice, sun)
    low = max(0.0, 1.0 - 3.0 * sun[1])
    things: Things = []
    materials: Materials = {
        "ground": _ground(dice),
        "cavity": _material(dice, "mottled", (0.003, 0.003, 0.003), (0.001, 0.001, 0.001), 0.5),
    }
    if dice.chance(0.8):
        _buildings(dice, things, materials, (0.0, 0.0, 0.0), 0.0)
    _clutter(dice, things, materials, 3.5, 11.0, 0.5)
    if not in_view:
        # The sun is behind the camera: something polished in the picture mirrors it.
        z, radius = dice.uniform(3.0, 6.0), dice.uniform(0.3, 0.6)
        materials["polished"] = _material(dice, "mottled", _grey(dice, 0.02, 0.1), _vivid(dice), 0.8, 0.8)
        things.append(Ball((z * dice.uniform(-0.3, 0.3), radius, z), radius, "polished"))
    figures = _trees(dice, dice.integer(1, 5), 9.0, 30.0) + _movers(dice, 5.0, 14.0, room=False)
    strength = dice.uniform(8.0, 18.0)
    light = Light(sun, _scaled((1.0, 0.93 - 0.25 * low, 0.85 - 0.5 * low), strength), sun=True)
    ambient = (_scaled(sky.horizon, 0.24), (0.22, 0.2, 0.16))
    return World(tuple(things), materials, (light,), ambient, sky, (), tuple(figures))


def _furniture(dice: Dice, things: Things, materials: Materials, half: Colour, middle: float) -> None:
    """Add a table, cupboards, a rug and a picture to a room of half sizes `half` whose middle is at depth `middle`."""
    wood = _material(dice, "boards", (0.3, 0.17, 0.09), (0.08, 0.04, 0.02), dice.uniform(0.2, 0.4), 0.03)
    materials["wood"] = wood
    x, z = dice.uniform(-0.5, 0.5) * half[0], middle + dice.uniform(-0.1, 0.4) * half[2]
    wide, deep = dice.uniform(0.5, 0.9), dice.uniform(0.35, 0.6)
    things.append(Box((x, 0.74, z), (wide, 0.03, deep), (1.0, 0.0), "wood"))
    for side in (-0.92, 0.92):
        for end in (-0.9, 0.9):
            things.append(Box((x + side * wide, 0.355, z + end * deep), (0.03, 0.355, 0.03), (1.0, 0.0), "wood"))
    for number in range(dice.integer(1, 3)):
        name, size = f"ball{number}", dice.uniform(0.07, 0.16)
        materials[name] = _material(dice, "mottled", _vivid(dice), _vivid(dice), 0.2, dice.uniform(0.02, 0.3))
        things.append(Ball((x + dice.uniform(-0.8, 0.8) * wide, 0.77 + size, z), size, name))
    for number in range(dice.integer(1, 2)):
        name, tall = f"cupboard{number}", dice.uniform(0.4, 1.0)
        side = 1.0 if dice.chance(0.5) else -1.0
        materials[name] = _material(dice, "boards", _vivid(dice), (0.05, 0.05, 0.05), dice.uniform(0.3, 0.6))
        place = (side * (half[0] - 0.3), tall, middle + dice.uniform(-0.5, 0.7) * half[2])
        things.append(Box(place, (0.3, tall, dice.uniform(0.3, 0.8)), (1.0, 0.0), name))
    materials["rug"] = _material(dice, "stripes", _vivid(dice), _vivid(dice), dice.uniform(0.1, 0.3))
    things.append(Box((x, 0.006, z), (1.3 * wide, 0.006, 1.5 * deep), _turn(dice, 0.2), "rug"))
    materials["picture"] = _material(dice, "stripes", _vivid(dice), _vivid(dice), dice.uniform(0.15, 0.3))
    side = 1.0 if dice.chance(0.5) else -1.0
    place = (side * (half[0] - 0.02), 1.5, middle + dice.uniform(-0.3, 0.5) * half[2])
    things.append(Box(place, (0.02, dice.uniform(0.2, 0.4), dice.uniform(0.3, 0.6)), (1.0, 0.0), "picture"))


def _lamp(dice: Dice, things: Things, materials: Materials, place: Colour, tint: Colour, power: float) -> Light:
    """Add a glowing ball and its light."""
    name, radius = f"lamp{len(things)}", dice.uniform(0.04, 0.06)
    materials[name] = Material("glow", _scaled(tint, power / (3.14 * radius * radius)), tint, 1.0, lattice(dice))
    things.append(Ball(place, radius, name))
    return Light(place, _scaled(tint, power))


def room(dice: Dice, _: View) -> World:
    """Draw a room with one or two windows to a bright outside, and lamps."""
    half = (dice.uniform(1.9, 3.0), dice.uniform(1.25, 1.6), dice.uniform(2.4, 3.6))
    middle = half[2] - 0.6
    things: Things = [Box((0.0, half[1], middle), half, (1.0, 0.0), "walls", hollow=True)]
    pattern = ("mottled", "tiles", "bricks", "boards")[dice.integer(0, 3)]
    paint = _vivid(dice) if dice.chance(0.3) else _grey(dice, 0.35, 0.75)
    materials = {"walls": _material(dice, pattern, paint, _scaled(paint, 0.75), dice.uniform(0.3, 0.7))}
    _furniture(dice, things, materials, half, middle)
    sun = _unit(dice.uniform(-0.5, 0.5), dice.uniform(0.25, 0.6), 1.0)
    sky = _day_sky(dice, sun)
    end = middle + half[2]
    size = (dice.uniform(0.4, 0.9), dice.uniform(0.4, 0.65))
    openings = [Opening(2, end, (dice.uniform(-0.5, 0.5) * half[0], dice.uniform(1.35, 1.6)), size)]
    if dice.chance(0.5):
        side = 1.0 if dice.chance(0.5) else -1.0
        place = (middle + dice.uniform(0.0, 0.5) * half[2], dice.uniform(1.3, 1.5))
        openings.append(Opening(0, side * half[0], place, (dice.uniform(0.5, 0.9), size[1])))
    lights = [Light(sun, (9.0, 8.0, 6.5), sun=True)]
    for opening in openings:
        flow = dice.uniform(0.15, 0.5)
        far = opening.axis == 2
        place3 = (opening.centre[0] if far else opening.wall, opening.centre[1], end if far else opening.centre[0])
        facing = (0.0, 0.0, -1.0) if far else (-1.0 if opening.wall > 0 else 1.0, 0.0, 0.0)
        lights.append(Light(place3, _scaled((0.9, 1.0, 1.15), flow), shadows=False, facing=facing))
    for _number in range(dice.integer(1, 2)):
        x, z = dice.uniform(-0.7, 0.7) * half[0], middle + dice.uniform(0.0, 0.7) * half[2]
        place3 = (x, 2.0 * half[1] - dice.uniform(0.3, 0.9), z)
        lights.append(_lamp(dice, things, materials, place3, (1.0, 0.72, 0.42), dice.uniform(0.2, 1.2)))
    dim = dice.uniform(0.008, 0.05)
    ambient = (_scaled((1.0, 0.95, 0.9), dim), _scaled((0.9, 0.8, 0.7), 0.6 * dim))
    movers = _movers(dice, 2.2, end - 0.5, room=True)
    return World(tuple(things), materials, tuple(lights), ambient, sky, tuple(openings), tuple(movers))


def night(dice: Dice, _: View) -> World:
    """Draw a street by night: moon, stars, lit windows, street lamps and coloured signs."""
    moon = _unit(dice.uniform(-0.45, 0.45), dice.uniform(0.15, 0.34), 1.0)
    zenith, horizon = (0.0015, 0.003, 0.010), _scaled((0.03, 0.02, 0.018), dice.uniform(0.5, 2.5))
    hills: tuple[Colour, ...] = ((0.004, 0.004, 0.006),)
    cover = dice.uniform(0.2, 0.7) if dice.chance(0.5) else 0.0
    cloud = (0.02, 0.018, 0.022)
    sky = Sky(zenith, horizon, moon, 0.9997, (6.0, 5.7, 5.0), 0.02, cloud, cover, hills, 1.5, lattice(dice))
    things: Things = []
    materials: Materials = {
        "ground": _ground(dice),
        "cavity": _material(dice, "mottled", (0.01, 0.01, 0.01), (0.004, 0.004, 0.004), 0.5),
        "pole": _material(dice, "mottled", (0.08, 0.08, 0.08), (0.05, 0.05, 0.05), 0.3),
    }
    _buildings(dice, things, materials, _scaled((1.0, 0.7, 0.36), dice.uniform(0.5, 2.0)), dice.uniform(0.2, 0.5))
    _clutter(dice, things, materials, 3.5, 11.0, 0.5)
    lights = []
    for _number in range(dice.integer(2, 3)):
        z = dice.uniform(5.0, 16.0)
        place = (z * dice.uniform(-0.4, 0.4), dice.uniform(2.6, 3.6), z)
        tint: Colour = (1.0, 0.62, 0.28) if dice.chance(0.6) else (0.8, 0.9, 1.0)
        lights.append(_lamp(dice, things, materials, place, tint, dice.uniform(3.0, 12.0)))
        things.append(Box((place[0], place[1] / 2 - 0.05, z + 0.1), (0.04, place[1] / 2, 0.04), (1.0, 0.0), "pole"))
    for number in range(dice.integer(1, 3)):
        z = dice.uniform(8.0, 18.0)
        tint = _scaled(_vivid(dice), dice.uniform(2.0, 12.0))
        materials[f"sign{number}"] = Material("glow", tint, tint, 1.0, lattice(dice))
        half = (dice.uniform(0.3, 1.2), dice.uniform(0.12, 0.35), 0.05)
        place = (z * dice.uniform(-0.45, 0.45), dice.uniform(2.0, 4.5), z)
        things.append(Box(place, half, _turn(dice, 0.3), f"sign{number}"))
        lights.append(Light((place[0], place[1], z - 0.4), _scaled(tint, 4.0 * half[0] * half[1]), shadows=False))
    movers = []
    for mover in _movers(dice, 5.0, 13.0, room=False):
        movers.append(Sprite(**{**mover.__dict__, "glow": 400.0}) if mover.kind == "car" else mover)
    ambient = (_scaled((0.012, 0.014, 0.022), 1.0), (0.004, 0.003, 0.002))
    figures = _trees(dice, dice.integer(0, 3), 9.0, 25.0) + movers
    return World(tuple(things), materials, tuple(lights), ambient, sky, (), tuple(figures))


KINDS: tuple[Callable[[Dice, View], World], ...] = (day, room, night)


def view_for(dice: Dice, kind: Callable[[Dice, View], World], height: int, width: int, margin: int) -> View:
    """Draw a camera position for a frame (height, width) with `margin` pixels of canvas around it.

    The canvas has twice the resolution of the frame.
    """
    rows, columns = 2 * (height + 2 * margin), 2 * (width + 2 * margin)
    focal = 2.0 * width * (dice.uniform(0.62, 0.85) if kind is room else dice.uniform(0.8, 1.25))
    eye = dice.uniform(1.2, 1.5) if kind is room else dice.uniform(1.3, 2.2)
    return View(rows, columns, focal, eye, rows * dice.uniform(0.45, 0.66))
