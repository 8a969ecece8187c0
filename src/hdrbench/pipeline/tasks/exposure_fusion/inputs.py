"""One image that can be shown from a stack of exposures, without a reference to learn from or to compare with.

Networks of two inputs train on, and fuse, an under- and an over-exposed frame of the stack.
"""

import cv2
import numpy as np
import torch
from torch import Tensor

from hdrbench.datasets.scene import Image, Scene
from hdrbench.errors import HdrbenchError, unknown
from hdrbench.pipeline.tasks import Arrays

CROPPED = ("under", "over")
PAIRS = ("outermost", "quartiles")


def choose_pair(count: int, choice: str) -> tuple[int, int]:
    """Choose the under- and the over-exposed frame of a stack in ascending exposure.

    Parameters
    ----------
    count
        Number of frames, at least 2.
    choice
        ``"outermost"``, the darkest and the brightest; ``"quartiles"``, those a quarter of the way in from either end.
    """
    if choice not in PAIRS:
        raise unknown("pair", choice, PAIRS)
    inward = (count - 1) // 4 if choice == "quartiles" else 0
    return inward, count - 1 - inward


def prepare(scene: Scene, split: str, *, pair: str, longest_side: int | None) -> Arrays:
    """Choose the pair, and keep the whole stack for scoring.

    Parameters
    ----------
    scene
        A still stack of two or more.
    split
        Of training scenes only the pair is kept.
    pair
        Of `PAIRS`.
    longest_side
        Larger images are reduced to it by averaging over areas; ``None`` leaves them as they are.

    Returns
    -------
    dict
        ``under``, ``over``: (H, W, 3); but for training scenes ``stack``: (K, H, W, 3), in ascending exposure.

    Raises
    ------
    HdrbenchError
        If the scene has less than two exposures, or `longest_side` is no size.
    """
    if longest_side is not None and (type(longest_side) is not int or longest_side < 16):
        raise HdrbenchError(f"longest_side is {longest_side}; expected at least 16 pixels, or null")
    if len(scene.ldrs) < 2:
        raise HdrbenchError(f"scene '{scene.name}': expected 2 exposures or more, got {len(scene.ldrs)}")
    under, over = choose_pair(len(scene.ldrs), pair)
    kept = {under, over} if split == "train" else set(range(len(scene.ldrs)))
    frames = {index: reduce(scene.ldrs[index], longest_side) for index in sorted(kept)}
    arrays = {"under": frames[under], "over": frames[over]}
    return arrays if split == "train" else arrays | {"stack": np.stack(list(frames.values()))}


def reduce(image: Image, longest_side: int | None) -> Image:
    """Reduce an (H, W, 3) image so that no side is longer than `longest_side`."""
    scale = 1.0 if longest_side is None else longest_side / max(image.shape[:2])
    if scale >= 1.0:
        return image
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    reduced = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return np.clip(reduced, 0.0, 1.0).astype(np.float32)  # the mean of ones may round to a little more than 1


def example(height: int, width: int) -> tuple[Tensor, ...]:
    """Inputs for an image of a size: a pair of exposures."""
    return (torch.empty(1, 2, 3, height, width),)
