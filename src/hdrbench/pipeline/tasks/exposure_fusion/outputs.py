"""Results of exposure fusion: 8-bit pictures, scored on the exposures they were fused from."""

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hdrbench.errors import HdrbenchError, unknown
from hdrbench.methods import Fusion, Method
from hdrbench.metrics.scoring import Subject
from hdrbench.pipeline.device import to_batch
from hdrbench.pipeline.tasks import Arrays
from hdrbench.protocol import Protocol

# What is fused, and what it is scored on, by subject.
SUBJECTS = {"pair": ("pair", "pair"), "pair_on_stack": ("pair", "stack"), "stack": ("stack", "stack")}


def check(name: str, method: Method, preparation: Mapping[str, Any]) -> None:
    """Raise `HdrbenchError` for a subject that a method cannot have."""
    fused, _ = _find(name)
    if method.fuse is None:
        raise HdrbenchError(f"method '{method.title}' does not fuse exposures")
    if fused == "stack" and method.frames is not None:
        raise HdrbenchError(f"method '{method.title}' fuses {method.frames} exposures, not a whole stack")


def apply(
    method: Method, network: nn.Module, scene: Arrays, subjects: Collection[str], device: str
) -> dict[str, Fusion]:
    """Fuse the pair, the whole stack or both.

    Returns
    -------
    dict
        Fusions by what was fused: ``"pair"``, ``"stack"``.
    """
    for name in subjects:
        check(name, method, {})
    assert method.fuse is not None
    kinds = dict.fromkeys(_find(name)[0] for name in subjects)
    return {what: method.fuse(network, frames(scene, what, device)) for what in kinds}


def frames(scene: Arrays, what: str, device: str) -> Tensor:
    """Batch the exposures of a prepared scene, (1, K, 3, H, W): its ``"pair"`` or its ``"stack"``."""
    if what == "stack":
        return to_batch(scene["stack"], device)
    return torch.stack([to_batch(scene[name], device) for name in ("under", "over")], dim=1)


def subject(name: str, result: dict[str, Fusion], scene: Arrays, protocol: Protocol, device: str) -> Subject:
    """Score a fused image as an 8-bit picture, on the exposures that `SUBJECTS` says."""
    fused, reference = _find(name)
    image = to_8_bit(result[fused].image)
    return Subject(protocol, image, fusion=(image, frames(scene, reference, device)), coded=True)


def _find(name: str) -> tuple[str, str]:
    if name not in SUBJECTS:
        raise unknown("subject", name, SUBJECTS)
    return SUBJECTS[name]


def to_8_bit(image: Tensor) -> Tensor:
    """Round display codes in [0, 1] to the 256 levels of the file that a metric is meant to read."""
    return (image.clamp(0.0, 1.0) * 255.0).round() / 255.0
