"""Results of stack generation: exposures scored as 8-bit pictures, and HDR images against the merge of the real stack.

Subjects are

``ev+1``, ``ev-0.5``, ...
    The exposure so far from the input, against the real one.
``debevec -3:3:0.5``, ``robertson -2,0,2``, ...
    A way of merging, and the generated exposures that are merged so, as `generated.parse_evs` reads them; against all real
    exposures merged alike.
``merged debevec``, ...
    What a method makes of the real stack; against all real exposures, merged in that way.
``reconstructed debevec``, ...
    The HDR image that a method makes of the input without a stack; against the same.
``encoding``
    The sensor exposure that a network encodes the input to, brought back to codes by the camera's response; against the input.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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
    images
        Whatever else was asked for, (1, 3, H, W) by kind: ``"merged"``, ``"reconstructed"``, ``"encoding"``.
    refused
        Why an exposure value or a kind of image could not be had.
    merges
        HDR images that have been merged from the exposures so far, by subject.
    """

    exposures: dict[float, Tensor]
    images: dict[str, Tensor]
    refused: dict[float | str, str]
    merges: dict[str, Tensor] = field(default_factory=dict)


def read_subject(name: str) -> tuple[str, str | None, tuple[float, ...]]:
    """Read a subject's name.

    Returns
    -------
    tuple
        The kind, ``"exposure"``, ``"stack"`` or the name's first word; the way of merging, if any; and the exposure values
        that it needs.

    Raises
    ------
    HdrbenchError
        If it is none.
    """
    if found := EXPOSURE.fullmatch(name):
        return "exposure", None, (float(found[1]),)
    first, _, rest = name.partition(" ")
    if first in MERGES and rest:
        return "stack", first, parse_evs(rest)
    if first in ("merged", "reconstructed") and rest in MERGES:
        return first, rest, ()
    if name == "encoding":
        return name, None, ()
    raise HdrbenchError(
        f"unknown subject '{name}'; such are 'ev+1', 'debevec -3:3:0.5', 'merged debevec', 'reconstructed debevec' and "
        f"'encoding', with a way of merging of {', '.join(MERGES)}"
    )


ABILITIES = {"exposure": "expose", "stack": "expose", "merged": "merge", "reconstructed": "reconstruct"}


def check(name: str, method: Method, preparation: Mapping[str, Any]) -> None:
    """Raise `HdrbenchError` for a subject that a method cannot have, or whose reference is not prepared."""
    kind, how, _ = read_subject(name)
    if kind in ABILITIES:
        _able(method, ABILITIES[kind])
    if how is not None and how not in preparation.get("merges", ()):
        raise HdrbenchError(f"the real stack is not merged by '{how}'; add it to preparation.merges")


def apply(method: Method, network: nn.Module, scene: Arrays, subjects: Collection[str], device: str) -> Generated:
    """Make what some subjects need of a scene's middle exposure, or of its real stack.

    What the method refuses is noted; the subjects that need it then raise.
    """
    asked = [read_subject(name) for name in subjects]
    stack = to_batch(scene["stack"], device)
    image = stack[:, stack.shape[1] // 2]
    found = Generated({}, {}, {})
    if evs := sorted({ev for _, _, needed in asked for ev in needed}):
        _expose(method, network, image, evs, found)
    for kind in dict.fromkeys(kind for kind, _, _ in asked if kind not in ("exposure", "stack")):
        try:
            found.images[kind] = _make(kind, method, network, stack, scene["times"])
        except HdrbenchError as error:
            found.refused[kind] = str(error)
    if not all(torch.isfinite(result).all() for result in (*found.exposures.values(), *found.images.values())):
        raise HdrbenchError("the result has values that are not finite")
    return found


def _expose(method: Method, network: nn.Module, image: Tensor, evs: list[float], found: Generated) -> None:
    """Generate exposures together, which shares work, or one by one if the method refuses some."""
    try:
        made = _able(method, "expose")(network, image, evs)
    except HdrbenchError as error:
        if len(evs) == 1:
            found.refused[evs[0]] = str(error)
            return
        for ev in evs:
            _expose(method, network, image, [ev], found)
        return
    found.exposures.update({ev: _to_8_bit(made[:, k]) for k, ev in enumerate(evs)})


def _make(kind: str, method: Method, network: nn.Module, stack: Tensor, times: np.ndarray) -> Tensor:
    """Make an image that is no exposure, (1, 3, H, W), from the stack or its middle exposure."""
    middle = stack.shape[1] // 2
    if kind == "merged":
        return _able(method, "merge")(network, stack, exposure_values(times))
    if kind == "encoding":
        return _able(network, "represent")(stack[:, middle])
    around = torch.from_numpy(times[[0, middle, -1]])[None].to(stack.device)
    return _able(method, "reconstruct")(network, stack[:, middle], around).hdr


def _able(thing: Method | nn.Module, ability: str) -> Callable[..., Any]:
    function = getattr(thing, ability, None)
    if function is None:
        raise HdrbenchError(f"method '{getattr(thing, 'title', type(thing).__name__)}' cannot {ability}")
    return function


def subject(name: str, result: Generated, scene: Arrays, protocol: Protocol, device: str) -> Subject:
    """Score what a subject's name says.

    Raises
    ------
    HdrbenchError
        If the method could not make it, or there is nothing to compare it with.
    """
    kind, how, evs = read_subject(name)
    for needed in (kind, *evs):
        if needed in result.refused:
            raise HdrbenchError(result.refused[needed])
    if kind == "exposure":
        return Subject(protocol, result.exposures[evs[0]], _real(scene, evs[0], device), coded=True)
    if how is None:
        codes = _encode(result.images[kind], scene["response"])
        return Subject(protocol, codes.to(device), _real(scene, 0.0, device), coded=True)
    if kind != "stack":
        return Subject(protocol, result.images[kind], _reference(scene, how, device))
    if name not in result.merges:
        result.merges[name] = merge_stack(torch.stack([result.exposures[ev] for ev in evs], 1), evs, how)
    return Subject(protocol, result.merges[name], _reference(scene, how, device))


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
