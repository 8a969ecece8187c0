"""HDR from one LDR image, the middle exposure of a bracket of three; the other two, aligned, are there to train on."""

import numpy as np
import torch
from torch import Tensor

from hdrbench.datasets.scene import Image, Scene
from hdrbench.errors import HdrbenchError
from hdrbench.imaging.flow import align
from hdrbench.imaging.merge import fuse_exposures
from hdrbench.pipeline.device import to_batch
from hdrbench.pipeline.tasks import Arrays

CROPPED = ("short", "middle", "long", "pseudo")


def prepare(scene: Scene, split: str, *, flow: str) -> Arrays:
    """Align a scene's outer exposures to the middle one, and fuse the pseudo label (USME-HDR eq. 2).

    Parameters
    ----------
    scene
        A bracket of three.
    split
        Training and test scenes are alike.
    flow
        Key of `hdrbench.imaging.flow.FLOWS`.

    Returns
    -------
    dict
        ``short``, ``middle``, ``long``, ``pseudo`` and, where the scene has a reference, ``hdr``: (H, W, 3);
        ``times``: (3,).

    Raises
    ------
    HdrbenchError
        If the scene has not three exposures.
    """
    if len(scene.ldrs) != 3:
        raise HdrbenchError(f"scene '{scene.name}': expected 3 exposures, got {len(scene.ldrs)}")
    first, middle, last = scene.ldrs
    short = align(first, middle, scene.times[0], scene.times[1], flow=flow)
    long = align(last, middle, scene.times[2], scene.times[1], flow=flow)
    arrays = {"short": short, "middle": middle, "long": long, "pseudo": pseudo_label(short, middle, long, scene.times)}
    arrays["times"] = np.asarray(scene.times, np.float32)
    if scene.hdr is not None:
        arrays["hdr"] = scene.hdr
    return arrays


def pseudo_label(short: Image, middle: Image, long: Image, times: tuple[float, ...]) -> Image:
    """Fuse three aligned (H, W, 3) LDR images."""
    stack = [to_batch(image, "cpu") for image in (short, middle, long)]
    fused = fuse_exposures(stack[0], stack[1], stack[2], torch.tensor([times], dtype=torch.float32))
    return fused[0].permute(1, 2, 0).contiguous().numpy()


def example(height: int, width: int) -> tuple[Tensor, ...]:
    """Inputs for an image of a size: the image, and exposure times."""
    return torch.empty(1, 3, height, width), torch.empty(1, 3)
