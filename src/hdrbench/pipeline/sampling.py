"""Random training crops as a pure function of (seed, iteration), made ahead of the loop that uses them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import torch
from torch import Tensor

from hdrbench.errors import HdrbenchError
from hdrbench.methods import Batch
from hdrbench.pipeline.prepare import Prepared
from hdrbench.pipeline.tasks import Arrays
from hdrbench.runs import Training

SHIFT = 1 / 16  # of a crop's side, as in the training code of Le2023


class CropSampler:
    """Draws batches of square crops, the same place in all images of a scene.

    Parameters
    ----------
    scenes
        Prepared training scenes, cycled in a new random order every pass.
    settings
        Batch size (of all processes together), side of a crop in pixels, augmentation and length.
    seed
        Seed of the run.

    Raises
    ------
    HdrbenchError
        If there are no scenes, or one is smaller than a crop.
    """

    def __init__(self, scenes: Prepared, settings: Training, seed: int) -> None:
        if not len(scenes):
            raise HdrbenchError(f"data set '{scenes.dataset}' has no scenes in split '{scenes.split}'")
        self.scenes, self.settings, self.seed = scenes, settings, seed

    def _crop(self, position: int, generator: np.random.Generator) -> Arrays:
        """Cut the crop at a place in the endless sequence of scenes."""
        lap, place = divmod(position, len(self.scenes))
        index = int(np.random.default_rng((self.seed, 1, lap)).permutation(len(self.scenes))[place])
        (height, width), side = self.scenes.size(index), self.settings.crop
        if min(height, width) < side:
            raise HdrbenchError(f"crop of {side} does not fit into a {width}x{height} scene of '{self.scenes.dataset}'")
        top, left = generator.integers(height - side + 1), generator.integers(width - side + 1)
        crop = self.scenes.crop(index, int(top), int(left), side)
        if self.settings.augment == "dihedral":
            return _turn(crop, int(generator.integers(8)))
        return crop if self.settings.augment == "none" else _move(crop, generator)

    def batch(self, iteration: int, rank: int = 0, world: int = 1) -> Batch:
        """Return this process's share of an iteration's batch.

        Parameters
        ----------
        iteration
            Counted from 0.
        rank, world
            This process, and how many share the batch.
        """
        size = self.settings.batch_size
        seeds = np.random.default_rng((self.seed, 2, iteration)).integers(2**63, size=size)
        first = iteration * size
        crops = [self._crop(first + index, np.random.default_rng(seeds[index])) for index in range(rank, size, world)]
        return Batch({name: _stack(crops, name) for name in crops[0]}, iteration, self.settings.iterations)

    def batches(self, start: int, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        """Yield this process's share of every batch from an iteration on; the next one is made while one is used."""
        with ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(self.batch, start, rank, world)
            for iteration in range(start, self.settings.iterations):
                ready = coming.result()
                if iteration + 1 < self.settings.iterations:
                    coming = ahead.submit(self.batch, iteration + 1, rank, world)
                yield ready


def _turn(crop: Arrays, symmetry: int) -> Arrays:
    """Apply one of the 8 symmetries of a square to all (..., H, W, 3) images of a crop."""
    turned = {}
    for name, array in crop.items():
        if array.ndim >= 3:
            array = np.rot90(array, symmetry % 4, axes=(-3, -2))
            array = array[..., ::-1, :] if symmetry >= 4 else array
        turned[name] = array
    return turned


def _move(crop: Arrays, generator: np.random.Generator) -> Arrays:
    """Mirror all (..., H, W, 3) images of a crop, and half of the time turn and shift them, mirrored at the border.

    Interpolation is cubic, and does not leave the range of an image.
    """
    mirrors, moves = generator.integers(2, size=2), generator.random() < 0.5
    angle, shift = generator.uniform(-180.0, 180.0), generator.uniform(-SHIFT, SHIFT, 2)
    moved = {}
    for name, array in crop.items():
        if array.ndim >= 3:
            array = array[..., :: 1 - 2 * mirrors[0], :: 1 - 2 * mirrors[1], :]
            if moves:
                height, width = array.shape[-3:-1]
                matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
                matrix[:, 2] += shift * np.array([width, height])
                images = np.ascontiguousarray(array).reshape(-1, height, width, 3)
                array = np.stack([_warp(image, matrix) for image in images]).reshape(array.shape)
        moved[name] = array
    return moved


def _warp(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Apply an affine map to an (H, W, 3) image."""
    warped = cv2.warpAffine(image, matrix, image.shape[1::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    return warped.clip(image.min(), image.max())


def _stack(crops: list[Arrays], name: str) -> Tensor:
    """Join the crops' arrays of a name: images become (N, ..., 3, H, W)."""
    joined = torch.from_numpy(np.stack([crop[name] for crop in crops]))
    return joined.movedim(-1, -3).contiguous() if joined.ndim >= 4 else joined
