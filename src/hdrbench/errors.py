"""Errors a user can act on. The command line prints them as one line and exits with 2; anything else is a bug."""

from collections.abc import Iterable
from difflib import get_close_matches


class HdrbenchError(Exception):
    """Something the user can fix: the message says what was expected, what came, and the cure."""


class ImageError(HdrbenchError):
    """A file that cannot be used as an image; the message begins with its path."""


class DataMissingError(HdrbenchError):
    """A data set, or a part of it, is not where it should be."""


class WeightsMissingError(HdrbenchError):
    """Pretrained or trained weights are not on this machine."""


def unknown(kind: str, name: str, known: Iterable[str]) -> HdrbenchError:
    """Build the error for a name that is not registered, with the nearest known one.

    Parameters
    ----------
    kind
        What the name should be, e.g. ``"metric"``.
    name
        The name that was given.
    known
        All valid names.
    """
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(names) or 'none'}"
    return HdrbenchError(f"unknown {kind} '{name}'; {hint}")
