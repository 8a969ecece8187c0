"""OpenCV's merging on the interface of this package: RGB, stacks of tensors, results on the stack's device.

OpenCV works on 8-bit codes, so stacks are rounded to them. Images are handed over in the order BGR in which
`cv2.imread` would have brought them. From OpenCV 4.12 on, `calibrate_debevec` and `merge_debevec` compute other values
than before, and no longer those that OpenCV's own tests were made with; name the version beside any result.
"""

from collections.abc import Iterator

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hdrbench.imaging.merging import codes as coding


def calibrate_debevec(stack: Tensor, times: Tensor, *, samples: int = 70, smoothness: float = 10.0) -> Tensor:
    """Recover inverse responses with OpenCV's version of Debevec and Malik's method (Debevec1997).

    Parameters
    ----------
    stack
        (N, K, 3, H, W) in [0, 1], K >= 2.
    times
        (N, K) or (K,), ascending.
    samples
        Number of pixels, on a regular grid.
    smoothness
        Weight of smoothness, the paper's lambda.

    Returns
    -------
    Tensor
        (N, 3, 256) float32: the exposure each code stands for; OpenCV balances no channels.

    Raises
    ------
    ValueError
        On a malformed stack, one exposure, times that do not ascend, or images smaller than the grid of samples.
    """
    coding.check_stack(stack, least=2)
    height, width = stack.shape[-2:]
    columns = int((samples * width / height) ** 0.5)  # of OpenCV's grid
    if not (0 < columns <= width and samples // columns <= height):
        raise ValueError(f"expected images with room for a grid of {samples} samples, got {height}x{width}; take fewer")
    tool = cv2.createCalibrateDebevec(samples, smoothness)
    curves = [tool.process(images, times=seconds) for images, seconds in _scenes(stack, times)]
    return torch.stack([torch.from_numpy(curve[:, 0, ::-1].T.copy()) for curve in curves]).to(stack.device)


def merge_debevec(stack: Tensor, times: Tensor, response: Tensor) -> Tensor:
    """Merge with OpenCV's version of Debevec and Malik's method (Debevec1997).

    Parameters
    ----------
    stack
        (N, K, 3, H, W) in [0, 1], K >= 2.
    times
        (N, K) or (K,), ascending.
    response
        (N, 3, 256) or (3, 256), above 0.

    Returns
    -------
    Tensor
        (N, 3, H, W) float32 radiance.

    Raises
    ------
    ValueError
        On a malformed stack or response, one exposure, or times that do not ascend.
    """
    return _merge(cv2.createMergeDebevec(), stack, times, response)


def merge_robertson(stack: Tensor, times: Tensor, response: Tensor) -> Tensor:
    """Merge with OpenCV's version of Robertson's method (Robertson2003).

    Parameters
    ----------
    stack
        (N, K, 3, H, W) in [0, 1], K >= 2.
    times
        (N, K) or (K,), ascending.
    response
        (N, 3, 256) or (3, 256).

    Returns
    -------
    Tensor
        (N, 3, H, W) float32 radiance; 0 where a pixel is black or saturated in all exposures.

    Raises
    ------
    ValueError
        On a malformed stack or response, one exposure, or times that do not ascend.
    """
    return _merge(cv2.createMergeRobertson(), stack, times, response)


def merge_mertens(stack: Tensor, *, contrast: float = 1.0, saturation: float = 1.0, exposedness: float = 0.0) -> Tensor:
    """Fuse with OpenCV's version of Mertens et al. (Mertens2009), which is not what the authors' program computes.

    Its pyramids end otherwise at the borders and have one level more, its saturation is larger by a constant factor, and
    its default leaves out well-exposedness; it weighs red as blue in the contrast. See `mertens.fuse`.

    Parameters
    ----------
    stack
        (N, K, 3, H, W) in [0, 1], K >= 1.
    contrast, saturation, exposedness
        Exponents of the three measures, with OpenCV's defaults.

    Returns
    -------
    Tensor
        (N, 3, H, W) float32, clamped to [0, 1].

    Raises
    ------
    ValueError
        On a malformed stack.
    """
    coding.check_stack(stack)
    tool = cv2.createMergeMertens(contrast, saturation, exposedness)
    return _tensor([tool.process(images) for images in _images(stack)], stack).clamp_(0.0, 1.0)


def _merge(tool: cv2.MergeExposures, stack: Tensor, times: Tensor, response: Tensor) -> Tensor:
    """Run a tool that needs times and a response."""
    coding.check_stack(stack, least=2)
    curves = coding.check_response(stack, response).cpu().numpy()
    if curves.shape[-1] != coding.CODES:
        raise ValueError(f"expected a response of 256 codes, all that OpenCV takes, got {curves.shape[-1]}")
    columns = [np.ascontiguousarray(curve[::-1].T[:, None], np.float32) for curve in curves]
    scenes = zip(_scenes(stack, times), columns, strict=True)
    return _tensor([tool.process(images, seconds, column) for (images, seconds), column in scenes], stack)


def _scenes(stack: Tensor, times: Tensor) -> Iterator[tuple[list[NDArray], NDArray]]:
    """Yield each scene's images and times as OpenCV takes them."""
    seconds = coding.check_times(stack, times).cpu().numpy().astype(np.float32)
    yield from zip(_images(stack), seconds, strict=True)


def _images(stack: Tensor) -> Iterator[list[NDArray]]:
    """Yield each scene as a list of 8-bit (H, W, 3) in BGR."""
    for scene in coding.quantise(stack).cpu().flip(2).permute(0, 1, 3, 4, 2):
        yield [np.ascontiguousarray(image) for image in scene.numpy()]


def _tensor(images: list[NDArray], stack: Tensor) -> Tensor:
    """Bring (H, W, 3) results in BGR back to (N, 3, H, W) in RGB."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).flip(1).contiguous().to(stack.device)
