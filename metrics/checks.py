"""Checks every full-reference metric makes on its input."""

import torch
from torch import Tensor


def check_pair(pred: Tensor, ref: Tensor) -> None:
    """Raise `ValueError` unless both are finite, non-empty (N, C, H, W) floating-point batches of one shape."""
    if pred.shape != ref.shape or pred.dim() != 4:
        raise ValueError(
            f"expected two (N, C, H, W) batches of one shape, got {tuple(pred.shape)} and {tuple(ref.shape)}"
        )
    if not pred.numel():
        raise ValueError(f"expected images with pixels, got {tuple(pred.shape)}")
    for name, batch in (("pred", pred), ("ref", ref)):
        if not batch.is_floating_point():
            raise ValueError(f"expected floating-point images, but {name} is {batch.dtype}")
        # A finite sum has finite terms only; looking at every value is left to the case that it is not, or overflows.
        if not torch.isfinite(batch.sum()) and not torch.isfinite(batch).all():
            raise ValueError(f"{name} holds {int((~torch.isfinite(batch)).sum())} values that are NaN or infinite")
