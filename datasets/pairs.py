"""Pairs of an LDR image and the radiance it was taken from, for reconstruction from a single image.

A scene has one LDR image, so its only exposure time is 1. Options of a card:

``folder``, ``pairs``
    Folder under ``HDRBENCH_DATA``, and for each split ``{ldr: TEMPLATE, hdr: TEMPLATE, by: PAIRING}`` within it, such as
    ``{ldr: "LDR_in/{scene}.jpg", hdr: "HDR_gt/{scene}.hdr", by: name}``. References are .hdr, .exr or .npy (H, W, 3).
    By ``name``: partners have the same ``{scene}``. By ``sorted``: the n-th LDR image in the order of names belongs to
    the n-th reference, as in sets whose partners are called differently; one missing file then spoils the whole split.
``hdr_divisor``
    The value of the reference that becomes 1. Scales are as their makers left them, unless the card says otherwise.
``size``, ``bits``, ``divisor``
    As in `hdrbench.datasets.brackets`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hdrbench.datasets import scenes
from hdrbench.datasets.judging import Images, Problem, Survey, Wanted, image_problems, link_problems, survey_scenes
from hdrbench.datasets.scene import Scene
from hdrbench.datasets.scenes import open_hdr, open_ldr
from hdrbench.errors import DataMissingError, unknown
from hdrbench.imaging.io import require_same_size

if TYPE_CHECKING:
    from hdrbench.datasets.catalog import Card

OPTIONS = ("folder", "pairs", "hdr_divisor", "size", "bits", "divisor")

PAIRINGS = ("name", "sorted")


def _sides(card: "Card", split: str) -> tuple[dict[str, Path], dict[str, Path]]:
    """Find the LDR images and the references of a split, each by scene."""
    folder, templates = scenes.require_folder(card, card.options["folder"]), card.options["pairs"][split]
    found = []
    for side in ("ldr", "hdr"):
        top = templates[side].partition("{scene}")[0].rpartition("/")[0]
        if top:
            scenes.require_folder(card, card.options["folder"], *top.split("/"))
        found.append(scenes.match_template(folder, templates[side]))
    return found[0], found[1]


def _pairs(card: "Card", split: str) -> dict[str, tuple[Path | None, Path | None]]:
    """Find the partners of a split by scene; one of them may be missing."""
    ldrs, hdrs = _sides(card, split)
    if card.options["pairs"][split]["by"] == "name":
        names = sorted({*ldrs, *hdrs}, key=lambda scene: (scenes.natural(scene), scene))
        return {scene: (ldrs.get(scene), hdrs.get(scene)) for scene in names}
    if len(ldrs) != len(hdrs):
        raise DataMissingError(
            f"{card.name}: split '{split}' has {len(ldrs)} LDR images and {len(hdrs)} references, which are paired by "
            f"their order, so no pair can be trusted; get the missing ones from {card.homepage}"
        )
    return {scene: (ldr, hdr) for (scene, ldr), hdr in zip(ldrs.items(), hdrs.values(), strict=True)}


def scene_names(card: "Card", split: str) -> list[str]:
    """List the scenes of a split in natural order: all that have one of the two images at least."""
    return list(_pairs(card, split))


def _pair(card: "Card", split: str, scene: str) -> tuple[Path, Path]:
    by_name = card.options["pairs"][split]["by"] == "name" and scenes.is_name(scene)
    ldr, hdr = _named(card, split, scene) if by_name else (None, None)
    if ldr is None and hdr is None:
        pairs = _pairs(card, split)
        if scene not in pairs:
            raise unknown(f"scene of {card.name}/{split}", scene, pairs)
        ldr, hdr = pairs[scene]
    if ldr is None or hdr is None:
        what = "LDR image" if ldr is None else "reference"
        raise DataMissingError(f"{ldr or hdr}: its {what} is missing; get it from {card.homepage}")
    return ldr, hdr


def _named(card: "Card", split: str, scene: str) -> tuple[Path | None, Path | None]:
    """Find the partners by their names, without listing the others."""
    folder, templates = scenes.require_folder(card, card.options["folder"]), card.options["pairs"][split]
    ldr, hdr = (scenes.find_one(folder, templates[side], scene) for side in ("ldr", "hdr"))
    return ldr, hdr


def load_scene(card: "Card", split: str, scene: str) -> Scene:
    """Read a pair.

    Raises
    ------
    HdrbenchError
        The split has no such pair.
    DataMissingError
        Files are missing.
    ImageError
        A file is broken, or the sizes differ.
    """
    ldr_path, hdr_path = _pair(card, split, scene)
    ldr = open_ldr(ldr_path, bits=card.options["bits"], divisor=card.options["divisor"])
    hdr = open_hdr(hdr_path, divisor=card.options["hdr_divisor"])
    require_same_size({str(ldr_path): ldr, str(hdr_path): hdr})
    return Scene(scene, (ldr,), (1.0,), hdr)


def used(card: "Card", split: str, scene: str) -> list[Path]:
    """List the two files of a pair.

    Raises
    ------
    DataMissingError
        One is missing.
    """
    return list(_pair(card, split, scene))


def scene_problems(card: "Card", split: str, scene: str) -> list[Problem]:
    """Check one pair: partners, depth, sizes, and that both images can be read whole."""
    options = card.options
    wanted = Wanted(options["bits"], options["divisor"], options["size"], hdr_divisor=options["hdr_divisor"])
    try:
        ldr, hdr = _pair(card, split, scene)
    except DataMissingError as error:
        return [Problem(str(error))]
    return image_problems(card, Images([ldr], hdr), wanted)


def split_problems(card: "Card", split: str) -> list[str]:
    """Name the links that lead nowhere, and names not in UTF-8."""
    folder, templates = scenes.require_folder(card, card.options["folder"]), card.options["pairs"][split]
    folders = {path.parent for side in _sides(card, split) for path in side.values()}
    folders |= {scenes.holder(folder, templates[side]) for side in ("ldr", "hdr")}
    return [line for folder in sorted(folders) for line in link_problems(folder)]


def survey(card: "Card") -> Survey:
    """Check every pair: partners, counts, depth, sizes, and that every image can be read whole.

    Raises
    ------
    HdrbenchError
        The card pairs in an unknown way.
    """
    for pair in card.options["pairs"].values():
        if pair["by"] not in PAIRINGS:
            raise unknown(f"pairing of card {card.name}", pair["by"], PAIRINGS)
    return survey_scenes(card, scene_names, split_problems, scene_problems)


def verify(card: "Card") -> list[str]:
    """List what `survey` finds."""
    return list(survey(card).problems)


def fingerprint(card: "Card") -> dict[str, Any]:
    """Identify the content: a digest of exactly the files that are read, and of the card's options."""
    return scenes.fingerprint_scenes(card, scene_names, used)
