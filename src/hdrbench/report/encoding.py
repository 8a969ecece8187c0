"""HDR pixels in two 8-bit PNG planes, which a browser can decode without a library.

A 12-bit mu-law code is split into its upper eight bits, which are an ordinary tone-mapped picture, and its lower four.
"""

import numpy as np
from numpy.typing import NDArray

MU = 5000.0
LEVELS = 4095


def encode_hdr(image: NDArray[np.floating]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Encode a radiance map as two 8-bit planes.

    Parameters
    ----------
    image
        Linear radiance, shape ``(H, W, 3)``; values are clipped to [0, 1], NaN counts as 0.

    Returns
    -------
    high, low
        ``code >> 4`` (the mu-law picture) and ``(code & 15) * 16``, both ``(H, W, 3)`` uint8.
    """
    linear = np.clip(np.nan_to_num(np.asarray(image, dtype=np.float64), nan=0.0), 0.0, 1.0)
    code = np.rint(LEVELS * np.log1p(MU * linear) / np.log1p(MU)).astype(np.uint16)
    return (code >> 4).astype(np.uint8), ((code & 15) * 16).astype(np.uint8)


def decode_hdr(high: NDArray[np.uint8], low: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Invert :func:`encode_hdr`; the page's JavaScript does the same.

    Parameters
    ----------
    high, low
        The two planes, uint8, of one shape.

    Returns
    -------
    ndarray
        Linear radiance in [0, 1]; the relative error is below 0.11 % plus 2.1e-7.
    """
    code = high.astype(np.float64) * 16 + (low >> 4)
    return np.expm1(code / LEVELS * np.log1p(MU)) / MU


def colormap() -> NDArray[np.uint8]:
    """Perceptually uniform colours of the error maps, dark for no error: shape ``(256, 3)``, uint8."""
    from matplotlib import colormaps  # costs a third of a second, and only error maps need it

    return np.rint(colormaps["magma"](np.arange(256))[:, :3] * 255).astype(np.uint8)


def error_map(
    result: NDArray[np.floating], reference: NDArray[np.floating], *, limit: float = 0.1
) -> NDArray[np.uint8]:
    """Colour the difference of two radiance maps in the mu-law domain, averaged over the channels.

    Parameters
    ----------
    result, reference
        Linear radiance, ``(H, W, 3)``, clipped to [0, 1].
    limit
        The difference of mu-law values that gets the brightest colour.

    Returns
    -------
    ndarray
        ``(H, W, 3)`` uint8 picture of ``|T(result) - T(reference)|``.
    """
    tone = [np.log1p(MU * np.clip(image, 0.0, 1.0)) / np.log1p(MU) for image in (result, reference)]
    error = np.abs(tone[0] - tone[1]).mean(axis=2)
    return colormap()[np.rint(np.clip(error / limit, 0.0, 1.0) * 255).astype(np.intp)]
