"""The loss of ExpandNet: L1, and the angle between predicted and true colour (Marnerides2018, eq. 3-5)."""

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from hdrbench.methods import Batch, Objective

LAMBDA = 5.0
EPSILON = 1e-20


def colour_angle(pred: Tensor, target: Tensor) -> Tensor:
    """Average 1 - cosine of the angle between RGB vectors of (N, 3, H, W) images; a black pixel counts 1."""
    return 1.0 - F.cosine_similarity(pred, target, dim=1, eps=EPSILON).mean()


def objective(weight: float = LAMBDA) -> tuple[Objective, list[str]]:
    """Build the training objective, L1 + `weight` x `colour_angle`, on ``ldr`` and ``hdr``, both (N, 3, H, W) in [0, 1].

    Returns
    -------
    tuple
        A function of (network, batch) that returns the terms ``l1`` and ``cosine``, and no notes.
    """

    def losses(network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        pred, target = network(batch["ldr"]).float(), batch["hdr"].float()
        return {"l1": F.l1_loss(pred, target), "cosine": weight * colour_angle(pred, target)}

    return losses, []
