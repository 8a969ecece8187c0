"""Merging exposure stacks into one HDR image."""

from torch import Tensor

from hdrbench.imaging.exposure import to_radiance
from hdrbench.imaging.transfer import GAMMA


def triangle_weights(reference: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Blending weights of three exposures, read off the middle one (Kalantari2017; USME-HDR eq. 3 and Fig. 3).

    With z the middle image's value: short ``max(0, 2z - 1)``, middle ``1 - |2z - 1|``, long ``max(0, 1 - 2z)``.

    Parameters
    ----------
    reference
        Middle exposure, (N, C, H, W), in [0, 1]; weights are per pixel and channel.

    Returns
    -------
    tuple of Tensor
        Weights of the short, middle and long exposure. They are in [0, 1] and sum to 1 wherever `reference` is in range.
    """
    position = 2.0 * reference - 1.0
    return position.clamp_min(0.0), 1.0 - position.abs(), (-position).clamp_min(0.0)


def fuse_exposures(short: Tensor, middle: Tensor, long: Tensor, times: Tensor, gamma: float = GAMMA) -> Tensor:
    """Exposure-weighted fusion of three aligned LDR images (USME-HDR eq. 1-3).

    Parameters
    ----------
    short, middle, long
        (N, 3, H, W), display-referred; `middle` must lie in [0, 1], since it decides the weights.
    times
        (N, 3) relative exposure times, shortest = 1.
    gamma
        Exponent of the camera curve.

    Returns
    -------
    Tensor
        (N, 3, H, W) linear radiance, 1 = saturation of the shortest exposure.
    """
    weights = triangle_weights(middle)
    total = weights[0] + weights[1] + weights[2]
    images = (short, middle, long)
    merged = sum(
        weight * to_radiance(image, times[:, index], gamma)
        for index, (weight, image) in enumerate(zip(weights, images, strict=True))
    )
    return merged / total
