"""Cubic resampling as GNU Octave's ``imresize`` does it, which HDR-VDP rests on.

MATLAB's divides each pixel's weights by their sum, which Octave's does not; the sums are off 1 by up to 0.002 where an
image shrinks by a factor that is not whole. The golden values are Octave's, so this follows Octave. Dividing moved
HDR-VDP-2's score by less than 0.00015 in 70 trials.
"""

from functools import lru_cache

import torch
from torch import Tensor

_SUPPORT = 4


def _cubic(x: Tensor) -> Tensor:
    """Cubic convolution kernel of Keys1981, a = -1/2."""
    x = x.abs()
    near, far = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x <= 1, near, torch.where(x < 2, far, torch.zeros_like(x)))


@lru_cache(maxsize=64)
def resampling_matrix(old: int, new: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the sparse (new, old) matrix that resamples `old` values to `new` ones.

    Both cover the same stretch, the kernel is widened when shrinking so that it also removes the frequencies that would
    alias, and values beyond the border are mirrored, the border included.
    """
    with torch.inference_mode(False):  # a cached tensor may be used for a gradient later
        return _resampling_matrix(old, new).to(device=device, dtype=dtype).coalesce()


def _resampling_matrix(old: int, new: int) -> Tensor:
    scale = new / old
    stretch = min(scale, 1.0)
    centres = (torch.arange(new, dtype=torch.float64)[:, None] + 0.5) / scale - 0.5
    taps = int(_SUPPORT / stretch) + 2
    places = (centres - _SUPPORT / stretch / 2).floor().long() + torch.arange(taps)
    weights = _cubic((centres - places) * stretch) * stretch
    mirrored = places.remainder(2 * old)
    mirrored = torch.where(mirrored < old, mirrored, 2 * old - 1 - mirrored)
    rows = torch.arange(new)[:, None].expand_as(mirrored)
    places = torch.stack([rows.flatten(), mirrored.flatten()])
    return torch.sparse_coo_tensor(places, weights.flatten(), (new, old), check_invariants=True)


def _resize_rows(images: Tensor, rows: int) -> Tensor:
    if images.shape[-2] == rows:
        return images
    matrix = resampling_matrix(images.shape[-2], rows, images.dtype, images.device)
    return torch.stack([torch.sparse.mm(matrix, image) for image in images])


def resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Resample by cubic convolution, antialiased where it shrinks.

    Parameters
    ----------
    images
        (N, H, W), float32 or float64.
    size
        New height and width in pixels. An axis that keeps its length is left untouched.

    Returns
    -------
    Tensor
        (N, height, width). Values may leave the input's range a little, as the kernel has negative lobes.
    """
    if size[0] <= images.shape[-2]:  # the axis that leaves less to do for the other comes first
        return _resize_rows(_resize_rows(images, size[0]).mT, size[1]).mT
    return _resize_rows(_resize_rows(images.mT, size[1]).mT, size[0])
