"""Scenes as training and evaluation need them, made once by the task and kept in a cache.

The cache is keyed by the data's fingerprint, the preparation's options and the digest of the code that made it; a file is
complete or absent, so an interrupted preparation goes on where it stopped.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from hdrbench.datasets import catalog
from hdrbench.errors import HdrbenchError
from hdrbench.pipeline import tasks
from hdrbench.pipeline.digest import text_digest
from hdrbench.pipeline.tasks import Arrays
from hdrbench.workspace import work, write_atomically

_LEVELS = {"uint8": np.float32(255), "uint16": np.float32(65535)}


def pack(array: np.ndarray) -> np.ndarray:
    """Return code values of 8 or 16 bit where `unpack` makes the same numbers of them, else the array as it is."""
    if array.ndim >= 3 and array.size and array.min() >= 0 and array.max() <= 1:
        for dtype, levels in _LEVELS.items():
            codes = np.rint(array * levels).astype(dtype)
            if np.array_equal(unpack(codes), array):
                return codes
    return array


def unpack(array: np.ndarray) -> np.ndarray:
    """Scale code values to float32 in [0, 1]; what is float32 already stays as it is."""
    levels = _LEVELS.get(array.dtype.name)
    return array if levels is None else array / levels


class Prepared:
    """The prepared scenes of one split of a data set, read one at a time.

    Parameters
    ----------
    data
        Facts of the data set, see `hdrbench.pipeline.data.prepare_data`.
    split
        One of its splits.
    """

    def __init__(self, data: dict[str, Any], split: str) -> None:
        self.data, self.split, self.dataset = data, split, data["dataset"]
        left_out = data["left_out"].get(split, {})
        self.names = [name for name in catalog.scene_names(self.dataset, split) if name not in left_out]
        self._task = tasks.inputs(data["task"])
        made_by = text_digest([data["task"], data["preparation"], data["code"]])
        self.folder = work() / "scenes" / f"{self.dataset}-{data['digest'][:12]}-{made_by}" / split
        self._sizes: dict[int, tuple[int, int]] = {}

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Arrays:
        with safe_open(self._file(index), framework="numpy") as file:
            return {name: unpack(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118

    def __iter__(self) -> Iterator[Arrays]:
        return (self[index] for index in range(len(self)))

    def size(self, index: int) -> tuple[int, int]:
        """Return the height and width of a scene."""
        if index not in self._sizes:
            with safe_open(self._file(index), framework="numpy") as file:
                *_, height, width, _ = file.get_slice(self._task.CROPPED[0]).get_shape()
            self._sizes[index] = height, width
        return self._sizes[index]

    def crop(self, index: int, top: int, left: int, side: int) -> Arrays:
        """Read a square of a scene's training images, and what is no image, without reading the rest of the file."""
        self.size(index)
        window = (slice(top, top + side), slice(left, left + side))
        found: Arrays = {}
        with safe_open(self._path(index), framework="numpy") as file:
            for name in file.keys():  # noqa: SIM118
                part = file.get_slice(name)
                shape = part.get_shape()
                if len(shape) < 3:
                    found[name] = file.get_tensor(name)
                elif name in self._task.CROPPED:
                    found[name] = unpack(part[(*(slice(None),) * (len(shape) - 3), *window)])
        return found

    def _path(self, index: int) -> Path:
        return self.folder / f"{self.names[index].replace('/', '_')}.safetensors"

    def _file(self, index: int) -> Path:
        """Return a scene's file, making it first if need be."""
        path, name = self._path(index), self.names[index]
        if path.is_file():
            if (wrong := _fault(path, name, self._task.CROPPED)) is None:
                return path
            print(f"{path}: {wrong}; making it anew")
        scene = catalog.load_scene(self.dataset, self.split, name)
        try:
            arrays = self._task.prepare(scene, self.split, **self.data["preparation"])
        except TypeError as error:
            raise HdrbenchError(f"preparation {self.data['preparation']}: {error}") from error
        packed = {key: np.ascontiguousarray(pack(array)) for key, array in arrays.items()}
        write_atomically(path, save(packed, metadata={"scene": name}))
        return path

    def fill(self) -> None:
        """Prepare every scene that is not in the cache yet."""
        missing = [index for index in range(len(self)) if not self._path(index).is_file()]
        for index in track(missing, f"preparing {self.dataset}, {self.split}", disable=not missing):
            self._file(index)


def _fault(path: Path, scene: str, images: tuple[str, ...]) -> str | None:
    """Say what is wrong with a prepared scene, if anything; a file's header says how long it must be."""
    try:
        with safe_open(path, framework="numpy") as file:
            if (file.metadata() or {}).get("scene") != scene:
                return f"is not scene '{scene}'"
            missing = [name for name in images if name not in file.keys()]  # noqa: SIM118
            return f"lacks {', '.join(missing)}" if missing else None
    except SafetensorError as error:
        return f"damaged ({error})"
