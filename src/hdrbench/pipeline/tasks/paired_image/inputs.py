"""HDR from one LDR image, learnt from, and compared with, the radiance of the same scene."""

import cv2
import numpy as np
import torch
from torch import Tensor

from hdrbench.datasets.scene import Image, Scene
from hdrbench.errors import HdrbenchError
from hdrbench.pipeline.tasks import Arrays

CROPPED = ("ldr", "hdr")


def prepare(scene: Scene, split: str, *, size: list[int] | None, headroom: float | None) -> Arrays:
    """Pair the LDR image, the only or the middle exposure, with the reference, scaled to [0, 1].

    Parameters
    ----------
    scene
        One exposure, or a stack of 3, 5, 7, ..., with a reference.
    split
        Training and test scenes are alike.
    size
        Height and width that images are brought to, whatever their proportions, by averaging over areas; ``None`` leaves
        them as they are.
    headroom
        How many times the saturation of the LDR image is 1 in the reference; what is brighter is clipped. ``None`` divides
        each reference by its own maximum, which the LDR image does not tell.

    Returns
    -------
    dict
        ``ldr``, ``hdr``: (H, W, 3) in [0, 1]; ``times``: (3,), exposure times of which the first saturates at 1 in the
        reference and the second is the LDR image's, as far as the data set knows how the two are related; a pair's units
        are taken to be equal.

    Raises
    ------
    HdrbenchError
        If the scene has no middle exposure, or no reference that is light; if `size` is none, or `headroom` not positive.
    """
    if size is not None and not (len(size) == 2 and all(type(side) is int and side >= 16 for side in size)):
        raise HdrbenchError(f"size is {size}; expected height and width of at least 16 pixels, or null")
    if headroom is not None and not headroom > 0:
        raise HdrbenchError(f"headroom is {headroom}; expected a positive number, or null")
    if len(scene.ldrs) % 2 == 0:
        raise HdrbenchError(f"scene '{scene.name}': expected 1, 3, 5, ... exposures, got {len(scene.ldrs)}")
    if scene.hdr is None:
        raise HdrbenchError(f"scene '{scene.name}' has no reference to learn from or to compare with")
    middle = len(scene.ldrs) // 2
    radiance = np.maximum(_resize(scene.hdr, size), 0.0)
    peak = headroom / scene.times[middle] if headroom else float(radiance.max())
    if not peak > 0:
        raise HdrbenchError(f"scene '{scene.name}': its reference is black")
    brightness = peak * scene.times[middle]
    return {
        "ldr": _resize_codes(scene.ldrs[middle], size),
        "hdr": np.minimum(radiance / np.float32(peak), 1.0).astype(np.float32),
        "times": np.asarray([1.0, brightness, brightness**2], np.float32),
    }


def _resize(image: Image, size: list[int] | None) -> Image:
    """Bring an (H, W, 3) image to a height and width."""
    if size is None or image.shape[:2] == tuple(size):
        return image
    return cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_AREA).astype(np.float32, copy=False)


def _resize_codes(image: Image, size: list[int] | None) -> Image:
    """Bring an (H, W, 3) image of display codes to a height and width, as the 8-bit file that it would be."""
    resized = _resize(image, size)
    return image if resized is image else (np.rint(resized.clip(0.0, 1.0) * 255) / np.float32(255)).astype(np.float32)


def example(height: int, width: int) -> tuple[Tensor, ...]:
    """Inputs for an image of a size: the image, and exposure times."""
    return torch.empty(1, 3, height, width), torch.empty(1, 3)
