"""A scene: one bracketed exposure stack with, where it exists, its HDR reference."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]


@dataclass(frozen=True)
class Scene:
    """One exposure stack.

    Attributes
    ----------
    name
        Unique within its data set and split.
    ldrs
        LDR images in ascending exposure, each (H, W, 3) RGB float32 in [0, 1], display-referred.
    times
        Relative exposure times, the shortest = 1, in the order of `ldrs`.
    hdr
        Reference radiance (H, W, 3) RGB float32, linear, 1 = the level at which the shortest exposure saturates;
        ``None`` where the data set has no reference. It is aligned with the middle exposure.
    """

    name: str
    ldrs: tuple[Image, ...]
    times: tuple[float, ...]
    hdr: Image | None

    def __post_init__(self) -> None:
        if len(self.ldrs) != len(self.times):
            raise ValueError(f"scene '{self.name}': {len(self.ldrs)} images but {len(self.times)} exposure times")
        if list(self.times) != sorted(self.times) or self.times[0] != 1:
            raise ValueError(f"scene '{self.name}': times must ascend from 1, got {self.times}")
        shapes = {image.shape for image in (*self.ldrs, *(() if self.hdr is None else (self.hdr,)))}
        if len(shapes) != 1:
            raise ValueError(f"scene '{self.name}': images differ in size: {sorted(shapes)}")
