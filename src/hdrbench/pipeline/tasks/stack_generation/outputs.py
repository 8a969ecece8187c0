"""Results of stack generation: exposures scored as 8-bit pictures, and HDR images against the merge of the real stack.

Subjects are

``ev+1``, ``ev-0.5``, ...
    The exposure so far from the input, against the real one.
``debevec -3:3:0.5``, ``robertson -2,0,2``, ...
    A way of merging, and the generated exposures that are merged so, as `generated.parse_evs` reads them; against all real
    exposures merged alike.
``merged``
    What a method makes of the real stack; against all real exposures merged by ``debevec``.
``encoding``
    The sensor exposure that a network encodes the input to, brought back to codes by the camera's response; against the input.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from hdrbench.errors import HdrbenchError
from hdrbench.imaging.merging.codes import CODES
from hdrbench.imaging.merging.generated import MERGES, merge_stack, parse_evs
from hdrbench.methods import Method
from hdrbench.metrics.scoring import Subject
from hdrbench.pipeline.device import to_batch
from hdrbench.pipeline.tasks import Arrays
from hdrbench.pipeline.tasks.stack_generation.inputs import exposure_values
from hdrbench.protocol import Protocol

EXPOSURE = re.compile(r"ev([+-]\d+(\.\d+)?)")
NEAR = 0.1  # stops: cameras step by thirds, which names round


@dataclass(frozen=True)
class Generated:
    """What a method makes of a scene.

    Attributes
    ----------
    exposures
        (1, 3, H, W) codes of 8 bit by exposure value; 0 is the input.
    merged, encoding
        (1, 3, H, W), where they were asked for.
    merges
        HDR images that have been merged from the exposures so far, by subject.
    """

    exposures: dict[float, Tensor]
    merged: Tensor | None
    encoding: Tensor | None
    merges: dict[str, Tensor] = field(default_factory=dict)


def read_subject(name: str) -> tuple[str, tuple[float, ...]]:
    """Read a subject's name: its kind, ``"exposure"`` or a word of the name, and the exposure values that it needs.

    Raises
    ------
    HdrbenchError
        If it is none.
    """
    if found := EXPOSURE.fullmatch(name):
        return "exposure", (float(found[1]),)
    kind, _, evs = name.partition(" ")
    if kind in MERGES and evs:
        return kind, parse_evs(evs)
    if name in ("merged", "encoding"):
        return name, ()
    raise HdrbenchError(f"unknown subject '{name}'; such are 'ev+1', 'debevec -3:3:0.5', 'merged' and 'encoding'")


def apply(method: Method, network: nn.Module, scene: Arrays, subjects: Collection[str], device: str) -> Generated:
    """Generate the exposures that some subjects need from a scene's middle exposure."""
    asked = [read_subject(name) for name in subjects]
    kinds, evs = {kind for kind, _ in asked}, sorted({ev for _, needed in asked for ev in needed})
    stack = to_batch(scene["stack"], device)
    image, merged, encoding = stack[:, stack.shape[1] // 2], None, None
    exposures: dict[float, Tensor] = {}
    if evs:
        if method.expose is None:
            raise HdrbenchError(f"method '{method.title}' does not generate exposures")
        made = method.expose(network, image, evs)
        exposures = {ev: _to_8_bit(made[:, k]) for k, ev in enumerate(evs)}
    if "merged" in kinds:
        if method.merge is None:
            raise HdrbenchError(f"method '{method.title}' does not merge real exposures")
        merged = method.merge(network, stack, exposure_values(scene["times"]))
    if "encoding" in kinds:
        represent = getattr(network, "represent", None)
        if represent is None:
            raise HdrbenchError(f"method '{method.title}' encodes no sensor exposure")
        encoding = represent(image)
    results = [*exposures.values(), *(result for result in (merged, encoding) if result is not None)]
    if not all(torch.isfinite(result).all() for result in results):
        raise HdrbenchError("the result has values that are not finite")
    return Generated(exposures, merged, encoding)


def subject(name: str, result: Generated, scene: Arrays, protocol: Protocol, device: str) -> Subject:
    """Score what a subject's name says."""
    kind, evs = read_subject(name)
    if kind == "exposure":
        return Subject(protocol, result.exposures[evs[0]], _real(scene, evs[0], device), coded=True)
    if kind == "encoding":
        assert result.encoding is not None
        codes = _encode(result.encoding, scene["response"])
        return Subject(protocol, codes.to(device), _real(scene, 0.0, device), coded=True)
    if kind == "merged":
        assert result.merged is not None
        return Subject(protocol, result.merged, _reference(scene, "debevec", device))
    if name not in result.merges:
        result.merges[name] = merge_stack(torch.stack([result.exposures[ev] for ev in evs], 1), evs, kind)
    return Subject(protocol, result.merges[name], _reference(scene, kind, device))


def _reference(scene: Arrays, how: str, device: str) -> Tensor:
    if how not in scene:
        raise HdrbenchError(f"the real stack is not merged by '{how}'; add it to preparation.merges")
    return to_batch(scene[how], device)


def _real(scene: Arrays, ev: float, device: str) -> Tensor:
    """Find the real exposure (1, 3, H, W) at an exposure value."""
    values = exposure_values(scene["times"])
    distances = [abs(value - ev) for value in values]
    if min(distances) > NEAR:
        raise HdrbenchError(f"there is no real exposure at EV {ev:+g}, only {_list(values)}")
    return to_batch(scene["stack"][int(np.argmin(distances))], device)


def _list(values: Sequence[float]) -> str:
    return ", ".join(f"{value:+.2g}" for value in values)


def _encode(exposure: Tensor, response: np.ndarray) -> Tensor:
    """Turn sensor exposures (1, 3, H, W), 1 = saturation, into codes by an inverse response (3, 256) that ascends."""
    codes = np.arange(CODES) / (CODES - 1)
    planes = [
        np.interp(plane, np.maximum.accumulate(curve), codes)
        for plane, curve in zip(exposure[0].double().cpu().numpy(), response, strict=True)
    ]
    return _to_8_bit(torch.from_numpy(np.stack(planes)).float()[None])


def _to_8_bit(image: Tensor) -> Tensor:
    """Round display codes to the 256 levels of the file that exposures are saved in."""
    return (image.clamp(0.0, 1.0) * (CODES - 1)).round() / (CODES - 1)
