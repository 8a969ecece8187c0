"""HDR-VDP-2's quality score (Mantiuk2011), as release 2.2.2 computes it, with the weights of 2.2 (Narwaria2015)."""

import math
from functools import reduce

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from hdrbench.metrics.checks import check_pair
from hdrbench.metrics.hdrvdp.display import to_light
from hdrbench.metrics.hdrvdp.pyramid import SMALLEST, levels, max_height
from hdrbench.metrics.hdrvdp.resize import resize
from hdrbench.metrics.hdrvdp.v2_eye import (
    LOG_BRIGHTEST,
    LOG_DARKEST,
    convolve,
    frequencies,
    log_range,
    lookup,
    neural_csf,
    receive,
    respond,
    scatter,
)

# Contrast transducer and masking: default parameters of release 2.2.2.
EXCITATION, INHIBITION = 10**0.544068, 10**0.49576
SELF_MASKING, ORIENTATION_MASKING, BAND_MASKING = 10**0.189065, 10**0.449199, 10**1.52512
CSF_STEPS = 256  # of the table over log10 cd/m²
CHANGE = 0.001  # relative difference of a channel above which a pixel counts as changed
# Weights of the bands, by their frequency in cycles per degree, of release 2.2; interpolated between.
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
        (N, C, H, W) of at least 15x15 pixels. Nothing is clipped.
    encoding
        What the values mean, see `display.to_light`; 1 or 3 channels accordingly.
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
        On unequal shapes, values that are not finite, images too small, a wrong number of channels, or a bad
        `ppd` or `dtype`.
    HdrbenchError
        On an unknown encoding.
    """
    check_pair(pred, ref)
    if not 0 < ppd < math.inf:
        raise ValueError(f"expected a positive number of pixels per degree, got {ppd}")
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"expected torch.float32 or torch.float64 to compute in, got {dtype}")
    if min(pred.shape[-2:]) < SMALLEST:
        raise ValueError(
            f"HDR-VDP-2 needs images of at least {SMALLEST}x{SMALLEST} pixels, got {tuple(pred.shape[-2:])}"
        )
    pairs = (to_light(torch.stack(pair).to(dtype), encoding) for pair in zip(pred, ref, strict=True))
    losses = [_loss(light, ppd) for light in pairs]
    return BEST - torch.stack(losses) if losses else pred.new_zeros(0, dtype=torch.float64)


def _loss(light: Tensor, ppd: float) -> Tensor:
    """Pool the visible differences of an image and its reference, (2, C, H, W) in cd/m²: float64, 0 if there are none."""
    response, luminance = _see(light, ppd)
    changed = ((light[0] - light[1]).abs() / light[1] > CHANGE).any(0)
    # What a pixel is adapted to, and whether it counts, go through the same changes of size.
    context = torch.stack([log_range(luminance.mean(0)), changed.to(light.dtype)])
    differences, masks = _contrasts(response, luminance.mean(dim=(-2, -1)), ppd)
    loss = torch.zeros((), dtype=torch.float64, device=light.device)
    for index, level in enumerate(differences):
        frequency = 0.5 * ppd / 2**index
        weight = float(np.interp(frequency, QUALITY_FREQUENCIES[::-1], QUALITY_WEIGHTS[::-1]))
        log_adapting, counts = resize(context, (level[0].shape[-2], level[0].shape[-1]))
        base = index == len(differences) - 1
        csf = torch.ones_like(log_adapting) if base else _sensitivity(frequency, log_adapting)
        # Differences over their threshold without masking, and what raises that threshold.
        strength = 2.0**index * _power(csf, EXCITATION)
        raising = strength * _power(csf, INHIBITION)
        for band, difference in enumerate(level):
            threshold = (raising * _masking(masks, index, band)).square_().add_(1.0).sqrt_()
            visible = _power(difference.abs(), EXCITATION).mul_(strength).mul_(counts).div_(threshold)
            error = torch.linalg.vector_norm(visible, dtype=torch.float64) / counts.numel()
            loss = loss + weight * torch.log1p(error / SMALLEST_ERROR)
    return loss


def _see(light: Tensor, ppd: float) -> tuple[Tensor, Tensor]:
    """Response (2, H, W) in JNDs to light (2, C, H, W), and the luminance (2, H, W) that the cones are adapted to."""
    long, medium, rods = receive(scatter(light.unbind(1), ppd))
    return respond(long, medium, rods), long + medium


def _contrasts(response: Tensor, mean_luminance: Tensor, ppd: float) -> tuple[list[list[Tensor]], list[list[Tensor]]]:
    """Difference of the two responses (2, H, W), and what masks it, in each band (h, w) of each level from fine to coarse."""
    height = max_height((response.shape[-2], response.shape[-1]))
    differences: list[list[Tensor]] = []
    masks: list[list[Tensor]] = []
    for index, level in enumerate(levels(response, height)):
        if index == height + 1:
            level = [_weigh_base(level[0], mean_luminance, 0.5 * ppd / 2**index)]
        # The gain of the bands grows with the level.
        differences.append([(band[0] - band[1]).div_(2**index) for band in level])
        masks.append([_box(torch.minimum(band[0].abs(), band[1].abs())).div_(2**index) for band in level])
    return differences, masks


def _weigh_base(base: Tensor, mean_luminance: Tensor, frequency: float) -> Tensor:
    """Filter the coarsest band (2, h, w), whose frequency is given, with the sensitivity at the mean of each image."""
    height, width = base.shape[-2:]
    # The release takes sqrt(2) times the sampling rate of the band for its axis of frequencies.
    cycles = frequencies(height, width, math.sqrt(2.0) * 2.0 * frequency, base)
    outside = base[1].mean()
    return torch.stack([convolve(b, neural_csf(cycles, m), outside) for b, m in zip(base, mean_luminance, strict=True)])


def _sensitivity(frequency: float, log_adapting: Tensor) -> Tensor:
    """Contrast sensitivity of each pixel (h, w) at a frequency."""
    grid = torch.linspace(LOG_DARKEST, LOG_BRIGHTEST, CSF_STEPS, dtype=torch.float64, device=log_adapting.device)
    table = neural_csf(frequency, 10.0**grid).to(log_adapting.dtype)
    return lookup(log_adapting.clamp(LOG_DARKEST, LOG_BRIGHTEST), table)


def _box(image: Tensor) -> Tensor:
    """Mean of 3x3 pixels of (h, w), with zeros outside the image."""
    padded = F.pad(image, (1, 1, 1, 1))
    rows = (padded[:-2] + padded[1:-1]).add_(padded[2:])
    return (rows[:, :-2] + rows[:, 1:-1]).add_(rows[:, 2:]).div_(9)


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
