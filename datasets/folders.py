"""Any folder of radiance maps, or of photos: one image, one scene.

A photo becomes a scene with one LDR image and no reference. A radiance map becomes a static bracket, taken of the whole
map by the virtual camera; `hdrbench.datasets.hdri` cuts views with motion instead. The reference is the radiance,
1 = saturation of the shortest exposure, clipped to [0, 1]; negative values of the map count as 0.

Options of a card: ``folder``; ``splits``, the folder of each split in it (files in its sub-folders count);
``content``, ``maps`` or ``photos``; for maps ``camera`` as in `hdrbench.datasets.virtual_camera.camera_from` and
``seed`` of its noise, for photos null.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hdrbench.datasets import scenes
from hdrbench.datasets.exact import Dice
from hdrbench.datasets.judging import Problem, Survey, link_problems, survey_scenes
from hdrbench.datasets.scene import Scene
from hdrbench.datasets.scenes import open_ldr
from hdrbench.datasets.virtual_camera import camera_from, photograph
from hdrbench.errors import DataMissingError, HdrbenchError, ImageError, unknown
from hdrbench.imaging.headers import guard
from hdrbench.imaging.io import LDR_SUFFIXES, read_hdr

if TYPE_CHECKING:
    from hdrbench.datasets.catalog import Card

OPTIONS = ("folder", "splits", "content", "camera", "seed")

SUFFIXES = {"maps": (".hdr", ".pic", ".exr"), "photos": LDR_SUFFIXES}


def _walk(folder: Path, above: tuple[Path, ...] = ()) -> list[Path]:
    """List all files below a folder; links are followed, except back to a folder that holds them."""
    here = folder.resolve()
    found: list[Path] = []
    for path in scenes.in_order(folder.iterdir()):
        if not path.is_dir():
            found.append(path)
        elif path.resolve() not in (*above, here):
            found += _walk(path, (*above, here))
    return found


def _images(card: "Card", split: str) -> dict[str, list[Path]]:
    """Find the images of a split by scene: the path below the folder, without ending, ``/`` made ``_``."""
    content = card.options["content"]
    if content not in SUFFIXES:
        raise unknown(f"content of card {card.name}", content, SUFFIXES)
    folder = scenes.require_folder(card, card.options["folder"], *_parts(card, split))
    found: dict[str, list[Path]] = {}
    for path in _walk(folder):
        if path.suffix.lower() in SUFFIXES[content]:
            name = path.relative_to(folder).with_suffix("").as_posix().replace("/", "_")
            found.setdefault(name, []).append(path)
    if not found:
        endings = ", ".join(SUFFIXES[content])
        raise DataMissingError(f"{card.name}: folder {folder} holds no {endings} file; put your {content} there")
    return found


def _parts(card: "Card", split: str) -> list[str]:
    return [part for part in card.options["splits"][split].split("/") if part != "."]


def scene_names(card: "Card", split: str) -> list[str]:
    """List the scenes of a split, in natural order."""
    return list(_images(card, split))


def _image(card: "Card", split: str, scene: str) -> Path:
    folder = scenes.require_folder(card, card.options["folder"], *_parts(card, split))
    endings = SUFFIXES.get(card.options["content"], ())
    near = [p for p in scenes.in_order(folder.glob(scenes.fill("{scene}.*", scene))) if p.suffix.lower() in endings]
    if len(near) == 1 and near[0].stem == scene and near[0].is_file():
        return near[0]
    images = _images(card, split)
    if scene not in images:
        raise unknown(f"scene of {card.name}/{split}", scene, images)
    if len(images[scene]) > 1:
        raise HdrbenchError(f"{' and '.join(map(str, images[scene]))}: both would be scene '{scene}'; rename one")
    return images[scene][0]


def load_scene(card: "Card", split: str, scene: str) -> Scene:
    """Read a photo, or photograph a radiance map.

    Raises
    ------
    HdrbenchError
        The split has no such scene, or the camera is wrong.
    DataMissingError
        The folder is missing or empty.
    ImageError
        The file is broken.
    """
    return _load(card, split, scene, _image(card, split, scene))


def _load(card: "Card", split: str, scene: str, path: Path) -> Scene:
    if card.options["content"] == "photos":
        return Scene(scene, (open_ldr(path, bits=None, divisor=None),), (1.0,), None)
    scenes.require_regular(path)
    guard(path)
    radiance = np.maximum(read_hdr(path, allow_negative=True), 0.0).astype(np.float64)
    if not radiance.max() > 0:
        raise ImageError(f"{path}: is black; get it again from {card.homepage}")
    dice = Dice(card.options["seed"], split, scene)
    camera, response = camera_from(card.options["camera"], dice)
    return photograph(scene, [radiance] * len(camera.evs), response, camera, dice, dice.uniform(0.05, 0.12))


def used(card: "Card", split: str, scene: str) -> list[Path]:
    """List the one file of a scene."""
    return [_image(card, split, scene)]


def scene_problems(card: "Card", split: str, scene: str) -> list[Problem]:
    """Check that an image can be read whole, and that no other would be the same scene."""
    try:
        path = _image(card, split, scene)
    except HdrbenchError as error:
        return [Problem(str(error))]
    try:
        scenes.require_regular(path)
        guard(path)
        if card.options["content"] == "photos":
            open_ldr(path, bits=None, divisor=None)
        elif not read_hdr(path, allow_negative=True).max() > 0:
            raise ImageError(f"{path}: is black")
    except ImageError as error:
        return [Problem(f"{error}; or get it again from {card.homepage}")]
    return []


def split_problems(card: "Card", split: str) -> list[str]:
    """Name the links that lead nowhere or back, and names not in UTF-8."""
    top = scenes.require_folder(card, card.options["folder"], *_parts(card, split))
    found = []
    for place, below, _ in os.walk(top):
        below[:] = filter(scenes.is_text, below)
        found += link_problems(Path(place))
    return found


def survey(card: "Card") -> Survey:
    """Check that every image can be read whole.

    Raises
    ------
    HdrbenchError
        The camera is wrong.
    """
    if card.options["content"] == "maps":
        camera_from(card.options["camera"], Dice("survey"))
    return survey_scenes(card, scene_names, split_problems, scene_problems)


def verify(card: "Card") -> list[str]:
    """List what `survey` finds."""
    return list(survey(card).problems)


def fingerprint(card: "Card") -> dict[str, Any]:
    """Identify the content: a digest of the files, and of the card's options, from which the brackets follow."""
    return scenes.fingerprint_scenes(card, scene_names, used)
