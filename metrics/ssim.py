"""Structural similarity."""

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from hdrbench.metrics.checks import check_pair

WINDOW = 11
SIGMA = 1.5
K1, K2 = 0.01, 0.03


def _blur(images: Tensor) -> Tensor:
    """Filter (N, C, H, W) float64 with the 11x11 Gaussian, valid region only."""
    offsets = torch.arange(WINDOW, dtype=images.dtype, device=images.device) - WINDOW // 2
    kernel = torch.exp(-offsets.square() / (2 * SIGMA**2))
    kernel = kernel / kernel.sum()
    height, width = images.shape[-2:]
    shape = (*images.shape[:2], height - WINDOW + 1, width - WINDOW + 1)
    if images.device.type == "cpu":  # OpenCV's separable filter is twenty times as fast there as a convolution
        taps, edge = kernel.numpy(), WINDOW // 2
        planes = images.detach().reshape(-1, height, width).numpy()
        blurred = np.stack([cv2.sepFilter2D(plane, -1, taps, taps)[edge:-edge, edge:-edge] for plane in planes])
        return torch.from_numpy(blurred).view(shape)
    columns = F.conv2d(images.reshape(-1, 1, height, width), kernel.view(1, 1, -1, 1))
    return F.conv2d(columns, kernel.view(1, 1, 1, -1)).view(shape)


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
    mean_x, mean_y = _blur(x), _blur(y)
    # Only the sum of the two variances enters, so one filtering serves both.
    product, squares = mean_x * mean_y, mean_x.square().add_(mean_y.square())
    covariance, variances = _blur(x * y).sub_(product), _blur(x.square().add_(y.square())).sub_(squares)
    c1, c2 = (K1 * peak) ** 2, (K2 * peak) ** 2
    numerator = product.mul_(2).add_(c1).mul_(covariance.mul_(2).add_(c2))
    denominator = squares.add_(c1).mul_(variances.add_(c2))
    return numerator.div_(denominator).mean(dim=(1, 2, 3))
