"""OpenCV's tone mapping operators, batched (tonemap.cpp of OpenCV 4).

They equal ``cv2.createTonemap...(...).process(image)`` for an image read by ``cv2.imread``. Three properties of OpenCV
matter to anyone who compares numbers:

- The grey image is weighed as RGB although ``imread`` yields BGR, so blue counts 0.299 and red 0.114. Every published
  result made in the usual way has this order, and so have these functions; the other order moves pixels by up to 29
  levels on OpenCV's own test image.
- ``TonemapReinhard`` overwrites its intensity ``i`` with ``exp(-i)`` at each call, so an object that is used twice maps
  the second image with other settings. These functions are what a fresh object computes.
- Black pixels become NaN in ``TonemapDrago``, and rounding can make the darkest sample NaN in all of them; here both are
  black. A uniform image, which OpenCV returns as it came or as NaN, has no contrast to map and comes out black.

All operators stretch an image to [0, 1] first, so they are invariant to ``a * image + b`` with ``a > 0``.
"""

import math

from torch import Tensor

from hdrbench.imaging.tonemapping.common import highest, lowest, mean, quotient, radiance
from hdrbench.imaging.transfer import gamma_encode

GREY = (0.114, 0.587, 0.299)  # of red, green, blue
DARKEST = 1e-4  # floor of the logarithm, in units of the stretched image


def linear(image: Tensor, *, gamma: float = 1.0) -> Tensor:
    """Stretch each image to [0, 1], all channels alike, and gamma-code it (``cv2.createTonemap``).

    Parameters
    ----------
    image
        (N, 3, H, W) linear RGB, finite, >= 0.
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
    return gamma_encode(_stretch(radiance(image)), gamma).to(image.dtype)


def reinhard(
    image: Tensor,
    *,
    gamma: float = 1.0,
    intensity: float = 0.0,
    light_adapt: float = 1.0,
    color_adapt: float = 0.0,
) -> Tensor:
    """Map with the photoreceptor model of Reinhard and Devlin (Reinhard2005; ``cv2.createTonemapReinhard``).

    Not the photographic operator of 2002, although papers often cite that one for it.

    Parameters
    ----------
    image
        (N, 3, H, W) linear RGB, finite, >= 0.
    gamma
        The display's.
    intensity
        In [-8, 8]; greater is brighter.
    light_adapt
        In [0, 1]: adaptation to the pixel's own light (1), or to the mean (0).
    color_adapt
        In [0, 1]: adaptation per channel (1), or common to all (0).

    Returns
    -------
    Tensor
        The shape and dtype of the input, in [0, 1].

    Raises
    ------
    ValueError
        On another shape, integers, or values that are NaN, infinite or negative.
    """
    stretched = _stretch(radiance(image))
    grey = _grey(stretched)
    logarithm = grey.clamp_min(DARKEST).log()
    brightest = highest(logarithm)
    key = quotient(brightest - mean(logarithm), brightest - lowest(logarithm))
    channel_mean = stretched.mean((2, 3), keepdim=True)
    everywhere = color_adapt * channel_mean + (1.0 - color_adapt) * mean(grey)
    here = color_adapt * stretched + (1.0 - color_adapt) * grey
    adaptation = math.exp(-intensity) * (light_adapt * here + (1.0 - light_adapt) * everywhere)
    response = quotient(stretched, stretched + adaptation ** (0.3 + 0.7 * key**1.4))
    return gamma_encode(_stretch(response), gamma).to(image.dtype)


def drago(image: Tensor, *, gamma: float = 1.0, saturation: float = 1.0, bias: float = 0.85) -> Tensor:
    """Map with adaptive logarithms (Drago2003; ``cv2.createTonemapDrago``).

    Parameters
    ----------
    image
        (N, 3, H, W) linear RGB, finite, >= 0.
    gamma
        The display's.
    saturation
        Exponent of the colour ratios; 1 keeps them.
    bias
        In (0, 1); the logarithm's base grows from 2 for black to 10 for white, the later the greater the bias.

    Returns
    -------
    Tensor
        The shape and dtype of the input, in [0, 1].

    Raises
    ------
    ValueError
        On another shape, integers, or values that are NaN, infinite or negative.
    """
    stretched = _stretch(radiance(image))
    absolute = _grey(stretched)
    grey = absolute / mean(absolute.clamp_min(DARKEST).log()).exp()
    position = quotient(grey, highest(grey)) ** (math.log(bias) / math.log(0.5))
    mapped = grey.log1p() / (2.0 + 8.0 * position).log()
    colour = quotient(stretched, grey) ** saturation
    return gamma_encode(_stretch(colour * mapped), gamma).to(image.dtype)


def _stretch(values: Tensor) -> Tensor:
    low = lowest(values)
    return quotient(values - low, highest(values) - low)


def _grey(image: Tensor) -> Tensor:
    red, green, blue = image.split(1, dim=1)
    return GREY[0] * red + GREY[1] * green + GREY[2] * blue
