"""Methods: one folder each, loaded by name when asked for.

A folder ``methods/<name>/`` is a package whose ``METHOD`` is a `Method`. Nothing else has to be touched to add one.
A broken method, or one whose optional dependency is missing, breaks only itself.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from hdrbench.errors import HdrbenchError, unknown


@dataclass(frozen=True)
class Batch:
    """What a training objective may look at: aligned stacks of (N, 3, H, W) images, and pseudo labels.

    Attributes
    ----------
    short, middle, long
        LDR images in [0, 1]; `short` and `long` are warped onto `middle`.
    times
        (N, 3) relative exposure times, shortest = 1.
    pseudo
        HDR image fused from the three, linear.
    """

    short: Tensor
    middle: Tensor
    long: Tensor
    times: Tensor
    pseudo: Tensor


@dataclass(frozen=True)
class Reconstruction:
    """An HDR image, and the exposures it was made from where the method generates any.

    Attributes
    ----------
    hdr
        (N, 3, H, W) linear, 1 = saturation of the shortest exposure.
    exposures
        Generated LDR images by name (``"low"``, ``"high"``), (N, 3, H, W) in [0, 1].
    """

    hdr: Tensor
    exposures: Mapping[str, Tensor]


Objective = Callable[[nn.Module, Batch], dict[str, Tensor]]


@dataclass(frozen=True)
class Method:
    """A reconstruction method as data.

    Attributes
    ----------
    title
        As the page prints it.
    reference
        Key into REFERENCES.bib.
    abilities
        Of ``"reconstruct"`` (HDR from one LDR image), ``"expose"`` (LDR at another exposure), ``"fuse"`` (a stack).
    build
        ``build(**options) -> nn.Module``; the options are those of the method's ablations.
    reconstruct
        ``reconstruct(network, middle, times) -> Reconstruction`` for (N, 3, H, W) LDR images and (N, 3) times.
    objective
        ``objective(**options) -> (loss terms of a batch, notes for the provenance)``; the loss is the sum of the terms.
        ``None`` where there is nothing to train.
    """

    title: str
    reference: str
    abilities: frozenset[str]
    build: Callable[..., nn.Module]
    reconstruct: Callable[[nn.Module, Tensor, Tensor], Reconstruction]
    objective: Callable[..., tuple[Objective, list[str]]] | None = None


def names() -> list[str]:
    """List the methods in this folder without importing any."""
    return sorted(path.parent.name for path in Path(__file__).parent.glob("*/__init__.py"))


def get(name: str) -> Method:
    """Import a method by name.

    Raises
    ------
    HdrbenchError
        If there is no such method, or if it cannot be imported here.
    """
    if name not in names():
        raise unknown("method", name, names())
    try:
        return import_module(f"hdrbench.methods.{name}").METHOD
    except ImportError as error:
        raise HdrbenchError(f"method '{name}' cannot be imported: {error}; install what it needs") from error


def build(name: str, options: Mapping[str, Any]) -> nn.Module:
    """Build a method's network; an option it does not know is an `HdrbenchError`."""
    try:
        return get(name).build(**options)
    except (TypeError, ValueError) as error:
        raise HdrbenchError(f"method '{name}' with options {dict(options)}: {error}") from error
