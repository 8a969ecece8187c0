"""Somebody's own photographs: an exposure bracket to an HDR image, and an HDR image to one that can be shown."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from hdrbench.datasets import headers
from hdrbench.errors import HdrbenchError, unknown
from hdrbench.imaging.io import HDR_SUFFIXES, LDR_SUFFIXES, read_hdr, write_hdr, write_ldr
from hdrbench.imaging.merge import fuse_exposures
from hdrbench.imaging.merging import adaptive, debevec, mertens, opencv, robertson
from hdrbench.imaging.registration import Shift, align_flow, align_shifts
from hdrbench.imaging.stack import Bracket, ExposureList, find_frames, read_bracket
from hdrbench.imaging.tonemapping import presets
from hdrbench.imaging.transfer import GAMMA
from hdrbench.pipeline.evaluate import best_device, to_batch

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


# (N, K, 3, H, W) in [0, 1] and K relative times to (N, 3, H, W): radiance, or a picture that can be shown as it is.
RADIANCE: dict[str, Merge] = {
    "debevec": _with_response(debevec.recover_response, debevec.merge),
    "robertson": _with_response(robertson.recover_response, robertson.merge),
    "opencv_debevec": _with_response(opencv.calibrate_debevec, opencv.merge_debevec, fine=False),
    "triangle": _triangle,
}
FUSION: dict[str, Merge] = {
    "mertens": lambda stack, times: mertens.fuse(stack),
    "adaptive": lambda stack, times: adaptive.fuse(stack),
}


@dataclass(frozen=True)
class Merged:
    """What `merge_photos` did, for the command to tell.

    Attributes
    ----------
    out
        The file written: radiance, or of a fusion method a picture.
    preview
        Tone-mapped picture beside it, ``None`` for a fusion method.
    bracket
        The frames as they were merged, in ascending exposure.
    shifts
        Pixels by which each frame was moved (x, y), ``None`` unless aligned by shifts.
    """

    out: Path
    preview: Path | None
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
    """Merge a bracket of photographs and write the result, with a tone-mapped picture beside it.

    Parameters
    ----------
    inputs
        Files in any order, or a folder.
    out
        ``.exr``, ``.hdr`` or ``.pic`` for a method of `RADIANCE`, whose picture is then ``<name>_preview.png``; ``.png``,
        ``.tif`` or ``.jpg`` for one of `FUSION`.
    method
        A key of `RADIANCE` or `FUSION`.
    listed
        Where the exposures are written; ``None`` takes them from EXIF.
    align
        ``"none"`` for a tripod, ``"shift"`` for a hand-held camera, ``"flow"`` if things moved as well.
    preset
        Tone mapping of the preview, a key of `hdrbench.imaging.tonemapping.presets.PRESETS`.

    Raises
    ------
    HdrbenchError
        An unknown name, an output that would replace a frame or is of the wrong kind, frames that the method cannot use,
        or what `read_bracket` and the alignment raise.
    """
    tone_mapping = presets.get(preset)
    if method not in RADIANCE | FUSION:
        raise unknown("merging method", method, RADIANCE | FUSION)
    if align not in ALIGNMENTS:
        raise unknown("alignment", align, ALIGNMENTS)
    _require_suffix(out, HDR_SUFFIXES if method in RADIANCE else LDR_SUFFIXES, f"method '{method}'")
    preview = out.with_name(f"{out.stem}_preview.png") if method in RADIANCE else None
    _require_writable(out)
    frames = find_frames(inputs)
    for path in (*frames, *([listed.path] if listed else [])):
        if path.resolve() in (out.resolve(), preview and preview.resolve()):
            raise HdrbenchError(f"{path}: is an input, and would be replaced by the result; choose another output name")
    for path in frames:
        headers.guard(path)
    bracket = read_bracket(inputs, listed)
    shifts = None
    if align == "shift":
        bracket, shifts = align_shifts(bracket)
    elif align == "flow":
        bracket = align_flow(bracket)
    device = best_device()
    stack = torch.stack([to_batch(image, device) for image in bracket.images], dim=1)
    times = torch.tensor(bracket.times, dtype=stack.dtype, device=device)
    with torch.inference_mode():
        try:
            merged = (RADIANCE | FUSION)[method](stack, times)
        except ValueError as error:
            raise HdrbenchError(f"{bracket.paths[0]} to {bracket.paths[-1].name}: method '{method}': {error}") from None
        picture = merged if preview is None else tone_mapping(merged)
    if preview is None:
        write_ldr(out, _to_array(picture))
    else:
        write_hdr(out, _to_array(merged))
        write_ldr(preview, _to_array(picture))
    return Merged(out, preview, bracket, shifts)


def tonemap_photo(source: Path, out: Path, preset: str) -> presets.Preset:
    """Tone-map an HDR file to an LDR file.

    Parameters
    ----------
    source
        ``.exr``, ``.hdr`` or ``.pic``.
    out
        ``.png``, ``.tif`` or ``.jpg``, 8 bit.
    preset
        A key of `hdrbench.imaging.tonemapping.presets.PRESETS`.

    Returns
    -------
    Preset
        What was applied; whoever shows the result says so if it is a substitute.

    Raises
    ------
    HdrbenchError
        An unknown preset, an unusable file, or radiance that the operator does not take.
    """
    tone_mapping = presets.get(preset)
    _require_suffix(out, LDR_SUFFIXES, "tone mapping")
    _require_writable(out)
    headers.guard(source)
    with torch.inference_mode():
        picture = tone_mapping(to_batch(read_hdr(source), best_device()))
    write_ldr(out, _to_array(picture))
    return tone_mapping


def _require_suffix(out: Path, known: tuple[str, ...], what: str) -> None:
    if out.suffix.lower() not in known:
        raise HdrbenchError(f"{out}: {what} writes {', '.join(known)}, got '{out.suffix}'")


def _require_writable(out: Path) -> None:
    """Find out before the work, not after it, that a result cannot be written."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        raise HdrbenchError(f"{out}: cannot be written there ({error.strerror}); choose another folder") from None


def _to_array(batch: Tensor) -> NDArray:
    return batch[0].permute(1, 2, 0).cpu().numpy()
