"""Steerable pyramids with four orientations or one, the multi-scale decompositions of HDR-VDP-2 and -3.

The transform is Simoncelli1995's with the kernels that Karasaridis1996 designed for third-order derivatives (known as
sp3Filters) or for plain band-pass filters (sp0Filters), correlation, reflection about the border pixels and the even
samples kept. All kernels of a level are applied in the Fourier domain to one spectrum of the reflected image, which equals
the spatial filters up to round-off: the extension is at least as wide as the kernels, so nothing wraps around.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F  # noqa: N812
from scipy.fft import next_fast_len
from torch import Tensor

from hdrbench.metrics.hdrvdp.fourier import forward, inverse, product

# sp3Filters. The three radial kernels are even in both axes and symmetric about the diagonal: row by row, the part
# of the upper left quarter from the diagonal to the centre column.
_HIGH_0 = """
-4.0483998600e-4 -6.2596000498e-4 -3.7829999201e-5 8.8387000142e-4 1.5450799838e-3 1.9235999789e-3 2.0687500946e-3
2.0898699295e-3
-3.2734998967e-4 7.7435001731e-4 1.5874400269e-3 2.1750701126e-3 2.5626500137e-3 2.2892199922e-3 1.9755100366e-3
1.1793200392e-3 1.4050999889e-3 2.2253401112e-3 2.1145299543e-3 3.3578000148e-4 -8.3368999185e-4
1.2960999738e-3 -4.9274001503e-4 -3.1295299996e-3 -4.5751798898e-3 -5.1014497876e-3
-6.3222697936e-3 -2.7556000277e-3 5.3632198833e-3 7.3032598011e-3
1.3962360099e-2 7.8046298586e-3 -9.3812197447e-3 -7.9501636326e-2 -0.1554141641 0.7303866148
"""
_LOW_0 = """
-8.7009997515e-5 -1.3542800443e-3 -1.6012600390e-3 -5.0337001448e-4 2.5240099058e-3
2.9215801042e-3 7.5227199122e-3 8.2244202495e-3 1.1076199589e-3
-7.0612900890e-3 -3.7694871426e-2 -3.2971370965e-2 4.3813198805e-2 0.1811603010 0.4376249909
"""
_LOW = """
-4.3500000174e-5 1.2078000145e-4 -6.7714002216e-4 -1.2434000382e-4 -8.0063997302e-4 -1.5970399836e-3 -2.5168000138e-4
-4.2019999819e-4 1.2619999470e-3
4.4606000301e-4 -5.8146001538e-4 5.6215998484e-4 -1.3688000035e-4 2.3255399428e-3 2.8898599558e-3 4.2872801423e-3
5.5893999524e-3
1.4607800404e-3 2.1605400834e-3 3.7613599561e-3 3.0809799209e-3 4.1121998802e-3 2.2212199401e-3 5.5381999118e-4
3.1757799443e-3 3.1846798956e-3 -1.7774800071e-3 -7.4316998944e-3 -9.0569201857e-3 -9.6372198313e-3
-3.5306399222e-3 -1.2604200281e-2 -1.8847439438e-2 -1.7508180812e-2 -1.6485679895e-2
-2.0229380578e-2 -1.1091699824e-2 3.9556599222e-3 1.4385120012e-2
2.1906599402e-2 6.8065837026e-2 9.0580143034e-2 0.1445499808 0.1773651242 0.2120374441
"""
# The horizontal derivative is even down and odd across: the first four columns, from the border row to the centre row.
_HORIZONTAL = """
-8.1125000725e-4 4.4451598078e-3 1.2316980399e-2 1.3955879956e-2 1.4179450460e-2
3.9103501476e-3 4.4565401040e-3 -5.8724298142e-3 -2.8760801069e-3 8.5267601535e-3
1.3462699717e-3 -3.7740699481e-3 8.2581602037e-3 3.9442278445e-2 5.3605638444e-2
7.4700999539e-4 -3.6522001028e-4 -2.2522680461e-2 -0.1105690673 -0.1768419296
"""
# The diagonal one is odd about the main diagonal and even about the other: row by row, the part above both.
_DIAGONAL = """
8.2846998703e-4 5.7109999034e-5 -4.0110000555e-5 -4.6670897864e-3 -8.0871898681e-3 -1.4807609841e-2 -8.6204400286e-3
3.1221499667e-3
9.7479997203e-4 6.9718998857e-3 2.0865600090e-3 -2.3298799060e-3 4.4814897701e-3 -1.4917500317e-2
1.2145539746e-2 2.4427289143e-2 -5.0797060132e-2 -3.2785870135e-2 0.1510555595 8.2495503128e-2
"""
# sp0Filters. All four are radial.
_ISOTROPIC_HIGH_0 = """
5.9972e-4 -6.068e-5 -3.3249e-4 -3.3256e-4 -2.4066e-4
1.2631e-4 4.9271e-4 1.4597e-4 -3.7321e-4
-1.61665e-3 -1.437358e-2 -2.420138e-2
-6.300923e-2 -9.623594e-2 0.8554893
"""
_ISOTROPIC_LOW_0 = """
-4.514e-4 -1.1371e-4 -3.7258e-4 -3.74386e-3
-6.11952e-3 -1.344160e-2 -7.5632e-3
6.441488e-2 0.1524935 0.3153017
"""
_ISOTROPIC_LOW = """
-2.257e-4 -8.0644e-4 -5.686e-5 8.7414e-4 -1.8628e-4 -1.03164e-3 -1.87192e-3
1.41762e-3 -1.9038e-4 -2.44906e-3 -4.59642e-3 -7.00674e-3 -6.9489e-3
-3.05976e-3 -6.401e-3 -6.7208e-3 -5.23618e-3 -3.7816e-3
-5.26002e-3 3.93862e-3 1.722078e-2 2.4496e-2
3.220744e-2 6.306262e-2 7.624674e-2
0.1116388 0.1348999 0.1576508
"""
_ISOTROPIC_BAND = """
-9.066e-5 -1.73864e-3 -4.9425e-3 -7.88939e-3 -1.009473e-2
-4.62515e-3 -7.27254e-3 -7.62341e-3 -9.09195e-3
-2.12954e-2 -2.435662e-2 -3.487008e-2
-1.730466e-2 -3.158605e-2 0.9464195
"""


@dataclass(frozen=True, eq=False)
class Kernels:
    """Square kernels of a pyramid, float64.

    Attributes
    ----------
    high_0, low_0
        Split the image into the high-pass band and what the levels decompose.
    low
        Passes to the next level what half the resolution can hold.
    bands
        (O, k, k): one per orientation.
    odd
        Whether these are odd, as derivatives are, rather than even, as all others are.
    """

    high_0: Tensor
    low_0: Tensor
    low: Tensor
    bands: Tensor
    odd: bool

    @property
    def smallest(self) -> int:
        """Pixels that an image needs at least in height and width."""
        return len(self.high_0)

    def max_height(self, size: tuple[int, int]) -> int:
        """Return the largest number of levels for images of `size`: halvings (rounded down) while `low` fits."""
        smallest, height = min(size), 0
        while smallest >= len(self.low):
            smallest, height = smallest // 2, height + 1
        return height


def _numbers(table: str) -> Tensor:
    return torch.tensor([float(number) for number in table.split()], dtype=torch.float64)


def _radial(table: str, reach: int) -> Tensor:
    quarter = torch.zeros(reach + 1, reach + 1, dtype=torch.float64)
    rows, columns = torch.triu_indices(reach + 1, reach + 1)
    quarter[rows, columns] = quarter[columns, rows] = _numbers(table)
    top = torch.cat([quarter, quarter[:, :-1].flip(1)], dim=1)
    return torch.cat([top, top[:-1].flip(0)])


def _steerable() -> Kernels:
    upper = _numbers(_HORIZONTAL).view(4, 5).T
    left = torch.cat([upper, upper[:-1].flip(0)])
    horizontal = torch.cat([left, torch.zeros(9, 1, dtype=torch.float64), -left.flip(1)], dim=1)
    above = torch.zeros(9, 9, dtype=torch.float64)
    rows, columns = torch.triu_indices(9, 9, offset=1)
    first = rows + columns <= 8
    above[rows[first], columns[first]] = _numbers(_DIAGONAL)
    second = rows + columns > 8
    above[rows[second], columns[second]] = above[8 - columns[second], 8 - rows[second]]
    diagonal = above - above.T
    bands = torch.stack([horizontal, diagonal, horizontal.rot90(), diagonal.rot90()])
    return Kernels(_radial(_HIGH_0, 7), _radial(_LOW_0, 4), _radial(_LOW, 8), bands, odd=True)


STEERABLE = _steerable()
ISOTROPIC = Kernels(
    _radial(_ISOTROPIC_HIGH_0, 4),
    _radial(_ISOTROPIC_LOW_0, 3),
    _radial(_ISOTROPIC_LOW, 6),
    _radial(_ISOTROPIC_BAND, 4)[None],
    odd=False,
)


def _waves(size: int, reach: int, frequencies: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines, (frequencies, 2 reach + 1) each, of a transform of length `size`."""
    steps = torch.arange(frequencies, dtype=torch.float64, device=like.device) * (2 * math.pi / size)
    angles = steps[:, None] * torch.arange(-reach, reach + 1, dtype=torch.float64, device=like.device)
    return angles.cos(), angles.sin()


@dataclass(frozen=True)
class _Spectrum:
    """Transform of reflected images: `values` (N, fast height, fast width // 2 + 1), and how to get back from it."""

    values: Tensor
    fast: tuple[int, int]
    margin: int
    images: Tensor


def _spectrum(images: Tensor, margin: int) -> _Spectrum:
    """Transform (N, H, W), extended by reflection and then with zeros to a fast size."""
    extended = F.pad(images[:, None], (margin,) * 4, mode="reflect")[:, 0]
    height, width = (next_fast_len(length, real=True) for length in extended.shape[-2:])
    return _Spectrum(forward(extended, (height, width)), (height, width), margin, images)


def _response(kernel: Tensor, spectrum: _Spectrum, *, odd: bool = False) -> Tensor:
    """Frequency response of a correlation with `kernel`: real for an even kernel, imaginary for an odd one."""
    (height, width), like = spectrum.fast, spectrum.images
    reach, kernel = kernel.shape[-1] // 2, kernel.to(like.device)
    cos_y, sin_y = _waves(height, reach, height, like)
    cos_x, sin_x = _waves(width, reach, width // 2 + 1, like)
    if odd:
        return 1j * ((sin_y @ kernel) @ cos_x.T + (cos_y @ kernel) @ sin_x.T).to(like.dtype)
    return ((cos_y @ kernel) @ cos_x.T).to(like.dtype)


def _filtered(spectrum: _Spectrum, response: Tensor) -> Tensor:
    """Filter, go back, and cut the extension off: (N, H, W)."""
    size = (spectrum.images.shape[-2], spectrum.images.shape[-1])
    return inverse(product(spectrum.values, response), spectrum.fast, spectrum.margin, size)


def levels(images: Tensor, height: int, kernels: Kernels) -> Iterator[list[Tensor]]:
    """Yield the levels of `decompose` from fine to coarse, each as its bands (N, h, w): lists of 1, O, ..., O, 1."""
    size, smallest = (images.shape[-2], images.shape[-1]), kernels.smallest
    if min(size) < smallest:
        raise ValueError(f"a steerable pyramid needs images of at least {smallest}x{smallest} pixels, got {size}")
    highest = kernels.max_height(size)
    if not 0 <= height <= highest:
        raise ValueError(f"a pyramid of {height} levels does not fit {size}; expected 0 to {highest}")
    reach_high_0, reach_low_0, reach_low = (len(k) // 2 for k in (kernels.high_0, kernels.low_0, kernels.low))
    spectrum = _spectrum(images, reach_low_0 + reach_low if height else reach_high_0)
    yield [_filtered(spectrum, _response(kernels.high_0, spectrum))]
    # An even kernel commutes with the reflection, so the first low-pass need not leave the Fourier domain.
    spectrum = replace(spectrum, values=product(spectrum.values, _response(kernels.low_0, spectrum)))
    for level in range(height):
        yield [_filtered(spectrum, _response(kernel, spectrum, odd=kernels.odd)) for kernel in kernels.bands]
        low = _filtered(spectrum, _response(kernels.low, spectrum))[:, ::2, ::2]
        if level == height - 1:
            yield [low]
            return
        spectrum = _spectrum(low, reach_low)
    yield [_filtered(spectrum, spectrum.values.new_ones(()))]


def decompose(images: Tensor, height: int, kernels: Kernels) -> list[Tensor]:
    """Decompose into one high-pass band, `height` levels of band-pass bands, and one low-pass band.

    Parameters
    ----------
    images
        (N, H, W) of at least ``kernels.smallest`` pixels in height and width, float32 or float64.
    height
        Number of band-pass levels, from 0 to ``kernels.max_height((H, W))``.
    kernels
        `STEERABLE`, of O = 4 orientations, or `ISOTROPIC`, of O = 1. Orientation k responds to structure that varies along
        the direction k * 45 degrees from horizontal.

    Returns
    -------
    list of Tensor
        ``height + 2`` tensors: (N, 1, H, W); (N, O, h, w) from fine to coarse, where h, w are H, W halved and rounded up
        once more per level, beginning with H, W themselves; and (N, 1, h, w).

    Raises
    ------
    ValueError
        If the images are too small for the kernels, or for that many levels.
    """
    return [torch.stack(level, dim=1) for level in levels(images, height, kernels)]
