"""A local operator: large-scale contrast is compressed, detail is kept."""

import math

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from hdrbench.imaging.color import luminance
from hdrbench.imaging.tonemapping.common import highest, lowest, radiance
from hdrbench.imaging.transfer import GAMMA, gamma_encode

DARKEST = 1e-6  # of the brightest pixel: 20 stops, below which nothing is told apart


def base_detail(
    image: Tensor,
    *,
    contrast: float = 50.0,
    radius: float = 0.02,
    epsilon: float = 0.12**2,
    gamma: float = GAMMA,
) -> Tensor:
    """Split log luminance into base and detail, compress the base (Durand2002), with the guided filter (He2013).

    The base's range is scaled down to `contrast`, never up, and its brightest place becomes white. Detail that is
    brighter than that is cut off.

    Parameters
    ----------
    image
        (N, 3, H, W) linear RGB, finite, >= 0.
    contrast
        Of the base's brightest place to its darkest, in linear light.
    radius
        Of the filter, as a fraction of the longer side.
    epsilon
        The filter keeps edges whose variance in log10 luminance is above this.
    gamma
        The display's.

    Returns
    -------
    Tensor
        The shape and dtype of the input, in [0, 1]; a black image stays black.

    Raises
    ------
    ValueError
        On another shape, integers, or values that are NaN, infinite or negative.
    """
    linear = radiance(image)
    light = luminance(linear)
    peak = highest(light)
    logarithm = torch.where(peak > 0, torch.maximum(light, DARKEST * peak), 1.0).log10()
    base = guided_filter(logarithm, radius=max(round(radius * max(image.shape[-2:])), 1), epsilon=epsilon)
    spread = highest(base) - lowest(base)
    factor = math.log10(contrast) / spread.clamp_min(math.log10(contrast))
    mapped = 10.0 ** (factor * (base - highest(base)) + logarithm - base)
    return gamma_encode((linear / 10.0**logarithm * mapped).clamp(0.0, 1.0), gamma).to(image.dtype)


def guided_filter(image: Tensor, *, radius: int, epsilon: float) -> Tensor:
    """Smooth an image under its own guidance (He2013, eq. 11-13 with p = I).

    Parameters
    ----------
    image
        (N, C, H, W), every channel on its own.
    radius
        Of the square window, in pixels; at the border the window is cut.
    epsilon
        Variance within a window that separates texture, which is smoothed, from edges, which stay.

    Returns
    -------
    Tensor
        The shape of the input.
    """
    average = _box(image, radius)
    variance = _box(image**2, radius) - average**2
    slope = variance / (variance + epsilon)
    return _box(slope, radius) * image + _box(average * (1.0 - slope), radius)


def _box(image: Tensor, radius: int) -> Tensor:
    """Mean over the part of a square window that lies inside the image."""
    size = 2 * radius + 1
    rows = avg_pool2d(image, (size, 1), 1, (radius, 0), count_include_pad=False)
    return avg_pool2d(rows, (1, size), 1, (0, radius), count_include_pad=False)
