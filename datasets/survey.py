"""What a card says, and which scenes of a damaged data set can still be used."""

import importlib
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from hdrbench.datasets import catalog
from hdrbench.errors import HdrbenchError

if TYPE_CHECKING:
    from hdrbench.datasets.catalog import Card


@dataclass(frozen=True)
class Survey:
    """The state of a data set, scene by scene.

    Attributes
    ----------
    usable
        Scenes by split that can be loaded and are what the card says.
    left_out
        By split the other scenes, each with what is wrong and what to do.
    remarks
        Lines about files that do not keep any scene from being used, such as unexpected ones and missing scenes.
    """

    usable: dict[str, tuple[str, ...]]
    left_out: dict[str, dict[str, str]]
    remarks: tuple[str, ...]

    def counts(self) -> str:
        """Say in one line how many scenes of each split are usable, e.g. ``train 72 of 74, test 15 of 15``."""
        totals = {split: (len(good), len(good) + len(self.left_out[split])) for split, good in self.usable.items()}
        return ", ".join(f"{split} {good} of {total}" for split, (good, total) in totals.items())


def loader_of(card: "Card") -> ModuleType:
    """Import the loader that a card names."""
    return importlib.import_module(f"hdrbench.datasets.{card.loader}")


def survey(name: str) -> Survey:
    """Check a data set like `hdrbench.datasets.catalog.verify`, and tell usable scenes from those to be left out.

    Raises
    ------
    HdrbenchError
        There is no such data set, or its card is wrong.
    DataMissingError
        Nothing of the data set is on this machine.
    """
    card = catalog.card(name)
    loader = loader_of(card)
    if not hasattr(loader, "scene_problems"):
        return _whole(name, card)
    usable: dict[str, tuple[str, ...]] = {}
    left_out: dict[str, dict[str, str]] = {}
    remarks: list[str] = []
    missing: list[HdrbenchError] = []
    for split in card.splits:
        try:
            scenes = catalog.scene_names(name, split)
        except HdrbenchError as error:
            missing.append(error)
            scenes = []
        problems = {scene: loader.scene_problems(card, split, scene) for scene in scenes}
        fatal = {scene: [p.text for p in found if p.fatal] for scene, found in problems.items()}
        usable[split] = tuple(scene for scene in scenes if not fatal[scene])
        left_out[split] = {scene: "; ".join(lines) for scene, lines in fatal.items() if lines}
        remarks += [p.text for found in problems.values() for p in found if not p.fatal]
        expected = card.splits[split]
        if expected is not None and len(scenes) < expected:
            remarks.append(
                f"{name}: split '{split}' lacks {expected - len(scenes)} scenes; get them from {card.homepage}"
            )
    if len(missing) == len(card.splits):
        raise missing[0]
    return Survey(usable, left_out, (*map(str, missing), *remarks))


def _whole(name: str, card: "Card") -> Survey:
    """Survey a set whose scenes stand or fall together: each is made from several of its files."""
    problems = catalog.verify(name)
    if not problems:
        return Survey({s: tuple(catalog.scene_names(name, s)) for s in card.splits}, {s: {} for s in card.splits}, ())
    return Survey(
        dict.fromkeys(card.splits, ()), {s: {"all scenes": problems[0]} for s in card.splits}, tuple(problems)
    )


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
