"""HDR-VDP-3's prediction of quality (Mantiuk2023), as release 3.0.7 computes it.

What the eye makes of the image and of its reference is split into bands. In each of them, differences are weighed by
contrast sensitivity and masked by what both images have there; what remains visible is pooled into one error.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from hdrbench.errors import unknown
from hdrbench.metrics.checks import check_pair
from hdrbench.metrics.hdrvdp.display import Matrix, changed, get_encoding, mix, show
from hdrbench.metrics.hdrvdp.eye import (
    LOG_BRIGHTEST,
    LOG_DARKEST,
    Eye,
    adaptation,
    common,
    log_range,
    mtf,
    neural_csf,
    pupil_gain,
    respond,
    sensitivity_map,
)
from hdrbench.metrics.hdrvdp.fourier import filter_mirrored, frequencies
from hdrbench.metrics.hdrvdp.pyramid import ISOTROPIC, STEERABLE, Kernels, decompose
from hdrbench.metrics.hdrvdp.resize import resize

# All numbers in this module are parameters of release 3.0.7.
EYE = Eye(
    joint=(315.98, 6.7977, 1.6008, 0.25534),
    rods=(10**1.8, 1.095, 1.32),
    csf=(
        (0.0002, 1.26181, 4.27832, 0.361902, 3.11914),
        (0.002, 0.893585, 4.27832, 0.361902, 2.18938),
        (0.02, 0.84864, 3.57253, 0.530355, 3.12486),
        (0.2, 0.699243, 3.94545, 0.68608, 4.41846),
        (2.0, 0.530826, 4.25337, 0.866916, 4.65117),
        (20.0, 0.459297, 3.78765, 0.981028, 4.33546),
        (150.0, 0.312626, 4.15264, 0.952367, 3.22389),
    ),
    csf_has_optics=True,
)
SLOWEST = 1e-4  # cycles per degree, up to which nothing is seen
POOLING = 0.8  # Minkowski exponent over the pixels of a band
BEST = 10.0  # score of identical images
LOG_FLOOR = -4.0  # natural logarithm of the smallest error that matters
JOD_SCALE, JOD_POWER = 0.52, 1.2812
MINIMAL_PPD = 2.0  # below which the pyramid has no bands


class Vdp3(NamedTuple):
    """Scores of a batch, each (N,) float64, at most 10: `q`, and `q_jod`, which falls by 1 per just-objectionable difference.

    Of an image of 9 JOD and its reference, 75 % of the observers choose the reference.
    """

    q: Tensor
    q_jod: Tensor


@dataclass(frozen=True)
class _Task:
    """What was fitted to the experiments of one kind: decimal logarithms, `None` for an effect that is left out.

    Attributes
    ----------
    sensitivity
        Factor on the receptors' responses.
    excitation, inhibition
        Exponents of the difference and of the masking signal.
    self_masking, orientation_masking, band_masking
        Strength of masking by the band itself, by the other orientations, and by the next finer and coarser bands.
    kernels
        Of the pyramid, whose bands have one orientation or four.
    """

    sensitivity: float
    excitation: float
    inhibition: float
    self_masking: float
    orientation_masking: float | None = None
    band_masking: float | None = None
    kernels: Kernels = ISOTROPIC


_SIDE_BY_SIDE = _Task(0.203943775672, 0.3424, 0.108934275615, 1.41846291721, band_masking=0.136877512403)
TASKS = {
    "quality": _SIDE_BY_SIDE,
    "side-by-side": _SIDE_BY_SIDE,
    "flicker": _Task(0.501007998611, 0.3424, 0.11339123107, 1.48041073222, band_masking=0.00886149078207),
    "detection": _Task(-1.0, math.log10(2.2), 0.290256, 1.73128, orientation_masking=0.816109, kernels=STEERABLE),
}


def hdrvdp3(
    pred: Tensor,
    ref: Tensor,
    *,
    encoding: str = "rgb-bt.709",
    ppd: float,
    task: str = "quality",
    dtype: torch.dtype = torch.float64,
) -> Vdp3:
    """Quality of images on a display, as HDR-VDP-3.0.7 predicts it for a viewer of 24 years (Mantiuk2023).

    The values are those of the release in GNU Octave: within 1e-9, or 1e-3 in single precision. In gradients the set of
    changed pixels and the dominant frequency of the low-pass band count as given.

    Parameters
    ----------
    pred, ref
        (N, C, H, W) of at least 9x9 pixels (15x15 for task ``"detection"``). Absolute values in cd/m² in the linear
        encodings, where white of 400 cd/m² is (400, 400, 400); codes in [0, 1], not clipped, in the two display
        encodings, whose display gives 1 to 100 cd/m². The caller must not pass negative light, which is not always raised (see
        `encoding`): a pixel whose light in `ref` (not in `pred`) is negative in all primaries counts as unchanged, as in the
        release, however far off `pred` is there; one negative in some primaries is judged by the others.
    encoding
        ``"rgb-bt.709"``, ``"rgb-bt.2020"``, ``"XYZ"``, ``"rgb-native"`` (primaries of the display), ``"luminance"``
        (one channel); ``"sRGB-display"``, ``"luma-display"`` (one channel). Colours outside the display's gamut are raised
        to 1e-6 cd/m² per primary, as in the release, except in ``"rgb-native"`` and the encodings of one channel.
    ppd
        Pixels per degree of visual angle, above 2.
    task
        The experiments the model was fitted to: ``"quality"`` or ``"side-by-side"``, which have the same numbers,
        ``"flicker"``, ``"detection"``.
    dtype
        Precision to compute in.

    Returns
    -------
    Vdp3
        `q` and `q_jod`, each (N,) float64 on the device of the images; exactly 10 for identical images.

    Raises
    ------
    ValueError
        On unequal shapes, empty batches, values that are not finite or overflow, a wrong number of channels, negative luma,
        images smaller than the filters, or a resolution not above 2 pixels per degree.
    HdrbenchError
        On an unknown encoding or task.
    """
    check_pair(pred, ref)
    shown = get_encoding(3, encoding, pred.shape[1])
    if task not in TASKS:
        raise unknown("HDR-VDP-3 task", task, TASKS)
    if not MINIMAL_PPD < ppd < math.inf:
        raise ValueError(f"HDR-VDP-3 needs more than 2 pixels per degree, got {ppd}; check the viewing distance")
    smallest = TASKS[task].kernels.smallest
    if min(pred.shape[-2:]) < smallest:
        raise ValueError(
            f"HDR-VDP-3 needs images of at least {smallest}x{smallest} pixels, got {tuple(pred.shape[-2:])}"
        )
    pairs = (show(torch.stack(pair).to(dtype), shown) for pair in zip(pred, ref, strict=True))
    errors = torch.stack([_error(light, shown.to_receptors, ppd, TASKS[task]) for light in pairs])
    if not torch.isfinite(errors).all():
        raise ValueError("HDR-VDP-3 overflowed: expected luminance up to about 1e10 cd/m²; scale the images to cd/m²")
    loss = torch.log1p(errors / math.exp(LOG_FLOOR))
    return Vdp3(BEST - loss, BEST - JOD_SCALE * loss**JOD_POWER)


def _error(light: list[Tensor], to_receptors: Matrix, ppd: float, task: _Task) -> Tensor:
    """Pool the visible differences of an image and its reference: (2, H, W) in cd/m² of each of the display's primaries."""
    signals = [signal.clamp(1e-8, 1e10) for signal in mix(_scatter(light, ppd), to_receptors)]
    adapting = adaptation(signals[0] + signals[1], ppd)
    pupil = pupil_gain(adapting, ppd)
    response = respond(EYE, *(signal * pupil for signal in signals)) * 10**task.sensitivity
    bands = _split(response, ppd, task.kernels)
    masks = [common(band) for band in bands]
    log_adapting = log_range(adapting.mean(0, keepdim=True))
    counts = changed(light)[None].to(adapting.dtype)
    errors = []
    for index, band in enumerate(bands):
        difference, size = band[0] - band[1], (band.shape[-2], band.shape[-1])
        adapted = resize(log_adapting, size)
        csf = _sensitivity(difference, adapted, index, ppd, low_pass=index == len(bands) - 1)
        visible = _visible(difference, csf, _masking(masks, index, task), task)
        weighted = visible * resize(counts, size).abs() ** POOLING
        errors.append((weighted.mean(dim=(-2, -1), dtype=torch.float64) ** (1 / POOLING)).sum())
    return torch.stack(errors).sum() / len(bands)


def _scatter(light: list[Tensor], ppd: float) -> list[Tensor]:
    """Filter images (2, H, W) with the optics of the eye; beyond its border an image is mirrored."""
    height, width = light[0].shape[-2:]
    gain = mtf(frequencies(height, width, ppd, light[0]))
    return [filter_mirrored(primary, gain).clamp(1e-5, 1e10) for primary in light]


def _split(response: Tensor, ppd: float, kernels: Kernels) -> list[Tensor]:
    """Split (2, H, W) into bands (2, O, h, w) of equal gain, from fine to coarse, the low-pass band without its mean.

    Band k is about ``ppd / 2 ** (k + 1)`` cycles per degree, and the coarsest band but one at 1 to 2 or more.
    """
    wanted = math.ceil(math.log2(ppd)) - 2
    bands = decompose(response, min(wanted, kernels.max_height((response.shape[-2], response.shape[-1]))), kernels)
    bands[-1] = bands[-1] - bands[-1].mean(dim=(-2, -1), keepdim=True)
    return [band / 2**index for index, band in enumerate(bands)]


def _sensitivity(difference: Tensor, adapted: Tensor, index: int, ppd: float, *, low_pass: bool) -> Tensor:
    """Contrast sensitivity at each pixel of a band, or of the low-pass band as a whole at its dominant frequency."""
    if not low_pass:
        return sensitivity_map(EYE, ppd / 2 ** (index + 1), adapted)
    frequency = _dominant_frequency(difference[0], ppd / 2 ** (index - 1))
    mean = adapted.clamp(LOG_DARKEST, LOG_BRIGHTEST).mean()
    return neural_csf(EYE, frequency, mean) if frequency > SLOWEST else torch.zeros_like(mean)


def _dominant_frequency(difference: Tensor, ppd: float) -> float:
    """Frequency, in cycles per degree, of the largest component of (h, w) other than its mean."""
    height, width = difference.shape
    amplitude = torch.fft.rfft2(difference.detach()).abs()
    amplitude[0, 0] = 0.0
    u, v = divmod(int(amplitude.T.argmax()), height)
    return ppd * math.hypot(min(v, height - v) / height, u / width)


def _masking(masks: list[Tensor], index: int, task: _Task) -> Tensor:
    """Masking of a band (O, h, w) by what image and reference have in common, in it and beside it."""
    own, exponent = masks[index], 10**task.inhibition
    masking = 10**task.self_masking * own**exponent
    if task.orientation_masking is not None and len(own) > 1:
        masking = masking + 10**task.orientation_masking * (own.sum(0) - own).clamp_min(0.0) ** exponent
    if task.band_masking is not None:
        # The low-pass band masks no other.
        beside = [masks[k] for k in (index - 1, index + 1) if 0 <= k < len(masks) - 1]
        resized = (resize(mask, (own.shape[-2], own.shape[-1])).clamp_min(0.0) for mask in beside)
        masking = masking + 10**task.band_masking * sum(resized, torch.zeros_like(own)) ** exponent
    return masking


def _visible(difference: Tensor, csf: Tensor, masking: Tensor, task: _Task) -> Tensor:
    """Masked difference to the power of `POOLING`.

    With sensitivity S, p and masking M it is the transducer |d|^p / sqrt(S^-2p + M^2), written so that it and its gradient
    are finite where S or d is 0.
    """
    p = 10**task.excitation
    return (difference.abs() * csf) ** (POOLING * p) * (1 + csf ** (2 * p) * masking.square()) ** (-POOLING / 2)
