"""The naive baseline: an image linearised by gamma 2.2 alone. What is clipped stays clipped."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hdrbench.imaging.exposure import to_radiance
from hdrbench.imaging.transfer import GAMMA, gamma_decode, gamma_encode
from hdrbench.methods import Method, Reconstruction


def reconstruct(network: nn.Module, middle: Tensor, times: Tensor) -> Reconstruction:
    """Map the (N, 3, H, W) LDR image to radiance by its exposure time; `network` is not used."""
    return Reconstruction(to_radiance(middle, times[:, 1]), {})


def expose(network: nn.Module, image: Tensor, evs: Sequence[float]) -> Tensor:
    """Scale the linear (N, 3, H, W) image by each of K exposures, and clip: (N, K, 3, H, W); `network` is not used."""
    linear = gamma_decode(image, GAMMA)
    made = [gamma_encode((linear * 2.0**ev).clamp_max(1.0), GAMMA) if ev else image for ev in evs]
    return torch.stack(made, 1)


METHOD = Method(
    title="Gamma 2.2 alone",
    reference="Kalantari2017",
    build=nn.Identity,
    reconstruct=reconstruct,
    expose=expose,
)
