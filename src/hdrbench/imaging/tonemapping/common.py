"""What all tone mapping operators share."""

import torch
from torch import Tensor


def radiance(image: Tensor) -> Tensor:
    """Check an operator's input and convert it to float64.

    Parameters
    ----------
    image
        (N, 3, H, W), linear RGB.

    Raises
    ------
    ValueError
        Another shape, integers, or values that are NaN, infinite or negative.
    """
    if image.dim() != 4 or image.shape[1] != 3 or image.numel() == 0:
        raise ValueError(f"expected radiance of shape (N, 3, H, W), got {tuple(image.shape)}")
    if not image.is_floating_point():
        raise ValueError(f"expected floating-point radiance, got {image.dtype}")
    low, high = (float(bound) for bound in torch.aminmax(image.detach()))
    if not (low >= 0.0 and high < float("inf")):
        raise ValueError(f"expected finite radiance >= 0, got {low:g} to {high:g}")
    return image.double()


def quotient(dividend: Tensor, divisor: Tensor) -> Tensor:
    """Divide, with 0 where the divisor is 0: a black pixel has no colour, and a uniform image no contrast."""
    empty = divisor == 0
    return torch.where(empty, 0.0, dividend / torch.where(empty, 1.0, divisor))


def mean(values: Tensor) -> Tensor:
    """Mean over all but the first dimension, which stays as (N, 1, 1, 1)."""
    return values.mean((1, 2, 3), keepdim=True)


def lowest(values: Tensor) -> Tensor:
    """Minimum over all but the first dimension, which stays as (N, 1, 1, 1)."""
    return values.amin((1, 2, 3), keepdim=True)


def highest(values: Tensor) -> Tensor:
    """Maximum over all but the first dimension, which stays as (N, 1, 1, 1)."""
    return values.amax((1, 2, 3), keepdim=True)
