"""HDR-VDP-2's quality score (Mantiuk2011), as release 2.2.2 computes it, with the weights of 2.2 (Narwaria2015)."""

import math
from functools import reduce

import cv2
import numpy as np
import torch
from torch import Tensor

from hdrbench.metrics.checks import check_pair
from hdrbench.metrics.hdrvdp.display import Matrix, changed, get_encoding, mix, show
from hdrbench.metrics.hdrvdp.eye import Eye, common, log_range, mtf, neural_csf, respond, sensitivity_map
from hdrbench.metrics.hdrvdp.fourier import filter_surrounded, frequencies
from hdrbench.metrics.hdrvdp.pyramid import STEERABLE, levels
from hdrbench.metrics.hdrvdp.resize import resize

# All numbers in this module are default parameters of release 2.2.2.
EYE = Eye(
    joint=(30.162, 4.0627, 1.6596, 0.2712),
    rods=(10**1.1414, 1.2167, 1.1478),
    csf=(
        (0.002, 0.991265, 3.74038, 0.50722, 4.46044),
        (0.02, 0.800889, 3.54104, 0.682505, 4.94958),
        (0.2, 0.476505, 4.37453, 0.750315, 5.28678),
        (2.0, 0.405782, 4.40602, 0.935314, 5.61425),
        (20.0, 0.334278, 3.79542, 1.07327, 6.4635),
        (150.0, 0.394533, 2.7755, 1.16577, 7.45665),
    ),
    csf_has_optics=False,
    scale=0.006894596 / 10**-2.4,  # Daly's peak sensitivity at 30 cd/m² over the one that 2.2 was calibrated to
)
SURROUND = 1e-5  # cd/m² outside the image
# Contrast transducer and masking.
EXCITATION, INHIBITION = 10**0.544068, 10**0.49576
SELF_MASKING, ORIENTATION_MASKING, BAND_MASKING = 10**0.189065, 10**0.449199, 10**1.52512
# Weights of the bands, by their frequency in cycles per degree; interpolated between.
QUALITY_FREQUENCIES = (60.0, 30.0, 15.0, 7.5, 3.75, 1.875, 0.9375, 0.4688, 0.2344, 0.1172)
QUALITY_WEIGHTS = (0.0, 0.2832, 0.2832, 0.2142, 0.2690, 0.0398, 0.0003, 0.0003, 0.0, 0.0)
SMALLEST_ERROR = 1e-12
BEST = 100.0


def hdrvdp2(
    pred: Tensor,
    ref: Tensor,
    *,
    encoding: str = "rgb-bt.709",
    ppd: float,
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """Quality Q of HDR-VDP-2.2.2 (Mantiuk2011).

    Q is of whole images: it depends on their size, so scores of crops do not compare with those of whole images.
    Swapping the images changes it by no more than millionths as a rule.

    Parameters
    ----------
    pred, ref
        (N, C, H, W) of at least 15x15 pixels. Nothing is clipped, and the caller must not pass negative light: a pixel whose
        light in `ref` (not in `pred`) is negative in all channels counts as unchanged, as in the release, however far off
        `pred` is there; one negative in some channels is judged by the others.
    encoding
        ``"luminance"`` (1 channel) and ``"rgb-bt.709"``, ``"XYZ"`` (3 channels) are absolute and linear, in cd/m².
        ``"luma-display"`` (1 channel) and ``"sRGB-display"`` (3 channels) are codes in [0, 1] on a display that gives 1 to
        100 cd/m².
    ppd
        Pixels per degree of the visual field, see `display.pixels_per_degree`; most papers have 20 to 60.
    dtype
        Of the computation. ``torch.float32`` takes half the time and is off by about 0.001.

    Returns
    -------
    Tensor
        (N,) float64: 100 for images without visible difference, lower for worse ones, negative for very bad ones.

    Raises
    ------
    ValueError
        On unequal shapes, empty batches, values that are not finite or overflow, images too small, a wrong number of
        channels, negative luma, or a bad `ppd` or `dtype`.
    HdrbenchError
        On an unknown encoding.
    """
    check_pair(pred, ref)
    shown = get_encoding(2, encoding, pred.shape[1])
    if not 0 < ppd < math.inf:
        raise ValueError(f"expected a positive number of pixels per degree, got {ppd}")
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"expected torch.float32 or torch.float64 to compute in, got {dtype}")
    smallest = STEERABLE.smallest
    if min(pred.shape[-2:]) < smallest:
        raise ValueError(
            f"HDR-VDP-2 needs images of at least {smallest}x{smallest} pixels, got {tuple(pred.shape[-2:])}"
        )
    pairs = (show(torch.stack(pair).to(dtype), shown) for pair in zip(pred, ref, strict=True))
    losses = torch.stack([_loss(light, shown.to_receptors, ppd) for light in pairs])
    if not torch.isfinite(losses).all():
        raise ValueError("HDR-VDP-2 overflowed: expected luminance up to about 1e10 cd/m²; scale the images to cd/m²")
    return BEST - losses


def _loss(light: list[Tensor], to_receptors: Matrix, ppd: float) -> Tensor:
    """Pool the visible differences of an image and its reference: (2, H, W) in cd/m² of each of the display's primaries."""
    response, luminance = _see(light, to_receptors, ppd)
    # What a pixel is adapted to, and whether it counts, go through the same changes of size.
    context = torch.stack([log_range(luminance.mean(0)), changed(light).to(luminance.dtype)])
    differences, masks = _contrasts(response, luminance.mean(dim=(-2, -1)), ppd)
    loss = torch.zeros((), dtype=torch.float64, device=luminance.device)
    for index, level in enumerate(differences):
        frequency = 0.5 * ppd / 2**index
        weight = float(np.interp(frequency, QUALITY_FREQUENCIES[::-1], QUALITY_WEIGHTS[::-1]))
        log_adapting, counts = resize(context, (level[0].shape[-2], level[0].shape[-1]))
        base = index == len(differences) - 1
        csf = torch.ones_like(log_adapting) if base else sensitivity_map(EYE, frequency, log_adapting)
        # Differences over their threshold without masking, and what raises that threshold.
        strength = 2.0**index * _power(csf, EXCITATION)
        raising = strength * _power(csf, INHIBITION)
        for band, difference in enumerate(level):
            threshold = (raising * _masking(masks, index, band)).square_().add_(1.0).sqrt_()
            visible = _power(difference.abs(), EXCITATION).mul_(strength).mul_(counts).div_(threshold)
            error = torch.linalg.vector_norm(visible, dtype=torch.float64) / counts.numel()
            loss = loss + weight * torch.log1p(error / SMALLEST_ERROR)
    return loss


def _see(light: list[Tensor], to_receptors: Matrix, ppd: float) -> tuple[Tensor, Tensor]:
    """Response (2, H, W) in JNDs, of zero mean, to light, and the luminance (2, H, W) that the cones are adapted to."""
    long, medium, rods = mix(_scatter(light, ppd), to_receptors)
    response = respond(EYE, long, medium, rods)
    return response - response.mean(dim=(-2, -1), keepdim=True), long + medium


def _scatter(light: list[Tensor], ppd: float) -> list[Tensor]:
    """Filter images (N, H, W) with the optics of the eye; outside the images it is dark."""
    height, width = light[0].shape[-2:]
    gain = mtf(frequencies(height, width, ppd, light[0]))
    # One image at a time, as the canvas is four times as large.
    scattered = (torch.stack([filter_surrounded(image, gain, SURROUND) for image in primary]) for primary in light)
    return [primary.clamp(1e-5, 1e10) for primary in scattered]


def _contrasts(response: Tensor, mean_luminance: Tensor, ppd: float) -> tuple[list[list[Tensor]], list[list[Tensor]]]:
    """Difference of the two responses (2, H, W), and what masks it, in each band (h, w) of each level from fine to coarse."""
    height = STEERABLE.max_height((response.shape[-2], response.shape[-1]))
    differences: list[list[Tensor]] = []
    masks: list[list[Tensor]] = []
    for index, level in enumerate(levels(response, height, STEERABLE)):
        if index == height + 1:
            level = [_weigh_base(level[0], mean_luminance, 0.5 * ppd / 2**index)]
        # The gain of the bands grows with the level.
        differences.append([(band[0] - band[1]).div_(2**index) for band in level])
        masks.append([common(band).div_(2**index) for band in level])
    return differences, masks


def _weigh_base(base: Tensor, mean_luminance: Tensor, frequency: float) -> Tensor:
    """Filter the coarsest band (2, h, w), whose frequency is given, with the sensitivity at the mean of each image."""
    height, width = base.shape[-2:]
    # The release takes sqrt(2) times the sampling rate of the band for its axis of frequencies.
    cycles = frequencies(height, width, math.sqrt(2.0) * 2.0 * frequency, base)
    outside = base[1].mean()
    gains = [neural_csf(EYE, cycles, log_mean) for log_mean in mean_luminance.log10()]
    return torch.stack([filter_surrounded(b, gain, outside) for b, gain in zip(base, gains, strict=True)])


def _masking(masks: list[list[Tensor]], index: int, band: int) -> Tensor:
    """Masking (h, w) of a band by what image and reference have in common, in it and in its neighbours."""
    own = masks[index][band]
    masking = _power(own, INHIBITION).mul_(SELF_MASKING)
    others = [mask for k, mask in enumerate(masks[index]) if k != band]
    if others:
        masking.add_(_power(_total(others), INHIBITION), alpha=ORIENTATION_MASKING)
    # The base band is masked by the band above it, but masks nothing.
    near = masks[max(index - 1, 0) : index] + masks[index + 1 : min(index + 2, len(masks) - 1)]
    if near:
        size = (own.shape[-2], own.shape[-1])
        resized = [resize(level[min(band, len(level) - 1)][None], size)[0].clamp_min(0.0) for level in near]
        masking.add_(_power(_total(resized), INHIBITION), alpha=BAND_MASKING)
    return masking


def _power(image: Tensor, exponent: float) -> Tensor:
    """Raise (h, w), which must not be negative, to a power."""
    if image.device.type == "cpu" and not image.requires_grad:
        return torch.from_numpy(cv2.pow(image.numpy(), exponent))  # three times as fast as torch
    return image**exponent


def _total(images: list[Tensor]) -> Tensor:
    return reduce(torch.add, images)
