"""Procedural scenes with real dynamic range: loader of the ``embedded_*`` cards.

A random world (`hdrbench.datasets.procedural.scenery`) is rendered at twice the resolution of the frame, with a margin, so that
the camera's movement between the exposures brings in real content. People, cars and balls move too, unless the card's
option ``still`` stops both. The reference is the radiance at the middle exposure's instant, 1 = saturation of the
shortest exposure, clipped to [0, 1]: what merging an unmoved bracket could recover. Every scene is made from its card
and its number alone, with the same bits everywhere.
"""

import hashlib
import json
from typing import TYPE_CHECKING, Any

from hdrbench.datasets import exact
from hdrbench.datasets.procedural.scenery import KINDS, view_for
from hdrbench.datasets.procedural.world import Canvas, World, frame, render
from hdrbench.datasets.scene import Scene
from hdrbench.datasets.virtual_camera import camera_from, photograph
from hdrbench.errors import HdrbenchError, unknown

if TYPE_CHECKING:
    from hdrbench.datasets.catalog import Card

# Part of the fingerprint: must grow whenever the pixels change, which the golden test notices.
GENERATOR_VERSION = 1

OPTIONS = ("seed", "size", "still", "camera")

MARGIN = 8
_MOST_SHIFT = 5.0


def scene_names(card: "Card", split: str) -> list[str]:
    """List the scenes of a split."""
    return [f"{split}{number:03d}" for number in range(card.splits[split] or 0)]


def world_of(card: "Card", name: str) -> tuple[World, Canvas, exact.Dice]:
    """Draw and render the world of a scene, before any camera sees it.

    Returns
    -------
    tuple
        The world, its still part at twice the resolution of the frame, and the dice for what follows.
    """
    dice = exact.Dice(card.options["seed"], name)
    # All kinds of world take turns, so that every split has them in equal parts.
    kind = KINDS[int(name[-3:]) % len(KINDS)]
    height, width = card.options["size"]
    view = view_for(dice, kind, height, width, MARGIN)
    world = kind(dice, view)
    return world, render(world, view), dice


def load_scene(card: "Card", split: str, scene: str) -> Scene:
    """Make a scene.

    Raises
    ------
    HdrbenchError
        The split has no such scene.
    """
    known = scene_names(card, split)
    if scene not in known:
        raise unknown(f"scene of {card.name}/{split}", scene, known)
    world, canvas, dice = world_of(card, scene)
    camera, response = camera_from(card.options["camera"], dice)
    instants = _instants(card, world, canvas, len(camera.evs), dice)
    return photograph(scene, instants, response, camera, dice, dice.uniform(0.05, 0.12))


def _instants(card: "Card", world: World, canvas: Canvas, count: int, dice: exact.Dice) -> list[exact.Array]:
    """Take the radiance while each exposure is made; the camera is in its place at the middle one."""
    height, width = card.options["size"]
    if card.options["still"]:
        return [frame(world, canvas, 0, (0.0, 0.0), (height, width))] * count
    shifts = [
        (dice.uniform(-_MOST_SHIFT, _MOST_SHIFT), dice.uniform(-_MOST_SHIFT, _MOST_SHIFT)) for _ in range(count - 1)
    ]
    middle = count // 2
    path = [*shifts[:middle], (0.0, 0.0), *shifts[middle:]]
    return [frame(world, canvas, step - middle, shift, (height, width)) for step, shift in enumerate(path)]


def verify(card: "Card") -> list[str]:
    """Check the card; there are no files that could be missing."""
    try:
        camera, _ = camera_from(card.options.get("camera", {}), exact.Dice("verify"))
    except HdrbenchError as error:
        return [f"{card.name}: {error}"]
    problems = []
    if len(camera.evs) % 2 == 0:
        problems.append(f"{card.name}: the camera has {len(camera.evs)} exposures, expected an odd number; add an ev")
    size = card.options.get("size")
    if not (isinstance(size, list) and len(size) == 2 and all(isinstance(n, int) and n >= 32 for n in size)):
        problems.append(f"{card.name}: option 'size' is {size}, expected [height, width] of at least 32")
    if not isinstance(card.options.get("seed"), int):
        problems.append(f"{card.name}: option 'seed' is {card.options.get('seed')}, expected a whole number")
    if not isinstance(card.options.get("still"), bool):
        problems.append(f"{card.name}: option 'still' is {card.options.get('still')}, expected true or false")
    return problems


def fingerprint(card: "Card") -> dict[str, Any]:
    """Identify the content: a digest of all that the pixels follow from."""
    inputs = {"generator": GENERATOR_VERSION, "options": card.options, "splits": card.splits}
    digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
    return {"name": card.name, "digest": digest, "scenes": dict(card.splits), "files": 0, "bytes": 0}
