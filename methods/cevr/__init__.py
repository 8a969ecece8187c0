"""CEVR: one image to a stack of any exposure values, merged into HDR (Chen2023).

image, EV step < 0 ── darkening model ───┐
image ───────────────────────────────────┼─ stack ── Debevec ── HDR
image, EV step > 0 ── brightening model ─┘
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hdrbench.imaging.merging.generated import pad_to_multiple
from hdrbench.methods import Method
from hdrbench.methods.cevr.losses import objective
from hdrbench.methods.cevr.network import MULTIPLE, Cevr, pretrain


def expose(network: nn.Module, image: Tensor, evs: Sequence[float]) -> Tensor:
    """Generate exposures of one image.

    Parameters
    ----------
    network
        A `Cevr`.
    image
        (N, 3, H, W) in [0, 1].
    evs
        K exposure values relative to the image. At 0 the image itself is taken.

    Returns
    -------
    Tensor
        (N, K, 3, H, W), clipped to [0, 1].
    """
    assert isinstance(network, Cevr)
    height, width = image.shape[-2:]
    padded = pad_to_multiple(image, MULTIPLE)
    models = {-1: network.dark, 1: network.bright}
    wanted = {-1 if ev < 0 else 1 for ev in evs if ev != 0}
    encoded = {sign: models[sign].encode(padded) for sign in wanted}
    made = []
    for ev in evs:
        if ev == 0:
            made.append(image)
            continue
        sign = -1 if ev < 0 else 1
        exposure = models[sign].decode(padded, encoded[sign], image.new_full((len(image),), ev))
        made.append(exposure[..., :height, :width].clamp(0.0, 1.0))
    return torch.stack(made, 1)


METHOD = Method(title="CEVR", reference="Chen2023", build=Cevr, expose=expose, objective=objective, pretrain=pretrain)
