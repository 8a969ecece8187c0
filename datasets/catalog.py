"""The data sets by name: their cards, their scenes, and whether they are complete on this machine.

A card, ``cards/<name>.yaml``, names a loader: a module of this package with the functions ``scene_names``,
``load_scene``, ``verify`` and ``fingerprint``, which take the card first, and the names of its ``OPTIONS``. Data live
under ``HDRBENCH_DATA``.
"""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from hdrbench.datasets.files import data_root as data_root
from hdrbench.datasets.scene import Scene
from hdrbench.errors import HdrbenchError, unknown
from hdrbench.strict import Strict, parse
from hdrbench.workspace import read_yaml

_CARDS = Path(__file__).parent / "cards"


class Card(Strict):
    """What is known about a data set.

    Attributes
    ----------
    name
        Name of the card's file and of the data set in every command.
    title, summary
        For readers.
    kind
        Where the scenes come from.
    loader
        Module of `hdrbench.datasets` that reads it.
    citation, licence
        Whom to cite, and what may be done with the data.
    homepage
        Where to get the data.
    layout
        The folders and files that are expected under ``HDRBENCH_DATA``.
    splits
        Number of scenes by split; ``None`` where the data decide.
    options
        Arguments of the loader.
    """

    name: str
    title: str
    kind: Literal["synthetic", "radiance maps", "brackets", "card only"]
    loader: str
    summary: str
    citation: str
    licence: str
    homepage: str
    layout: str
    splits: dict[str, int | None]
    options: dict[str, Any]


def names() -> list[str]:
    """List all data sets."""
    return sorted(path.stem for path in _CARDS.glob("*.yaml"))


def card(name: str) -> Card:
    """Read the card of a data set.

    Raises
    ------
    HdrbenchError
        There is no such data set, or its card has a wrong or missing entry.
    """
    if name not in names():
        raise unknown("data set", name, names())
    return read_card(_CARDS / f"{name}.yaml")


def read_card(path: Path) -> Card:
    """Read a card file strictly.

    Raises
    ------
    HdrbenchError
        The file is not YAML, or a key is unknown, missing or of a wrong type; the message begins with the path.
    """
    found = parse(Card, read_yaml(path), path)
    if found.name != path.stem:
        raise HdrbenchError(f"{path}: key 'name' is '{found.name}', expected the file's name '{path.stem}'")
    return found


def scene_names(name: str, split: str) -> list[str]:
    """List the scenes of a split, in a fixed order.

    Raises
    ------
    HdrbenchError
        There is no such data set or split.
    DataMissingError
        The files are not on this machine.
    """
    found, loader = _open(name)
    return loader.scene_names(found, _known_split(found, split))


def load_scene(name: str, split: str, scene: str) -> Scene:
    """Load one scene.

    Raises
    ------
    HdrbenchError
        There is no such data set, split or scene, or a text file of it is wrong.
    DataMissingError
        The files are not on this machine.
    ImageError
        An image file is missing or broken.
    """
    found, loader = _open(name)
    return loader.load_scene(found, _known_split(found, split), scene)


def verify(name: str) -> list[str]:
    """Check a data set without decoding it whole.

    Returns
    -------
    list of str
        What is missing, unexpected or corrupt, one line each; empty if all is well.
    """
    found, loader = _open(name)
    return loader.verify(found)


def fingerprint(name: str) -> dict[str, Any]:
    """Identify the content of a data set, alike on every machine that has the same files.

    Returns
    -------
    dict
        ``name``; ``digest``, a SHA-256; ``scenes`` by split; number of ``files`` and of ``bytes``.
    """
    found, loader = _open(name)
    return loader.fingerprint(found)


def _open(name: str) -> tuple[Card, ModuleType]:
    found = card(name)
    loader = importlib.import_module(f"hdrbench.datasets.{found.loader}")
    for key in found.options:
        if key not in loader.OPTIONS:
            raise HdrbenchError(f"card {name}: {unknown('option', key, loader.OPTIONS)}")
    missing = [key for key in loader.OPTIONS if key not in found.options]
    if missing:
        raise HdrbenchError(f"card {name}: option '{missing[0]}' is missing; {found.loader} needs {loader.OPTIONS}")
    return found, loader


def _known_split(found: Card, split: str) -> str:
    if split not in found.splits:
        raise unknown(f"split of {found.name}", split, found.splits)
    return split
