"""What the viewer shows of a scene: one module per task, named like it.

Its ``pictures(shown, scene, device)`` returns a `Picture` by key for a prepared scene. The viewer opens with the key
``"result"``, or else with the first. HDR images of the keys ``"result"`` and ``"reference"`` are those that the error map
compares.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from hdrbench.runs import ResolvedRun


@dataclass(frozen=True)
class Shown:
    """A trained run whose results are shown."""

    run: ResolvedRun
    network: nn.Module


@dataclass(frozen=True)
class Picture:
    """One picture of a scene.

    Attributes
    ----------
    label
        For the reader.
    image
        (H, W, 3); linear where `kind` is ``"hdr"``, else display codes in [0, 1].
    kind
        ``"hdr"``, ``"ldr"`` or ``"map"``.
    exposure_time
        Of an LDR image, relative, where the viewer may show it at another exposure.
    """

    label: str
    image: NDArray[np.float32]
    kind: str
    exposure_time: float | None = None


def to_image(batch: Tensor) -> NDArray[np.float32]:
    """Turn a (1, 3, H, W) tensor into an (H, W, 3) array; a single channel becomes grey."""
    return batch[0].expand(3, -1, -1).permute(1, 2, 0).cpu().numpy().astype(np.float32)
