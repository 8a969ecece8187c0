"""Recovering a camera's response and merging exposures with it, after Debevec and Malik (Debevec1997).

What their paper leaves open follows the HDR Toolbox (Banterle2017): how pixels are sampled, how the three channels are
balanced, and how the ends of a stack are trusted.
"""

import torch
from torch import Tensor

from hdrbench.imaging.merging import codes as coding

# Added to exposures before their logarithm; it presumes a response whose largest value is about 1.
OFFSET = 1.0 / 65535.0
CLIPPED, DARK = 0.9, 0.1  # beyond these codes an end of the stack holds light that no other exposure has


def sample_codes(stack: Tensor, samples: int = 256) -> Tensor:
    """Pick the codes that one radiance has in all exposures, from histograms alone (Grossberg2003).

    Of a static scene the p-th brightest pixel is the same one in every exposure. So quantiles of the exposures'
    histograms correspond, and need neither alignment nor a choice of pixels.

    Parameters
    ----------
    stack
        (N, K, 3, H, W) in [0, 1].
    samples
        Number S of quantiles, from 0 to 1.

    Returns
    -------
    Tensor
        (N, 3, S, K) int64: the code whose cumulative frequency is nearest to each quantile, the darkest of equals.
    """
    quantiles = torch.linspace(0.0, 1.0, samples, dtype=torch.float64)
    picked = []
    for image in coding.quantise(stack).flatten(0, 2):
        cumulative = coding.histogram(image).cpu().cumsum(0).double()
        picked.append(torch.argmin((cumulative / cumulative[-1] - quantiles[:, None]).abs(), dim=1))
    return torch.stack(picked).view(*stack.shape[:3], samples).permute(0, 2, 3, 1)


def solve_response(codes: Tensor, times: Tensor, *, smoothness: float, weights: Tensor | None = None) -> Tensor:
    """Solve for the logarithmic response of one channel by weighted least squares (Debevec1997, eq. 3 and 4).

    The unknown radiances of the samples are eliminated first, so that only the 256 codes remain to be solved for.

    Parameters
    ----------
    codes
        (S, K) int64, 0 to 255: each of S samples in K exposures.
    times
        (K,) exposure times.
    smoothness
        The paper's lambda, the weight of the response's second differences.
    weights
        (256,), what an equation about each code is multiplied with; `codes.hat` by default.

    Returns
    -------
    Tensor
        (256,) float64 on the CPU: the natural logarithm of the exposure each code stands for, 0 at code 128.

    Raises
    ------
    ValueError
        If no sample has two different codes with a weight, which leaves the slope of the response open; or without
        smoothness.
    """
    if not smoothness > 0:
        raise ValueError(
            f"expected a smoothness above 0, got {smoothness:g}: without it, codes of no sample are undetermined"
        )
    codes, log_times = codes.cpu(), times.cpu().double().log()
    table = (coding.hat() if weights is None else weights).cpu().double()
    energy = table[codes].square()
    total = energy.sum(1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)
    # Smoothness leaves a straight line through the anchor open, which only these differences can determine.
    if not bool((energy * (codes - (energy * codes).sum(1, keepdim=True) / total).square()).sum() > 1e-12):
        raise ValueError(
            "cannot recover the response: no sample changes between unsaturated codes from one exposure to another; "
            "use exposures that overlap, of a scene that is neither black nor saturated"
        )
    per_code = torch.zeros(len(codes), coding.CODES, dtype=torch.float64).scatter_add_(1, codes, energy)
    coupled = per_code / total.sqrt()
    residual = energy * (log_times - (energy * log_times).sum(1, keepdim=True) / total)
    target = torch.zeros(coding.CODES, dtype=torch.float64).scatter_add_(0, codes.flatten(), residual.flatten())
    bends = torch.zeros(coding.CODES - 2, coding.CODES, dtype=torch.float64)
    for offset, factor in enumerate((1.0, -2.0, 1.0)):
        bends.diagonal(offset).copy_(factor * smoothness * table[1:-1])

    normal = per_code.sum(0).diag() - coupled.T @ coupled + bends.T @ bends
    normal[coding.CODES // 2, coding.CODES // 2] += 1.0  # the equation g(128) = 0
    return torch.linalg.solve(normal, target)


def recover_response(stack: Tensor, times: Tensor, *, samples: int = 256, smoothness: float = 128.0) -> Tensor:
    """Recover the inverse camera response of each channel from a stack (Debevec1997, as in Banterle2017).

    The channels' unknown factors are chosen such that code 127 is grey, with the geometric mean of the three unchanged,
    and all are divided by what the blue one's largest value was before that. The Toolbox finds its factors with a
    simplex search whose overall scale is arbitrary, so results agree with it up to one factor.

    Parameters
    ----------
    stack
        (N, K, 3, H, W) in [0, 1], K >= 2, rounded to 8-bit codes; static scenes.
    times
        (N, K) or (K,), ascending; seconds or relative.
    samples
        Number of quantiles taken from the histograms.
    smoothness
        Weight of smoothness. 128 is the Toolbox's default since 2019, 20 that of older versions and of ports.

    Returns
    -------
    Tensor
        (N, 3, 256) float64: the exposure each code stands for.

    Raises
    ------
    ValueError
        On a malformed stack, one exposure, times that do not ascend, or images without any usable change.
    """
    coding.check_stack(stack, least=2)
    times = coding.check_times(stack, times)
    curves = torch.stack(
        [
            torch.stack([solve_response(channel, times[n], smoothness=smoothness) for channel in channels])
            for n, channels in enumerate(sample_codes(stack, samples))
        ]
    )
    grey = curves[..., coding.CODES // 2 - 1, None]
    balanced = curves - grey + grey.mean(1, keepdim=True) - curves[:, -1:].amax(-1, keepdim=True)
    return balanced.exp().to(stack.device)


def merge(
    stack: Tensor,
    times: Tensor,
    response: Tensor,
    *,
    weights: Tensor | None = None,
    one_sided: bool = True,
    offset: float = OFFSET,
) -> Tensor:
    """Merge a stack into a radiance map by a weighted mean of logarithms (Debevec1997, eq. 6, as in Banterle2017).

    Parameters
    ----------
    stack
        (N, K, 3, H, W) in [0, 1], K >= 2.
    times
        (N, K) or (K,), ascending; the unit of the result is that of the response per time.
    response
        (N, 3, L) or (3, L), the exposure each of L equidistant codes stands for, e.g. from `recover_response`, or
        ``torch.linspace(0, 1, 65536) ** 2.2`` per channel. Codes are rounded to the nearest of L: 256 are all of an
        8-bit image, but too few for one of 16 bits.
    weights
        (L,) weight of each code; `codes.hat` by default. `codes.gaussian` and ``torch.ones(L)`` are in use, too.
    one_sided
        Trust the ends of the stack: weigh the shortest exposure with z if any of its codes z exceeds 0.9, and the longest
        with 1 - z if any of its codes is below 0.1, since there no other exposure knows better.
    offset
        Added to exposures before the logarithm.

    Returns
    -------
    Tensor
        (N, 3, H, W), above 0. Pixels without any weight take the value described at `codes.bound_unweighted`.

    Raises
    ------
    ValueError
        On a malformed stack or response, one exposure, times that do not ascend, or weights that are negative or no (L,).
    """
    coding.check_stack(stack, least=2)
    times, response = coding.check_times(stack, times), coding.check_response(stack, response)
    levels = response.shape[-1]
    weights = coding.hat(levels) if weights is None else weights
    if tuple(weights.shape) != (levels,) or not bool((weights >= 0).all()):
        raise ValueError(f"expected {levels} weights >= 0, one per code of the response, got {tuple(weights.shape)}")
    each = weights.to(times)[None, None].repeat(*stack.shape[:2], 1)
    if one_sided:
        ramp = torch.linspace(0.0, 1.0, levels).to(times)
        clipped, dark = stack[:, 0].flatten(1).amax(1) > CLIPPED, stack[:, -1].flatten(1).amin(1) < DARK
        each[:, 0] = torch.where(clipped[:, None], ramp, each[:, 0])
        each[:, -1] = torch.where(dark[:, None], 1.0 - ramp, each[:, -1])
    each = each[:, :, None].expand(-1, -1, 3, -1)
    logarithms = (response[:, None] + offset).log() - times.log()[:, :, None, None]
    codes = coding.quantise(stack, levels)
    # Each table entry is finite where its weight is 0, even for a response of 0 without an offset.
    products = torch.where(each > 0, each * logarithms, 0.0)
    total = coding.weighted_sum(codes, each, stack.dtype)
    radiance = coding.weighted_sum(codes, products, stack.dtype).div_(total).exp_()
    return coding.bound_unweighted(radiance, total, stack, times, response)
