"""What the loaders of real files share: judging a data set scene by scene.

A damaged scene is left out; it never makes the others unusable. So every loader of files has, beside what
`hdrbench.datasets.catalog` asks for, three functions: ``scene_problems(card, split, scene)``; ``used(card, split,
scene)``, the files that are read; and ``survey(card)``, which `survey_scenes` makes of them.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hdrbench.datasets.exposures import Claim
from hdrbench.datasets.scene import Image
from hdrbench.datasets.scenes import Names, in_order, name_problems, open_hdr, open_ldr
from hdrbench.errors import HdrbenchError, ImageError
from hdrbench.imaging.headers import MOST_PIXELS, peek
from hdrbench.imaging.io import require_same_size
from hdrbench.imaging.stack import contradiction, sample

if TYPE_CHECKING:
    from hdrbench.datasets.catalog import Card


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


@dataclass(frozen=True)
class Survey:
    """The state of a data set, scene by scene.

    Attributes
    ----------
    usable
        Scenes by split that can be loaded and are what the card says.
    left_out
        By split the other scenes, each with what is wrong first and what to do, in one line.
    remarks
        Lines about what keeps no single scene from being used: unexpected files, missing scenes and whole splits.
    problems
        All lines, those about scenes and the remarks; empty if the data set is complete.
    """

    usable: dict[str, tuple[str, ...]]
    left_out: dict[str, dict[str, str]]
    remarks: tuple[str, ...]
    problems: tuple[str, ...]

    def counts(self) -> str:
        """Say in one line how many of each split's scenes are usable, e.g. ``train 72 of 74, test 15 of 15``.

        A split whose scenes cannot even be listed has ``none``.
        """
        totals = {split: (len(good), len(good) + len(self.left_out[split])) for split, good in self.usable.items()}
        return ", ".join(f"{s} {good} of {total}" if total else f"{s} none" for s, (good, total) in totals.items())


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
    label_bits
        Depth of the display-referred reference; ``None`` accepts any.
    brightening
        Whether no LDR image may be darker than the one before, as in a bracket whose order is known.
    """

    bits: int | None
    divisor: float | None
    size: Sequence[int] | None = None
    hdr_divisor: float = 1.0
    hdr_most: float | None = None
    label_bits: int | None = None
    brightening: bool = False


@dataclass(frozen=True)
class Images:
    """The image files of a scene: LDR images in the order of their exposures, and references as far as it has them."""

    ldrs: Sequence[Path]
    hdr: Path | None = None
    label: Path | None = None


def image_problems(card: "Card", images: Images, wanted: Wanted, claim: Claim | None = None) -> list[Problem]:
    """Decode the images of a scene once, one after the other, and compare sizes, levels and the claimed exposures."""
    again = f"get the scene again from {card.homepage}"
    paths = [*images.ldrs, *filter(None, (images.hdr, images.label))]
    claimed = _claimed_sizes(paths) if wanted.size is not None else {}
    if not all(_fits(size, wanted) for size in claimed):
        return _size_problems(claimed, images, wanted, again)
    found: list[Problem] = []
    sizes: dict[tuple[int, int], Path] = {}
    samples: list[Image] = []
    for path in paths:
        try:
            image = _open(path, images, wanted)
        except ImageError as error:
            found.append(Problem(f"{error}; or {again}"))
            continue
        sizes.setdefault((image.shape[0], image.shape[1]), path)
        if path in images.ldrs:
            samples.append(sample(image))
        elif path == images.hdr and wanted.hdr_most is not None and (top := image.max()) > wanted.hdr_most:
            text = f"{path}: reaches {top:.4g}; expected 1 = saturation of the shortest exposure"
            found.append(Problem(f"{text}; correct hdr_scale of the card, or {again}"))
    found += _size_problems(sizes, images, wanted, again)
    if found:
        return found
    return _copies(images.ldrs, samples, again) or (
        _exposure_problems(images.ldrs, samples, claim, again) if wanted.brightening else []
    )


def _claimed_sizes(paths: Sequence[Path]) -> dict[tuple[int, int], Path]:
    """Read the sizes from the headers, so that nothing is decoded in vain; headers that say nothing do not count."""
    sizes: dict[tuple[int, int], Path] = {}
    for path in paths:
        header = peek(path) if path.is_file() else None
        # An absurd claim is refused when the image is opened, in words of its own.
        if header is not None and header.width * header.height <= MOST_PIXELS:
            sizes.setdefault((header.height, header.width), path)
    return sizes


def _fits(size: tuple[int, int], wanted: Wanted) -> bool:
    return wanted.size is None or list(size) == list(wanted.size)


def _size_problems(sizes: dict[tuple[int, int], Path], images: Images, wanted: Wanted, again: str) -> list[Problem]:
    try:
        require_same_size({str(path): np.empty((*size, 0)) for size, path in sizes.items()})
    except ImageError as error:
        return [Problem(f"{error}; {again}")]
    wrong = [size for size in sizes if not _fits(size, wanted)]
    if wanted.size is None or not wrong:
        return []
    (height, width), expected = wrong[0], f"{wanted.size[1]}x{wanted.size[0]}"
    return [Problem(f"{images.ldrs[0].parent}: images are {width}x{height}, expected {expected}; {again}")]


def _copies(ldrs: Sequence[Path], samples: Sequence[Image], again: str) -> list[Problem]:
    """Find a frame that is there twice, whatever the order of the frames."""
    seen: dict[bytes, Path] = {}
    for path, image in zip(ldrs, samples, strict=True):
        first = seen.setdefault(image.tobytes(), path)
        if first != path:
            return [Problem(f"{path}: is the same picture as {first.name}, so an exposure is missing; {again}")]
    return []


def _open(path: Path, images: Images, wanted: Wanted) -> Image:
    if path == images.hdr:
        return open_hdr(path, divisor=wanted.hdr_divisor)
    if path == images.label:
        return open_ldr(path, bits=wanted.label_bits, divisor=None)
    return open_ldr(path, bits=wanted.bits, divisor=wanted.divisor)


def _exposure_problems(
    ldrs: Sequence[Path], samples: Sequence[Image], claim: Claim | None, again: str
) -> list[Problem]:
    levels = [float(image.mean(dtype=np.float64)) for image in samples]
    frames = list(zip(ldrs, levels, strict=True))
    # The ends first: if they are exchanged, the whole bracket is, and that is worth saying.
    for (first, dark), (second, light) in ((frames[0], frames[-1]), *pairwise(frames)):
        if light <= dark:
            wrong = f"{second}: should be brighter than {first.name}, but is not"
            return [Problem(f"{wrong}; restore the names, or {again}")]
    if claim is None or not all(map(math.isfinite, claim.times)):
        return []
    text = contradiction(claim.times, samples, claim.other)
    return [] if text is None else [Problem(f"{claim.place}: {text}; {claim.fix}")]


def link_problems(folder: Path) -> list[str]:
    """Name the entries of a folder that cannot be followed: names not in UTF-8, links to nowhere, links back."""
    found = name_problems(folder)
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


def survey_scenes(
    card: "Card",
    names: Names,
    split_problems: Callable[["Card", str], list[str]],
    scene_problems: Callable[["Card", str, str], list[Problem]],
) -> Survey:
    """Check every split and scene of a card, and count the scenes."""
    usable: dict[str, tuple[str, ...]] = {}
    left_out: dict[str, dict[str, str]] = {}
    remarks: list[str] = []
    problems: list[str] = []
    for split, expected in card.splits.items():
        try:
            scenes, about_split = names(card, split), split_problems(card, split)
        except HdrbenchError as error:
            scenes, about_split = [], [str(error)]
        else:
            about_split += _count_problems(card, split, len(scenes), expected)
        about_scenes = {scene: scene_problems(card, split, scene) for scene in scenes}
        fatal = {scene: [p.text for p in about if p.fatal] for scene, about in about_scenes.items()}
        usable[split] = tuple(scene for scene in scenes if not fatal[scene])
        left_out[split] = {scene: one_line(card, lines) for scene, lines in fatal.items() if lines}
        remarks += about_split + [p.text for about in about_scenes.values() for p in about if not p.fatal]
        problems += about_split + [p.text for about in about_scenes.values() for p in about]
    return Survey(usable, left_out, tuple(dict.fromkeys(remarks)), tuple(dict.fromkeys(problems)))


def one_line(card: "Card", problems: Sequence[str]) -> str:
    """Join the problems of a scene: the first, and how many more there are."""
    more = f" (and {len(problems) - 1} more: hdrbench data verify {card.name})" if len(problems) > 1 else ""
    return problems[0] + more


def _count_problems(card: "Card", split: str, count: int, expected: int | None) -> list[str]:
    found = []
    if expected is not None and count != expected:
        fix = f"get the rest from {card.homepage}" if count < expected else "remove the extra ones"
        found.append(f"{card.name}: split '{split}' has {count} scenes, expected {expected}; {fix}")
    if not count:
        found.append(f"{card.name}: split '{split}' holds no scene; `hdrbench data info {card.name}` tells the layout")
    return found
