"""Where tensors live: the device to use, arrays put there, and time taken there."""

import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

T = TypeVar("T")


def best_device() -> str:
    """Return ``"cuda"`` where there is a GPU, else ``"cpu"``."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def to_batch(image: np.ndarray, device: str) -> Tensor:
    """Turn an (..., H, W, 3) array into a (1, ..., 3, H, W) tensor."""
    return torch.from_numpy(image).movedim(-1, -3)[None].contiguous().to(device)


def timed(call: Callable[[], T], device: str) -> tuple[T, float]:
    """Call a function; returns its result and the seconds until the device had it done."""
    _synchronise(device)
    began = time.perf_counter()
    result = call()
    _synchronise(device)
    return result, time.perf_counter() - began


def _synchronise(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
