"""Somebody's own photographs: an exposure bracket to an HDR image, and an HDR image to one that can be shown."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from hdrbench.errors import HdrbenchError, ImageError, unknown
from hdrbench.imaging import headers
from hdrbench.imaging import stack as brackets
from hdrbench.imaging.io import HDR_SUFFIXES, LDR_SUFFIXES, Image, read_hdr, read_ldr, write_hdr, write_ldr
from hdrbench.imaging.merge import fuse_exposures
from hdrbench.imaging.merging import debevec, opencv, robertson
from hdrbench.imaging.registration import Shift, align_flow, align_shifts
from hdrbench.imaging.stack import Bracket, ExposureList, find_frames, read_bracket
from hdrbench.imaging.tonemapping import presets
from hdrbench.imaging.transfer import GAMMA
from hdrbench.pipeline.device import best_device, to_batch

Merge = Callable[[Tensor, Tensor], Tensor]

ALIGNMENTS = ("none", "shift", "flow")
PREVIEW = "toolbox_reinhard_0.18"
MIDDLE_CODE = 128
FINE_CODES = 255 * 256 + 1  # 256 steps between neighbouring 8-bit codes


def _triangle(stack: Tensor, times: Tensor) -> Tensor:
    if stack.shape[1] != 3:
        raise HdrbenchError(
            f"method 'triangle' merges 3 frames, got {stack.shape[1]}; leave some out, or use 'debevec'"
        )
    short, middle, long = stack.unbind(1)
    return fuse_exposures(short, middle, long, times.expand(len(stack), 3))


def _with_response(recover: Merge, merge: Callable[[Tensor, Tensor, Tensor], Tensor], *, fine: bool = True) -> Merge:
    """Join the two steps: recover the response, then merge with it.

    A response is known up to a factor, and its ends, where frames saturate, are the least known of it. So the middle code
    is given the exposure that gamma 2.2 gives it, which makes 1 about the saturation of the shortest frame, as in
    `fuse_exposures`. Frames of more than 8 bit, and warped ones, have values between the 256 codes at which the response
    was recovered; where `fine`, it is interpolated.
    """

    def apply(stack: Tensor, times: Tensor) -> Tensor:
        response = recover(stack, times)
        middle = response[..., MIDDLE_CODE].mean(1)[:, None, None]
        response = response * (MIDDLE_CODE / 255.0) ** GAMMA / middle
        if fine and not torch.allclose(255.0 * stack, (255.0 * stack).round(), rtol=0.0, atol=1e-3):
            response = interpolate(response, FINE_CODES, mode="linear", align_corners=True)
        return merge(stack, times, response)

    return apply


# (N, K, 3, H, W) in [0, 1] and K relative times to radiance (N, 3, H, W).
RADIANCE: dict[str, Merge] = {
    "debevec": _with_response(debevec.recover_response, debevec.merge),
    "robertson": _with_response(robertson.recover_response, robertson.merge),
    "opencv_debevec": _with_response(opencv.calibrate_debevec, opencv.merge_debevec, fine=False),
    "triangle": _triangle,
}


@dataclass(frozen=True)
class Merged:
    """What `merge_photos` did, for the command to tell.

    Attributes
    ----------
    out
        The radiance map written.
    preview
        Tone-mapped picture beside it.
    bracket
        The frames as they were merged, in ascending exposure.
    shifts
        Pixels by which each frame was moved (x, y), ``None`` unless aligned by shifts.
    """

    out: Path
    preview: Path
    bracket: Bracket
    shifts: list[Shift] | None


def merge_photos(
    inputs: Sequence[Path],
    out: Path,
    *,
    method: str = "debevec",
    listed: ExposureList | None = None,
    align: str = "none",
    preset: str = PREVIEW,
) -> Merged:
    """Merge a bracket of photographs into radiance and write it, with a tone-mapped picture beside it.

    Parameters
    ----------
    inputs
        Files in any order, or a folder.
    out
        ``.exr``, ``.hdr`` or ``.pic``; the picture is then ``<name>_preview.png``.
    method
        A key of `RADIANCE`.
    listed
        Where the exposures are written; ``None`` takes them from EXIF.
    align
        ``"none"`` for a tripod, ``"shift"`` for a hand-held camera, ``"flow"`` if things moved as well.
    preset
        Tone mapping of the preview, a key of `hdrbench.imaging.tonemapping.presets.PRESETS`.

    Raises
    ------
    HdrbenchError
        An unknown name, an output that would replace a frame, become one or is of the wrong kind, frames that the method
        cannot use, a tone mapping that does not take radiance of any scale, or what `read_bracket` and the alignment
        raise.
    """
    tone_mapping = presets.get(preset)
    if tone_mapping.peak is not None:
        raise HdrbenchError(
            f"tone mapping '{preset}' takes radiance up to {tone_mapping.peak:g}, and merged radiance goes beyond that "
            "(1 is the saturation of the shortest exposure); choose another preview, e.g. 'mu_law_peak'"
        )
    if method not in RADIANCE:
        mistake = unknown("merging method", method, RADIANCE)
        raise HdrbenchError(f"{mistake}; to fuse a bracket into a picture, without radiance, use `hdrbench fuse`")
    check_alignment(align)
    require_suffix(out, HDR_SUFFIXES, f"method '{method}'")
    preview = out.with_name(f"{out.stem}_preview.png")
    check_files(inputs, (out, preview), [listed.path] if listed else [])
    bracket = read_bracket(inputs, listed)
    images, shifts = align_frames(bracket.images, bracket.paths, align, bracket.times)
    bracket = replace(bracket, images=tuple(images))
    device = best_device()
    stack = to_stack(images, device)
    times = torch.tensor(bracket.times, dtype=stack.dtype, device=device)
    with torch.inference_mode():
        try:
            merged = RADIANCE[method](stack, times)
        except ValueError as error:
            raise HdrbenchError(f"{bracket.paths[0]} to {bracket.paths[-1].name}: method '{method}': {error}") from None
        write_hdr(out, to_array(merged))
        write_ldr(preview, to_array(tone_mapping(merged)))
    return Merged(out, preview, bracket, shifts)


def tonemap_photo(source: Path, out: Path, preset: str, *, clip_negative: bool = False) -> tuple[presets.Preset, int]:
    """Tone-map an HDR file to an LDR file.

    Parameters
    ----------
    source
        ``.exr``, ``.hdr`` or ``.pic``.
    out
        ``.png``, ``.tif`` or ``.jpg``, 8 bit.
    preset
        A key of `hdrbench.imaging.tonemapping.presets.PRESETS`.
    clip_negative
        Set negative values to 0, which no operator takes.

    Returns
    -------
    tuple
        What was applied; whoever shows the result says so if it is a substitute. And how many values were clipped.

    Raises
    ------
    HdrbenchError
        An unknown preset, an unusable file, or radiance that the operator does not take.
    """
    tone_mapping = presets.get(preset)
    require_suffix(out, LDR_SUFFIXES, "tone mapping")
    require_writable(out)
    headers.guard(source)
    image = read_hdr(source, allow_negative=True)
    negative = int(np.count_nonzero(image < 0))
    if negative and not clip_negative:
        raise HdrbenchError(
            f"{source}: {negative} of {image.size} values are negative, down to {image.min():g}, as conversions from wide "
            "gamuts leave them; no tone mapping takes these, --clip-negative sets them to 0"
        )
    with torch.inference_mode():
        picture = tone_mapping(to_batch(np.maximum(image, 0.0), best_device()))
    write_ldr(out, to_array(picture))
    return tone_mapping, negative


def read_photo(path: Path) -> Image:
    """Read one photograph, turned upright by its orientation tag as the frames of a bracket are.

    Raises
    ------
    ImageError
        It is missing, broken, or no LDR image.
    """
    if path.exists() and not path.is_file():
        raise ImageError(f"{path}: is not a regular file; name one photograph")
    return brackets._upright(read_ldr(path), brackets._exif(path).get(brackets._ORIENTATION, 1))


def check_alignment(name: str) -> None:
    """Raise `HdrbenchError` if `name` is none of `ALIGNMENTS`."""
    if name not in ALIGNMENTS:
        raise unknown("alignment", name, ALIGNMENTS)


def align_frames(
    images: Sequence[Image], paths: Sequence[Path], align: str, times: Sequence[float]
) -> tuple[list[Image], list[Shift] | None]:
    """Align frames by a key of `ALIGNMENTS`; returns their shifts too, if these were found."""
    if align == "shift":
        return align_shifts(images, paths)
    return align_flow(images, paths, times) if align == "flow" else list(images), None


def to_stack(images: Sequence[Image], device: str) -> Tensor:
    """Turn K images (H, W, 3) into (1, K, 3, H, W)."""
    return torch.stack([to_batch(image, device) for image in images], dim=1)


def check_files(inputs: Sequence[Path], targets: Sequence[Path], others: Sequence[Path] = ()) -> None:
    """Find out before the work that an input would be replaced, or a result taken as a frame the next time."""
    require_writable(targets[0])
    frames = find_frames(inputs)
    for path in (*frames, *others):
        if path.resolve() in [target.resolve() for target in targets]:
            raise HdrbenchError(f"{path}: is an input, and would be replaced by the result; choose another output name")
    folders = [path.resolve() for path in inputs if path.is_dir()]
    for target in targets:
        if target.suffix.lower() in LDR_SUFFIXES and target.resolve().parent in folders:
            raise HdrbenchError(
                f"{target}: would be written among the frames, and be one of them the next time; "
                "write to another folder, or name the frames one by one"
            )
    for path in frames:
        headers.guard(path)


def require_suffix(out: Path, known: tuple[str, ...], what: str) -> None:
    """Raise `HdrbenchError` if `out` is not of a kind that `what` writes."""
    if out.suffix.lower() not in known:
        raise HdrbenchError(f"{out}: {what} writes {', '.join(known)}, got '{out.suffix}'")


def require_writable(out: Path) -> None:
    """Find out before the work, not after it, that a result cannot be written."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        raise HdrbenchError(f"{out}: cannot be written there ({error.strerror}); choose another folder") from None


def to_array(batch: Tensor) -> NDArray:
    """Turn (1, 3, H, W) into an array (H, W, 3)."""
    return batch[0].permute(1, 2, 0).cpu().numpy()
