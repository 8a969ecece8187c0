"""Scenes as training and evaluation need them: aligned, with pseudo labels, made once and kept in a cache.

The cache is keyed by the data's fingerprint, the flow and the digest of the code that made it; a file is complete or
absent, so an interrupted preparation goes on where it stopped.
"""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.progress import track

from hdrbench.datasets import catalog
from hdrbench.datasets.scene import Image, Scene
from hdrbench.errors import HdrbenchError
from hdrbench.imaging.flow import align
from hdrbench.pipeline.digest import data_code
from hdrbench.workspace import work, write_atomically

Arrays = dict[str, np.ndarray]


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
        path = self._path(self.names[index])
        if not path.is_file():
            arrays = prepare_scene(catalog.load_scene(self.dataset, self.split, self.names[index]), self.flow)
            buffer = io.BytesIO()
            np.savez(buffer, **arrays)
            write_atomically(path, buffer.getvalue())
        with np.load(path) as stored:
            return dict(stored)

    def __iter__(self) -> Iterator[Arrays]:
        return (self[index] for index in range(len(self)))

    def _path(self, name: str) -> Path:
        return self.folder / f"{name.replace('/', '_')}.npz"

    def fill(self) -> None:
        """Prepare every scene that is not in the cache yet."""
        missing = [index for index, name in enumerate(self.names) if not self._path(name).is_file()]
        for index in track(missing, f"preparing {self.dataset}, {self.split}", disable=not missing):
            self[index]
