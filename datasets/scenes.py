"""What the loaders of real files share: finding files, opening them with care, and identifying them."""

import glob
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hdrbench.datasets import files
from hdrbench.datasets.scene import Image
from hdrbench.errors import DataMissingError, HdrbenchError, ImageError
from hdrbench.imaging.headers import guard
from hdrbench.imaging.io import read_hdr, read_ldr
from hdrbench.imaging.stack import MOST_STOPS as MOST_STOPS

if TYPE_CHECKING:
    from hdrbench.datasets.catalog import Card

Names = Callable[["Card", str], list[str]]
Used = Callable[["Card", str, str], list[Path]]

# A folder's time tells of every file that came or went, but in ticks, so only one that is 2 s old can be trusted.
SETTLED = 2 * 10**9


def natural(name: str) -> list[str | int]:
    """Sort key in which ``10`` comes after ``9``."""
    return [int(part) if index % 2 else part for index, part in enumerate(re.split(r"([0-9]+)", name))]


def in_order(paths: Iterable[Path]) -> list[Path]:
    """Sort paths so that numbers in them count as numbers; hidden files, and names not in UTF-8, are left out."""
    kept = (p for p in paths if not p.name.startswith(".") and is_text(p.name))
    return sorted(kept, key=lambda p: (natural(p.as_posix()), p.as_posix()))


def is_text(name: str) -> bool:
    """Tell whether a file's name is UTF-8; another can be neither printed nor written to a record."""
    return not any("\udc80" <= character <= "\udcff" for character in name)


def name_problems(folder: Path) -> list[str]:
    """Name the entries of a folder whose names are not UTF-8, as those of old archives may be."""
    found = sorted(p.name for p in folder.iterdir() if not is_text(p.name))
    shown = (os.fsencode(name).decode("utf-8", "backslashreplace") for name in found)
    return [f"{folder / name}: its name is not UTF-8, so it is left out; rename it" for name in shown]


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
        if matched and is_text(matched["scene"]):
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
    """Tell whether a scene's name is a plain name in UTF-8, which cannot lead out of its folder."""
    return scene not in ("", ".", "..") and "/" not in scene and is_text(scene)


def require_regular(path: Path) -> None:
    """Refuse what is there but is no regular file: to open a pipe would wait for ever.

    Raises
    ------
    ImageError
        It is a pipe, a device or a folder.
    """
    if path.exists() and not path.is_file():
        raise ImageError(f"{path}: is not a regular file; put the file itself there")


def holder(folder: Path, template: str) -> Path:
    """Find the folder whose entries a template names by ``{scene}``."""
    return folder / template.partition("{scene}")[0].rpartition("/")[0]


def open_ldr(path: Path, *, bits: int | None, divisor: float | None) -> Image:
    """Read a display-referred image after looking at its header.

    Raises
    ------
    ImageError
        As `hdrbench.imaging.io.read_ldr`; or the header claims an absurd size or another bit depth.
    """
    require_regular(path)
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
    require_regular(path)
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
    require_regular(path)
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


def sub_folders(folder: Path) -> list[Path]:
    """List the folders in a folder, without links that lead back up."""
    above = {folder.resolve(), *folder.resolve().parents}
    return [p for p in in_order(folder.iterdir()) if p.is_dir() and not (p.is_symlink() and p.resolve() in above)]


def fingerprint_scenes(card: "Card", names: Names, used: Used) -> dict[str, Any]:
    """Identify the content: a digest of exactly the files that are read, and of the card's options.

    Scenes of which a file is missing or unreadable count by name, so that a damaged set has a fingerprint too, which
    changes once it is whole.
    """
    scenes = {split: names(card, split) for split in card.splits}
    paths: list[Path] = []
    incomplete: list[str] = []
    for split, found in scenes.items():
        whole, lacking = _readable_files(card, split, found, used)
        paths += whole
        incomplete += lacking
    facts = _identified(card, paths, card.splits, incomplete)
    return {**facts, "scenes": {split: len(s) for split, s in scenes.items()}}


def fingerprint_split(card: "Card", names: Names, used: Used, split: str) -> dict[str, Any]:
    """Identify the content of one split as `fingerprint_scenes` does that of all; the others need not be there.

    Raises
    ------
    DataMissingError
        The split cannot be listed.
    """
    paths, incomplete = _readable_files(card, split, names(card, split), used)
    return _identified(card, paths, split, incomplete)


def _readable_files(card: "Card", split: str, scenes: list[str], used: Used) -> tuple[list[Path], list[str]]:
    """Find the files of the complete scenes, and the other scenes as ``split/scene``."""
    paths: list[Path] = []
    incomplete: list[str] = []
    for scene in scenes:
        try:
            mine = used(card, split, scene)
        except HdrbenchError:
            mine = []
        if mine and all(path.is_file() and os.access(path, os.R_OK) for path in mine):
            paths += mine
        else:
            incomplete.append(f"{split}/{scene}")
    return paths, incomplete


def _identified(card: "Card", paths: list[Path], of: Any, incomplete: list[str]) -> dict[str, Any]:
    content = files.digest(files.data_root(), paths)
    # The options decide what the files mean: divisor, unit of the exposures, which file is which.
    meaning = [content["digest"], card.options, of, *([incomplete] if incomplete else [])]
    digest = hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()
    return {"name": card.name, **content, "digest": digest}
