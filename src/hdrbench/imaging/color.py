"""Colour reductions. Images are (..., 3, H, W) RGB with Rec. 709 primaries."""

from torch import Tensor

REC709_LUMA = (0.2126, 0.7152, 0.0722)


def luminance(image: Tensor) -> Tensor:
    """Weigh linear RGB into luminance (ITU-R BT.709-6).

    Parameters
    ----------
    image
        (..., 3, H, W), linear.

    Returns
    -------
    Tensor
        (..., 1, H, W), in the unit of the input.
    """
    red, green, blue = image.unbind(-3)
    r, g, b = REC709_LUMA
    return (r * red + g * green + b * blue).unsqueeze(-3)


def max_intensity(image: Tensor) -> Tensor:
    """Take the largest channel, the intensity of HSV and of the HVI space (Yan2025): (..., C, H, W) -> (..., 1, H, W)."""
    return image.amax(-3, keepdim=True)
