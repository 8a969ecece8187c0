"""Structural similarity, in the conventions under which papers and libraries report it."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from hdrbench.errors import unknown
from hdrbench.metrics.checks import check_pair
from hdrbench.metrics.windows import Buffers, gaussian, mean_over_positions, moments

K1, K2 = 0.01, 0.03
GAUSSIAN = gaussian(11, 1.5)


@dataclass(frozen=True)
class Variant:
    """What implementations of SSIM disagree about.

    Attributes
    ----------
    taps
        The window's weights in one dimension.
    border
        ``"valid"`` keeps the positions where the window fits; ``"reflect"`` and ``"replicate"`` extend the image first,
        mirrored without its edge or by its edge, and keep all of them.
    clip
        Clip values to [0, peak] first.
    downsample
        Average blocks of round(shorter side / 256) pixels squared first.
    unbiased
        Scale variances and covariance by n / (n - 1), n being the window's pixels.
    volume
        Take the channels as a third dimension of the window, replicated at both ends.
    epsilon
        Added to the denominator of the whole fraction.
    nonnegative
        Count negative contrast-structure terms as 0.
    """

    taps: tuple[float, ...] = GAUSSIAN
    border: str = "valid"
    clip: bool = False
    downsample: bool = False
    unbiased: bool = False
    volume: bool = False
    epsilon: float = 0.0
    nonnegative: bool = False


VARIANTS = {
    "selfhdr": Variant(clip=True),
    "wang": Variant(),
    "matlab": Variant(border="replicate"),
    "matlab_volume": Variant(border="replicate", volume=True),
    "sample_covariance": Variant(unbiased=True),
    "piq": Variant(downsample=True),
    "skimage": Variant(taps=(1 / 7,) * 7, unbiased=True),
    "torchmetrics": Variant(border="reflect"),
    "kornia": Variant(border="reflect", epsilon=1e-12),
    "kornia_valid": Variant(epsilon=1e-12),
    "pytorch_msssim": Variant(taps=gaussian(11, 1.5, torch.float32)),
    "pyiqa": Variant(nonnegative=True),
}


@dataclass(frozen=True)
class Index:
    """The SSIM index of every position.

    Attributes
    ----------
    peak
        The largest value of the images' domain.
    variant
        All of it but `border` and `downsample`, which concern whole images.
    contrast_only
        Leave the luminance term out.
    """

    peak: float
    variant: Variant = Variant()
    contrast_only: bool = False

    def __call__(self, x: Tensor, y: Tensor, room: Buffers) -> Tensor:
        """Compare (N, C, H, W) float64 batches; returns (N, C, h, w), the positions where the window fits."""
        taps, pixels = self.variant.taps, len(self.variant.taps) ** 2
        if self.variant.clip:
            x, y = (torch.clamp(image, 0.0, self.peak, out=room.over(image)) for image in (x, y))
        local = moments(x, y, taps, room, _across_channels(x, taps) if self.variant.volume else None)
        c1, c2 = (K1 * self.peak) ** 2, (K2 * self.peak) ** 2
        scale = pixels / (pixels - 1) if self.variant.unbiased else 1.0
        # In place, without asking `room`, only where no gradient needs what is overwritten.
        product = torch.mul(local.x, local.y, out=room.out(local.x.shape))
        squares = torch.square(local.x, out=room.over(local.x)).addcmul_(local.y, local.y)
        above = torch.sub(local.product, product, out=room.over(local.product)).mul_(2 * scale).add_(c2)
        below = torch.sub(local.squares, squares, out=room.over(local.squares)).mul_(scale).add_(c2)
        if self.variant.nonnegative:
            above = torch.clamp(above, min=0.0, out=room.over(above))
        if not self.contrast_only:
            above = torch.mul(product.mul_(2).add_(c1), above, out=room.over(above))
            below = torch.mul(squares.add_(c1), below, out=room.over(below)).add_(self.variant.epsilon)
        return torch.div(above, below, out=room.over(above))


def _across_channels(images: Tensor, taps: tuple[float, ...]) -> Tensor:
    """Return the window along the C channels, the end ones replicated, as a (C, C) float64 matrix."""
    window = torch.tensor(taps, dtype=torch.float64, device=images.device)
    alone = torch.eye(images.shape[1], dtype=torch.float64, device=images.device).unsqueeze(1)
    return F.conv1d(F.pad(alone, (len(taps) // 2,) * 2, mode="replicate"), window.view(1, 1, -1)).squeeze(1).T


def check_peak(peak: float) -> None:
    """Raise `ValueError` unless a domain can end at `peak`."""
    if not (peak > 0 and math.isfinite(peak)):
        raise ValueError(f"expected a positive, finite peak, got {peak}; pass the largest value of the images' domain")


def _prepared(images: Tensor, variant: Variant) -> Tensor:
    """Downsample and extend (N, C, H, W) images as the variant asks, or raise `ValueError` if the window does not fit."""
    size, radius = len(variant.taps), len(variant.taps) // 2
    if variant.downsample:
        factor = max(1, round(min(images.shape[-2:]) / 256))
        images = F.avg_pool2d(images.double(), factor) if factor > 1 else images
    least = {"valid": size, "reflect": radius + 1, "replicate": 1}[variant.border]
    if min(images.shape[-2:]) < least:
        raise ValueError(f"this ssim needs images of at least {least}x{least} pixels, got {tuple(images.shape[-2:])}")
    return images if variant.border == "valid" else F.pad(images, (radius,) * 4, mode=variant.border)


def ssim(pred: Tensor, ref: Tensor, *, peak: float = 1.0, variant: str = "selfhdr") -> Tensor:
    """Structural similarity (Wang2004): the mean of the SSIM map over all positions and channels.

    Implementations differ by up to 0.57 on one pair of colour images, so a score means nothing without its variant:

    ===================== ===============================================================================================
    ``selfhdr``           Evaluation code of SelfHDR (Zhang2024), HDR-Transformer and ADNet: values clipped to [0, peak],
                          11x11 Gaussian window of sigma 1.5 where it fits, population covariance, mean over channels
    ``wang``              The same, values not clipped: ssim_index.m of 2003 channel by channel; scikit-image with
                          Gaussian weights and population covariance; piq without its downsampling
    ``matlab``            MATLAB's ssim() as it is documented, channel by channel: ``wang`` with the image's edge
                          replicated, for a map of the image's size
    ``matlab_volume``     MATLAB's ssim() of an RGB array, which it takes for a volume: the window is 11x11x11, and the
                          first and last channel are replicated too
    ``sample_covariance`` ``wang`` with sample covariance: scikit-image with Gaussian weights; BracketIRE
    ``skimage``           scikit-image's default: 7x7 uniform window where it fits, sample covariance
    ``piq``               piq's default: ``wang`` of images brought to about 256 pixels on their shorter side
    ``pytorch_msssim``    ``wang`` with a window computed in float32, whatever the images are
    ``torchmetrics``      ``wang`` with the image mirrored at its border, for a map of the image's size
    ``kornia``            ``torchmetrics`` with 1e-12 added to the denominator
    ``kornia_valid``      ``wang`` with 1e-12 added to the denominator
    ``pyiqa``             ``wang`` with negative contrast terms counted as 0; pyiqa also rounds its input to 8 bit
    ===================== ===============================================================================================

    All is computed in float64, in which libraries may lose up to 1e-4 to float32. Unclipped values v beyond the peak cost
    digits, some 1e-12 (v / peak)² of the index.

    Parameters
    ----------
    pred, ref
        (N, C, H, W), in one domain and unit, at least as large as the window; ``torchmetrics`` and ``kornia`` take 6x6
        pixels, ``matlab`` and ``matlab_volume`` any.
    peak
        The largest value of that domain.
    variant
        A name in the table, a key of `VARIANTS`.

    Returns
    -------
    Tensor
        (N,) float64, at most 1 but for rounding. Identical images score 1, flat, black and saturated ones too; with the
        two kornia variants some 1e-5 less.

    Raises
    ------
    ValueError
        On unequal shapes, values that are not finite or too large for float64, a peak that is not positive, or images
        that are too small.
    HdrbenchError
        On an unknown variant.
    """
    check_pair(pred, ref)
    check_peak(peak)
    if variant not in VARIANTS:
        raise unknown("SSIM variant", variant, VARIANTS)
    chosen = VARIANTS[variant]
    x, y = _prepared(pred, chosen), _prepared(ref, chosen)
    return mean_over_positions(Index(peak, chosen), x, y, len(chosen.taps), together=chosen.volume)
