"""Multi-scale structural similarity."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from hdrbench.metrics.checks import check_pair
from hdrbench.metrics.ssim import GAUSSIAN, Index, check_peak
from hdrbench.metrics.windows import finite, mean_over_positions

WANG = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
# As in the qm_msssim of Mantiuk's code, whose coarsest scale is not raised to its power.
MANTIUK = (*WANG[:-1], 1.0)


def _halved(images: Tensor) -> Tensor:
    """Average blocks of 2x2 pixels in float64; a last odd row or column is mirrored to make a block."""
    height, width = images.shape[-2:]
    if height % 2 or width % 2:
        images = F.pad(images, (0, width % 2, 0, height % 2), mode="replicate")
    rows = images[..., ::2, :].double() + images[..., 1::2, :]
    return (rows[..., ::2] + rows[..., 1::2]) / 4


def _powered(mean: Tensor, exponent: float) -> Tensor:
    """Raise to a power, negative bases giving 0; a power of 1 changes nothing."""
    if exponent == 1.0:
        return mean
    positive = mean > 0
    # The outer choice alone would leave the slope of 0 ** exponent, which is infinite, in the gradient.
    return torch.where(positive, torch.where(positive, mean, 1.0) ** exponent, 0.0)


def ms_ssim(pred: Tensor, ref: Tensor, *, peak: float = 1.0, exponents: tuple[float, ...] = WANG) -> Tensor:
    """Multi-scale structural similarity (Wang2003), the convention of Wang's msssim.m.

    Per channel, the product over scales of the mean contrast-structure term, and of the mean SSIM index at the coarsest
    one, each to its power; then the mean over channels. The window is the 11x11 Gaussian of sigma 1.5, where it fits;
    from scale to scale blocks of 2x2 pixels are averaged, the border mirrored. Nothing is clipped or rounded.

    A mean that is negative, as that of an image and its negative, has no real power: it counts as 0, and the channel with
    it. An exponent of 1 takes it as it is.

    Parameters
    ----------
    pred, ref
        (N, C, H, W), in one domain and unit, at least 11 * 2 ** (len(exponents) - 1) pixels on each side: 176 for five.
    peak
        The largest value of that domain.
    exponents
        One for each scale, finest first; `WANG` or `MANTIUK`.

    Returns
    -------
    Tensor
        (N,) float64, at most 1; 1 for identical images, also where they are flat, black or saturated.

    Raises
    ------
    ValueError
        On unequal shapes, values that are not finite or too large for float64, a peak that is not positive, or images
        that are too small.
    """
    check_pair(pred, ref)
    check_peak(peak)
    least = len(GAUSSIAN) * 2 ** (len(exponents) - 1)
    if min(pred.shape[-2:]) < least:
        raise ValueError(f"ms_ssim needs images of at least {least}x{least} pixels, got {tuple(pred.shape[-2:])}")
    count, channels = pred.shape[:2]
    x, y = (image.flatten(0, 1).unsqueeze(1) for image in (pred, ref))
    score = torch.ones(count * channels, dtype=torch.float64, device=pred.device)
    for scale, exponent in enumerate(exponents, start=1):
        index = Index(peak, contrast_only=scale < len(exponents))
        score = score * _powered(mean_over_positions(index, x, y, len(GAUSSIAN)), exponent)
        if scale < len(exponents):
            x, y = _halved(x), _halved(y)
    return finite(score.view(count, channels).mean(dim=1))
