"""ExpandNet: HDR from one LDR image by three branches of different reach, end to end (Marnerides2018).

            ┌─ local: two 3x3 convolutions ────────────┐
LDR image ──┼─ dilated: four 3x3 convolutions, 2 apart ┼─ 1x1 ─ 1x1 ─ sigmoid ─ HDR in [0, 1]
            └─ global: 256x256, down to one vector ────┘

The output is relative: 1 is what 1 was in the references it was trained on.
"""

from torch import Tensor, nn

from hdrbench.methods import Method, Reconstruction
from hdrbench.methods.expandnet.losses import objective
from hdrbench.methods.expandnet.network import ExpandNet


def reconstruct(network: nn.Module, middle: Tensor, times: Tensor) -> Reconstruction:
    """Expand (N, 3, H, W) LDR images.

    The output is passed on unscaled, and `times` is not used: 1 is what 1 was in the references of training. Where that is
    not tied to the input, as with a reference divided by its maximum, the scale is a guess, which a protocol may align away.
    """
    return Reconstruction(network(middle), {})


METHOD = Method(
    title="ExpandNet",
    reference="Marnerides2018",
    build=ExpandNet,
    reconstruct=reconstruct,
    objective=objective,
)
