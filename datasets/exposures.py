"""The relative exposure times of a folder of frames, from wherever a data set keeps them.

The option ``exposures`` of a card is one of

``exposure.txt``
    Glob pattern of a text, one file in the scene's folder: one number per frame, or lines of ``NAME NUMBER``.
``exif``
    The EXIF data of the frames.
``{name: REGEX}``
    The frames' names: the number is the expression's group.
``{listed: [NUMBERS]}``
    The card itself, by position in the order of names.
``null``
    Nowhere.

and ``exposure_unit`` says what the numbers are: ``stops`` (time = 2**number), ``times``, ``reciprocals`` (of times), or
``unknown``, which goes with ``null`` and with nothing else. ``order`` says in which order the frames are: ``name``,
where names that do not ascend in exposure are an error; ``exposure``; or ``brightness``, for unknown exposures only.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from hdrbench.datasets.scenes import in_order
from hdrbench.errors import DataMissingError, HdrbenchError, unknown
from hdrbench.imaging.stack import MOST_STOPS, ExposureList, exif_exposures, listed_exposures, require_list

if TYPE_CHECKING:
    from hdrbench.datasets.catalog import Card

# Our word for a unit, and that of `hdrbench.imaging.stack`.
UNITS = {"stops": "stops", "times": "seconds", "reciprocals": "reciprocals"}
OTHERS = {"stops": "times", "times": "stops"}  # what a unit is confused with
SAME = 1e-6  # relative difference of times, far below what cameras can set
ORDERS = ("name", "exposure", "brightness")


@dataclass(frozen=True)
class Claim:
    """What is said about the exposures of a scene's frames.

    Attributes
    ----------
    frames
        In ascending exposure, or as given where exposures are unknown.
    place
        The file to name when it is wrong, or the folder.
    times
        Relative, ascending, the shortest = 1; 1 followed by NaN where they are unknown.
    other
        What they would be if the numbers were in another unit; ``None`` if they cannot be, or the unit is certain.
    fix
        What to do if the pictures contradict.
    """

    frames: tuple[Path, ...]
    place: Path
    times: tuple[float, ...]
    other: tuple[float, ...] | None
    fix: str


def check_options(card: "Card") -> None:
    """Check that unit, source and order of a card fit together.

    Raises
    ------
    HdrbenchError
        They do not.
    """
    unit, order, source = (card.options[key] for key in ("exposure_unit", "order", "exposures"))
    if unit not in (*UNITS, "unknown"):
        raise unknown(f"exposure unit of card {card.name}", unit, (*UNITS, "unknown"))
    if order not in ORDERS:
        raise unknown(f"order of card {card.name}", order, ORDERS)
    if (source is None) != (unit == "unknown"):
        raise HdrbenchError(f"card {card.name}: exposures is {source!r} but exposure_unit is '{unit}'; correct one")
    if (order == "brightness") > (source is None) or (order == "exposure") > (source is not None):
        raise HdrbenchError(f"card {card.name}: order '{order}' does not go with exposures {source!r}; correct one")


def exposure_text(card: "Card", folder: Path) -> Path | None:
    """Find the exposure text of a scene; ``None`` if the card reads none.

    Raises
    ------
    DataMissingError
        It is missing.
    HdrbenchError
        Several files match.
    """
    source = card.options["exposures"]
    if not isinstance(source, str) or source == "exif":
        return None
    return only(card, folder, source, "exposure text")


def only(card: "Card", folder: Path, pattern: str, what: str) -> Path:
    """Find the one file that matches a pattern.

    Raises
    ------
    DataMissingError
        There is none.
    HdrbenchError
        There are several.
    """
    found = in_order(folder.glob(pattern))
    if not found:
        raise DataMissingError(f"{folder / pattern}: the {what} is missing; get the scene again from {card.homepage}")
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise HdrbenchError(f"{folder}: expected one {what} matching '{pattern}', got {names}; remove the others")
    return found[0]


def timed_frames(card: "Card", folder: Path, paths: Sequence[Path]) -> tuple[list[Path], tuple[float, ...]]:
    """Find the exposure times of frames.

    Parameters
    ----------
    card
        The data set.
    folder
        Folder of the scene.
    paths
        Frames in the order of their names.

    Returns
    -------
    list of Path
        Frames in ascending exposure, or as given where exposures are unknown.
    tuple of float
        Relative times, the shortest = 1; where they are unknown 1 followed by NaN, which spoils any arithmetic.

    Raises
    ------
    HdrbenchError
        Exposures are missing, cannot be read, cannot be, or do not ascend.
    """
    check_options(card)
    if card.options["exposures"] is None:
        return list(paths), (1.0, *[math.nan] * (len(paths) - 1))
    place, exposures = _exposures(card, folder, paths)
    frames = list(zip(paths, exposures, strict=True))
    if card.options["order"] == "exposure":
        frames.sort(key=lambda frame: frame[1])
    for (first, earlier), (second, later) in pairwise(frames):
        if later <= earlier * (1 + SAME):
            raise HdrbenchError(
                f"{place}: expected exposures that ascend in the order of the frames, got {earlier:g} for {first.name} "
                f"and {later:g} for {second.name} (relative times); correct the exposures, or restore the names"
            )
    shortest, longest = frames[0][1], frames[-1][1]
    if longest / shortest > 2.0**MOST_STOPS:
        raise HdrbenchError(f"{place}: expected exposures within {MOST_STOPS} stops; correct them, or the card")
    return [path for path, _ in frames], tuple(exposure / shortest for _, exposure in frames)


def claimed(card: "Card", folder: Path, paths: Sequence[Path]) -> Claim:
    """Find the exposure times of frames as `timed_frames` does, and what they would be in another unit.

    Raises
    ------
    HdrbenchError
        As `timed_frames`.
    """
    frames, times = timed_frames(card, folder, paths)
    place, other = exposure_text(card, folder) or folder, OTHERS.get(card.options["exposure_unit"])
    if card.options["exposures"] == "exif" or other is None:
        return Claim(tuple(frames), place, times, None, "correct the exposures, or exposure_unit of the card")
    read_as_other = card.model_copy(update={"options": {**card.options, "exposure_unit": other}})
    try:
        misread = timed_frames(read_as_other, folder, paths)[1]
    except HdrbenchError:
        misread = None
    fix = f"correct them, or if they are {other}, say so in exposure_unit of the card"
    return Claim(tuple(frames), place, times, misread, fix)


def _exposures(card: "Card", folder: Path, paths: Sequence[Path]) -> tuple[Path, list[float]]:
    """Return relative times, and the place to name when they are wrong."""
    source, unit = card.options["exposures"], card.options["exposure_unit"]
    if source == "exif":
        return folder, exif_exposures(paths)
    if isinstance(source, str):
        text = only(card, folder, source, "exposure text")
        require_list(text)
        try:
            return text, listed_exposures(ExposureList(text, UNITS[unit]), paths)
        except DataMissingError:
            raise
        except HdrbenchError as error:
            other = "times" if unit == "stops" else "stops"
            raise HdrbenchError(f"{error}; if they are {other}, say so in exposure_unit of the card") from None
    if "listed" in source:
        numbers = [float(number) for number in source["listed"]]
        if len(numbers) != len(paths):
            raise HdrbenchError(f"{folder}: {len(paths)} frames, the card lists {len(numbers)} exposures; get it again")
        return folder, [_time(folder, unit, number) for number in numbers]
    return folder, [_time(path, unit, _number_in(path, source["name"])) for path in paths]


def _number_in(path: Path, expression: str) -> float:
    matched = re.search(expression, path.name)
    try:
        return float(matched[1]) if matched else math.nan
    except ValueError:
        raise HdrbenchError(f"{path}: '{expression}' finds no number in the name; restore the name") from None


def _time(place: Path, unit: str, number: float) -> float:
    if not math.isfinite(number) or (unit != "stops" and number <= 0):
        raise HdrbenchError(f"{place}: {number:g} is no exposure in {unit}; restore the name, or correct the card")
    if unit == "stops":
        return 2.0**number
    return number if unit == "times" else 1.0 / number
