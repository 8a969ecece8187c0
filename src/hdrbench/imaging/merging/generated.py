"""What methods that generate a stack from one image share: sides of a suitable size, and merging what was generated."""

import math
import warnings
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from hdrbench.errors import HdrbenchError, unknown
from hdrbench.imaging.merging import debevec, opencv, robertson
from hdrbench.imaging.merging.codes import CODES
from hdrbench.imaging.transfer import GAMMA, gamma_decode

MOST = 1000  # exposures of a stack

# Ways of merging: how the response is recovered, and how exposures are merged with it.
MERGES: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor, Tensor, Tensor], Tensor]]] = {
    "debevec": (debevec.recover_response, debevec.merge),
    "opencv_debevec": (opencv.calibrate_debevec, opencv.merge_debevec),
    "robertson": (robertson.recover_response, robertson.merge),
}


def pad_to_multiple(images: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column of (N, C, H, W) until both sides are multiples; cropping to (H, W) undoes it."""
    height, width = images.shape[-2:]
    missing = (0, -width % multiple, 0, -height % multiple)
    return F.pad(images, missing, mode="replicate") if any(missing) else images


def parse_evs(text: str) -> tuple[float, ...]:
    """Read exposure values: a range with its end, such as ``-3:3:0.5``, or a list, such as ``-2,0,2``.

    Raises
    ------
    HdrbenchError
        If it is neither, or they do not ascend.
    """
    try:
        if text.count(":") == 2:
            first, last, step = (float(part) for part in text.split(":"))
            count = round((last - first) / step) if step > 0 else 0
            valid = 0 < count < MOST and abs(first + step * count - last) < 1e-6
            evs = tuple(first + step * k for k in range(count + 1)) if valid else ()
        else:
            evs = tuple(float(part) for part in text.split(","))
            valid = all(math.isfinite(ev) for ev in evs)
    except (ValueError, OverflowError):
        valid, evs = False, ()
    if not valid or list(evs) != sorted(set(evs)) or len(evs) < 2:
        raise HdrbenchError(f"exposure values '{text}': expected two or more that ascend, such as -3:3:0.5 or -2,0,2")
    return evs


def merge_stack(stack: Tensor, evs: Sequence[float], how: str) -> Tensor:
    """Merge still exposures of a camera that nobody knows, as their 8-bit files would be.

    The response is recovered from each stack. Known up to a factor only, it is scaled such that the middle code stands for
    the exposure that gamma 2.2 gives it.

    Parameters
    ----------
    stack
        (N, K, 3, H, W) display codes in [0, 1], K >= 2.
    evs
        Their K exposure values, ascending; 0 is the photograph that others were generated from.
    how
        Key of `MERGES`.

    Returns
    -------
    Tensor
        (N, 3, H, W) linear, 1 = about the saturation of the exposure at EV 0.

    Warns
    -----
    UserWarning
        Where a stack has no response to recover, as that of a black image; gamma 2.2 is taken for it.

    Raises
    ------
    ValueError
        On a malformed stack, or exposure values that do not ascend.
    HdrbenchError
        On an unknown way of merging.
    """
    responses = recover_response(stack, evs, how)
    return MERGES[how][1](_coded(stack), _times(evs, stack), responses).to(stack.dtype)


def recover_response(stack: Tensor, evs: Sequence[float], how: str) -> Tensor:
    """Recover the response that `merge_stack` takes: (N, K, 3, H, W) to (N, 3, 256)."""
    if how not in MERGES:
        raise unknown("way of merging", how, MERGES)
    return torch.cat([_response(scene[None], _times(evs, stack), MERGES[how][0]) for scene in _coded(stack)])


def _coded(stack: Tensor) -> Tensor:
    return (stack * (CODES - 1)).round() / (CODES - 1)


def _times(evs: Sequence[float], stack: Tensor) -> Tensor:
    return 2.0 ** torch.tensor(evs, dtype=torch.float64, device=stack.device)


def _response(stack: Tensor, times: Tensor, recover: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Recover the scaled response of one stack: (1, K, 3, H, W) and (K,) to (1, 3, 256)."""
    gamma = gamma_decode(torch.linspace(0.0, 1.0, CODES, dtype=torch.float64, device=stack.device), GAMMA)
    try:
        response = recover(stack, times).double()
    except ValueError as error:
        if "cannot recover" not in str(error):
            raise
        warnings.warn(f"gamma 2.2 is taken as the response of a stack: {error}", stacklevel=4)
        return gamma.expand(1, 3, CODES)
    middle = CODES // 2
    return response * gamma[middle] / response[..., middle].mean(1)[:, None, None]
