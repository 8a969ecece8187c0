"""Results of HDR from one image, learnt from pairs: scored as those of `single_image`, from the image called ``ldr``."""

from collections.abc import Collection

from torch import nn

from hdrbench.methods import Method, Reconstruction
from hdrbench.pipeline.tasks import Arrays
from hdrbench.pipeline.tasks.single_image import outputs
from hdrbench.pipeline.tasks.single_image.outputs import SUBJECT, check, subject

__all__ = ["SUBJECT", "apply", "check", "subject"]


def apply(method: Method, network: nn.Module, scene: Arrays, subjects: Collection[str], device: str) -> Reconstruction:
    """Reconstruct a scene from its LDR image."""
    return outputs.apply(method, network, scene | {"middle": scene["ldr"]}, subjects, device)
