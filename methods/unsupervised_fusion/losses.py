"""The loss: SSIM of the fused image to both exposures, weighted by gamma (section 3.2).

Windows, sigma, zero padding and constants are those of PFNet (Zhang2020) and Hou2021, which the paper builds on; five windows
and three channels are its 1/15. Gamma takes the variance of the same window as the SSIM it weighs.
"""

import torch
from torch import Tensor, nn

from hdrbench.errors import unknown
from hdrbench.methods import Batch, Objective
from hdrbench.methods.unsupervised_fusion.gamma import KINDS, blur, importance, share
from hdrbench.methods.unsupervised_fusion.network import weighted_sum

WINDOWS = (11, 9, 7, 5, 3)
C1, C2 = 0.01**2, 0.03**2


def weighted_ssim_loss(under: Tensor, over: Tensor, fused: Tensor, gamma: str = "variance_gradient") -> Tensor:
    """One minus the SSIM of a fused image to both exposures, each pixel and channel weighted by gamma.

    Differentiable with respect to `fused`; gamma depends on the exposures alone. Computed in single precision or better.

    Parameters
    ----------
    under, over, fused
        (N, 3, H, W) display codes in [0, 1].
    gamma
        Key of `hdrbench.methods.unsupervised_fusion.gamma.KINDS`.

    Returns
    -------
    Tensor
        Scalar, the mean over windows, channels and pixels; 0 where all three images are alike.

    Raises
    ------
    HdrbenchError
        On an unknown gamma.
    """
    with torch.autocast(fused.device.type, enabled=False):
        fused = fused.float() if fused.dtype in (torch.float16, torch.bfloat16) else fused
        pair = torch.stack([under, over])
        moments = [blur(torch.cat([pair, pair.square()], -3), window).chunk(2, -3) for window in WINDOWS]
        variances = torch.stack([square - mean.square() for mean, square in moments])
        shares = share(importance(pair, variances, gamma))
        if shares.dim() == 4:  # a gamma that takes no variance is the same for all windows
            shares = shares.expand(len(WINDOWS), *shares.shape)
        scores = []
        for window, (mean, _), spread, part in zip(WINDOWS, moments, variances, shares, strict=True):
            similarity = ssim_to_both(pair, mean, spread, fused, window)
            scores.append(torch.lerp(similarity[1], similarity[0], part).mean())
        return 1.0 - torch.stack(scores).mean()


def ssim_to_both(pair: Tensor, mean: Tensor, variance: Tensor, fused: Tensor, window: int) -> Tensor:
    """Compute the SSIM map (Wang2004) of a fused image to each exposure.

    Parameters
    ----------
    pair, mean, variance
        Both exposures with their local moments, (2, N, 3, H, W).
    fused
        (N, 3, H, W).
    window
        Side of the window.

    Returns
    -------
    Tensor
        (2, N, 3, H, W).
    """
    fused_mean, square = blur(torch.cat([fused, fused.square()], -3), window).chunk(2, -3)
    product, squares = mean * fused_mean, fused_mean.square()
    covariance = blur(pair * fused, window) - product
    above = (2.0 * product + C1) * (2.0 * covariance + C2)
    return above / ((mean.square() + squares + C1) * (variance + (square - squares) + C2))


def objective(gamma: str = "variance_gradient") -> tuple[Objective, list[str]]:
    """Build the training objective.

    Parameters
    ----------
    gamma
        Key of `hdrbench.methods.unsupervised_fusion.gamma.KINDS`; the first five are the columns of Table 2.

    Returns
    -------
    tuple
        A function of (network, batch) that returns the loss under the name ``"ssim"``, of batches with ``"under"`` and
        ``"over"``, (N, 3, H, W) in [0, 1]; and no notes.

    Raises
    ------
    HdrbenchError
        On an unknown gamma.
    """
    if gamma not in KINDS:
        raise unknown("gamma", gamma, KINDS)

    def losses(network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        stack = torch.stack([batch["under"], batch["over"]], 1)
        fused = weighted_sum(network(stack), stack)
        return {"ssim": weighted_ssim_loss(batch["under"], batch["over"], fused, gamma)}

    return losses, []
