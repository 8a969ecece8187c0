"""Exposure arithmetic: stops, relative exposure times, and the radiance an LDR image stands for."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from hdrbench.imaging.transfer import GAMMA, gamma_decode, gamma_encode


def times_from_stops(stops: Sequence[float]) -> tuple[float, ...]:
    """Turn exposure values (EV, log2) into relative times with the shortest = 1.

    Raises
    ------
    ValueError
        If the stops do not ascend strictly.
    """
    if any(later <= earlier for earlier, later in pairwise(stops)):
        raise ValueError(f"exposure stops must ascend strictly, got {list(stops)}")
    return tuple(2.0 ** (stop - stops[0]) for stop in stops)


def exposure_ratios(times: Tensor) -> tuple[Tensor, Tensor]:
    """Exposure ratios of USME-HDR eq. 4.

    Parameters
    ----------
    times
        (N, 3) ascending exposure times.

    Returns
    -------
    tuple of Tensor
        ``t1 / t2`` (down, below 1) and ``t3 / t2`` (up, above 1), each (N,).
    """
    return times[:, 0] / times[:, 1], times[:, 2] / times[:, 1]


def to_radiance(ldr: Tensor, time: Tensor | float, gamma: float = GAMMA) -> Tensor:
    """Map an LDR image to the HDR domain, ``ldr ** gamma / time`` (USME-HDR eq. 1).

    Parameters
    ----------
    ldr
        (N, 3, H, W) display-referred, nominally in [0, 1].
    time
        Exposure time(s), shortest of the stack = 1; a number or (N,).
    """
    linear = gamma_decode(ldr, gamma)
    return linear / (time[:, None, None, None] if isinstance(time, Tensor) else time)


def reexpose(radiance: Tensor, time: Tensor | float, gamma: float = GAMMA) -> Tensor:
    """Photograph a radiance map with an ideal camera: scale by the exposure time, saturate at 1, gamma-code.

    Inverse of `to_radiance` where nothing saturates.
    """
    scaled = radiance * (time[:, None, None, None] if isinstance(time, Tensor) else time)
    return gamma_encode(torch.clamp(scaled, 0.0, 1.0), gamma)
