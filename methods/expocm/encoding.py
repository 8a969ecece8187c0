"""The network's range: display codes and HDR as numbers in [-1, 1]. The paper prints no encoding of HDR."""

import math

import torch
from torch import Tensor

from hdrbench.imaging.transfer import MU, mu_law

ENCODINGS = ("mu_law", "linear")


def encode(hdr: Tensor, kind: str) -> Tensor:
    """Map linear HDR in [0, 1] to [-1, 1], through the mu-law or not."""
    return 2.0 * (mu_law(hdr) if kind == "mu_law" else hdr) - 1.0


def decode(code: Tensor, kind: str) -> Tensor:
    """Invert `encode`; outside [-1, 1] the curve goes on along its tangents, where its powers would overflow."""
    value = (code + 1.0) / 2.0
    if kind == "linear":
        return value
    inside, rate = value.clamp(0.0, 1.0), math.log1p(MU)
    slope = torch.where(value > 0.5, rate * (1.0 + MU) / MU, rate / MU)
    return torch.expm1(rate * inside) / MU + slope * (value - inside)
