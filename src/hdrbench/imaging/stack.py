"""Somebody's own exposure bracket: files in any order, exposures from EXIF or from a text file."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from hdrbench.errors import DataMissingError, HdrbenchError, ImageError, unknown
from hdrbench.imaging.io import LDR_SUFFIXES, Image, read_ldr, require_same_size

UNITS = ("seconds", "reciprocals", "stops")
MOST_STOPS = 24  # No camera brackets wider; exposures further apart are in another unit than was said.
GAMMA = 2.2  # as in `transfer`, which brings torch in and is not imported here for that reason
# Stops claimed for one that the pictures show. Of the cameras of DoRF no bracket lies outside 0.2 to 2.3, and none but
# one of gamma 5 above DOUBTFUL.
LEAST_CLAIM, DOUBTFUL, MOST_CLAIM = 1 / 6, 1.9, 2.5
MOST_NOISE = 0.1  # stops
MOST_TEXT = 2**16  # bytes; a list of exposures has a line for each frame
SAMPLES = 2**14  # pixels that tell the distribution of an image's values
ENOUGH = 0.05  # of the samples
SAME = 1e-6  # ratio less one, far below what cameras can set

_EXIF_FOLDER, _ORIENTATION = 0x8769, 0x0112
_TIME, _F_NUMBER, _ISO = 0x829A, 0x829D, 0x8827


@dataclass(frozen=True)
class ExposureList:
    """A text file of exposures.

    Attributes
    ----------
    path
        Lines of ``NAME EXPOSURE``, or exposures alone, which then belong to the frames in the order given (of a folder:
        sorted by name). Commas may separate them; lines that begin with ``#`` are comments.
    unit
        ``"seconds"`` (``0.008`` or ``1/125``), ``"reciprocals"`` (125 stands for 1/125 s), or ``"stops"`` (EV, log2).
    """

    path: Path
    unit: str


@dataclass(frozen=True)
class Bracket:
    """An exposure stack in ascending order of exposure.

    Attributes
    ----------
    paths
        The files.
    images
        (H, W, 3) float32 RGB in [0, 1], display-referred, one size, upright.
    times
        Relative exposures, the shortest = 1, strictly ascending.
    """

    paths: tuple[Path, ...]
    images: tuple[Image, ...]
    times: tuple[float, ...]


def find_frames(inputs: Sequence[Path]) -> list[Path]:
    """List the frames that files and folders stand for; of a folder, its PNG, TIFF and JPEG files sorted by name.

    Raises
    ------
    DataMissingError
        There are fewer than two, or an input does not exist.
    HdrbenchError
        A file is named twice.
    ImageError
        A frame is a pipe, a device or a folder.
    """
    frames: dict[Path, Path] = {}
    for given in inputs:
        if not given.exists():
            raise DataMissingError(f"{given}: no such file or folder")
        for path in _images_in(given) if given.is_dir() else [given]:
            if not path.is_file():
                raise ImageError(f"{path}: is not a regular file; name images, or folders of them")
            if path.resolve() in frames:
                raise HdrbenchError(f"{path}: is named twice; name each frame once")
            frames[path.resolve()] = path
    if len(frames) < 2:
        places = ", ".join(str(path) for path in inputs) or "no files"
        raise DataMissingError(f"{places}: {len(frames)} frames, expected at least 2 ({', '.join(LDR_SUFFIXES)})")
    return list(frames.values())


def read_frames(inputs: Sequence[Path]) -> dict[Path, Image]:
    """Read the frames that files and folders stand for, turned upright by their orientation tag.

    Raises
    ------
    DataMissingError, HdrbenchError
        As `find_frames`.
    ImageError
        A frame is broken, or the sizes differ.
    """
    images = {path: _upright(read_ldr(path), _exif(path).get(_ORIENTATION, 1)) for path in find_frames(inputs)}
    require_same_size({str(path): image for path, image in images.items()})
    return images


def read_bracket(inputs: Sequence[Path], listed: ExposureList | None = None) -> Bracket:
    """Read a bracket and put it in order.

    Parameters
    ----------
    inputs
        Files, or a folder of them.
    listed
        Where the exposures are written; ``None`` takes them from EXIF.

    Raises
    ------
    DataMissingError
        Frames or exposures are missing.
    HdrbenchError
        Exposures that cannot be: the same for two frames, too far apart, less light for longer ones, or a span that the
        pictures contradict.
    ImageError
        A frame is broken, or the sizes differ.
    """
    frames = read_frames(inputs)
    paths, images = list(frames), {str(path): image for path, image in frames.items()}
    exposures = exif_exposures(paths) if listed is None else listed_exposures(listed, paths)
    ordered = sorted(zip(exposures, paths, strict=True))
    for (earlier, first), (later, second) in pairwise(ordered):
        if later <= earlier * (1 + SAME):
            raise HdrbenchError(f"{first} and {second} have the same exposure; leave one out, or correct the exposures")
    _require_brightening(ordered, images)
    times = tuple(exposure for exposure, _ in ordered)
    _require_likely(ordered, images, listed)
    return Bracket(tuple(path for _, path in ordered), tuple(images[str(path)] for _, path in ordered), times)


def _require_brightening(ordered: list[tuple[float, Path]], images: dict[str, Image]) -> None:
    levels = {path: float(images[str(path)].mean(dtype=np.float64)) for _, path in ordered}
    # The ends first: if they are exchanged, the whole bracket is, and that is worth saying.
    for (less, first), (more, last) in ((ordered[0], ordered[-1]), *pairwise(ordered)):
        if levels[last] <= levels[first]:
            raise HdrbenchError(
                f"{last}: should be brighter than {first}, exposed {math.log2(more / less):.1f} stops less, but is not; "
                f"correct the exposures, or say in which unit they are ({', '.join(UNITS)})"
            )


def _require_likely(ordered: list[tuple[float, Path]], images: dict[str, Image], listed: ExposureList | None) -> None:
    paths = [path for _, path in ordered]
    text = contradiction(
        [exposure for exposure, _ in ordered],
        [sample(images[str(path)]) for path in paths],
        None if listed is None else _other_reading(listed, paths),
    )
    if text is not None:
        raise HdrbenchError(
            f"{paths[0]} to {paths[-1].name}: {text}; correct them, or say in which unit they are ({', '.join(UNITS)})"
        )


def _other_reading(listed: ExposureList, paths: Sequence[Path]) -> list[float] | None:
    """Read times as stops, or stops as times, in ascending order; ``None`` if they cannot be."""
    other = {"seconds": "stops", "stops": "seconds"}.get(listed.unit)
    try:
        return None if other is None else sorted(listed_exposures(ExposureList(listed.path, other), paths))
    except HdrbenchError:
        return None


def sample(image: Image) -> Image:
    """Take about `SAMPLES` pixels of an image, on a regular grid; a copy."""
    step = max(math.isqrt(image.shape[0] * image.shape[1] // SAMPLES), 1)
    return image[::step, ::step].copy()


def contradiction(times: Sequence[float], frames: Sequence[Image], other: Sequence[float] | None = None) -> str | None:
    """Say how the pictures contradict the exposures that are claimed for them, as times that are taken for stops do.

    Where the distributions of neighbouring frames are neither dark nor saturated, gamma 2.2 tells how many stops apart
    they look; distributions, because things move. A camera's response makes that 0.4 to 5 times the truth. So exposures
    are wrong for certain only far outside of this, and doubtful if they claim 1.9 times of what is seen: then they are
    wrong if `other` is not doubtful.

    Parameters
    ----------
    times
        Relative exposures in ascending order.
    frames
        (H, W, 3) display-referred RGB in [0, 1], of one size, in this order; samples suffice.
    other
        What the exposures would be if they were in another unit.

    Returns
    -------
    str or None
        Part of a sentence that tells both spans in stops; ``None`` where there is no contradiction.
    """
    apart = [_stops_apart(dark, light) for dark, light in pairwise(frames)]
    seen = max(sum(stops for stops in apart if stops is not None), MOST_NOISE)
    claimed = _span(times, apart)
    if not any(stops is not None for stops in apart) or LEAST_CLAIM * seen <= claimed <= DOUBTFUL * seen:
        return None
    text = f"exposures are said to span {claimed:.1f} stops where the pictures look {seen:.1f} stops apart"
    if other is not None and LEAST_CLAIM * seen <= _span(other, apart) <= DOUBTFUL * seen:
        return f"{text}, and in another unit the same numbers would span {_span(other, apart):.1f}"
    return text if not LEAST_CLAIM * seen <= claimed <= MOST_CLAIM * seen else None


def _stops_apart(dark: Image, light: Image) -> float | None:
    first, second = np.sort(dark, axis=None), np.sort(light, axis=None)
    usable = (first > 0.1) & (first < 0.9) & (second > 0.1) & (second < 0.9)
    if np.count_nonzero(usable) < ENOUGH * first.size:
        return None
    return GAMMA * float(np.median(np.log2(second[usable] / first[usable])))


def _span(times: Sequence[float], apart: Sequence[float | None]) -> float:
    """Stops between the frames whose distance could be seen."""
    steps = (math.log2(later / earlier) for earlier, later in pairwise(times))
    return sum(step for step, stops in zip(steps, apart, strict=True) if stops is not None)


def exif_exposures(paths: Sequence[Path]) -> list[float]:
    """Compute exposures from EXIF: ``time * ISO / aperture**2``, as far as the frames state these, the smallest = 1.

    Raises
    ------
    DataMissingError
        A frame has no exposure time, or only some have an aperture or ISO speed.
    HdrbenchError
        The exposures are too far apart.
    ImageError
        A frame's metadata are broken.
    """
    tags = [_exif(path) for path in paths]
    stops = [0.0] * len(paths)
    for key, word, power in ((_TIME, "exposure time", 1), (_ISO, "ISO speed", 1), (_F_NUMBER, "aperture", -2)):
        without = [path for path, tag in zip(paths, tags, strict=True) if key not in tag]
        if without and (key == _TIME or len(without) < len(paths)):
            others = "" if len(without) == len(paths) else ", but others have"
            raise DataMissingError(f"{without[0]}: has no EXIF {word}{others}; give the exposures in a text file")
        if not without:
            stops = [stop + power * math.log2(tag[key]) for stop, tag in zip(stops, tags, strict=True)]
    return _relative(paths[0].parent, stops)


def listed_exposures(listed: ExposureList, paths: Sequence[Path]) -> list[float]:
    """Read the exposures of `paths` from a text file, the smallest = 1.

    Raises
    ------
    DataMissingError
        The file, or the exposure of a frame, is missing.
    HdrbenchError
        A line cannot be read, or names a frame that is not there or was named before, or the exposures are too far apart.
    """
    if listed.unit not in UNITS:
        raise unknown("unit of exposures", listed.unit, UNITS)
    entries = _entries(listed)
    names = [name for name, _ in entries]
    if not any(names):
        if len(entries) != len(paths):
            raise DataMissingError(
                f"{listed.path}: {len(entries)} exposures for {len(paths)} frames; give one for each"
            )
        return _relative(listed.path, [stop for _, stop in entries])
    if not all(names):
        raise HdrbenchError(f"{listed.path}: only some lines name a frame; name it in every line, or in none")
    frames = [path.name for path in paths]
    for name in names:
        if names.count(name) > 1:
            raise HdrbenchError(f"{listed.path}: '{name}' is listed twice; remove one line")
        if frames.count(name) != 1:
            problem = "which is not among the frames" if name not in frames else "which several frames are called"
            raise HdrbenchError(f"{listed.path}: lists '{name}', {problem}; correct the list, or the frames given")
    for path in paths:
        if path.name not in names:
            raise DataMissingError(f"{listed.path}: has no exposure for {path}; add a line '{path.name} EXPOSURE'")
    return _relative(listed.path, [entries[names.index(name)][1] for name in frames])


def _relative(place: Path, stops: Sequence[float]) -> list[float]:
    span = max(stops) - min(stops)
    if span > MOST_STOPS:
        raise HdrbenchError(
            f"{place}: exposures {span:.0f} stops apart, expected at most {MOST_STOPS}; correct them, or say in which unit "
            f"they are ({', '.join(UNITS)})"
        )
    return [2.0 ** (stop - min(stops)) for stop in stops]


def _images_in(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in LDR_SUFFIXES and not p.name.startswith("."))


def require_list(path: Path) -> None:
    """Refuse what cannot be a list of exposures before it is opened; a file that is not there passes.

    Raises
    ------
    HdrbenchError
        It is a pipe, a device, a folder, or larger than 64 KiB.
    """
    if path.exists() and not path.is_file():
        raise HdrbenchError(f"{path}: is not a regular file; put the text that lists the exposures there")
    if path.exists() and path.stat().st_size > MOST_TEXT:
        raise HdrbenchError(f"{path}: is larger than {MOST_TEXT} bytes, so it is no list of exposures; get it again")


def _entries(listed: ExposureList) -> list[tuple[str, float]]:
    """Split the file into name and stops; the name is empty where none is given, and may hold spaces."""
    require_list(listed.path)
    try:
        text = listed.path.read_text(encoding="utf-8-sig", errors="replace")
    except FileNotFoundError:
        raise DataMissingError(f"{listed.path}: no such file; it should list the exposures") from None
    except OSError as error:
        raise HdrbenchError(f"{listed.path}: cannot be read ({error.strerror}); copy it again") from None
    entries = []
    for line in filter(None, (line.strip() for line in text.splitlines())):
        words = re.split(r"[,\s]+", line.strip(","))
        if all(_is_number(word) for word in words):
            entries += [("", _stops(listed, word)) for word in words]
        elif not line.startswith("#"):
            name = line[: line.rindex(words[-1])].rstrip(", \t")
            entries.append((name, _stops(listed, words[-1])))
    return entries


def _is_number(word: str) -> bool:
    try:
        float(word.replace("/", "", 1))
    except ValueError:
        return False
    return True


def _stops(listed: ExposureList, word: str) -> float:
    dividend, slash, divisor = word.partition("/")
    try:
        value = float(dividend) / float(divisor) if slash else float(dividend)
    except (ValueError, ZeroDivisionError):
        value = math.nan
    if not math.isfinite(value) or (listed.unit != "stops" and value <= 0):
        kind = "number" if listed.unit == "stops" else "number above 0"
        raise HdrbenchError(f"{listed.path}: '{word}' is no exposure; expected a {kind}, in {listed.unit}")
    if listed.unit == "stops":
        return value
    return math.log2(value) if listed.unit == "seconds" else -math.log2(value)


def _exif(path: Path) -> dict[int, float]:
    """Read the positive numbers among the tags used here; lenses without contacts report an aperture of 0."""
    from PIL import Image as Pillow

    if path.exists() and not path.is_file():
        raise ImageError(f"{path}: is not a regular file; put the image itself there")
    found = {}
    try:
        with Pillow.open(path) as file:
            exif = file.getexif()
            tags = {**exif, **exif.get_ifd(_EXIF_FOLDER)}
        for key in (_ORIENTATION, _TIME, _F_NUMBER, _ISO):
            value = tags.get(key, 0)
            number = float(value[0] if isinstance(value, tuple) else value)
            if math.isfinite(number) and number > 0:
                found[key] = number
    except (OSError, SyntaxError, TypeError, ValueError, IndexError, Pillow.DecompressionBombError) as error:
        raise ImageError(f"{path}: its metadata cannot be read ({error}); save it again without them") from None
    return found


def _upright(image: Image, orientation: float) -> Image:
    """Turn an image as its EXIF orientation asks: 1 to 8, of which 1 is upright; other values ask for nothing."""
    if orientation in (5, 6, 7, 8):
        image = image.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)
