"""Unsupervised exposure fusion: a network weighs an under- and an over-exposed image, trained to keep the structure of both.

under ─┐                                                ┌─ weights ─┐
       ├─ grey ─ encoder (10 convolutions) ─ decoder (10) ─ softmax ─┤── weighted sum of RGB
over ──┘                                                └─ weights ─┘

The paper 'unsupervised_fusion' (section 3) takes the network of Hou2021 and the loss of PFNet (Zhang2020), and compares five
definitions of gamma, the share of each exposure in the loss.
"""

from torch import Tensor, nn

from hdrbench.methods import Fusion, Method
from hdrbench.methods.unsupervised_fusion.losses import objective
from hdrbench.methods.unsupervised_fusion.network import FusionNetwork, weighted_sum


def fuse(network: nn.Module, stack: Tensor) -> Fusion:
    """Fuse pairs of exposures, (N, 2, 3, H, W) in [0, 1], the darker first.

    Raises
    ------
    ValueError
        If there are not two.
    """
    weights = network(stack)
    # The weights sum to 1, so a fused value leaves [0, 1] by rounding at most.
    return Fusion(weighted_sum(weights, stack).clamp(0.0, 1.0), weights)


METHOD = Method(
    title="Unsupervised fusion",
    reference="Nagaswetha2025",
    build=FusionNetwork,
    fuse=fuse,
    frames=2,
    objective=objective,
)
