"""Recovering a camera's response and merging exposures by maximum likelihood, after Robertson et al. (Robertson2003)."""

import numpy as np
import torch
from torch import Tensor

from hdrbench.imaging.merging import codes as coding

MIDDLE = coding.CODES // 2  # the code whose exposure is 1


def recover_response(stack: Tensor, times: Tensor, *, iterations: int = 30, tolerance: float = 0.01) -> Tensor:
    """Recover the inverse camera response of each channel by alternating between radiance and response (Robertson2003).

    Starts from a straight line. The end codes 0 and 255 say only that the exposure was lower or higher than what they
    stand for, and weigh nothing; they repeat their neighbours. Codes that no image contains are interpolated. Of an ideal
    camera with a gamma of 2.2, exposures one stop apart give the curve within 4 % after 30 rounds; with two stops between
    them it is off by up to 25 %, and hardly any better after 1000: then prefer `debevec.recover_response`.

    Parameters
    ----------
    stack
        (N, K, 3, H, W) in [0, 1], K >= 2, rounded to 8-bit codes; static scenes.
    times
        (N, K) or (K,), ascending; seconds or relative.
    iterations
        At most so many rounds; convergence is slow, and more rounds go on changing the ends of the curve.
    tolerance
        Stops earlier when the codes' exposures change by less than this in sum.

    Returns
    -------
    Tensor
        (N, 3, 256) float64: the exposure each code stands for, 1 at code 128.

    Raises
    ------
    ValueError
        On a malformed stack, one exposure, times that do not ascend, or images with fewer than two codes in 1..254.
    """
    coding.check_stack(stack, least=2)
    times = coding.check_times(stack, times)
    codes = coding.quantise(stack)
    curves = [
        _recover_channel(codes[n, :, c], times[n], iterations, tolerance) for n in range(len(codes)) for c in range(3)
    ]
    return torch.stack(curves).view(len(codes), 3, coding.CODES)


def _recover_channel(codes: Tensor, times: Tensor, iterations: int, tolerance: float) -> Tensor:
    """Alternate for one channel, (K, H, W)."""
    counts = coding.histogram(codes)
    counts[[0, -1]] = 0
    if int((counts > 0).sum()) < 2:
        raise ValueError("cannot recover the response: a channel has fewer than two codes that are neither 0 nor 255")
    weights = coding.gaussian().to(times)
    total = _total(codes, weights * times.square()[:, None])
    response = torch.arange(coding.CODES, dtype=torch.float64, device=codes.device) / MIDDLE
    for _ in range(iterations):
        radiance = torch.where(total > 0, _total(codes, times[:, None] * weights * response) / total, 0.0).flatten()
        sums = torch.zeros_like(response)
        for plane, time in zip(codes, times, strict=True):
            sums += time * torch.bincount(plane.flatten(), radiance, minlength=coding.CODES)
        updated = _complete(sums, counts)
        change = (updated - response).abs().sum()
        response = updated
        if bool(change < tolerance):
            break
    return response


def _total(codes: Tensor, tables: Tensor) -> Tensor:
    """Add up tables (K, 256) over the exposures of one channel, (K, H, W)."""
    return coding.weighted_sum(codes[None, :, None], tables[None, :, None], torch.float64)[0, 0]


def _complete(sums: Tensor, counts: Tensor) -> Tensor:
    """Average the exposures of each code, interpolate where there are none, and make the middle code 1."""
    seen = counts.cpu().numpy() > 0
    codes = np.arange(coding.CODES)
    means = (sums / counts.clamp_min(1)).cpu().numpy()
    curve = np.interp(codes, codes[seen], means[seen])
    return torch.from_numpy(curve / curve[MIDDLE]).to(sums)


def merge(stack: Tensor, times: Tensor, response: Tensor) -> Tensor:
    """Merge a stack into a radiance map: the most likely radiance under noise that is equal in all exposures.

    Parameters
    ----------
    stack
        (N, K, 3, H, W) in [0, 1], K >= 2.
    times
        (N, K) or (K,), ascending; the unit of the result is that of the response per time.
    response
        (N, 3, L) or (3, L), the exposure each of L equidistant codes stands for. Codes are rounded to the nearest of L.

    Returns
    -------
    Tensor
        (N, 3, H, W), the mean of ``response / time`` weighted with `codes.gaussian` times the square of the exposure time
        (Robertson2003). Pixels that are black or saturated in all exposures: see `codes.bound_unweighted`.

    Raises
    ------
    ValueError
        On a malformed stack or response, one exposure, or times that do not ascend.
    """
    coding.check_stack(stack, least=2)
    times, response = coding.check_times(stack, times), coding.check_response(stack, response)
    # Relative times keep their squares away from the ends of single precision.
    unit = times[:, :1]
    relative = (times / unit)[:, :, None, None]
    codes = coding.quantise(stack, response.shape[-1])
    weights = coding.gaussian(response.shape[-1]).to(times).expand(*stack.shape[:3], -1)
    total = coding.weighted_sum(codes, weights * relative.square(), stack.dtype)
    sums = coding.weighted_sum(codes, weights * relative * response[:, None], stack.dtype)
    radiance = sums / total / unit[:, :, None, None].to(stack.dtype)
    return coding.bound_unweighted(radiance, total, stack, times, response)
