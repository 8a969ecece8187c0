"""Peak signal-to-noise ratio."""

import torch
from torch import Tensor

from hdrbench.metrics.checks import check_pair


def psnr(pred: Tensor, ref: Tensor, *, peak: float = 1.0) -> Tensor:
    """Peak signal-to-noise ratio over all samples of each image.

    Nothing is clipped or aligned, and no epsilon is added, so identical images score infinity.

    Parameters
    ----------
    pred, ref
        (N, C, H, W), in one domain and unit.
    peak
        The largest value of that domain.

    Returns
    -------
    Tensor
        (N,) float64, dB.

    Raises
    ------
    ValueError
        On unequal shapes or values that are not finite.
    """
    check_pair(pred, ref)
    difference = pred.double() - ref.double()
    error = torch.linalg.vector_norm(difference, dim=(1, 2, 3)).square() / difference[0].numel()
    return 10.0 * torch.log10(peak**2 / error)
