"""What a network costs: parameters, and multiply-adds by two counts.

The papers' tables were made with thop, which misses operators it has no rule for, so PyTorch's own counter stands beside
it. Both run on the meta device: nothing is computed, and an image of any size takes no memory.
"""

from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hdrbench import methods
from hdrbench.pipeline import tasks


def cost(method: str, options: dict[str, Any], task: str, size: tuple[int, int]) -> dict[str, float]:
    """Count parameters and multiply-adds of a method for one image.

    Parameters
    ----------
    method, options
        What to build.
    task
        What the network is for, which says what goes into it.
    size
        Height and width of the image.

    Returns
    -------
    dict
        ``params`` in millions; ``macs_thop``, thop's count, and ``macs_counted``, PyTorch's (convolutions and matrix
        products), in units of 1e9 multiply-adds.
    """
    example = tasks.inputs(
        task
    ).example  # imported first: modules make tensors of their own, which must not be on "meta"
    methods.get(method)
    with torch.device("meta"):
        network, inputs = methods.build(method, options), example(*size)
    if next(network.parameters(), None) is None:
        return {"params": 0.0, "macs_thop": 0.0, "macs_counted": 0.0}
    with FlopCounterMode(display=False) as counter:
        network(*inputs)
    return {
        "params": sum(parameter.numel() for parameter in network.parameters()) / 1e6,
        "macs_thop": _thop(network, inputs) / 1e9,
        "macs_counted": counter.get_total_flops() / 2 / 1e9,
    }


def _thop(network: nn.Module, inputs: tuple[torch.Tensor, ...]) -> float:
    """Count multiply-adds as thop 0.1.1 does."""
    import thop

    return thop.profile(network, inputs, verbose=False)[0]
