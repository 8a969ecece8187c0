"""Random training crops as a pure function of (seed, iteration)."""

import numpy as np
import torch
from torch import Tensor

from hdrbench.errors import HdrbenchError
from hdrbench.methods import Batch
from hdrbench.pipeline.prepare import Arrays, Prepared


class CropSampler:
    """Draws batches of aligned square crops.

    Parameters
    ----------
    scenes
        Prepared training scenes, cycled in a new random order every pass.
    batch_size
        Crops per batch, of all processes together.
    crop
        Side of a crop in pixels.
    seed
        Seed of the run.

    Raises
    ------
    HdrbenchError
        If there are no scenes, or one is smaller than a crop.
    """

    def __init__(self, scenes: Prepared, batch_size: int, crop: int, seed: int) -> None:
        if not len(scenes):
            raise HdrbenchError(f"data set '{scenes.dataset}' has no scenes in split '{scenes.split}'")
        self.scenes, self.batch_size, self.crop, self.seed = scenes, batch_size, crop, seed

    def _crop(self, position: int, generator: np.random.Generator) -> Arrays:
        """Cut the crop at a place in the endless sequence of scenes."""
        lap, place = divmod(position, len(self.scenes))
        index = int(np.random.default_rng((self.seed, 1, lap)).permutation(len(self.scenes))[place])
        height, width = self.scenes.size(index)
        if min(height, width) < self.crop:
            raise HdrbenchError(
                f"crop of {self.crop} does not fit into a {width}x{height} scene of '{self.scenes.dataset}'"
            )
        top, left = generator.integers(height - self.crop + 1), generator.integers(width - self.crop + 1)
        return self.scenes.crop(index, int(top), int(left), self.crop)

    def batch(self, iteration: int, rank: int = 0, world: int = 1) -> Batch:
        """Return this process's share of an iteration's batch.

        Parameters
        ----------
        iteration
            Counted from 0.
        rank, world
            This process, and how many share the batch.
        """
        generator = np.random.default_rng((self.seed, 2, iteration))
        seeds = generator.integers(2**63, size=self.batch_size)
        first = iteration * self.batch_size
        crops = [
            self._crop(first + index, np.random.default_rng(seeds[index]))
            for index in range(rank, self.batch_size, world)
        ]

        def stack(name: str) -> Tensor:
            return torch.from_numpy(np.stack([crop[name] for crop in crops])).permute(0, 3, 1, 2).contiguous()

        times = torch.from_numpy(np.stack([crop["times"] for crop in crops]))
        return Batch(stack("short"), stack("middle"), stack("long"), times, stack("pseudo"))
