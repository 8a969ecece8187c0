"""Somebody's own photograph: one LDR image to an HDR image, through the exposures that a method generates of it."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from hdrbench.errors import HdrbenchError, ImageError, unknown
from hdrbench.imaging import headers
from hdrbench.imaging.exposure import times_from_stops
from hdrbench.imaging.io import HDR_SUFFIXES, Image, write_hdr, write_ldr
from hdrbench.imaging.merging.codes import CODES
from hdrbench.imaging.merging.generated import MERGES, merge_stack, parse_evs
from hdrbench.imaging.stack import MOST_STOPS
from hdrbench.methods import Method
from hdrbench.pipeline.device import best_device, to_batch
from hdrbench.pipeline.networks import build_network, method_that
from hdrbench.pipeline.photos import read_photo, require_suffix, require_writable, to_array
from hdrbench.workspace import write_atomically

STACK_EVS, THREE_EVS = "-3:3:0.5", "-2,0,2"
MERGE = "debevec"
MOST_EV, MOST_EXPOSURES = MOST_STOPS // 2, 100
LEAST_SIDE = 16  # pixels; networks halve an image several times
LIST = "stops.txt"


@dataclass(frozen=True)
class Reconstructed:
    """What `reconstruct_photo` did, for the command to tell.

    Attributes
    ----------
    out
        The HDR image written.
    exposures
        Files of the exposures, where they were asked for, by exposure value in ascending order.
    listed
        The file beside them that `hdrbench merge --stops` reads.
    lowest, highest
        Range of the HDR image; 1 = saturation of the photograph.
    notes
        What else should be known.
    """

    out: Path
    exposures: dict[float, Path]
    listed: Path | None
    lowest: float
    highest: float
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Made:
    """An HDR image (1, 3, H, W), 1 = saturation of the photograph, and its exposures (1, 3, H, W) by exposure value."""

    hdr: Tensor
    exposures: dict[float, Tensor]
    notes: list[str]


def reconstruct_photo(
    photo: Path,
    out: Path,
    *,
    method: str,
    weights: Path | None = None,
    evs: str | None = None,
    merge: str | None = None,
    stack: Path | None = None,
) -> Reconstructed:
    """Reconstruct an HDR image from one photograph, and write it.

    Parameters
    ----------
    photo
        ``.png``, ``.tif`` or ``.jpg``.
    out
        ``.exr``, ``.hdr`` or ``.pic``, in a folder that exists.
    method
        A method of `hdrbench.methods` that can expose or reconstruct.
    weights
        Checkpoint of a run of the method, which has the run's options inside; ``None`` where there is nothing to train.
    evs
        Exposure values to generate, relative to the photograph, as `parse_evs` reads them. A method that exposes takes any,
        `STACK_EVS` by default; another takes three with 0 in the middle, `THREE_EVS` by default.
    merge
        How the exposures are merged, a key of `MERGES`, by default `MERGE`; only of methods that expose.
    stack
        New or empty folder to write the exposures to, 8-bit PNG, with a list of their exposure values. Those of a method
        that exposes are what is merged; those of another are merged as they are before rounding.

    Returns
    -------
    Reconstructed

    Raises
    ------
    HdrbenchError
        An unknown name, a method that cannot do it or needs weights, weights of another method, exposure values or a way of
        merging that the method does not take, a result that cannot be written, or a stack asked of a method without one.
    ImageError
        The photograph is unusable, or too small.
    """
    chosen = method_that("reconstruct HDR from one photograph", _can_reconstruct, method)
    values = _exposure_values(method, chosen, evs)
    if merge is not None and chosen.expose is None:
        raise HdrbenchError(f"method '{method}' merges in its own way; leave --merge out")
    if merge is not None and merge not in MERGES:
        raise unknown("way of merging", merge, MERGES)
    require_suffix(out, HDR_SUFFIXES, f"method '{method}'")
    image = _read(photo)
    _check_targets(out, stack)
    device = best_device()
    network = build_network(method, {}, weights, device)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made = _make(photo, method, chosen, network, to_batch(image, device), values, merge or MERGE)
    if stack is not None and not made.exposures:
        raise HdrbenchError(f"method '{method}' generates no exposures; leave --stack out")
    hdr = to_array(made.hdr)
    write_hdr(out, hdr)
    files = _write_stack(stack, made.exposures) if stack else {}
    notes = [*made.notes, *_darkenings(made.exposures), *dict.fromkeys(str(warning.message) for warning in caught)]
    bits = getattr(headers.peek(photo), "bits", 8)
    if bits == 16 and chosen.expose is not None:
        notes.append("the photograph's 16 bit were rounded to 8, as those of the other exposures are")
    listed = stack / LIST if stack else None
    return Reconstructed(out, files, listed, float(hdr.min()), float(hdr.max()), tuple(notes))


def _can_reconstruct(method: Method) -> bool:
    return method.expose is not None or method.reconstruct is not None


def _exposure_values(name: str, method: Method, text: str | None) -> tuple[float, ...]:
    """Read the exposure values and check that the method takes them."""
    default = STACK_EVS if method.expose is not None else THREE_EVS
    # Rounded, because the photograph itself is taken at exactly 0, which steps such as 0.1 miss by a little.
    evs = tuple(round(ev, 6) + 0.0 for ev in parse_evs(text or default))
    if max(abs(ev) for ev in evs) > MOST_EV or len(evs) > MOST_EXPOSURES:
        raise HdrbenchError(
            f"exposure values '{text}': expected at most {MOST_EXPOSURES}, from -{MOST_EV} to {MOST_EV}; leave some out"
        )
    if method.expose is None and not (len(evs) == 3 and evs[0] < evs[1] == 0 < evs[2]):
        raise HdrbenchError(
            f"exposure values '{text}': method '{name}' takes three with 0 in the middle, such as {THREE_EVS}"
        )
    return evs


def _read(photo: Path) -> Image:
    image = read_photo(photo)
    height, width = image.shape[:2]
    if min(height, width) < LEAST_SIDE:
        raise ImageError(f"{photo}: is {width}x{height}, expected at least {LEAST_SIDE}x{LEAST_SIDE}")
    return image


def _check_targets(out: Path, stack: Path | None) -> None:
    """Find out before the work what cannot be written, or would be mixed with other files."""
    if not out.parent.is_dir():
        raise HdrbenchError(f"{out}: there is no folder {out.parent}; make it first")
    require_writable(out)
    if stack is None:
        return
    if stack.exists() and not (stack.is_dir() and not any(stack.iterdir())):
        kind = "has files already" if stack.is_dir() else "is no folder"
        raise HdrbenchError(f"{stack}: {kind}; name a new or empty folder for the exposures")
    require_writable(stack / LIST if stack.exists() else stack)


def _make(
    photo: Path, name: str, method: Method, network: nn.Module, image: Tensor, evs: tuple[float, ...], merge: str
) -> _Made:
    """Run the network; what it cannot do is an `HdrbenchError`."""
    try:
        with torch.inference_mode():
            if method.expose is not None:
                stack = method.expose(network, image, evs)
                stack = (stack * (CODES - 1)).round() / (CODES - 1)  # as the files are
                return _Made(merge_stack(stack, evs, merge), dict(zip(evs, stack.unbind(1), strict=True)), [])
            return _reconstruct(name, method, network, image, evs)
    except ValueError as error:
        raise HdrbenchError(f"{photo}: method '{name}': {error}") from None
    except RuntimeError as error:
        if "memory" not in str(error):
            raise
        height, width = image.shape[-2:]
        raise HdrbenchError(
            f"{photo}: {width}x{height} needs more memory than there is; give a smaller picture"
        ) from None


def _reconstruct(name: str, method: Method, network: nn.Module, image: Tensor, evs: tuple[float, ...]) -> _Made:
    assert method.reconstruct is not None
    times = torch.tensor([times_from_stops(evs)], dtype=image.dtype, device=image.device)
    made = method.reconstruct(network, image, times)
    hdr = made.hdr * times[:, 1, None, None, None]  # its 1 is the saturation of the shortest exposure
    if not made.exposures:
        note = f"'{name}' generates no exposures, and learned its scale in training: its 1 is taken for EV {evs[0]:g}"
        return _Made(hdr, {}, [note])
    return _Made(hdr, dict(zip(evs, (made.exposures["low"], image, made.exposures["high"]), strict=True)), [])


def _darkenings(exposures: Mapping[float, Tensor]) -> list[str]:
    """Say where a longer exposure is darker, which no camera does and merging does not expect."""
    means = {ev: exposure.mean().item() for ev, exposure in exposures.items()}
    found = [f"{later:+g}" for earlier, later in pairwise(means) if means[later] < means[earlier]]
    if not found:
        return []
    return [
        f"darker than the exposure before: EV {', '.join(found)}; the network is not well trained for this photograph"
    ]


def _write_stack(folder: Path, exposures: Mapping[float, Tensor]) -> dict[float, Path]:
    """Write exposures, and a list of them; returns the files."""
    files = {ev: folder / f"ev{ev:+.10g}.png" for ev in exposures}
    folder.mkdir(exist_ok=True)
    for ev, path in files.items():
        write_ldr(path, to_array(exposures[ev]))
    write_atomically(folder / LIST, "".join(f"{path.name} {ev:.10g}\n" for ev, path in files.items()))
    return files
