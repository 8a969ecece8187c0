"""The naive baseline: the middle exposure, linearised by gamma 2.2 alone. What is clipped stays clipped."""

from torch import Tensor, nn

from hdrbench.imaging.exposure import to_radiance
from hdrbench.methods import Method, Reconstruction


def reconstruct(network: nn.Module, middle: Tensor, times: Tensor) -> Reconstruction:
    """Map the (N, 3, H, W) LDR image to radiance by its exposure time; `network` is not used."""
    return Reconstruction(to_radiance(middle, times[:, 1]), {})


METHOD = Method(
    title="Gamma 2.2 alone",
    reference="Kalantari2017",
    build=nn.Identity,
    reconstruct=reconstruct,
)
