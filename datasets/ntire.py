"""NTIRE 2021 HDR challenge: three 8-bit frames, and a reference in 16 bit that is gamma-coded.

Two quantities are stored beside the images: ``exposures.npy``, stops of the three frames, and ``alignratio.npy``, the
factor that filled the reference's 16 bits. ``gt / alignratio`` is not linear radiance: it is on the scale of the medium
frame's code values, and exceeds 1 where that frame is clipped. Linear radiance follows through the gamma that the
challenge declares, 2.24; that the medium frame and the reference then agree is tested on real patches.

Options of a card: ``folder``; ``files``, for each split the templates of ``short``, ``medium``, ``long``, ``gt``,
``exposures`` and ``ratio``, within the folder, with ``{scene}``; ``gamma``; ``size``; ``ignored``, glob patterns of
files that belong to the set and are not used.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hdrbench.datasets import scenes
from hdrbench.datasets.exposures import Claim
from hdrbench.datasets.judging import Images, Problem, Survey, Wanted, image_problems, link_problems, survey_scenes
from hdrbench.datasets.scene import Image, Scene
from hdrbench.datasets.scenes import open_array, open_ldr
from hdrbench.errors import HdrbenchError, ImageError, unknown
from hdrbench.imaging.headers import guard
from hdrbench.imaging.io import require_same_size

if TYPE_CHECKING:
    from hdrbench.datasets.catalog import Card

OPTIONS = ("folder", "files", "gamma", "size", "ignored")

FRAMES = ("short", "medium", "long")


def scene_names(card: "Card", split: str) -> list[str]:
    """List the scenes of a split in natural order: all that have one of the files at least."""
    folder, templates = _holder(card, split)[0], card.options["files"][split].values()
    found = {scene for template in templates for scene in scenes.match_template(folder, template)}
    return sorted(found, key=lambda scene: (scenes.natural(scene), scene))


def _holder(card: "Card", split: str) -> tuple[Path, Path]:
    """Find the folder of the set, and the one in it that holds the scenes of a split."""
    top = card.options["files"][split]["medium"].partition("{scene}")[0].rpartition("/")[0]
    folder = scenes.require_folder(card, card.options["folder"])
    return folder, scenes.require_folder(card, card.options["folder"], *filter(None, top.split("/")))


def _files(card: "Card", split: str, scene: str) -> dict[str, Path]:
    folder, templates = scenes.require_folder(card, card.options["folder"]), card.options["files"][split]
    if not scenes.is_name(scene) or not any(scenes.find_one(folder, each, scene) for each in templates.values()):
        raise unknown(f"scene of {card.name}/{split}", scene, scene_names(card, split))
    return {key: folder / template.replace("{scene}", scene) for key, template in templates.items()}


def _times(paths: dict[str, Path]) -> tuple[float, ...]:
    stops = open_array(paths["exposures"], (3,)).astype(np.float64)
    if not (np.diff(stops) > 0).all() or np.ptp(stops) > scenes.MOST_STOPS:
        raise HdrbenchError(
            f"{paths['exposures']}: expected 3 ascending stops that span at most {scenes.MOST_STOPS}, "
            f"got {stops.tolist()}; get it again"
        )
    return tuple(float(time) for time in 2.0 ** (stops - stops[0]))


def _ratio(paths: dict[str, Path]) -> float:
    ratio = float(open_array(paths["ratio"], ()))
    if ratio <= 0:
        raise HdrbenchError(f"{paths['ratio']}: expected a factor above 0, got {ratio:g}; get it again")
    return ratio


def coded_reference(card: "Card", split: str, scene: str) -> Image:
    """Read the reference on the scale of the medium frame's code values.

    Returns
    -------
    numpy.ndarray
        (H, W, 3) float32 RGB >= 0, gamma-coded; where it is below 1 it is what an ideal medium frame would hold.
    """
    paths = _files(card, split, scene)
    scenes.require_regular(paths["gt"])
    guard(paths["gt"], bits=16)
    codes = open_ldr(paths["gt"], bits=16, divisor=None) * np.float64(65535)
    return (codes / _ratio(paths)).astype(np.float32)


def load_scene(card: "Card", split: str, scene: str) -> Scene:
    """Read a scene.

    Raises
    ------
    HdrbenchError
        The split has no such scene, or its exposures or ratio are wrong.
    ImageError
        A file is missing or broken, or the sizes differ.
    """
    paths = _files(card, split, scene)
    times = _times(paths)
    ldrs = [open_ldr(paths[key], bits=8, divisor=None) for key in FRAMES]
    coded = coded_reference(card, split, scene)
    require_same_size({str(paths[key]): im for key, im in zip((*FRAMES, "gt"), (*ldrs, coded), strict=True)})
    # The shortest frame saturates at times[1] times the radiance at which the medium one does.
    hdr = coded.astype(np.float64) ** card.options["gamma"] / times[1]
    return Scene(scene, tuple(ldrs), times, hdr.astype(np.float32))


def used(card: "Card", split: str, scene: str) -> list[Path]:
    """List the files of a scene.

    Raises
    ------
    ImageError
        One is missing.
    """
    paths = list(_files(card, split, scene).values())
    for path in paths:
        if not path.exists():
            raise ImageError(f"{path}: no such file; get the scene again from {card.homepage}")
    return paths


def scene_problems(card: "Card", split: str, scene: str) -> list[Problem]:
    """Check one scene: its files, ratio, sizes and exposures, and that every image can be read whole."""
    try:
        used(card, split, scene)
        paths = _files(card, split, scene)
        times = _times(paths)
        _ratio(paths)
    except HdrbenchError as error:
        return [Problem(str(error))]
    frames = tuple(paths[key] for key in FRAMES)
    wanted = Wanted(8, None, card.options["size"], label_bits=16, brightening=True)
    claim = Claim(frames, paths["exposures"], times, None, f"get it again from {card.homepage}")
    return image_problems(card, Images(frames, label=paths["gt"]), wanted, claim)


def split_problems(card: "Card", split: str) -> list[str]:
    """Name the files that belong to no scene, and broken links."""
    folder, holder = _holder(card, split)
    templates = card.options["files"][split].values()
    known = {path for template in templates for path in scenes.match_template(folder, template).values()}
    inside = [holder, *scenes.sub_folders(holder)]
    files = [path for place in inside for path in scenes.in_order(place.iterdir()) if path.is_file()]
    extra = [p for p in files if p not in known and not any(map(p.match, card.options["ignored"]))]
    return [
        *(f"{path}: unexpected; remove it, or list it under 'ignored' in the card" for path in extra),
        *(line for place in inside[1:] for line in scenes.name_problems(place)),
        *link_problems(holder),
    ]


def survey(card: "Card") -> Survey:
    """Check every scene: files, exposures, ratio, depth, sizes, and that every image can be read whole."""
    return survey_scenes(card, scene_names, split_problems, scene_problems)


def verify(card: "Card") -> list[str]:
    """List what `survey` finds."""
    return list(survey(card).problems)


def fingerprint(card: "Card") -> dict[str, Any]:
    """Identify the content: a digest of exactly the files that are read, and of the card's options."""
    return scenes.fingerprint_scenes(card, scene_names, used)
