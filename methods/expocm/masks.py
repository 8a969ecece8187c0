"""Over-, under- and well-exposed regions of an LDR image by percentiles of its luma (Liu2026, eq. 5-7)."""

from typing import NamedTuple

import torch
from torch import Tensor

from hdrbench.imaging.color import luminance

KINDS = ("three", "two", "none")
PERCENTILES = (0.02, 0.98)
TAU = 0.02


class Masks(NamedTuple):
    """Weights of the regions, (N, 1, H, W) in [0, 1], that sum to 1."""

    over: Tensor
    under: Tensor
    good: Tensor


def exposure_masks(ldr: Tensor, tau: float = TAU) -> Masks:
    """Weigh the pixels of an LDR image by exposure.

    The percentiles, interpolated linearly, are those of each image that is passed: of the crop in training, of the whole
    image otherwise. About 2% of the pixels are on either side whether or not anything is clipped. An image without
    contrast, for which eq. 6 divides by zero, is well exposed.

    Parameters
    ----------
    ldr
        (N, 3, H, W) codes in [0, 1].
    tau
        Width of the transition by the distance of the percentiles, in (0, 0.5).

    Raises
    ------
    ValueError
        If `tau` is outside that range, where the two transitions would overlap.
    """
    if not 0.0 < tau < 0.5:
        raise ValueError(f"tau must be between 0 and 0.5, got {tau}")
    luma = luminance(ldr.float())
    levels = torch.tensor(PERCENTILES, dtype=luma.dtype, device=luma.device)
    # One image at a time, because torch.quantile refuses more than 16 million values.
    low, high = torch.stack([torch.quantile(plane.flatten(), levels) for plane in luma]).view(-1, 2, 1, 1, 1).unbind(1)
    band = tau * (high - low)
    width = torch.where(band > 0.0, band, torch.ones_like(band))
    dark = torch.where(band > 0.0, ((low + band - luma) / width).clamp(0.0, 1.0), torch.zeros_like(luma))
    bright = torch.where(band > 0.0, ((luma - (high - band)) / width).clamp(0.0, 1.0), torch.zeros_like(luma))
    over, under = bright * (1.0 - dark), dark * (1.0 - bright)
    return Masks(over, under, 1.0 - torch.maximum(over, under))


def merge(masks: Masks, kind: str, ill_posed: str = "over") -> Masks:
    """Keep three regions, or fewer, for the ablation of Table 2.

    Parameters
    ----------
    masks
        All three.
    kind
        ``"three"``; ``"two"``, where over- and under-exposed are one region; or ``"none"``, where all is well exposed.
    ill_posed
        Which of ``"over"`` and ``"under"`` that one region is.
    """
    none = torch.zeros_like(masks.good)
    if kind == "none":
        return Masks(none, none, torch.ones_like(masks.good))
    if kind == "two":
        both = 1.0 - masks.good
        return Masks(both, none, masks.good) if ill_posed == "over" else Masks(none, both, masks.good)
    return masks
