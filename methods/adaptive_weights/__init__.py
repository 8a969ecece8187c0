"""Exposure fusion by adaptive weights (Lee2018), as section 2.4 of the paper 'unsupervised_fusion' describes it.

Weight 1, which the paper calls well-exposedness, prefers bright pixels in dark exposures and dark ones in bright exposures;
weight 2, the global gradient, codes that are rare in their exposure. The paper multiplies the two and sums pixel by pixel
(eq. 2). The original authors smooth the weights and blend in Laplacian pyramids.
"""

from torch import Tensor, nn

from hdrbench.errors import unknown
from hdrbench.imaging.merging import adaptive
from hdrbench.methods import Fusion, Method

WEIGHTS = {"both": "both", "well_exposedness": "intensity", "gradient": "gradient"}


class AdaptiveWeights(nn.Module):
    """The options; there is nothing to learn.

    Parameters
    ----------
    weights
        ``"both"``, ``"well_exposedness"`` (weight 1) or ``"gradient"`` (weight 2), as in Figure 1.
    blending
        ``"pyramid"``, the original authors' smoothed weights and pyramids; ``"sum"``, the plain weighted sum of eq. 2;
        ``"smoothed_sum"``, that with the smoothed weights.

    Raises
    ------
    HdrbenchError
        On an unknown option.
    """

    def __init__(self, weights: str = "both", blending: str = "pyramid") -> None:
        super().__init__()
        if weights not in WEIGHTS:
            raise unknown("adaptive weight", weights, WEIGHTS)
        if blending not in adaptive.BLENDINGS:
            raise unknown("blending", blending, adaptive.BLENDINGS)
        self.use, self.blending = WEIGHTS[weights], blending


def fuse(network: nn.Module, stack: Tensor) -> Fusion:
    """Fuse (N, K, 3, H, W) exposures, K >= 2, in any order.

    Raises
    ------
    ValueError
        On exposures of equal mean luma, for which weight 1 is not defined.
    """
    assert isinstance(network, AdaptiveWeights)
    image, weights = adaptive.fuse(stack, use=network.use, blending=network.blending)
    return Fusion(image, weights.unsqueeze(2))


METHOD = Method(title="Adaptive weights", reference="Lee2018", build=AdaptiveWeights, fuse=fuse)
