"""Exposure stacks and the codes in them: what all merging functions check, quantise and look up."""

from collections.abc import Iterator

import cv2
import numpy as np
import torch
from torch import Tensor

CODES = 256  # entries of a response that is recovered from images
BAND = 1 << 16  # pixels whose intermediate results stay in a CPU's cache


def check_stack(stack: Tensor, *, least: int = 1) -> None:
    """Refuse what is no stack of display-referred RGB images.

    Parameters
    ----------
    stack
        Should be (N, K, 3, H, W), floating-point, in [0, 1].
    least
        Smallest number K of exposures that will do.

    Raises
    ------
    ValueError
        Otherwise; says what came and what to do.
    """
    if stack.dim() != 5 or stack.shape[2] != 3 or 0 in stack.shape:
        raise ValueError(f"expected a stack of shape (N, K, 3, H, W), got {tuple(stack.shape)}")
    if stack.shape[1] < least:
        raise ValueError(f"expected at least {least} exposures, got {stack.shape[1]}")
    if stack.dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"expected a stack of float32 or float64 in [0, 1], got {stack.dtype}; divide codes by their largest"
        )
    low, high = (float(bound) for bound in torch.aminmax(stack.detach()))
    if not (low >= 0.0 and high <= 1.0):
        raise ValueError(f"expected display codes in [0, 1], got {low:g} to {high:g}")


def check_times(stack: Tensor, times: Tensor) -> Tensor:
    """Bring exposure times into the shape (N, K), float64, on the device of the stack.

    Parameters
    ----------
    stack
        (N, K, 3, H, W).
    times
        (N, K), or (K,) for all N; seconds, or relative to the shortest.

    Raises
    ------
    ValueError
        If their number is not K, or if they are not positive and strictly ascending.
    """
    count, exposures = stack.shape[:2]
    if tuple(times.shape) not in ((exposures,), (count, exposures)):
        raise ValueError(
            f"expected times of shape ({exposures},) or ({count}, {exposures}), one per exposure, got {tuple(times.shape)}"
        )
    times = times.to(stack.device, torch.float64).expand(count, exposures)
    if not bool((times > 0).all() and times.isfinite().all() and (times.diff() > 0).all()):
        raise ValueError(
            f"expected positive, strictly ascending exposure times, got {times.tolist()}; "
            "sort the stack by them and drop repeated exposures"
        )
    return times


def check_response(stack: Tensor, response: Tensor) -> Tensor:
    """Bring inverse responses into the shape (N, 3, L), float64, on the device of the stack.

    Parameters
    ----------
    stack
        (N, K, 3, H, W).
    response
        (N, 3, L), or (3, L) for all N: the exposure (radiance times time) that each of L equidistant codes stands for.

    Raises
    ------
    ValueError
        On another shape, negative values, NaN or infinity.
    """
    if (
        response.dim() not in (2, 3)
        or response.shape[-1] < 2
        or tuple(response.shape[:-1]) not in ((3,), (len(stack), 3))
    ):
        raise ValueError(f"expected a response of shape ({len(stack)}, 3, L) or (3, L), got {tuple(response.shape)}")
    if not bool(response.isfinite().all() and (response >= 0).all()):
        raise ValueError("expected a response of finite exposures >= 0, not their logarithms")
    return response.to(stack.device, torch.float64).expand(len(stack), 3, response.shape[-1])


def bands(stack: Tensor) -> Iterator[slice]:
    """Yield rows of (..., H, W) that are worth computing on together: a few on the CPU, otherwise all."""
    height, width = stack.shape[-2:]
    step = max(1, BAND // width) if stack.device.type == "cpu" else height
    for top in range(0, height, step):
        yield slice(top, min(top + step, height))


def quantise(values: Tensor, levels: int = CODES) -> Tensor:
    """Round values in [0, 1] of any shape to the nearest of `levels` codes: uint8 up to 256 levels, int32 beyond."""
    values = values.detach()
    if values.device.type == "cpu" and levels == CODES:  # ten times as fast
        rows = np.ascontiguousarray(values.reshape(-1, values.shape[-1]).numpy())
        return torch.from_numpy(cv2.convertScaleAbs(rows, alpha=CODES - 1)).view(values.shape)
    return (values * (levels - 1)).round_().to(torch.uint8 if levels <= CODES else torch.int32)


def look_up(table: Tensor, codes: Tensor) -> Tensor:
    """Replace codes of any shape by the entries of a table (L,)."""
    if codes.device.type == "cpu" and codes.dtype == torch.uint8 and len(table) == CODES:
        return torch.from_numpy(cv2.LUT(codes.numpy(), table.numpy())).view(codes.shape)
    return table.index_select(0, codes.flatten().int()).view(codes.shape)


def weighted_sum(codes: Tensor, tables: Tensor, dtype: torch.dtype) -> Tensor:
    """Add up over the exposures what a table says of each pixel.

    Parameters
    ----------
    codes
        (N, K, 3, H, W), below L.
    tables
        (N, K, 3, L).
    dtype
        Of the sum.

    Returns
    -------
    Tensor
        (N, 3, H, W).
    """
    count, exposures, channels, height, width = codes.shape
    total = torch.zeros(count, channels, height, width, dtype=dtype, device=codes.device)
    tables = tables.to(dtype)
    for n in range(count):
        for c in range(channels):
            for k in range(exposures):
                total[n, c] += look_up(tables[n, k, c], codes[n, k, c])
    return total


def histogram(codes: Tensor) -> Tensor:
    """Count how often each of 256 codes occurs in an image of any shape: (256,), int64."""
    return torch.bincount(codes.flatten(), minlength=CODES)


def hat(levels: int = CODES) -> Tensor:
    """Weigh codes by their distance from the nearer end (Debevec1997): (levels,) float64, 0 at both ends, at most 1."""
    code = torch.linspace(0.0, 1.0, levels, dtype=torch.float64)
    return 2.0 * torch.minimum(code, code.flip(0))


def gaussian(levels: int = CODES) -> Tensor:
    """Weigh codes with a Gaussian lowered to 0 at both ends (Robertson2003): (levels,) float64, at most 1."""
    offset = 4.0 * torch.linspace(-0.5, 0.5, levels, dtype=torch.float64)
    floor = np.exp(-4.0)
    return (torch.exp(-offset.square()) - floor) / (1.0 - floor)


def bound_unweighted(radiance: Tensor, weight: Tensor, stack: Tensor, times: Tensor, response: Tensor) -> Tensor:
    """Fill in the pixels that no exposure has any weight in.

    A pixel without weight in one channel is replaced in all three, so that its colour stays one that was seen: by the
    shortest exposure where the middle one is bright (0.5 or more) in such a channel, otherwise by the longest. These are
    a lower and an upper bound of the radiance where the pixel is saturated, or black, in every exposure.

    Parameters
    ----------
    radiance, weight
        (N, 3, H, W): the merged map and the sum of its weights, 0 where the map is undefined.
    stack, times, response
        (N, K, 3, H, W), (N, K) and (N, 3, L), as merged.

    Returns
    -------
    Tensor
        (N, 3, H, W).
    """
    undefined = weight <= 0
    if not bool(undefined.any()):
        return radiance
    bright = stack[:, (stack.shape[1] - 1) // 2] >= 0.5
    for index, where in ((0, undefined & bright), (-1, undefined & ~bright)):
        tables = (response / times[:, index, None, None])[:, None]
        single = weighted_sum(quantise(stack[:, index, None], response.shape[-1]), tables, radiance.dtype)
        radiance = torch.where(where.any(1, keepdim=True), single, radiance)
    return radiance
