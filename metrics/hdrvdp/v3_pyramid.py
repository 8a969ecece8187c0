"""The pyramid of HDR-VDP-3's quality score: a steerable pyramid of a single orientation, so of plain band-pass filters."""

import math
from dataclasses import replace
from functools import lru_cache

from torch import Tensor

from hdrbench.metrics.hdrvdp.pyramid import _filtered, _radial, _response, _spectrum

# Karasaridis1996 (known as sp0Filters). The kernels have the eight symmetries of a square: row by row, the part of the upper
# left quarter from the diagonal to the centre column.
_HIGH_0 = """
5.9972e-4 -6.068e-5 -3.3249e-4 -3.3256e-4 -2.4066e-4
1.2631e-4 4.9271e-4 1.4597e-4 -3.7321e-4
-1.61665e-3 -1.437358e-2 -2.420138e-2
-6.300923e-2 -9.623594e-2 0.8554893
"""
_LOW_0 = """
-4.514e-4 -1.1371e-4 -3.7258e-4 -3.74386e-3
-6.11952e-3 -1.344160e-2 -7.5632e-3
6.441488e-2 0.1524935 0.3153017
"""
_LOW = """
-2.257e-4 -8.0644e-4 -5.686e-5 8.7414e-4 -1.8628e-4 -1.03164e-3 -1.87192e-3
1.41762e-3 -1.9038e-4 -2.44906e-3 -4.59642e-3 -7.00674e-3 -6.9489e-3
-3.05976e-3 -6.401e-3 -6.7208e-3 -5.23618e-3 -3.7816e-3
-5.26002e-3 3.93862e-3 1.722078e-2 2.4496e-2
3.220744e-2 6.306262e-2 7.624674e-2
0.1116388 0.1348999 0.1576508
"""
_BAND = """
-9.066e-5 -1.73864e-3 -4.9425e-3 -7.88939e-3 -1.009473e-2
-4.62515e-3 -7.27254e-3 -7.62341e-3 -9.09195e-3
-2.12954e-2 -2.435662e-2 -3.487008e-2
-1.730466e-2 -3.158605e-2 0.9464195
"""
_REACH_HIGH_0, _REACH_LOW_0, _REACH_LOW, _REACH_BAND = 4, 3, 6, 4
SMALLEST = 2 * _REACH_HIGH_0 + 1


@lru_cache(maxsize=1)
def _kernels() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return (
        _radial(_HIGH_0, _REACH_HIGH_0),
        _radial(_LOW_0, _REACH_LOW_0),
        _radial(_LOW, _REACH_LOW),
        _radial(_BAND, _REACH_BAND),
    )


def max_height(size: tuple[int, int]) -> int:
    """Return the largest number of levels for images of `size`: halvings (rounded down) until 13 pixels no longer fit."""
    return max(math.floor(math.log2(min(size) / (2 * _REACH_LOW + 1))) + 1, 0)


def isotropic_pyramid(images: Tensor, height: int) -> list[Tensor]:
    """Decompose into one high-pass band, `height` band-pass bands, and one low-pass band.

    Parameters
    ----------
    images
        (N, H, W) of at least 9x9 pixels, float32 or float64.
    height
        Number of band-pass levels, from 0 to ``max_height((H, W))``.

    Returns
    -------
    list of Tensor
        ``height + 2`` tensors (N, 1, h, w) from fine to coarse; the first two have the size of the images, after which each
        side is halved and rounded up.
    """
    high_0, low_0, low, band = _kernels()
    spectrum = _spectrum(images, _REACH_LOW_0 + _REACH_LOW if height else _REACH_HIGH_0)
    bands = [_filtered(spectrum, _response(high_0, spectrum))]
    # Even kernels commute with the reflection, so the first low-pass need not leave the Fourier domain.
    spectrum = replace(spectrum, values=spectrum.values * _response(low_0, spectrum))
    for level in range(height):
        bands.append(_filtered(spectrum, _response(band, spectrum)))
        images = _filtered(spectrum, _response(low, spectrum))[:, ::2, ::2]
        if level < height - 1:
            spectrum = _spectrum(images, _REACH_LOW)
    if not height:
        images = _filtered(spectrum, spectrum.values.new_ones(()))
    return [each[:, None] for each in (*bands, images)]
