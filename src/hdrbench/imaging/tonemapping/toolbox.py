"""Global operators as the HDR Toolbox for MATLAB computes them, followed by its gamma coding.

Written from the published equations and the toolbox's settings; values agree with its own (tests/imaging). Both operators
map luminance and keep the ratios of the channels, so saturated colours can leave [0, 1]; what does is cut off by the
gamma coding, as in the toolbox. An image of a single luminance has no contrast to map and comes out black.

The constant that keeps logarithms finite is absolute, so radiance should not be much below 1: images scaled down by
1e-4 and more look different.
"""

import math

import torch
from torch import Tensor

from hdrbench.imaging.color import luminance
from hdrbench.imaging.tonemapping.common import highest, lowest, mean, quotient, radiance
from hdrbench.imaging.transfer import GAMMA, gamma_encode

OFFSET = 1e-6


def reinhard(image: Tensor, *, alpha: float | None = None, gamma: float = GAMMA) -> Tensor:
    """Map with the global photographic operator (Reinhard2002, eq. 4), key and white chosen per image (Reinhard2003).

    ``alpha = 0.18 * 4**((2 log2 Lavg - log2 Lmin - log2 Lmax) / (log2 Lmax - log2 Lmin))`` with the geometric mean and
    the 1 % and 99 % quantiles, ``white = 1.5 * 2**(log2 Lmax - log2 Lmin - 5)`` with the true extremes. The toolbox does
    not scale its white point to the key, as the paper does.

    Parameters
    ----------
    image
        (N, 3, H, W) linear RGB, finite, >= 0.
    alpha
        Key value; ``None`` chooses it by the formula above. The toolbox's merging demo uses 0.18.
    gamma
        The display's.

    Returns
    -------
    Tensor
        The shape and dtype of the input, in [0, 1].

    Raises
    ------
    ValueError
        On another shape, integers, or values that are NaN, infinite or negative.
    """
    linear = radiance(image)
    light = luminance(linear)
    average = mean((light + OFFSET).log()).exp()
    key = _key(light, average) if alpha is None else torch.full_like(average, alpha)
    scaled = key * light / average
    mapped = scaled * (1.0 + quotient(scaled, _white(light) ** 2)) / (1.0 + scaled)
    mapped = torch.where(highest(light) > lowest(light), mapped, 0.0)
    return _display(linear, light, mapped, gamma).to(image.dtype)


def kim_kautz(
    image: Tensor,
    *,
    display_min: float = 0.3,
    display_max: float = 300.0,
    c1: float = 3.0,
    c2: float = 0.5,
    gamma: float = GAMMA,
) -> Tensor:
    """Map with consistent tone reproduction (KimKautz2008).

    With the natural logarithm ``l`` of luminance and its mean ``m``: ``k1`` = display range over scene range, both in
    the log domain, ``w = exp(-(l - m)**2 / (2 s**2))`` with ``s`` = scene range / `c1`, ``k2 = (1 - k1) w + k1``, mapped
    luminance ``exp(c2 k2 (l - m) + m)``, stretched so that its 1 % and 99 % quantiles become 0 and 1.

    Monotone in luminance up to a scene range of 22 in natural logarithms, about 9.7 decades.

    Parameters
    ----------
    image
        (N, 3, H, W) linear RGB, finite, >= 0.
    display_min, display_max
        Luminance of the display's black and white, cd/m2.
    c1
        Scene range in standard deviations of the Gaussian.
    c2
        Contrast.
    gamma
        The display's.

    Returns
    -------
    Tensor
        The shape and dtype of the input, in [0, 1].

    Raises
    ------
    ValueError
        On another shape, integers, or values that are NaN, infinite or negative.
    """
    linear = radiance(image)
    light = luminance(linear)
    logarithm = (light + OFFSET).log()
    average, scene = mean(logarithm), highest(logarithm) - lowest(logarithm)
    ratio = quotient(torch.full_like(scene, math.log(display_max / display_min)), scene)
    weight = torch.exp(-quotient((logarithm - average) ** 2, 2.0 * (scene / c1) ** 2))
    mapped = torch.exp(c2 * ((1.0 - ratio) * weight + ratio) * (logarithm - average) + average)
    black, white = _quantile(mapped, 0.01), _quantile(mapped, 0.99)
    stretched = quotient(mapped.clamp(black, white) - black, white - black)
    return _display(linear, light, stretched, gamma).to(image.dtype)


def _key(light: Tensor, average: Tensor) -> Tensor:
    low, high, middle = ((level + OFFSET).log2() for level in (_quantile(light, 0.01), _quantile(light, 0.99), average))
    return 0.18 * 4.0 ** quotient(2.0 * middle - low - high, high - low)


def _white(light: Tensor) -> Tensor:
    darkest = lowest(torch.where(light > 0, light, torch.inf))
    return 1.5 * (highest(light) + OFFSET) / (darkest + OFFSET) / 32.0


def _quantile(values: Tensor, fraction: float) -> Tensor:
    """Take the k-th smallest value of each image, k = `fraction` of the count, rounded half up: no interpolation."""
    flat = values.flatten(1)
    rank = max(math.floor(flat.shape[1] * fraction + 0.5), 1)
    return flat.kthvalue(rank, dim=1).values[:, None, None, None]


def _display(linear: Tensor, light: Tensor, mapped: Tensor, gamma: float) -> Tensor:
    """Give every pixel its new luminance, then cut at the display's white and gamma-code."""
    return gamma_encode(quotient(linear * mapped, light).clamp(0.0, 1.0), gamma)
