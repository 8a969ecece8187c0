"""Data sets made of files: where they are, and what identifies them."""

import hashlib
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from hdrbench.errors import DataMissingError

VARIABLE = "HDRBENCH_DATA"


def data_root() -> Path:
    """Find the folder that holds all data sets.

    Raises
    ------
    DataMissingError
        ``HDRBENCH_DATA`` is not set, or names no folder.
    """
    value = os.environ.get(VARIABLE)
    if not value:
        raise DataMissingError(f"{VARIABLE} is not set; set it to the folder that holds the data sets")
    root = Path(value).expanduser()
    if not root.is_dir():
        raise DataMissingError(
            f"{VARIABLE} is '{value}', which is not a folder; set it to the folder with the data sets"
        )
    return root


def digest(root: Path, paths: Iterable[Path]) -> dict[str, Any]:
    """Compute what identifies a set of files: names relative to `root`, sizes and content.

    Returns
    -------
    dict
        ``digest`` (SHA-256, independent of where `root` is), number of ``files`` and of ``bytes``.
    """
    total, size = hashlib.sha256(), 0
    files = sorted({path.relative_to(root).as_posix(): path for path in paths}.items())
    for relative, path in files:
        status = path.stat()
        size += status.st_size
        content = _content(str(path), status.st_size, status.st_mtime_ns)
        total.update(f"{relative}\0{status.st_size}\0{content}\n".encode())
    return {"digest": total.hexdigest(), "files": len(files), "bytes": size}


@cache
def _content(path: str, size: int, changed: int) -> str:
    """Hash a file once per process as long as its size and time stay the same."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
