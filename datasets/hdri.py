"""Exposure stacks from real radiance maps: loader of the ``hdri_*`` cards.

A scene is a view of one map through the virtual camera: a perspective cut if the map is a panorama (2:1), a crop if it
is a still. Between the exposures the camera moves a little and patches of another map of the same split move over the
view. The reference is the middle exposure's radiance, 1 = saturation of the shortest exposure, clipped to [0, 1].

The splits differ by map: no map of the test split lends a view or a patch to training.
"""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from hdrbench.datasets import files
from hdrbench.datasets.exact import Dice
from hdrbench.datasets.scene import Image, Scene
from hdrbench.datasets.views import draw_patches, draw_pose, look, nudge, paste
from hdrbench.datasets.virtual_camera import camera_from, photograph
from hdrbench.errors import DataMissingError, HdrbenchError, ImageError, unknown
from hdrbench.imaging.io import read_hdr

if TYPE_CHECKING:
    from hdrbench.datasets.catalog import Card

# Part of the fingerprint: must grow whenever the same maps give other pixels.
GENERATOR_VERSION = 1


def generator() -> list[str | int]:
    """Name what makes the pixels of views: this code, and OpenCV, which resamples them a little differently by version."""
    return [GENERATOR_VERSION, ".".join(cv2.__version__.split(".")[:2])]


OPTIONS = ("folders", "held_out", "seed", "turn", "size", "camera")

SUFFIXES = (".hdr", ".exr")


def maps(card: "Card", split: str) -> list[Path]:
    """List the radiance maps of a split in a fixed order.

    Raises
    ------
    DataMissingError
        A folder of the card, or a map that the card holds out for testing, is missing.
    """
    found = _all_maps(card)
    root, held = files.data_root(), card.options["held_out"]
    names = {path.relative_to(root).as_posix(): path for path in found}
    for name in held:
        if name not in names:
            raise DataMissingError(f"{card.name}: the test map {root / name} is missing; get it from {card.homepage}")
    if split == "test":
        return [names[name] for name in held]
    rest = [path for name, path in names.items() if name not in held]
    if not rest:
        raise DataMissingError(f"{card.name}: every map is held out for testing; add maps to {card.options['folders']}")
    return rest


def _all_maps(card: "Card") -> list[Path]:
    root, found = files.data_root(), []
    for name in card.options["folders"]:
        folder = root / name
        inside = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES) if folder.is_dir() else []
        if not inside:
            what = "holds no .hdr or .exr file" if folder.is_dir() else "is missing"
            raise DataMissingError(f"{card.name}: folder {folder} {what}; get it from {card.homepage}")
        found += inside
    return found


def scene_names(card: "Card", split: str) -> list[str]:
    """List the scenes of a split: ``<number>_<map>``; the maps take turns."""
    sources = maps(card, split)
    return [f"{number:03d}_{sources[number % len(sources)].stem}" for number in range(card.splits[split] or 0)]


def load_scene(card: "Card", split: str, scene: str) -> Scene:
    """Make a scene from its map.

    Raises
    ------
    HdrbenchError
        The split has no such scene.
    DataMissingError
        The maps are missing.
    ImageError
        A map is broken.
    """
    known = scene_names(card, split)
    if scene not in known:
        raise unknown(f"scene of {card.name}/{split}", scene, known)
    sources, number = maps(card, split), known.index(scene)
    height, width = card.options["size"]
    dice = Dice(card.options["seed"], split, scene)
    image = read_map(sources[number % len(sources)])
    views = -(-len(known) // len(sources))
    pose = draw_pose(image, dice, (number // len(sources) + card.options["turn"]) / views, (height, width))
    before, after = (nudge(image, pose, dice, (height, width)) for _ in range(2))
    path = [look(image, place, (height, width)) for place in (before, pose, after)]
    donor_map = read_map(sources[(number + dice.integer(1, max(len(sources) - 1, 1))) % len(sources)])
    donor = look(donor_map, draw_pose(donor_map, dice, dice.uniform(), (height, width)), (height, width))
    for patch in draw_patches(path[1], donor, dice):
        path = [paste(view, patch, step - 1) for step, view in enumerate(path)]
    instants = [view.astype(np.float64) for view in path]
    camera, response = camera_from(card.options["camera"], dice)
    return photograph(scene, instants, response, camera, dice, dice.uniform(0.05, 0.12))


def read_map(path: Path) -> Image:
    """Read a map; the negative values that a colour conversion leaves in dark, saturated places become 0."""
    return np.maximum(read_hdr(path, allow_negative=True), 0.0)


def verify(card: "Card") -> list[str]:
    """Check that the folders and the held-out maps are there and that every map can be read whole."""
    try:
        camera_from(card.options["camera"], Dice("verify"))
        found = _all_maps(card)
        maps(card, "test")
    except HdrbenchError as error:
        return [str(error)]
    problems = []
    height, width = card.options["size"]
    for path in found:
        try:
            image = read_hdr(path, allow_negative=True)
        except ImageError as error:
            problems.append(f"{error}; or get it from {card.homepage}")
            continue
        if image.shape[0] < height or image.shape[1] < width:
            problems.append(f"{path}: {image.shape[1]}x{image.shape[0]}, expected at least {width}x{height}")
        elif not image.max() > 0:
            problems.append(f"{path}: is black; get it again from {card.homepage}")
    return problems


def fingerprint(card: "Card") -> dict[str, Any]:
    """Identify the content: a digest of the maps and of the card's options, from which the views follow."""
    content = files.digest(files.data_root(), _all_maps(card))
    inputs = {"maps": content["digest"], "generator": generator(), "options": card.options, "splits": card.splits}
    digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
    return {"name": card.name, **content, "digest": digest, "scenes": dict(card.splits)}
