"""Where a number comes from: the commit, the machine and the libraries it was made with."""

import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import hdrbench

# Results and lock files change whenever anything is run; they do not make the code that ran another one.
GENERATED = (":(exclude)results", ":(exclude,glob)**/dvc.lock", ":(exclude)dvc.lock", ":(exclude)params.yaml")


def now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def git_state(folder: Path) -> dict[str, Any]:
    """Return the commit checked out in `folder`, and whether code or settings differ from it.

    Where `folder` is not the top of a git repository, such as an unpacked archive, the commit is ``None``.
    """

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        return done.stdout.strip()

    top = git("rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != folder.resolve():
        return {"commit": None, "dirty": True}
    changed = git("status", "--porcelain", "--", ".", *GENERATED)
    return {"commit": git("rev-parse", "HEAD"), "dirty": bool(changed)}


def environment(device: str) -> dict[str, Any]:
    """Return the device and the versions a result was computed with; `device` is torch's name for it."""
    import torch

    on_gpu = device.startswith("cuda")
    return {
        "device": torch.cuda.get_device_name() if on_gpu else f"CPU, {torch.get_num_threads()} threads",
        "cuda": torch.version.cuda if on_gpu else None,
        "torch": torch.__version__.split("+")[0],
        "python": platform.python_version(),
        "hdrbench": hdrbench.__version__,
    }


def peak_memory_mb(device: str) -> float:
    """Return the most memory used so far: of the GPU's by this process, or the process's own."""
    import resource
    import sys

    import torch

    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated() / 2**20
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (2**20 if sys.platform == "darwin" else 2**10)
