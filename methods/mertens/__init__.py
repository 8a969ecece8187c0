"""Exposure fusion of Mertens, Kautz and Van Reeth, as in their MATLAB program, all three exponents 1 (Mertens2009)."""

from torch import Tensor, nn

from hdrbench.imaging.merging import mertens
from hdrbench.methods import Fusion, Method


def fuse(network: nn.Module, stack: Tensor) -> Fusion:
    """Fuse (N, K, 3, H, W) exposures in any order; `network` is not used."""
    image, weights = mertens.fuse(stack)
    return Fusion(image, weights.unsqueeze(2))


METHOD = Method(
    title="Mertens et al.",
    reference="Mertens2009",
    build=nn.Module,  # there are no options, and unlike nn.Identity it says so when one is given
    fuse=fuse,
)
