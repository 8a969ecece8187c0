"""Methods: one folder each, loaded by name when asked for.

A folder ``methods/<name>/`` is a package whose ``METHOD`` is a `Method`. Nothing else has to be touched to add one.
A broken method, or one whose optional dependency is missing, breaks only itself.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from hdrbench.errors import HdrbenchError, unknown


@dataclass(frozen=True)
class Batch:
    """What a training objective may look at.

    Attributes
    ----------
    tensors
        Crops and their times by name, the names that the run's task gives them (see `hdrbench.pipeline.tasks`): images
        (N, 3, H, W), stacks (N, K, 3, H, W), times (N, K).
    iteration, iterations
        The step this batch is for, counted from 0, and the number of steps of the run, for losses that change on the way.
    """

    tensors: Mapping[str, Tensor]
    iteration: int = 0
    iterations: int = 1

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]


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


@dataclass(frozen=True)
class Fusion:
    """A fused image, and the weights it was fused with where the method has any.

    Attributes
    ----------
    image
        (N, 3, H, W) display codes in [0, 1].
    weights
        (N, K, 1, H, W), summing to 1 over the exposures, or ``None``.
    """

    image: Tensor
    weights: Tensor | None


Objective = Callable[[nn.Module, Batch], dict[str, Tensor]]


@dataclass(frozen=True)
class Method:
    """A method as data.

    Attributes
    ----------
    title
        As the page prints it.
    reference
        Key into REFERENCES.bib.
    build
        ``build(**options) -> nn.Module``; the options are those of the method's ablations.
    reconstruct
        HDR from one LDR image: ``reconstruct(network, middle, times) -> Reconstruction`` for (N, 3, H, W) LDR images and
        (N, 3) times. ``None`` where the method cannot.
    expose
        Other exposures of one LDR image: ``expose(network, image, evs) -> Tensor``, (N, K, 3, H, W) display codes in [0, 1]
        for (N, 3, H, W) LDR images and K exposure values relative to them; at 0 the image itself. ``None`` where the method
        cannot.
    merge
        HDR from a real stack: ``merge(network, stack, evs) -> Tensor``, (N, 3, H, W) linear, for (N, K, 3, H, W) display
        codes in ascending exposure and their K exposure values. ``None`` where the method cannot.
    fuse
        One image that can be shown from a stack: ``fuse(network, stack) -> Fusion`` for (N, K, 3, H, W) display codes in
        [0, 1] in ascending exposure. ``None`` where the method cannot.
    frames
        How many exposures `fuse` takes; ``None`` for any number from two on.
    objective
        ``objective(**options) -> (loss terms of a batch, notes for the provenance)``; the loss is the sum of the terms.
        ``None`` where there is nothing to train.
    pretrain
        ``pretrain(network) -> notes``: puts published weights into a new network before training, if its options ask for
        them, so that a trained one can be built without them. ``None`` where there are none.
    """

    title: str
    reference: str
    build: Callable[..., nn.Module]
    reconstruct: Callable[[nn.Module, Tensor, Tensor], Reconstruction] | None = None
    expose: Callable[[nn.Module, Tensor, Sequence[float]], Tensor] | None = None
    merge: Callable[[nn.Module, Tensor, Sequence[float]], Tensor] | None = None
    fuse: Callable[[nn.Module, Tensor], Fusion] | None = None
    frames: int | None = None
    objective: Callable[..., tuple[Objective, list[str]]] | None = None
    pretrain: Callable[[nn.Module], list[str]] | None = None


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
