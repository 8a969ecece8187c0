"""Scenes as training and evaluation need them: aligned, with pseudo labels, made once and kept in a cache.

The cache is keyed by the data's fingerprint, the flow and the digest of the code that made it; a file is complete or
absent, so an interrupted preparation goes on where it stopped.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
from rich.progress import track
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save

from hdrbench.datasets import catalog
from hdrbench.datasets.scene import Image, Scene
from hdrbench.errors import HdrbenchError
from hdrbench.imaging.flow import align
from hdrbench.pipeline.digest import data_code
from hdrbench.workspace import work, write_atomically

Arrays = dict[str, np.ndarray]
TRAINING = ("short", "middle", "long", "pseudo")


def fuse(short: Image, middle: Image, long: Image, times: tuple[float, ...]) -> Image:
    """Fuse three aligned (H, W, 3) LDR images into the pseudo label (USME-HDR eq. 2)."""
    import torch

    from hdrbench.imaging.merge import fuse_exposures

    stack = [torch.from_numpy(image).permute(2, 0, 1)[None] for image in (short, middle, long)]
    fused = fuse_exposures(stack[0], stack[1], stack[2], torch.tensor([times], dtype=torch.float32))
    return fused[0].permute(1, 2, 0).contiguous().numpy()


def prepare_scene(scene: Scene, flow: str) -> Arrays:
    """Align a scene's outer exposures to the middle one and fuse the pseudo label.

    Returns
    -------
    dict
        ``short``, ``middle``, ``long``, ``pseudo`` and, where the scene has a reference, ``hdr``: (H, W, 3) float32;
        ``times``: (3,) float32.

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
    arrays = {"short": short, "middle": middle, "long": long, "pseudo": fuse(short, middle, long, scene.times)}
    arrays["times"] = np.asarray(scene.times, np.float32)
    if scene.hdr is not None:
        arrays["hdr"] = scene.hdr
    return arrays


@cache
def _readable(path: Path) -> bool:
    """Whether a prepared scene is whole; its header says how long the file must be."""
    try:
        with safe_open(path, framework="numpy"):
            return True
    except SafetensorError:
        return False


class Prepared:
    """The prepared scenes of one data set and split, read one at a time.

    Parameters
    ----------
    dataset
        Name of a data set.
    split
        One of its splits.
    digest
        The data set's fingerprint.
    flow
        Key of `hdrbench.imaging.flow.FLOWS`.
    """

    def __init__(self, dataset: str, split: str, digest: str, flow: str) -> None:
        self.dataset, self.split, self.flow = dataset, split, flow
        self.names = catalog.scene_names(dataset, split)
        self.folder = work() / "scenes" / f"{dataset}-{digest[:12]}-{flow}-{data_code(dataset)}" / split

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Arrays:
        return load_file(self._file(index))

    def __iter__(self) -> Iterator[Arrays]:
        return (self[index] for index in range(len(self)))

    def size(self, index: int) -> tuple[int, int]:
        """Return the height and width of a scene."""
        with safe_open(self._file(index), framework="numpy") as file:
            height, width, _ = file.get_slice("middle").get_shape()
        return height, width

    def crop(self, index: int, top: int, left: int, side: int) -> Arrays:
        """Read a square of a scene's training images, and its times, without reading the rest of the file."""
        with safe_open(self._file(index), framework="numpy") as file:
            window = (slice(top, top + side), slice(left, left + side))
            return {name: file.get_slice(name)[window] for name in TRAINING} | {"times": file.get_tensor("times")}

    def _path(self, name: str) -> Path:
        return self.folder / f"{name.replace('/', '_')}.safetensors"

    def _file(self, index: int) -> Path:
        """Return a scene's file, making it first if need be."""
        path = self._path(self.names[index])
        if path.is_file() and not _readable(path):
            print(f"{path}: damaged; making it anew")
            path.unlink()
        if not path.is_file():
            arrays = prepare_scene(catalog.load_scene(self.dataset, self.split, self.names[index]), self.flow)
            write_atomically(path, save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))
        return path

    def fill(self) -> None:
        """Prepare every scene that is not in the cache yet."""
        missing = [index for index, name in enumerate(self.names) if not self._path(name).is_file()]
        for index in track(missing, f"preparing {self.dataset}, {self.split}", disable=not missing):
            self._file(index)
