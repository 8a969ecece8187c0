"""Results of HDR from one image: the HDR image, scored against the reference."""

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import nn

from hdrbench.errors import HdrbenchError, unknown
from hdrbench.methods import Method, Reconstruction
from hdrbench.metrics.scoring import Subject
from hdrbench.pipeline.device import to_batch
from hdrbench.pipeline.tasks import Arrays
from hdrbench.protocol import Protocol

SUBJECT = "result"


def check(name: str, method: Method, preparation: Mapping[str, Any]) -> None:
    """Raise `HdrbenchError` for a subject that a method cannot have."""
    if name != SUBJECT:
        raise unknown("subject", name, (SUBJECT,))
    if method.reconstruct is None:
        raise HdrbenchError(f"method '{method.title}' does not reconstruct HDR from one image")


def apply(method: Method, network: nn.Module, scene: Arrays, subjects: Collection[str], device: str) -> Reconstruction:
    """Reconstruct a scene from its LDR image."""
    for name in subjects:
        check(name, method, {})
    assert method.reconstruct is not None
    times = torch.from_numpy(scene["times"])[None].to(device)
    result = method.reconstruct(network, to_batch(scene["ldr"], device), times)
    if not torch.isfinite(result.hdr).all():
        raise HdrbenchError("the result has values that are not finite")
    return result


def subject(name: str, result: Reconstruction, scene: Arrays, protocol: Protocol, device: str) -> Subject:
    """Score the HDR image, ``"result"``, against the reference."""
    return Subject(protocol, result.hdr, to_batch(scene["hdr"], device))
