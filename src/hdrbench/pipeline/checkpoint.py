"""Resumable training state in one atomic file: weights, optimiser tensors, iteration, and what run they belong to.

There is no random state to keep: everything random in iteration k is drawn from generators seeded by (seed, k).
"""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from hdrbench.errors import HdrbenchError, WeightsMissingError
from hdrbench.workspace import write_atomically


def pack(network: nn.Module, optimizer: torch.optim.Optimizer | None) -> dict[str, Tensor]:
    """Collect the tensors of a network and an optimiser under flat names."""
    tensors = {f"network.{key}": value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    state = optimizer.state_dict()["state"] if optimizer else {}
    for index, values in state.items():
        tensors |= {f"optimizer.{index}.{key}": value.detach().cpu().contiguous() for key, value in values.items()}
    return tensors


def unpack(tensors: dict[str, Tensor], network: nn.Module, optimizer: torch.optim.Optimizer | None) -> None:
    """Put packed tensors back; names or shapes that do not fit raise `RuntimeError`."""
    network.load_state_dict({key[8:]: value for key, value in tensors.items() if key.startswith("network.")})
    if optimizer is None:
        return
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, index, name = key.split(".", 2)
            state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def write(path: Path, tensors: dict[str, Tensor], facts: dict) -> None:
    """Write tensors and JSON-able facts atomically."""
    write_atomically(path, save(tensors, metadata={"facts": json.dumps(facts)}))


def read(path: Path) -> tuple[dict[str, Tensor], dict]:
    """Read what `write` wrote.

    Raises
    ------
    WeightsMissingError
        If there is no such file.
    HdrbenchError
        If it is truncated, or not of this kind.
    """
    if not path.is_file():
        raise WeightsMissingError(f"{path}: no trained weights here; train the run first")
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})["facts"])
            facts["identity"]
            return {key: file.get_tensor(key) for key in file.keys()}, facts  # noqa: SIM118
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise HdrbenchError(
            f"{path}: not a readable hdrbench checkpoint ({error}); delete it and train again"
        ) from error
