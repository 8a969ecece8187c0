"""Displays of HDR-VDP-2: how many pixels a degree holds, and from pixel values to light in cd/m²."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from hdrbench.errors import unknown
from hdrbench.imaging.transfer import srgb_decode

MM_PER_INCH = 25.4
BLACK, PEAK = 1.0, 100.0  # cd/m², of the displays that show codes
CHANNELS = {"luminance": 1, "luma-display": 1, "sRGB-display": 3, "rgb-bt.709": 3, "XYZ": 3}
# CIE XYZ to ITU-R BT.709, to the digits HDR-VDP 2.2 has.
_709_FROM_XYZ = ((3.240708, -1.537259, -0.498570), (-0.969257, 1.875995, 0.041555), (0.055636, -0.203996, 1.057069))


def pixels_per_degree(diagonal_inches: float, resolution: tuple[int, int], distance_m: float) -> float:
    """Return how many pixels of a display fill one degree of the visual field.

    The mean over the height of the screen, seen from its centre, as HDR-VDP and the papers that cite it compute it. Papers
    that give the size of the image as the resolution get another value for every size of image.

    Parameters
    ----------
    diagonal_inches
        Diagonal of the screen.
    resolution
        Width and height in pixels; the pixels are square.
    distance_m
        Viewing distance in metres.

    Raises
    ------
    ValueError
        If any of them is not positive.
    """
    width, height = resolution
    if not all(0 < value < math.inf for value in (diagonal_inches, width, height, distance_m)):
        raise ValueError(
            "expected a positive diagonal, width, height and distance, "
            f"got {diagonal_inches} inches, {width}x{height} pixels, {distance_m} m"
        )
    height_m = diagonal_inches * MM_PER_INCH / 1000.0 * height / math.hypot(width, height)
    return height / math.degrees(2.0 * math.atan(0.5 * height_m / distance_m))


def to_light(images: Tensor, encoding: str) -> Tensor:
    """Turn pixel values into cd/m², under the encodings of HDR-VDP-2.

    Parameters
    ----------
    images
        (..., C, H, W). Nothing is clipped.
    encoding
        ``"luminance"`` (1 channel) and ``"rgb-bt.709"``, ``"XYZ"`` (3 channels) are absolute and linear. ``"luma-display"``
        (1 channel) and ``"sRGB-display"`` (3 channels) are codes in [0, 1] on a display that gives 1 to 100 cd/m².

    Returns
    -------
    Tensor
        (..., C, H, W): luminance, or light of the three primaries.

    Raises
    ------
    HdrbenchError
        If there is no encoding of that name.
    ValueError
        If its images have another number of channels, or luma codes are negative.
    """
    if encoding not in CHANNELS:
        raise unknown("HDR-VDP-2 encoding", encoding, CHANNELS)
    if images.shape[-3] != CHANNELS[encoding]:
        raise ValueError(
            f"encoding '{encoding}' is of images of {CHANNELS[encoding]} channel(s), got {images.shape[-3]}; "
            "choose another encoding"
        )
    if encoding == "sRGB-display":
        return (PEAK - BLACK) * srgb_decode(images) + BLACK
    if encoding == "luma-display":
        if images.numel() and images.min() < 0:
            raise ValueError(f"luma codes must not be negative, got {images.min().item():g}; clip the images first")
        return (PEAK - BLACK) * images**2.2 + BLACK
    if encoding == "XYZ":
        return torch.stack(mix(images.unbind(-3), _709_FROM_XYZ), dim=-3)
    return images


def mix(channels: Sequence[Tensor], matrix: Sequence[Sequence[float]]) -> list[Tensor]:
    """Apply a matrix to channels, each an image of its own, which is several times as fast as a product of tensors."""
    mixed = []
    for row in matrix:
        total = row[0] * channels[0]
        for weight, channel in zip(row[1:], channels[1:], strict=True):
            total.add_(channel, alpha=weight)
        mixed.append(total)
    return mixed
