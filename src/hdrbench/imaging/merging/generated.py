"""What methods that generate a stack from one image share: sides of a suitable size, and merging what was generated."""

import warnings
from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from hdrbench.imaging.merging import debevec
from hdrbench.imaging.merging.codes import CODES
from hdrbench.imaging.transfer import GAMMA, gamma_decode


def pad_to_multiple(images: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column of (N, C, H, W) until both sides are multiples; cropping to (H, W) undoes it."""
    height, width = images.shape[-2:]
    missing = (0, -width % multiple, 0, -height % multiple)
    return F.pad(images, missing, mode="replicate") if any(missing) else images


def merge_generated(stack: Tensor, evs: Sequence[float]) -> Tensor:
    """Merge generated exposures as their 8-bit files would be, with Debevec and Malik's method (Debevec1997).

    The response is recovered from each stack. Known up to a factor only, it is scaled such that the middle code stands for
    the exposure that gamma 2.2 gives it.

    Parameters
    ----------
    stack
        (N, K, 3, H, W) display codes in [0, 1], K >= 2.
    evs
        Their K exposure values, ascending; 0 is the photograph.

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
    """
    times = 2.0 ** torch.tensor(evs, dtype=torch.float64, device=stack.device)
    coded = (stack * (CODES - 1)).round() / (CODES - 1)
    responses = torch.cat([_response(scene[None], times) for scene in coded])
    return debevec.merge(coded, times, responses)


def _response(stack: Tensor, times: Tensor) -> Tensor:
    """Recover the scaled response of one stack: (1, K, 3, H, W) and (K,) to (1, 3, 256)."""
    gamma = gamma_decode(torch.linspace(0.0, 1.0, CODES, dtype=torch.float64, device=stack.device), GAMMA)
    try:
        response = debevec.recover_response(stack, times)
    except ValueError as error:
        if "cannot recover" not in str(error):
            raise
        warnings.warn(f"gamma 2.2 is taken as the response of a generated stack: {error}", stacklevel=3)
        return gamma.expand(1, 3, CODES)
    middle = CODES // 2
    return response * gamma[middle] / response[..., middle].mean(1)[:, None, None]
