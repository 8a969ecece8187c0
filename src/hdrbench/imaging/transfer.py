"""Transfer functions between display-referred codes and linear radiance.

All functions work elementwise on tensors of any shape and keep dtype and device. The power and logarithmic curves are
extended to negative values as odd functions, because a network's output may undershoot 0 while it trains: on [0, 1] they
are the published ones, below 0 they stay finite and keep a gradient.
"""

import math

import torch
from torch import Tensor

MU = 5000.0
GAMMA = 2.2


def gamma_decode(code: Tensor, gamma: float = GAMMA) -> Tensor:
    """Linearise gamma-coded values: ``code ** gamma``, odd below 0.

    Parameters
    ----------
    code
        Display-referred values, nominally in [0, 1].
    gamma
        Exponent, 2.2 in the deghosting literature (Kalantari2017).
    """
    return code.sign() * code.abs().pow(gamma)


def gamma_encode(linear: Tensor, gamma: float = GAMMA) -> Tensor:
    """Code linear values in [0, 1] with a power curve; inverse of `gamma_decode` for non-negative values."""
    return linear.sign() * linear.abs().pow(1.0 / gamma)


def mu_law(linear: Tensor, mu: float = MU) -> Tensor:
    """Compress linear radiance logarithmically: ``log(1 + mu x) / log(1 + mu)``, odd below 0.

    Maps [0, 1] to [0, 1]. The HDR literature's range compressor T (Kalantari2017), with mu = 5000.
    """
    return linear.sign() * torch.log1p(mu * linear.abs()) / math.log1p(mu)


def mu_law_inverse(compressed: Tensor, mu: float = MU) -> Tensor:
    """Expand what `mu_law` compressed."""
    return compressed.sign() * torch.expm1(compressed.abs() * math.log1p(mu)) / mu


def srgb_decode(code: Tensor) -> Tensor:
    """Linearise sRGB codes in [0, 1] (IEC 61966-2-1)."""
    return torch.where(code <= 0.04045, code / 12.92, ((code.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4)


def srgb_encode(linear: Tensor) -> Tensor:
    """Code linear values in [0, 1] as sRGB (IEC 61966-2-1)."""
    return torch.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear.clamp_min(0.0031308) ** (1 / 2.4) - 0.055)


def rec709_decode(code: Tensor) -> Tensor:
    """Linearise Rec. 709 camera codes in [0, 1] (ITU-R BT.709-6, inverse of its opto-electronic curve)."""
    return torch.where(code < 0.081, code / 4.5, ((code.clamp_min(0.081) + 0.099) / 1.099) ** (1 / 0.45))


def rec709_encode(linear: Tensor) -> Tensor:
    """Code linear values in [0, 1] with the opto-electronic curve of ITU-R BT.709-6."""
    return torch.where(linear < 0.018, linear * 4.5, 1.099 * linear.clamp_min(0.018) ** 0.45 - 0.099)
