"""What a card says, and which scenes of a damaged data set can still be used."""

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

from hdrbench.datasets import catalog, scenes
from hdrbench.datasets.judging import Survey, one_line
from hdrbench.errors import HdrbenchError

if TYPE_CHECKING:
    from hdrbench.datasets.catalog import Card


def loader_of(card: "Card") -> ModuleType:
    """Import the loader that a card names."""
    return importlib.import_module(f"hdrbench.datasets.{card.loader}")


def survey(name: str) -> Survey:
    """Check a data set like `hdrbench.datasets.catalog.verify`, and tell usable scenes from those to be left out.

    Every image is decoded once, or once for each split that its scene belongs to.

    Raises
    ------
    HdrbenchError
        There is no such data set, or its card is wrong.
    DataMissingError
        Nothing of the data set is on this machine.
    """
    card = catalog.card(name)
    loader = loader_of(card)
    _require_scenes(name, card)
    return loader.survey(card) if hasattr(loader, "survey") else _whole(name, card)


def fingerprint(name: str, split: str) -> dict[str, Any]:
    """Identify the content of one split, alike on every machine that has the same files.

    Where the scenes of all splits are generated together it is `hdrbench.datasets.catalog.fingerprint`.

    Returns
    -------
    dict
        ``name``; ``digest``, a SHA-256 of exactly the files of the split and of the card's options; number of ``files``
        and of ``bytes``.

    Raises
    ------
    HdrbenchError
        There is no such data set or split, or its card is wrong.
    DataMissingError
        The split is not on this machine; that says nothing of the others.
    """
    card = catalog.card(name)
    loader = loader_of(card)
    if not hasattr(loader, "used"):
        return catalog.fingerprint(name)
    catalog.scene_names(name, split)  # refuses a wrong card and an unknown split
    return scenes.fingerprint_split(card, loader.scene_names, loader.used, split)


def _require_scenes(name: str, card: "Card") -> None:
    """Raise what keeps the scenes of every split from being listed."""
    errors = []
    for split in card.splits:
        try:
            catalog.scene_names(name, split)
        except HdrbenchError as error:
            errors.append(error)
    if len(errors) == len(card.splits):
        raise errors[0]


def _whole(name: str, card: "Card") -> Survey:
    """Survey a set whose scenes stand or fall together: each is made from several of its files."""
    problems = tuple(catalog.verify(name))
    usable: dict[str, tuple[str, ...]] = {}
    left_out: dict[str, dict[str, str]] = {}
    remarks: list[str] = []
    for split in card.splits:
        try:
            names = catalog.scene_names(name, split)
        except HdrbenchError as error:
            names = []
            remarks.append(str(error))
        usable[split] = () if problems else tuple(names)
        left_out[split] = dict.fromkeys(names, one_line(card, problems)) if problems else {}
    return Survey(usable, left_out, tuple(dict.fromkeys(remarks)), tuple(dict.fromkeys((*problems, *remarks))))


_MEANINGS = {
    "exposure_unit": "Exposures are given in",
    "exposures": "Exposures are read from",
    "bits": "Bits per channel",
    "divisor": "Code value that becomes 1",
    "count": "Exposures per scene",
    "size": "Height, width",
    "hdr_scale": "Scale of the reference",
    "hdr_divisor": "Value of the reference that becomes 1",
    "gamma": "Gamma of the codes",
    "order": "Frames are put in order of",
}


def info(name: str) -> dict[str, str]:
    """Tell everything that a card says, in the order in which a reader wants it.

    Returns
    -------
    dict
        Text by heading.

    Raises
    ------
    HdrbenchError
        There is no such data set, or its card is wrong.
    """
    card = catalog.card(name)
    splits = ", ".join(f"{s} {'as many as there are' if n is None else n}" for s, n in card.splits.items())
    rows = {
        "Name": card.name,
        "Title": card.title,
        "What": card.summary,
        "Scenes": splits,
        "Citation": card.citation,
        "Licence": card.licence,
        "Where to get it": card.homepage,
        "Layout": card.layout.rstrip(),
    }
    for key, heading in _MEANINGS.items():
        if key in card.options:
            rows[heading] = _say(key, card.options[key])
    if "exposure_unit" in card.options or "pairs" in card.options or "files" in card.options:
        rows["Exposure times"] = "relative, the shortest = 1"
    if card.kind != "synthetic":
        rows["Colour order"] = "RGB in the files and in memory"
    known = {"folder", *_MEANINGS}
    rows["Other options"] = ", ".join(f"{k}: {v}" for k, v in card.options.items() if k not in known)
    return {heading: text for heading, text in rows.items() if text}


def _say(key: str, value: Any) -> str:
    if value is None:
        return {"divisor": "255 or 65535, by depth", "exposures": "nowhere; they are not published"}.get(key, "any")
    return str(value)
