"""Gamma, the share of the under-exposed image in the loss of a pixel (eq. 4-7, Figure 4).

A cue says how much of a pixel an exposure shows. The paper leaves open how most of them are computed; here, per channel:

variance
    Under a Gaussian window of sigma 1.5 with zeros around the image, as PFNet (Zhang2020) and Hou2021 have it; at least
    1e-4 (eq. 4).
gradient
    Magnitude of Sobel's gradient in codes per pixel, the border repeated; not smoothed; at least 1e-2, which is the contrast
    that the floor of the variance stands for: the steps between 8-bit codes stay below both.
well-exposedness
    Mertens' Gaussian of standard deviation 0.2 around 0.5 (Mertens2009), which is never below 0.04.

Floors are taken before two cues are combined as in eq. 5-7, ``a * b / sqrt(a^2 + b^2)``, close to the smaller of the two. So
no fraction is 0 / 0, and flat images share alike.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from hdrbench.errors import unknown
from hdrbench.metrics.windows import gaussian

KINDS = {
    "variance": ("variance",),
    "gradient": ("gradient",),
    "well_exposedness": ("well_exposedness",),
    "gradient_well_exposedness": ("gradient", "well_exposedness"),
    "variance_gradient": ("variance", "gradient"),
    "variance_well_exposedness": ("variance", "well_exposedness"),
}
SIGMA = 1.5  # of all windows
VARIANCE_FLOOR = 1e-4
GRADIENT_FLOOR = 1e-2
SPREAD = 0.2


def gamma_map(under: Tensor, over: Tensor, kind: str, window: int = 11) -> Tensor:
    """Compute gamma of a pair of exposures.

    Parameters
    ----------
    under, over
        (N, 3, H, W) display codes in [0, 1].
    kind
        Key of `KINDS`. Eq. 7, ``"variance_well_exposedness"``, is in Figure 4 and not in Table 2.
    window
        Side of the window of the variance, odd.

    Returns
    -------
    Tensor
        (N, 3, H, W) in (0, 1), 0.5 where both exposures are flat and alike.

    Raises
    ------
    HdrbenchError
        On an unknown kind.
    """
    pair = torch.stack([under, over])
    return share(importance(pair, variance(pair, window), kind))


def share(importances: Tensor) -> Tensor:
    """Divide the importance of the under-exposed image by that of both: (..., 2, N, 3, H, W) -> (..., N, 3, H, W)."""
    under, over = importances.unbind(-5)
    return under / (under + over)


def importance(images: Tensor, variances: Tensor, kind: str) -> Tensor:
    """Compute and combine the cues of a kind.

    Parameters
    ----------
    images
        (..., 3, H, W) in [0, 1].
    variances
        Their local variances, of that shape or of one that it broadcasts to, as those under several windows.
    kind
        Key of `KINDS`.

    Returns
    -------
    Tensor
        Above 0, of the shape of `variances` where the kind takes them, and otherwise of `images`.
    """
    if kind not in KINDS:
        raise unknown("gamma", kind, KINDS)
    cues: dict[str, Callable[[], Tensor]] = {
        "variance": lambda: variances.clamp_min(VARIANCE_FLOOR),
        "gradient": lambda: gradient(images).clamp_min(GRADIENT_FLOOR),
        "well_exposedness": lambda: torch.exp(-(images - 0.5).square() / (2.0 * SPREAD**2)),
    }
    first, *others = (cues[name]() for name in KINDS[kind])
    return first * others[0] / torch.hypot(first, others[0]) if others else first


def gradient(images: Tensor) -> Tensor:
    """Magnitude of Sobel's gradient of (..., H, W), in codes per pixel, the border repeated."""
    height, width = images.shape[-2:]
    padded = F.pad(images.reshape(-1, 1, height, width), (1, 1, 1, 1), "replicate")
    across = (padded[..., 2:] - padded[..., :-2]) / 2.0
    down = (padded[..., 2:, :] - padded[..., :-2, :]) / 2.0
    across = (across[..., :-2, :] + 2.0 * across[..., 1:-1, :] + across[..., 2:, :]) / 4.0
    down = (down[..., :-2] + 2.0 * down[..., 1:-1] + down[..., 2:]) / 4.0
    return torch.hypot(across, down).view(images.shape)


def variance(images: Tensor, window: int) -> Tensor:
    """Local variance of (..., C, H, W)."""
    return blur(images.square(), window) - blur(images, window).square()


def blur(images: Tensor, window: int) -> Tensor:
    """Average (..., H, W) under a Gaussian window of `window` pixels a side, with zeros around the images."""
    if window < 1 or window % 2 == 0:
        raise ValueError(f"expected a window of an odd number of pixels, got {window}")
    return _Blur.apply(images, window)


class _Blur(torch.autograd.Function):
    """Sums of shifted images, on the CPU several times as fast as depthwise convolutions, and their gradients even more.

    A symmetric window between zeros is its own adjoint, so the gradient is the same blur.
    """

    @staticmethod
    def forward(context: Any, images: Tensor, window: int) -> Tensor:
        context.window = window
        taps = gaussian(window, SIGMA)
        return _weighted_shifts(_weighted_shifts(images, taps, -1), taps, -2)

    @staticmethod
    def backward(context: Any, slope: Tensor) -> tuple[Tensor, None]:
        return _Blur.forward(context, slope, context.window), None


def _weighted_shifts(images: Tensor, taps: tuple[float, ...], dim: int) -> Tensor:
    """Add up images moved along a dimension, weighted by the taps."""
    radius, length = len(taps) // 2, images.shape[dim]
    padded = F.pad(images, (radius, radius) if dim == -1 else (0, 0, radius, radius))
    total = images * taps[radius]
    for offset, tap in enumerate(taps):
        if offset != radius:
            total.add_(padded.narrow(dim, offset, length), alpha=tap)
    return total
