"""Folders of real exposure stacks: one folder per scene.

What differs between such sets is in the card's options. Patterns are globs within the scene's folder; those of ``hdr``
and ``label`` may begin with ``{split}/`` or ``{set}/``, the folder of the split or of the whole set. ``{scene}`` stands
for the scene's name.

``folder``, ``splits``
    Folder under ``HDRBENCH_DATA``, and of each split the folder in it, or ``{folder: ..., scenes: [...]}``.
``ldr``, ``count``
    Pattern of the LDR files, and how many of them a scene has; ``null`` for two or more.
``hdr``, ``hdr_optional``, ``hdr_scale``
    Pattern of the radiance reference, one file, or null; the splits in which scenes may lack it; ``saturation`` if 1 is
    the saturation of the shortest exposure, ``relative`` if its scale is its maker's.
``label``
    Pattern of a display-referred reference, one file (see `load_label`), or null.
``exposures``, ``exposure_unit``, ``order``
    See `hdrbench.datasets.exposures`.
``ignored``
    Glob patterns of files and folders that belong to the set and are not used.
``size``, ``bits``, ``divisor``
    [height, width]; depth of the LDR files; the code value that becomes 1. Null means any, any, and the full range.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hdrbench.datasets import scenes
from hdrbench.datasets.exposures import check_options, claimed, exposure_text, only, timed_frames
from hdrbench.datasets.judging import Images, Problem, Survey, Wanted, image_problems, link_problems, survey_scenes
from hdrbench.datasets.scene import Image, Scene
from hdrbench.datasets.scenes import open_hdr, open_ldr
from hdrbench.errors import DataMissingError, HdrbenchError, unknown
from hdrbench.imaging.io import LDR_SUFFIXES, require_same_size

if TYPE_CHECKING:
    from hdrbench.datasets.catalog import Card

OPTIONS = (
    "folder",
    "splits",
    "ldr",
    "count",
    "hdr",
    "hdr_optional",
    "hdr_scale",
    "label",
    "exposures",
    "exposure_unit",
    "order",
    "ignored",
    "size",
    "bits",
    "divisor",
)

SCALES = ("saturation", "relative")


def _split_folder(card: "Card", split: str) -> Path:
    place = card.options["splits"][split]
    return scenes.require_folder(card, card.options["folder"], place if isinstance(place, str) else place["folder"])


def scene_names(card: "Card", split: str) -> list[str]:
    """List the scenes of a split: its sub-folders, or those that the card names as far as they are there."""
    place = card.options["splits"][split]
    found = [p.name for p in scenes.sub_folders(_split_folder(card, split)) if not _ignored(card, p)]
    return found if isinstance(place, str) else [name for name in place["scenes"] if name in found]


def _ignored(card: "Card", path: Path) -> bool:
    return any(path.match(pattern) for pattern in card.options["ignored"])


def load_scene(card: "Card", split: str, scene: str) -> Scene:
    """Read a scene.

    Raises
    ------
    HdrbenchError
        The split has no such scene, or its exposures are wrong.
    DataMissingError
        Files are missing.
    ImageError
        A file is broken, or the sizes differ.
    """
    folder = _scene_folder(card, split, scene)
    paths, times = timed_frames(card, folder, _ldr_paths(card, folder))
    reference = _reference(card, split, scene)
    ldrs = [open_ldr(path, bits=card.options["bits"], divisor=card.options["divisor"]) for path in paths]
    hdr = None if reference is None else open_hdr(reference)
    images = {str(path): image for path, image in zip(paths, ldrs, strict=True)}
    require_same_size(images if hdr is None else {**images, str(reference): hdr})
    if card.options["order"] == "brightness":
        ldrs.sort(key=lambda image: float(image.mean(dtype="float64")))
    return Scene(scene, tuple(ldrs), times, hdr)


def load_label(card: "Card", split: str, scene: str) -> Image:
    """Read the display-referred reference of a scene, such as SICE's hand-picked fusion.

    Returns
    -------
    numpy.ndarray
        (H, W, 3) float32 RGB in [0, 1].

    Raises
    ------
    HdrbenchError
        The data set has none, or it is missing or broken.
    """
    path = _label(card, split, scene)
    if path is None:
        raise HdrbenchError(f"{card.name}: has no display-referred references; its card names no 'label'")
    return open_ldr(path, bits=None, divisor=None)


def _scene_folder(card: "Card", split: str, scene: str) -> Path:
    folder, place = _split_folder(card, split) / scene, card.options["splits"][split]
    listed = isinstance(place, str) or scene in place["scenes"]
    if not scenes.is_name(scene) or not folder.is_dir() or _ignored(card, folder) or not listed:
        raise unknown(f"scene of {card.name}/{split}", scene, scene_names(card, split))
    return folder


def _ldr_paths(card: "Card", folder: Path) -> list[Path]:
    pattern = scenes.fill(card.options["ldr"], folder.name)
    paths = [p for p in scenes.in_order(folder.glob(pattern)) if _is_frame(card, p)]
    if any(not scenes.is_text(path.name) and _is_frame(card, path) for path in folder.glob(pattern)):
        raise HdrbenchError(scenes.name_problems(folder)[0])
    count = card.options["count"]
    if len(paths) < 2 or count not in (None, len(paths)):
        fix = "remove the extra ones" if count and len(paths) > count else f"get the scene again from {card.homepage}"
        other_case = [p.name for p in scenes.in_order(folder.iterdir()) if p not in paths and _nearly(p.name, pattern)]
        if other_case and (count is None or len(paths) < count):
            fix = f"rename {', '.join(other_case)}, whose capital or small letters differ"
        raise DataMissingError(
            f"{folder}: {len(paths)} files match '{card.options['ldr']}', expected {count or 'at least 2'}; {fix}"
        )
    if card.options["exposures"] is None:
        _require_all_numbers(card, folder, paths)
    return paths


def _is_frame(card: "Card", path: Path) -> bool:
    return path.suffix.lower() in LDR_SUFFIXES and not _ignored(card, path)


def _nearly(name: str, pattern: str) -> bool:
    return fnmatchcase(name.lower(), pattern.lower())


def _require_all_numbers(card: "Card", folder: Path, paths: Sequence[Path]) -> None:
    """Refuse frames 1 to k of which some are missing; where exposures are unknown only their numbers can tell."""
    if not all(path.stem.isascii() and path.stem.isdigit() for path in paths):
        return
    numbers = {int(path.stem) for path in paths}
    missing = sorted(set(range(1, max(numbers))) - numbers)
    if 0 < len(missing) < len(numbers):  # numbers that begin far from 1 are a camera's
        named = ", ".join(map(str, missing))
        raise DataMissingError(f"{folder}: frame {named} of {max(numbers)} is missing; get it from {card.homepage}")


def _one(card: "Card", split: str, scene: str, pattern: str, what: str) -> Path:
    split_folder = _split_folder(card, split)
    bases = {"{split}/": split_folder, "{set}/": scenes.require_folder(card, card.options["folder"])}
    for mark, base in bases.items():
        if pattern.startswith(mark):
            return only(card, base, scenes.fill(pattern.removeprefix(mark), scene), what)
    return only(card, split_folder / scene, scenes.fill(pattern, scene), what)


def _reference(card: "Card", split: str, scene: str) -> Path | None:
    if card.options["hdr"] is None:
        return None
    try:
        return _one(card, split, scene, card.options["hdr"], "reference")
    except DataMissingError:
        if split in card.options["hdr_optional"]:
            return None
        raise


def _label(card: "Card", split: str, scene: str) -> Path | None:
    return None if card.options["label"] is None else _one(card, split, scene, card.options["label"], "label")


def used(card: "Card", split: str, scene: str) -> list[Path]:
    """List the files of a scene that are read.

    Raises
    ------
    HdrbenchError
        One is missing.
    """
    folder = _scene_folder(card, split, scene)
    single = (_reference(card, split, scene), _label(card, split, scene), exposure_text(card, folder))
    return [*_ldr_paths(card, folder), *(path for path in single if path is not None)]


def scene_problems(card: "Card", split: str, scene: str) -> list[Problem]:
    """Check one scene: its files, sizes and exposures, and that every image can be read whole."""
    folder, options = _split_folder(card, split) / scene, card.options
    found, files = [], []
    try:
        files = used(card, split, scene)
        claim = claimed(card, folder, _ldr_paths(card, folder))
        images = Images(claim.frames, _reference(card, split, scene), _label(card, split, scene))
    except HdrbenchError as error:
        found.append(Problem(str(error)))
    else:
        most = 2.0 if options["hdr_scale"] == "saturation" else None  # a stop above what the shortest can hold
        known = options["order"] != "brightness"
        wanted = Wanted(options["bits"], options["divisor"], options["size"], hdr_most=most, brightening=known)
        found += image_problems(card, images, wanted, claim)
    return found + [Problem(text, fatal=False) for text in _extra(card, split, scene, files)]


def _extra(card: "Card", split: str, scene: str, known: list[Path]) -> list[str]:
    folder = _split_folder(card, split) / scene
    if not known:  # some file is missing, so what is there cannot be told from what is extra; go by the patterns
        patterns = [card.options[key] for key in ("ldr", "hdr", "exposures") if isinstance(card.options[key], str)]
        known = [path for pattern in patterns for path in folder.glob(scenes.fill(pattern, scene))]
    extra = [p for p in scenes.in_order(folder.iterdir()) if p not in known and not _ignored(card, p)]
    return [*(f"{path}: {_UNEXPECTED}" for path in extra), *scenes.name_problems(folder)]


_UNEXPECTED = "unexpected; remove it, or list it under 'ignored' in the card"


def split_problems(card: "Card", split: str) -> list[str]:
    """Name the scenes that a card lists and that are missing, files beside the folders of scenes, and broken links."""
    folder, place = _split_folder(card, split), card.options["splits"][split]
    links = link_problems(folder)
    if isinstance(place, str):
        fix = f"get it from {card.homepage}, or remove the file"
        orphans = [f"{path}: has no scene {folder / name}; {fix}" for name, path in _orphans(card, split)]
        return [*(f"{path}: {_UNEXPECTED}" for path in _stray(card, folder)), *orphans, *links]
    there = scene_names(card, split)
    missing = [folder / name for name in place["scenes"] if name not in there]
    return [*(f"{path}: the scene is missing; get it from {card.homepage}" for path in missing), *links]


def _orphans(card: "Card", split: str) -> list[tuple[str, Path]]:
    """List the references and labels in a split's folder whose scenes are not there, with these."""
    patterns = [pattern for key in ("hdr", "label") if (pattern := card.options[key]) is not None]
    there, folder = set(scene_names(card, split)), _split_folder(card, split)
    return [
        (scene, path)
        for pattern in patterns
        if pattern.startswith("{split}/") and "{scene}" in pattern
        for scene, path in scenes.match_template(folder, pattern.removeprefix("{split}/")).items()
        if scene not in there
    ]


def _stray(card: "Card", folder: Path) -> list[Path]:
    """List the files in a split's folder that are no scene's reference or label."""
    bases = {"{split}/": folder, "{set}/": scenes.require_folder(card, card.options["folder"])}
    patterns = [pattern for key in ("hdr", "label") if (pattern := card.options[key]) is not None]
    known = {
        path
        for pattern in patterns
        for mark, base in bases.items()
        if pattern.startswith(mark)
        for path in base.glob(pattern.removeprefix(mark).replace("{scene}", "*"))
    }
    return [p for p in scenes.in_order(folder.iterdir()) if p.is_file() and p not in known and not _ignored(card, p)]


def survey(card: "Card") -> Survey:
    """Check every scene: files, counts, exposures, sizes, and that every image can be read whole.

    Raises
    ------
    HdrbenchError
        The card's options contradict each other.
    """
    check_options(card)
    if card.options["hdr_scale"] not in SCALES:
        raise unknown(f"hdr_scale of card {card.name}", card.options["hdr_scale"], SCALES)
    return survey_scenes(card, scene_names, split_problems, scene_problems)


def verify(card: "Card") -> list[str]:
    """List what `survey` finds."""
    return list(survey(card).problems)


def fingerprint(card: "Card") -> dict[str, Any]:
    """Identify the content: a digest of exactly the files that are read, and of the card's options."""
    return scenes.fingerprint_scenes(card, scene_names, used)
