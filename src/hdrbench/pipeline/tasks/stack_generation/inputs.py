"""A stack of exposures from one LDR image, its middle exposure, trained on and compared with the real stack."""

import cv2
import numpy as np
import torch
from torch import Tensor

from hdrbench.datasets.scene import Scene
from hdrbench.errors import HdrbenchError
from hdrbench.imaging.merging.generated import merge_stack, recover_response
from hdrbench.pipeline.device import to_batch
from hdrbench.pipeline.tasks import Arrays

CROPPED = ("stack",)


def prepare(scene: Scene, split: str, *, size: list[int] | None, merges: list[str]) -> Arrays:
    """Keep the real stack, and merge it for scoring.

    Parameters
    ----------
    scene
        A still stack of 3, 5, 7, ... exposures.
    split
        Of training scenes only the stack is kept.
    size
        Height and width that images are brought to, whatever their proportions, by averaging over areas; ``None`` leaves
        them as they are.
    merges
        Ways of merging, of `hdrbench.imaging.merging.generated.MERGES`, that HDR images are scored by.

    Returns
    -------
    dict
        ``stack``: (K, H, W, 3), in ascending exposure; ``times``: (K,), shortest = 1; of test scenes also, by way of
        merging, the real stack's HDR image (H, W, 3), and ``response``: (3, 256), the exposure that each code stands for as
        recovered from the stack, 1 = saturation.

    Raises
    ------
    HdrbenchError
        If the scene has no exposure in the middle, or `size` is none.
    """
    if len(scene.ldrs) < 3 or len(scene.ldrs) % 2 == 0:
        raise HdrbenchError(f"scene '{scene.name}': expected 3, 5, 7, ... exposures, got {len(scene.ldrs)}")
    if size is not None and not (len(size) == 2 and all(type(side) is int and side >= 16 for side in size)):
        raise HdrbenchError(f"size is {size}; expected height and width of at least 16 pixels, or null")
    frames = np.stack([_resize(image, size) for image in scene.ldrs])
    arrays = {"stack": frames, "times": np.asarray(scene.times, np.float32)}
    if split == "train":
        return arrays
    stack, evs = to_batch(frames, "cpu"), exposure_values(arrays["times"])
    for how in merges:
        arrays[how] = merge_stack(stack, evs, how)[0].permute(1, 2, 0).contiguous().numpy()
    response = recover_response(stack, evs, "debevec")[0]
    arrays["response"] = (response / response.amax(1, keepdim=True)).float().numpy()
    return arrays


def exposure_values(times: np.ndarray) -> tuple[float, ...]:
    """Turn relative times (K,), K odd, into exposure values relative to the middle one."""
    return tuple(np.log2(times.astype(np.float64) / times[len(times) // 2]).tolist())


def _resize(image: np.ndarray, size: list[int] | None) -> np.ndarray:
    """Bring an (H, W, 3) image of display codes to a height and width, as the 8-bit file that it would be."""
    if size is None or image.shape[:2] == tuple(size):
        return image
    reduced = cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    return (np.rint(reduced.clip(0.0, 1.0) * 255) / np.float32(255)).astype(np.float32)


def example(height: int, width: int) -> tuple[Tensor, ...]:
    """Inputs for an image of a size: the image, and times of a darker exposure, itself and a brighter one."""
    return torch.empty(1, 3, height, width), torch.empty(1, 3)
