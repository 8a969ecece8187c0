"""Folders of real exposure stacks: loader of ``kalantari``, ``kalantari_oxford`` and ``real_hdrv``.

Every such set is ``<folder>/<split folder>/<scene>/`` with LDR files, an exposure text and an HDR file. What differs is
in the card's options:

``folder``, ``splits``
    Folder under ``HDRBENCH_DATA``, and the folder of each split.
``ldr``
    Glob pattern of the LDR files; sorted names are in ascending exposure.
``hdr``, ``hdr_optional``
    Glob pattern of the reference, one file, and the splits in which scenes may lack it.
``exposures``, ``exposure_unit``
    Glob pattern of the exposure text, one file, and what its numbers are: ``stops`` (time = 2**value) or ``times``.
``ignored``
    Glob patterns of files that belong to the set and are not used.
``count``, ``size``, ``divisor``
    Exposures per scene; [height, width] or null; the code value that becomes 1, or null for the full range.
"""

import hashlib
import json
import math
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hdrbench.datasets import files
from hdrbench.datasets.scene import Image, Scene
from hdrbench.errors import DataMissingError, HdrbenchError, ImageError, unknown
from hdrbench.imaging.io import read_hdr, read_ldr, require_same_size

if TYPE_CHECKING:
    from hdrbench.datasets.catalog import Card

# No camera brackets wider; numbers further apart are times taken for stops.
MOST_STOPS = 24

OPTIONS = (
    "folder",
    "splits",
    "ldr",
    "hdr",
    "hdr_optional",
    "exposures",
    "exposure_unit",
    "ignored",
    "count",
    "size",
    "divisor",
)


def _split_folder(card: "Card", split: str) -> Path:
    folder = files.data_root() / card.options["folder"]
    for place in (folder, folder / card.options["splits"][split]):
        if not place.is_dir():
            raise DataMissingError(f"{card.name}: folder {place} is missing; get it from {card.homepage}")
    return folder / card.options["splits"][split]


def scene_names(card: "Card", split: str) -> list[str]:
    """List the scenes of a split: the names of its sub-folders, sorted."""
    return sorted(p.name for p in _split_folder(card, split).iterdir() if p.is_dir() and not p.name.startswith("."))


def load_scene(card: "Card", split: str, scene: str) -> Scene:
    """Read a scene.

    Raises
    ------
    HdrbenchError
        The split has no such scene, or its exposure text is wrong.
    DataMissingError
        Files are missing.
    ImageError
        A file is broken, or the sizes differ.
    """
    names = scene_names(card, split)
    if scene not in names:
        raise unknown(f"scene of {card.name}/{split}", scene, names)
    folder = _split_folder(card, split) / scene
    times = _times(card, folder)
    paths = _ldr_paths(card, folder)
    reference = _reference(card, split, folder)
    ldrs: list[Image] = [read_ldr(path, divisor=card.options["divisor"]) for path in paths]
    hdr = None if reference is None else read_hdr(reference)
    images = {str(path): image for path, image in zip(paths, ldrs, strict=True)}
    require_same_size(images if hdr is None else {**images, str(reference): hdr})
    return Scene(scene, tuple(ldrs), times, hdr)


def _ldr_paths(card: "Card", folder: Path) -> list[Path]:
    paths = sorted(folder.glob(card.options["ldr"]))
    if len(paths) != card.options["count"]:
        raise DataMissingError(
            f"{folder}: {len(paths)} files match '{card.options['ldr']}', expected {card.options['count']}; "
            f"get the scene again from {card.homepage}"
        )
    return paths


def _only(card: "Card", folder: Path, pattern: str, what: str) -> Path:
    found = sorted(folder.glob(pattern))
    if not found:
        raise DataMissingError(f"{folder / pattern}: the {what} is missing; get the scene again from {card.homepage}")
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise HdrbenchError(f"{folder}: expected one {what} matching '{pattern}', got {names}; remove the others")
    return found[0]


def _reference(card: "Card", split: str, folder: Path) -> Path | None:
    pattern = card.options["hdr"]
    if split in card.options["hdr_optional"] and not list(folder.glob(pattern)):
        return None
    return _only(card, folder, pattern, "reference")


def _times(card: "Card", folder: Path) -> tuple[float, ...]:
    """Read the relative exposure times, the shortest = 1."""
    count, unit = card.options["count"], card.options["exposure_unit"]
    path = _only(card, folder, card.options["exposures"], "exposure text")
    values = _numbers(path)
    wanted = f"{count} ascending {unit}, one per line"
    if len(values) != count:
        raise HdrbenchError(f"{path}: expected {wanted}, got {len(values)} numbers; correct the file")
    if any(later <= earlier for earlier, later in pairwise(values)):
        raise HdrbenchError(f"{path}: expected {wanted}, got {values}; correct the file")
    if unit == "stops":
        if values[-1] - values[0] > MOST_STOPS:
            raise HdrbenchError(f"{path}: {values} span over {MOST_STOPS} stops; if they are times, say so in the card")
        return tuple(2.0 ** (value - values[0]) for value in values)
    if values[0] <= 0:
        raise HdrbenchError(f"{path}: expected {wanted} above 0, got {values}; if they are stops, say so in the card")
    return tuple(value / values[0] for value in values)


def _numbers(path: Path) -> list[float]:
    numbers = []
    # Real files end their lines with LF, CR LF, or not at all.
    for word in path.read_text(encoding="utf-8-sig", errors="replace").split():
        try:
            number = float(word)
        except ValueError:
            raise HdrbenchError(f"{path}: '{word}' is not a number; expected one exposure per line") from None
        if not math.isfinite(number):
            raise HdrbenchError(f"{path}: '{word}' is not a finite number; expected one exposure per line")
        numbers.append(number)
    return numbers


def _used(card: "Card", split: str, scene: str) -> list[Path]:
    """List the files of a scene that are read."""
    folder = _split_folder(card, split) / scene
    patterns = [card.options[key] for key in ("ldr", "hdr", "exposures")]
    return [path for pattern in patterns for path in sorted(folder.glob(pattern))]


def verify(card: "Card") -> list[str]:
    """Check every scene: files, counts, exposure texts, sizes, and that every image can be read whole."""
    if card.options["exposure_unit"] not in ("stops", "times"):
        raise unknown(f"exposure unit of card {card.name}", card.options["exposure_unit"], ("stops", "times"))
    problems = []
    for split, expected in card.splits.items():
        try:
            names = scene_names(card, split)
        except DataMissingError as error:
            problems.append(str(error))
            continue
        if expected is not None and len(names) != expected:
            place = _split_folder(card, split)
            problems.append(f"{place}: {len(names)} scenes, expected {expected}; get the rest from {card.homepage}")
        for name in names:
            problems += _scene_problems(card, split, name)
    return list(dict.fromkeys(problems))


def _scene_problems(card: "Card", split: str, name: str) -> list[str]:
    problems = []
    try:
        scene = load_scene(card, split, name)
    except ImageError as error:
        problems.append(f"{error}; or get the scene again from {card.homepage}")
    except HdrbenchError as error:
        problems.append(str(error))
    else:
        if scene.hdr is not None and scene.hdr.max() > 2:  # a stop above what the shortest exposure can hold
            reference = _reference(card, split, _split_folder(card, split) / name)
            problems.append(
                f"{reference}: reaches {scene.hdr.max():.4g}; expected 1 = saturation of the shortest exposure"
            )
        size, wanted = scene.ldrs[0].shape[:2], card.options["size"]
        if wanted is not None and list(size) != wanted:
            folder = _split_folder(card, split) / name
            problems.append(f"{folder}: images are {size[1]}x{size[0]}, expected {wanted[1]}x{wanted[0]}")
    folder = _split_folder(card, split) / name
    known = {path.name for path in _used(card, split, name)}
    for path in sorted(folder.iterdir()):
        ignored = path.name.startswith(".") or any(path.match(pattern) for pattern in card.options["ignored"])
        if path.name not in known and not ignored:
            problems.append(f"{path}: unexpected; remove it, or list it under 'ignored' in the card")
    return problems


def fingerprint(card: "Card") -> dict[str, Any]:
    """Identify the content: a digest of exactly the files that are read, and of the card's options."""
    used, scenes = [], {}
    for split in card.splits:
        names = scene_names(card, split)
        scenes[split] = len(names)
        for name in names:
            used += _used(card, split, name)
    content = files.digest(files.data_root(), used)
    # The options decide what the files mean: divisor, unit of the exposures, which file is which.
    meaning = json.dumps([content["digest"], card.options, card.splits], sort_keys=True)
    digest = hashlib.sha256(meaning.encode()).hexdigest()
    return {"name": card.name, **content, "digest": digest, "scenes": scenes}
