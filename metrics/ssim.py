"""Structural similarity."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from hdrbench.metrics.checks import check_pair

WINDOW = 11
SIGMA = 1.5
K1, K2 = 0.01, 0.03


def _blur(images: Tensor) -> Tensor:
    """Filter (N, C, H, W) with the 11x11 Gaussian, valid region only."""
    offsets = torch.arange(WINDOW, dtype=images.dtype, device=images.device) - WINDOW // 2
    kernel = torch.exp(-offsets.square() / (2 * SIGMA**2))
    kernel = kernel / kernel.sum()
    height, width = images.shape[-2:]
    planes = images.reshape(-1, 1, height, width)
    planes = F.conv2d(F.conv2d(planes, kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1))
    return planes.view(*images.shape[:2], height - WINDOW + 1, width - WINDOW + 1)


def ssim(pred: Tensor, ref: Tensor, *, peak: float = 1.0) -> Tensor:
    """Structural similarity (Wang2004), the convention of SelfHDR's and HDR-Transformer's evaluation.

    11x11 Gaussian window of sigma 1.5, population covariance, valid region only, values clipped to [0, peak], no rounding
    to 8 bit, mean over the colour channels.

    Parameters
    ----------
    pred, ref
        (N, C, H, W), in one domain and unit, at least 11 pixels on each side.
    peak
        The largest value of that domain; larger ones, and negative ones, are clipped.

    Returns
    -------
    Tensor
        (N,) float64, at most 1.

    Raises
    ------
    ValueError
        On unequal shapes, values that are not finite, or images smaller than the window.
    """
    check_pair(pred, ref)
    if min(pred.shape[-2:]) < WINDOW:
        raise ValueError(f"ssim needs images of at least {WINDOW}x{WINDOW} pixels, got {tuple(pred.shape[-2:])}")
    x, y = (image.double().clamp(0.0, peak) for image in (pred, ref))
    mean_x, mean_y, xx, yy, xy = _blur(torch.cat([x, y, x * x, y * y, x * y])).chunk(5)
    luminance_x_y, square_x, square_y = mean_x * mean_y, mean_x.square(), mean_y.square()
    c1, c2 = (K1 * peak) ** 2, (K2 * peak) ** 2
    numerator = (2 * luminance_x_y + c1) * (2 * (xy - luminance_x_y) + c2)
    denominator = (square_x + square_y + c1) * (xx - square_x + yy - square_y + c2)
    return (numerator / denominator).mean(dim=(1, 2, 3))
