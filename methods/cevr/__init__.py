"""CEVR: one image to a stack of any exposure values, merged into HDR (Chen2023).

image, EV step < 0 ── darkening model ───┐
image ───────────────────────────────────┼─ stack ── Debevec ── HDR
image, EV step > 0 ── brightening model ─┘
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hdrbench.imaging.merging.generated import merge_generated, pad_to_multiple
from hdrbench.methods import Method, Reconstruction
from hdrbench.methods.cevr.losses import objective
from hdrbench.methods.cevr.network import MULTIPLE, Cevr

# "Predefined" and "continuous" stack (section 4.4).
PREDEFINED = tuple(float(ev) for ev in range(-3, 4))
CONTINUOUS = tuple(ev / 2 for ev in range(-6, 7))


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


def reconstruct(
    network: nn.Module, middle: Tensor, times: Tensor, *, evs: Sequence[float] = CONTINUOUS
) -> Reconstruction:
    """Generate a stack from (N, 3, H, W) images, and merge it.

    Parameters
    ----------
    network
        A `Cevr`.
    middle
        (N, 3, H, W) in [0, 1].
    times
        (N, 3), shortest = 1. They set the unit of the result and the exposures ``"low"`` and ``"high"`` that are given
        besides; what is merged does not depend on them.
    evs
        Of the merged stack: `CONTINUOUS` or `PREDEFINED`, ascending.
    """
    low, high = (image.clamp(0.0, 1.0) for image in network(middle, times))
    radiance = merge_generated(expose(network, middle, evs), evs)
    return Reconstruction(radiance / times[:, 1, None, None, None], {"low": low, "high": high})


METHOD = Method(title="CEVR", reference="Chen2023", build=Cevr, reconstruct=reconstruct, objective=objective)
