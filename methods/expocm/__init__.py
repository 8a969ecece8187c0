"""ExpoCM: one-step HDR from one LDR image by a consistency model whose trajectories depend on exposure (Liu2026).

LDR ─┬─ exposure masks ─┐
     ├──────────────────┴─ x_T ─┬─ U-Net ─ x_0 ─ HDR
noise ──────────────────────────┘

With ``sampler="ddpm"`` or ``"ddim"`` the same U-Net is the paper's conditional diffusion baseline. The paper prints
neither schedules nor widths, and its code is not public: each such choice is an option with its source.
"""

from typing import cast

from torch import Tensor, nn

from hdrbench.methods import Method, Reconstruction
from hdrbench.methods.expocm.losses import objective
from hdrbench.methods.expocm.model import ExpoCm


def reconstruct(network: nn.Module, middle: Tensor, times: Tensor) -> Reconstruction:
    """Reconstruct HDR from (N, 3, H, W) LDR images, in one network call or by diffusion sampling.

    The output, in [0, 1], is passed on unscaled, and `times` is not used: 1 is what 1 was in the references of training.
    """
    return Reconstruction(cast(ExpoCm, network).reconstruct(middle), {})


METHOD = Method(
    title="ExpoCM",
    reference="Liu2026",
    build=ExpoCm,
    reconstruct=reconstruct,
    objective=objective,
)
