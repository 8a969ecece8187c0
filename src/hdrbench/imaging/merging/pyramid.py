"""Laplacian pyramids (Burt1983) with the borders of Mertens et al.'s program, and blending in them (Mertens2009).

The filter is [1 4 6 4 1] / 16. Reducing mirrors the image at its border, the border pixel included; expanding repeats the
border pixel. A side of n pixels is reduced to ceil(n / 2).
"""

from collections.abc import Callable

import cv2
import torch
from numpy.typing import NDArray
from torch import Tensor


def depth(height: int, width: int) -> int:
    """Return the levels Mertens et al. use, the binary logarithm of the shorter side, rounded down; at least 1."""
    return max(1, min(height, width).bit_length() - 1)


def reduce(image: Tensor) -> Tensor:
    """Filter (..., H, W) and keep every other row and column: (..., ceil(H / 2), ceil(W / 2))."""
    if on_opencv(image):
        return _planewise(lambda plane: cv2.pyrDown(plane, borderType=cv2.BORDER_REFLECT), image)
    return _reduce_columns(_reduce_columns(image).mT).mT


def expand(image: Tensor, height: int, width: int) -> Tensor:
    """Interpolate (..., ceil(height / 2), ceil(width / 2)) to (..., height, width)."""
    if on_opencv(image):

        def enlarge(plane: NDArray) -> NDArray:
            padded = cv2.copyMakeBorder(plane, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
            return cv2.pyrUp(padded)[2 : 2 + height, 2 : 2 + width]

        return _planewise(enlarge, image)
    return _expand_columns(_expand_columns(image, width).mT, height).mT


def blend(stack: Tensor, weights: Tensor, levels: int) -> Tensor:
    """Blend images level by level: detail of each image by a smoothed weight (Mertens2009, section 3.2).

    Parameters
    ----------
    stack
        (N, K, C, H, W).
    weights
        (N, K, H, W), summing to 1 over K.
    levels
        Levels of the pyramid, the full resolution included; 1 is a plain weighted sum.

    Returns
    -------
    Tensor
        (N, C, H, W). It may leave the range of the stack a little.

    Raises
    ------
    ValueError
        If the shapes do not fit, or without any level.
    """
    if weights.shape != stack.shape[:2] + stack.shape[3:] or levels < 1:
        raise ValueError(
            f"expected stack (N, K, C, H, W), weights (N, K, H, W) and levels >= 1, got {tuple(stack.shape)}, "
            f"{tuple(weights.shape)} and {levels}"
        )
    smoothed = [_gaussians(weight, levels) for weight in weights[:, :, None].unbind(1)]
    if not (on_opencv(stack) and on_opencv(weights)):
        return _blend(stack, smoothed)
    fused = torch.empty_like(stack[:, 0])
    for n in range(len(stack)):
        maps = [[level[n : n + 1] for level in pyramid] for pyramid in smoothed]
        for c in range(stack.shape[2]):  # one plane at a time stays in the cache
            fused[n, c] = _blend(stack[n : n + 1, :, c : c + 1], maps)[0, 0]
    return fused


def _gaussians(image: Tensor, levels: int) -> list[Tensor]:
    """Reduce (..., H, W) to each of the levels."""
    pyramid = [image]
    while len(pyramid) < levels:
        pyramid.append(reduce(pyramid[-1]))
    return pyramid


def _blend(stack: Tensor, smoothed: list[list[Tensor]]) -> Tensor:
    """Blend (N, K, C, H, W) by the smoothed weights (N, 1, h, w) of each exposure and level."""
    bands: list[Tensor] = []
    for image, maps in zip(stack.unbind(1), smoothed, strict=True):
        pyramid = _gaussians(image, len(maps))
        for level, weight in enumerate(maps):
            detail = pyramid[level]
            if level + 1 < len(maps):
                detail = detail - expand(pyramid[level + 1], *detail.shape[-2:])
            if len(bands) == level:
                bands.append(detail * weight)
            else:
                bands[level].addcmul_(detail, weight)
    fused = bands.pop()
    while bands:
        band = bands.pop()
        fused = expand(fused, *band.shape[-2:]).add_(band)
    return fused


def on_opencv(image: Tensor) -> bool:
    """Tell whether OpenCV's filters, the faster ones, can be used: on the CPU, unless a gradient is needed."""
    return image.device.type == "cpu" and not (image.requires_grad and torch.is_grad_enabled())


def _planewise(function: Callable[[NDArray], NDArray], image: Tensor) -> Tensor:
    """Apply a function of (H, W) arrays to the last two dimensions."""
    planes = image.detach().reshape(-1, *image.shape[-2:]).numpy()
    results = [torch.from_numpy(function(plane)) for plane in planes]
    stacked = results[0] if len(results) == 1 else torch.stack(results)
    return stacked.reshape(*image.shape[:-2], *stacked.shape[-2:])


def _reduce_columns(image: Tensor) -> Tensor:
    """Filter along the last dimension and keep every other column."""
    width = image.shape[-1]
    index = torch.arange(-2, width + 3, device=image.device) % (2 * width)
    padded = image[..., torch.minimum(index, 2 * width - 1 - index)]
    taps = [padded[..., offset : offset + width : 2] for offset in range(5)]
    return (taps[0] + taps[4]) / 16 + (taps[1] + taps[3]) / 4 + taps[2] * 0.375


def _expand_columns(image: Tensor, width: int) -> Tensor:
    """Interpolate along the last dimension to `width` columns."""
    before, after = (torch.cat(parts, -1) for parts in _neighbours(image))
    even, odd = (before + after) / 8 + image * 0.75, (image + after) / 2
    return torch.stack((even, odd), -1).flatten(-2)[..., :width]


def _neighbours(image: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Shift the last dimension one to the right, and one to the left, repeating the border; in two parts each."""
    return (image[..., :1], image[..., :-1]), (image[..., 1:], image[..., -1:])
