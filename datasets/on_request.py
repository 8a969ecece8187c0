"""Data sets that nobody but their authors can hand out: a card without scenes."""

from typing import TYPE_CHECKING, Any, NoReturn

from hdrbench.errors import DataMissingError

if TYPE_CHECKING:
    from hdrbench.datasets.catalog import Card

OPTIONS = ("reason",)


def _refuse(card: "Card") -> NoReturn:
    raise DataMissingError(f"{card.name}: {card.options['reason']}; {card.homepage}")


def scene_names(card: "Card", split: str) -> NoReturn:
    """Raise `DataMissingError`: there are no scenes to list."""
    _refuse(card)


def load_scene(card: "Card", split: str, scene: str) -> NoReturn:
    """Raise `DataMissingError`: there is no scene to load."""
    _refuse(card)


def verify(card: "Card") -> list[str]:
    """Say that the set is not to be had."""
    return [f"{card.name}: {card.options['reason']}; {card.homepage}"]


def fingerprint(card: "Card") -> dict[str, Any]:
    """Raise `DataMissingError`: there is nothing to identify."""
    _refuse(card)
