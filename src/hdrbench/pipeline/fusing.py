"""Somebody's own photographs: an exposure bracket to one picture that can be shown, without radiance in between."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hdrbench.errors import HdrbenchError
from hdrbench.imaging.io import LDR_SUFFIXES, Image, read_ldr, write_ldr
from hdrbench.imaging.registration import Shift, apparent_times
from hdrbench.imaging.stack import read_frames
from hdrbench.metrics.mef_ssim import mef_ssim
from hdrbench.pipeline.device import best_device, to_batch
from hdrbench.pipeline.networks import build_network, method_that
from hdrbench.pipeline.photos import align_frames, check_alignment, check_files, require_suffix, to_array, to_stack


@dataclass(frozen=True)
class Fused:
    """What `fuse_photos` did, for the command to tell.

    Attributes
    ----------
    out
        The picture written.
    frames
        The files given, from dark to bright.
    means
        Mean code of each, in [0, 1], by which they were ordered.
    used
        Those that were fused: all, or as many as the method takes.
    shifts
        Pixels by which each frame was moved (x, y), ``None`` unless aligned by shifts.
    scores
        By what was measured: the score, or why there is none.
    """

    out: Path
    frames: tuple[Path, ...]
    means: tuple[float, ...]
    used: tuple[Path, ...]
    shifts: list[Shift] | None
    scores: dict[str, float | str]


def fuse_photos(
    inputs: Sequence[Path],
    out: Path,
    *,
    method: str,
    options: Mapping[str, Any] | None = None,
    weights: Path | None = None,
    align: str = "none",
) -> Fused:
    """Fuse a bracket of photographs into a picture that can be shown, without knowing their exposures.

    Parameters
    ----------
    inputs
        Files in any order, or a folder.
    out
        ``.png``, ``.tif`` or ``.jpg``, 8 bit.
    method
        A method of `hdrbench.methods` that can fuse.
    options
        Of the method, where there is nothing to train; what is left out has its default.
    weights
        Checkpoint of a run of the method, which has the run's options inside.
    align
        As for `merge_photos`. Exposures, which flow needs, are then told from the pictures.

    Returns
    -------
    Fused
        With the MEF-SSIM of the file that was written, on the frames as they were aligned.

    Raises
    ------
    HdrbenchError
        An unknown name, a method that cannot fuse or needs weights, weights of another method, an output that would
        replace a frame, become one or is of the wrong kind, frames of different sizes or that the method cannot use, or
        what the alignment raises.
    """
    chosen = method_that("fuse exposures", lambda other: other.fuse is not None, method)
    check_alignment(align)
    require_suffix(out, LDR_SUFFIXES, "fusion")
    check_files(inputs, (out,))
    device = best_device()
    network = build_network(method, options or {}, weights, device)
    order, images, means = _from_dark_to_bright(inputs)
    times = apparent_times(images, order) if align == "flow" else ()
    images, shifts = align_frames(images, order, align, times)
    count = chosen.frames or len(order)
    if count > len(order):
        raise HdrbenchError(f"method '{method}' fuses {count} frames, got {len(order)}; add some")
    used = [round(k * (len(order) - 1) / (count - 1)) for k in range(count)]
    stack = to_stack(images, device)
    with torch.inference_mode():
        try:
            fused = chosen.fuse(network, stack[:, used]).image  # type: ignore[misc]
        except ValueError as error:
            raise HdrbenchError(f"{order[0]} to {order[-1].name}: method '{method}': {error}") from None
        write_ldr(out, to_array(fused))
        against = {f"the {len(order)} frames given": stack}
        if len(used) < len(order):
            against[f"the {len(used)} frames used"] = stack[:, used]
        scores = _score(to_batch(read_ldr(out), device), against)
    return Fused(out, tuple(order), tuple(means), tuple(order[k] for k in used), shifts, scores)


def _from_dark_to_bright(inputs: Sequence[Path]) -> tuple[list[Path], list[Image], list[float]]:
    """Read the frames, upright, and put them in order of their mean codes, which are returned too."""
    read = read_frames(inputs)
    means = {path: float(image.mean()) for path, image in read.items()}
    order = sorted(read, key=lambda path: means[path])
    return order, [read[path] for path in order], [means[path] for path in order]


def _score(fused: Tensor, against: dict[str, Tensor]) -> dict[str, float | str]:
    """Measure a fused image by both forms of MEF-SSIM; what cannot be measured says why."""
    scores: dict[str, float | str] = {}
    for frames, stack in against.items():
        for scales, levels in (("three scales", 3), ("one scale", 1)):
            try:
                score: float | str = mef_ssim(fused, stack, levels=levels).item()
            except ValueError as error:
                score = str(error)
            scores[f"MEF-SSIM on {frames}, {scales}"] = score
    return scores
