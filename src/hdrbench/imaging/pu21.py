"""The PU21 encoding: absolute luminance into values about as far apart as they look (Mantiuk2021).

PU21 turns a metric made for display codes into one for HDR: encode both images, then compare them with `PEAK` as the
largest value. It is defined on *absolute* luminance in cd/m2, so relative data, the [0, 1] of the data sets here, must be
scaled by the peak of an assumed display first, and SDR codes must pass through a model of one (`emitted`).

PSNR of an HDR pair shown on a display of 4000 cd/m2::

    psnr(encode(4000 * pred), encode(4000 * ref), peak=PEAK)                          # over R, G and B
    psnr(encode(luminance(4000 * pred)), encode(luminance(4000 * ref)), peak=PEAK)    # luminance only, "PSNR-Y"
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hdrbench.errors import unknown

# p1 to p7 of each fit: to banding or to luminance peaks, without or with the glare of the eye.
VARIANTS: dict[str, tuple[float, ...]] = {
    "banding": (1.070275272, 0.4088273932, 0.153224308, 0.2520326168, 1.063512885, 1.14115047, 521.4527484),
    "banding_glare": (
        0.353487901,
        0.3734658629,
        8.277049286e-05,
        0.9062562627,
        0.09150303166,
        0.9099517204,
        596.3148142,
    ),
    "peaks": (1.043882782, 0.6459495343, 0.3194584211, 0.374025247, 1.114783422, 1.095360363, 384.9217577),
    "peaks_glare": (816.885024, 1479.463946, 0.001253215609, 0.9329636822, 0.06746643971, 1.573435413, 419.6006374),
}
MIN_LUMINANCE, MAX_LUMINANCE = 0.005, 1e4  # cd/m2, the range of the fits
PEAK = 256.0  # the largest value metrics on encoded images assume: about the code of 100 cd/m2, as in 8-bit images
LUMINANCE_WEIGHTS = (0.212656, 0.715158, 0.072186)
BLOCK = 1 << 14  # values whose intermediate results stay in the cache


class RelativeLuminanceWarning(UserWarning):
    """Luminance so low that it is probably relative data that somebody forgot to scale."""


def encode(luminance: Tensor, variant: str = "banding_glare") -> Tensor:
    """Encode absolute luminance, or absolute linear RGB channel by channel, with PU21 (Mantiuk2021).

    Values outside [0.005, 10000] cd/m2 are clamped to that range, which is part of the definition: the curve was fitted
    there. Computed in float64 whatever the input, since single precision moves a PSNR by thousandths of a decibel. The
    gradient of clamped values is 0.

    Parameters
    ----------
    luminance
        Any shape, cd/m2.
    variant
        A name in `VARIANTS`. The authors recommend the default for everything.

    Returns
    -------
    Tensor
        float64, the shape of the input: 0 at 0.005 cd/m2, 256.4 at 100 cd/m2, 595.4 at 10000 cd/m2 (default variant).

    Raises
    ------
    ValueError
        On integers, NaN or infinity.
    HdrbenchError
        On an unknown variant.

    Warns
    -----
    RelativeLuminanceWarning
        If no value exceeds 1 cd/m2, although there are some above 0. That is what unscaled relative data look like, but
        a moonlit scene does, too; so the result is the same with and without the warning.
    """
    parameters = _parameters(variant)
    _warn_if_relative(luminance)
    return _apply(lambda values: _curve(values, parameters), luminance)


def decode(code: Tensor, variant: str = "banding_glare") -> Tensor:
    """Undo `encode`; codes beyond those of 0.005 and 10000 cd/m2 decode to these ends.

    Parameters
    ----------
    code
        PU21 values, any shape.
    variant
        The one they were encoded with.

    Returns
    -------
    Tensor
        cd/m2, float64, the shape of the input.

    Raises
    ------
    ValueError
        On integers, NaN or infinity.
    HdrbenchError
        On an unknown variant.
    """
    parameters = _parameters(variant)
    _bounds(code)
    largest = float(_curve(np.float64(MAX_LUMINANCE), parameters))
    return _apply(lambda values: _inverse(values.clip(0.0, largest), parameters), code)


def luminance(image: Tensor) -> Tensor:
    """Weigh linear RGB into luminance with PU21's weights, which have more digits than those of BT.709.

    Parameters
    ----------
    image
        (..., 3, H, W), linear, Rec. 709 primaries. Take the luminance before encoding, not after.

    Returns
    -------
    Tensor
        (..., 1, H, W), float64, in the unit of the input.

    Raises
    ------
    ValueError
        Unless there are three channels.
    """
    if image.dim() < 3 or image.shape[-3] != 3:
        raise ValueError(f"expected RGB of shape (..., 3, H, W), got {tuple(image.shape)}")
    red, green, blue = image.double().unbind(-3)
    r, g, b = LUMINANCE_WEIGHTS
    return (r * red).add_(green, alpha=g).add_(blue, alpha=b).unsqueeze(-3)


@dataclass(frozen=True)
class Display:
    """An SDR display in a lit room: the gain-offset-gamma model that PU21's authors use.

    Attributes
    ----------
    peak
        Luminance of white, cd/m2.
    contrast
        White over black in the dark, e.g. 1000 for 1000:1.
    gamma
        Exponent of the display.
    ambient
        Light falling on the screen, lux.
    reflectivity
        Fraction of it that the screen reflects diffusely.
    """

    peak: float = 100.0
    contrast: float = 1000.0
    gamma: float = 2.2
    ambient: float = 10.0
    reflectivity: float = 0.005

    @property
    def black(self) -> float:
        """Luminance of black, cd/m2: what leaks, and the room's light reflected."""
        return self.peak / self.contrast + self.ambient / math.pi * self.reflectivity


def emitted(code: Tensor, display: Display) -> Tensor:
    """Luminance (cd/m2, float64) that a display shows for SDR codes in [0, 1] of any shape.

    Raises
    ------
    ValueError
        On codes outside [0, 1], NaN or integers.
    """
    low, high = _bounds(code)
    if not (low >= 0.0 and high <= 1.0):
        raise ValueError(f"expected display codes in [0, 1], got {low:g} to {high:g}; divide 8-bit codes by 255")
    return (display.peak - display.black) * code.double().pow(display.gamma) + display.black


def _parameters(variant: str) -> tuple[float, ...]:
    """Look a variant up."""
    if variant not in VARIANTS:
        raise unknown("PU21 variant", variant, VARIANTS)
    return VARIANTS[variant]


def _bounds(values: Tensor) -> tuple[float, float]:
    """Return the smallest and the largest value, and refuse NaN, infinity and integers."""
    if not values.is_floating_point():
        raise ValueError(f"expected floating-point values, got {values.dtype}")
    if values.numel() == 0:
        return 0.0, 0.0
    low, high = (float(bound) for bound in torch.aminmax(values.detach()))
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"expected finite values, got {low:g} to {high:g}")
    return low, high


def _warn_if_relative(luminance: Tensor) -> None:
    """Warn of what is probably not in cd/m2."""
    _, high = _bounds(luminance)
    if luminance.numel() > 1 and 0.0 < high <= 1.0:
        message = (
            f"PU21 expects absolute luminance in cd/m2, but the largest value is {high:g}; multiply relative data by the "
            "peak of the display assumed, e.g. 4000, or ignore this if the scene is that dark"
        )
        warnings.warn(message, RelativeLuminanceWarning, stacklevel=3)


def _curve(values: Any, parameters: tuple[float, ...]) -> Any:
    """Evaluate the encoding on an array or tensor."""
    p1, p2, p3, p4, p5, p6, p7 = parameters
    power = values.clip(MIN_LUMINANCE, MAX_LUMINANCE) ** p4
    return (p7 * (((p1 + p2 * power) / (1.0 + p3 * power)) ** p5 - p6)).clip(0.0)


def _inverse(values: Any, parameters: tuple[float, ...]) -> Any:
    """Solve `_curve` for the luminance."""
    p1, p2, p3, p4, p5, p6, p7 = parameters
    ratio = (values / p7 + p6) ** (1.0 / p5)
    return ((ratio - p1).clip(0.0) / (p2 - p3 * ratio)) ** (1.0 / p4)


def _apply(function: Callable[[Any], Any], values: Tensor) -> Tensor:
    """Apply an elementwise function in float64; on a CPU in blocks, by NumPy, whose powers are the faster ones."""
    if values.device.type != "cpu" or (torch.is_grad_enabled() and values.requires_grad):
        return function(values.double())
    flat = values.detach().reshape(-1)
    result = np.empty(flat.numel())
    for start in range(0, flat.numel(), BLOCK):
        result[start : start + BLOCK] = function(flat[start : start + BLOCK].double().numpy())
    return torch.from_numpy(result).view(values.shape)
