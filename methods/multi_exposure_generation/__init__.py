"""Single-image HDR by learning to generate multiple exposures (Le2023).

image ── N1, sensor exposure ── times the ratio of exposure times ── N2 up, N3 down ── stack ── Debevec ── HDR
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hdrbench.imaging.merging.generated import pad_to_multiple
from hdrbench.methods import Method
from hdrbench.methods.multi_exposure_generation.losses import objective
from hdrbench.methods.multi_exposure_generation.network import MultiExposureGenerator


def expose(network: nn.Module, image: Tensor, evs: Sequence[float]) -> Tensor:
    """Generate exposures of one image.

    Parameters
    ----------
    network
        A `MultiExposureGenerator`.
    image
        (N, 3, H, W) in [0, 1].
    evs
        K exposure values relative to the image. At 0 the image itself is taken.

    Returns
    -------
    Tensor
        (N, K, 3, H, W) in [0, 1].
    """
    assert isinstance(network, MultiExposureGenerator)
    height, width = image.shape[-2:]
    padded = pad_to_multiple(image, network.multiple)
    exposure = network.represent(padded)
    made = []
    for ev in evs:
        ratio = image.new_full((len(image),), 2.0**ev)
        made.append(network.expose(padded, exposure, ratio, up=ev > 0)[..., :height, :width] if ev else image)
    return torch.stack(made, 1)


METHOD = Method(
    title="Multi-exposure generation",
    reference="Le2023",
    build=MultiExposureGenerator,
    expose=expose,
    objective=objective,
)
