"""What the loaders of real files share: finding files, opening them with care, and judging scene by scene.

A damaged scene is left out; it never makes the others unusable. So every loader of files has, beside what
`hdrbench.datasets.catalog` asks for, two functions: ``scene_problems(card, split, scene)`` and
``used(card, split, scene)``, the files that are read.
"""

import glob
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hdrbench.datasets import files
from hdrbench.datasets.headers import guard
from hdrbench.datasets.scene import Image
from hdrbench.errors import DataMissingError, HdrbenchError, ImageError
from hdrbench.imaging.io import read_hdr, read_ldr, require_same_size
from hdrbench.imaging.stack import MOST_STOPS as MOST_STOPS

if TYPE_CHECKING:
    from hdrbench.datasets.catalog import Card

Names = Callable[["Card", str], list[str]]

# A folder's time tells of every file that came or went, but in ticks, so only one that is 2 s old can be trusted.
SETTLED = 2 * 10**9


@dataclass(frozen=True)
class Problem:
    """Something wrong with a scene.

    Attributes
    ----------
    text
        One line: file, what was expected, what came, the fix.
    fatal
        Whether the scene must be left out.
    """

    text: str
    fatal: bool = True


def natural(name: str) -> list[str | int]:
    """Sort key in which ``10`` comes after ``9``."""
    return [int(part) if index % 2 else part for index, part in enumerate(re.split(r"([0-9]+)", name))]


def in_order(paths: Iterable[Path]) -> list[Path]:
    """Sort paths so that numbers in them count as numbers; hidden files are left out."""
    return sorted((p for p in paths if not p.name.startswith(".")), key=lambda p: (natural(p.as_posix()), p.as_posix()))


def require_folder(card: "Card", *parts: str) -> Path:
    """Find a folder of a data set.

    Raises
    ------
    DataMissingError
        It, or one above it, is missing.
    """
    folder = files.data_root()
    for part in parts:
        folder /= part
        if not folder.is_dir():
            raise DataMissingError(f"{card.name}: folder {folder} is missing; get it from {card.homepage}")
    return folder


def match_template(folder: Path, template: str) -> dict[str, Path]:
    """Find the files that a template such as ``LDR/{scene}_LDR.tif`` names.

    Returns
    -------
    dict
        Path by scene, in natural order; the scene is part of a file's name, or a folder's name.
    """
    holder = folder / template.rpartition("/")[0]
    changed = holder.stat().st_mtime_ns if "{scene}" not in str(holder) and holder.is_dir() else time.time_ns()
    if time.time_ns() - changed < SETTLED:
        return _matches(folder, template)
    return dict(_settled_matches(folder, template, changed))


@lru_cache(maxsize=8)
def _settled_matches(folder: Path, template: str, changed: int) -> dict[str, Path]:
    return _matches(folder, template)


def _matches(folder: Path, template: str) -> dict[str, Path]:
    before, _, after = template.partition("{scene}")
    pattern = re.compile(f"{_as_regex(before)}(?P<scene>[^/]+){_as_regex(after)}")
    found = {}
    for path in in_order(folder.glob(f"{before}*{after}")):
        matched = pattern.fullmatch(path.relative_to(folder).as_posix())
        if matched:
            found[matched["scene"]] = path
    return found


def find_one(folder: Path, template: str, scene: str) -> Path | None:
    """Find the file that a template names for one scene, without listing the others."""
    return next(iter(in_order(folder.glob(fill(template, scene)))), None)


def _as_regex(text: str) -> str:
    return ".*".join("[^/]*".join(map(re.escape, part.split("*"))) for part in text.split("**"))


def fill(template: str, scene: str) -> str:
    """Put a scene's name into a glob pattern, whatever characters it is made of."""
    return template.replace("{scene}", glob.escape(scene))


def is_name(scene: str) -> bool:
    """Tell whether a scene's name is a plain name, which cannot lead out of its folder."""
    return scene not in ("", ".", "..") and "/" not in scene


def open_ldr(path: Path, *, bits: int | None, divisor: float | None) -> Image:
    """Read a display-referred image after looking at its header.

    Raises
    ------
    ImageError
        As `hdrbench.imaging.io.read_ldr`; or the header claims an absurd size or another bit depth.
    """
    guard(path, bits=bits)
    return read_ldr(path, divisor=divisor)


def open_hdr(path: Path, *, divisor: float = 1.0) -> Image:
    """Read a radiance map, also from a NumPy file, after looking at its header.

    Parameters
    ----------
    path
        Radiance, OpenEXR, or ``.npy`` with (H, W, 3) numbers.
    divisor
        The stored value that becomes 1.

    Raises
    ------
    ImageError
        As `hdrbench.imaging.io.read_hdr`; or the header claims an absurd size.
    """
    guard(path)
    image = _open_array_image(path) if path.suffix.lower() == ".npy" else read_hdr(path)
    return image if divisor == 1 else (image / np.float32(divisor)).astype(np.float32)


def open_array(path: Path, shape: tuple[int | None, ...]) -> np.ndarray:
    """Read numbers from a ``.npy`` file; never unpickles.

    Parameters
    ----------
    path
        The file.
    shape
        Expected shape; ``None`` stands for any length.

    Raises
    ------
    ImageError
        The file is missing, damaged, of another shape, or holds something other than finite numbers.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file") from None
    except (OSError, ValueError, EOFError) as error:
        raise ImageError(f"{path}: not a complete .npy file ({str(error).splitlines()[0]}); copy it again") from None
    fits = array.ndim == len(shape) and all(w in (None, n) for w, n in zip(shape, array.shape, strict=True))
    if not fits or array.dtype.kind not in "iuf":
        wanted = "x".join("?" if length is None else str(length) for length in shape) or "one"
        raise ImageError(f"{path}: expected {wanted} number(s), got shape {array.shape} of {array.dtype}; get it again")
    if not np.isfinite(array).all():
        raise ImageError(f"{path}: holds NaN or infinite values; get it again")
    return np.array(array)


def _open_array_image(path: Path) -> Image:
    image = open_array(path, (None, None, 3)).astype(np.float32)
    if image.size == 0 or image.min() < 0:
        raise ImageError(f"{path}: expected radiance >= 0, got shape {image.shape}; get it again")
    return image


@dataclass(frozen=True)
class Wanted:
    """What the images of a scene must be.

    Attributes
    ----------
    bits, divisor
        Depth of the LDR files, and the code value that becomes 1; ``None`` accepts any, and means full range.
    size
        [height, width], or ``None``.
    hdr_divisor
        The value of the reference that becomes 1.
    hdr_most
        Largest value that the reference may have after division, or ``None``.
    brightening
        Whether the last LDR image must be brighter than the first, as in a bracket whose order is known.
    """

    bits: int | None
    divisor: float | None
    size: Sequence[int] | None = None
    hdr_divisor: float = 1.0
    hdr_most: float | None = None
    brightening: bool = False


def image_problems(card: "Card", ldrs: Sequence[Path], hdr: Path | None, wanted: Wanted) -> list[Problem]:
    """Decode the images of a scene one after the other, and compare their sizes and levels."""
    again = f"get the scene again from {card.homepage}"
    found: list[Problem] = []
    sizes: dict[str, np.ndarray] = {}
    levels: list[float] = []
    for path in ldrs:
        try:
            image = open_ldr(path, bits=wanted.bits, divisor=wanted.divisor)
        except ImageError as error:
            found.append(Problem(f"{error}; or {again}"))
        else:
            sizes[str(path)] = np.empty((*image.shape[:2], 0))
            levels.append(float(image.mean(dtype=np.float64)))
    if hdr is not None:
        try:
            reference = open_hdr(hdr, divisor=wanted.hdr_divisor)
        except ImageError as error:
            found.append(Problem(f"{error}; or {again}"))
        else:
            sizes[str(hdr)] = np.empty((*reference.shape[:2], 0))
            if wanted.hdr_most is not None and (top := reference.max()) > wanted.hdr_most:
                found.append(Problem(f"{hdr}: reaches {top:.4g}; expected 1 = saturation of the shortest exposure"))
    try:
        require_same_size(sizes)
    except ImageError as error:
        return [*found, Problem(f"{error}; {again}")]
    if sizes and wanted.size is not None:
        height, width = next(iter(sizes.values())).shape[:2]
        if [height, width] != list(wanted.size):
            folder = ldrs[0].parent
            found.append(
                Problem(f"{folder}: images are {width}x{height}, expected {wanted.size[1]}x{wanted.size[0]}; {again}")
            )
    if wanted.brightening and not found and levels[-1] <= levels[0]:
        found.append(
            Problem(f"{ldrs[-1]}: should be brighter than {ldrs[0].name}, but is not; restore the names, or {again}")
        )
    return found


def link_problems(folder: Path) -> list[str]:
    """Name the symbolic links in a folder that lead nowhere, or back to the folder itself."""
    found = []
    above = {folder.resolve(), *folder.resolve().parents}
    for path in in_order(folder.iterdir()):
        if not path.is_symlink():
            continue
        try:
            circle = path.resolve(strict=True) in above
        except (OSError, RuntimeError):  # resolve says RuntimeError to a link that is its own target
            found.append(f"{path}: symbolic link leads nowhere or in a circle; remove it, or link to the real place")
            continue
        if circle:
            found.append(f"{path}: symbolic link leads back to {path.resolve()}; remove it")
    return found


def sub_folders(folder: Path) -> list[Path]:
    """List the folders in a folder, without links that lead back up."""
    above = {folder.resolve(), *folder.resolve().parents}
    return [p for p in in_order(folder.iterdir()) if p.is_dir() and not (p.is_symlink() and p.resolve() in above)]


def verify_scenes(
    card: "Card",
    names: Names,
    split_problems: Callable[["Card", str], list[str]],
    scene_problems: Callable[["Card", str, str], list[Problem]],
) -> list[str]:
    """Check every split and scene of a card, and count the scenes."""
    problems: list[str] = []
    for split, expected in card.splits.items():
        try:
            scenes = names(card, split)
            problems += split_problems(card, split)
        except HdrbenchError as error:
            problems.append(str(error))
            continue
        if expected is not None and len(scenes) != expected:
            problems.append(
                f"{card.name}: split '{split}' has {len(scenes)} scenes, expected {expected}; "
                f"get the rest from {card.homepage}"
                if len(scenes) < expected
                else f"{card.name}: split '{split}' has {len(scenes)} scenes, expected {expected}; remove the extra ones"
            )
        if not scenes:
            problems.append(
                f"{card.name}: split '{split}' holds no scene; `hdrbench data info {card.name}` tells the layout"
            )
        for scene in scenes:
            problems += [problem.text for problem in scene_problems(card, split, scene)]
    return list(dict.fromkeys(problems))


def fingerprint_scenes(card: "Card", names: Names, used: Callable[["Card", str, str], list[Path]]) -> dict[str, Any]:
    """Identify the content: a digest of exactly the files that are read, and of the card's options."""
    scenes = {split: names(card, split) for split in card.splits}
    paths = [path for split, found in scenes.items() for scene in found for path in used(card, split, scene)]
    content = files.digest(files.data_root(), paths)
    # The options decide what the files mean: divisor, unit of the exposures, which file is which.
    meaning = json.dumps([content["digest"], card.options, card.splits], sort_keys=True)
    digest = hashlib.sha256(meaning.encode()).hexdigest()
    return {"name": card.name, **content, "digest": digest, "scenes": {split: len(s) for split, s in scenes.items()}}
