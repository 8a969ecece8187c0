"""Files of weights and parameters that metrics need: where they are looked for, what is missing, and how to get it.

A file is looked for in the cache of torch.hub, ``$TORCH_HOME/hub`` or ``$XDG_CACHE_HOME/torch/hub`` or
``~/.cache/torch/hub``, and before that in ``HDRBENCH_WEIGHTS``, a folder with the same three folders in it: ``pyiqa``,
``checkpoints`` and ``clip``. Parameters that come as data are looked for under ``HDRBENCH_DATA``. Nothing is downloaded,
unless `allow_download` is called.
"""

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from hdrbench.errors import HdrbenchError, WeightsMissingError, unknown

PYIQA_ABSENT = (
    "pyiqa is not installed; install it with: pip install 'hdrbench[iqa]' "
    "(its licence, PolyForm-Noncommercial-1.0.0, allows non-commercial use only)"
)


@dataclass(frozen=True)
class WeightFile:
    """A file that metrics need.

    Attributes
    ----------
    name
        Of the file.
    size
        In bytes, to as many digits as its source states; ``None`` if it does not.
    folder
        Where it lies: ``"data/..."`` below ``HDRBENCH_DATA``, any other below a torch.hub folder.
    source
        How to get it.
    licence
        Its terms.
    """

    name: str
    size: int | None
    folder: str
    source: str
    licence: str

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics that use it."""
        return tuple(metric for metric, needs in NEEDS.items() if any(self in choice for choice in needs))


_COLLECTION = "the file of that name in the model repository chaofengc/IQA-PyTorch-Weights on Hugging Face"
_LIVE = "LIVE, University of Texas at Austin: free with notice and citation"

NIQE_AUTHORS = WeightFile(
    name="niqe_modelparameters.mat",
    size=8_347,
    folder="data/live_niqe_brisque",
    source="modelparameters.mat of the GitHub repository utlive/niqe, and rename it",
    licence=_LIVE,
)
NIQE_PYIQA = WeightFile(NIQE_AUTHORS.name, NIQE_AUTHORS.size, "pyiqa", _COLLECTION, _LIVE)
BRISQUE_AUTHORS = WeightFile(
    name="brisque_allmodel.txt",
    size=353_497,
    folder="data/live_niqe_brisque",
    source="MATLAB/allmodel of the GitHub repository utlive/BRISQUE, and rename it",
    licence=_LIVE,
)
BRISQUE_PYIQA = WeightFile("brisque_svm_weights.pth", 115_000, "pyiqa", _COLLECTION, _LIVE)
LPIPS_ALEX = WeightFile("LPIPS_v0.1_alex-df73285e.pth", 6_010, "pyiqa", _COLLECTION, "BSD-2-Clause")
LPIPS_VGG = WeightFile("LPIPS_v0.1_vgg-a78928a0.pth", 7_290, "pyiqa", _COLLECTION, "BSD-2-Clause")
ALEXNET = WeightFile(
    name="alexnet-owt-7be5be79.pth",
    size=244_409_000,
    folder="checkpoints",
    source="the file of torchvision's AlexNet_Weights.IMAGENET1K_V1",
    licence="BSD-3-Clause (torchvision), trained on ImageNet",
)
VGG16 = WeightFile(
    name="vgg16-397923af.pth",
    size=553_434_000,
    folder="checkpoints",
    source="the file of torchvision's VGG16_Weights.IMAGENET1K_V1",
    licence="BSD-3-Clause (torchvision), trained on ImageNet",
)
MUSIQ_KONIQ = WeightFile(
    name="musiq_koniq_ckpt-e95806b9.pth",
    size=109_000_000,
    folder="pyiqa",
    source=_COLLECTION,
    licence="Apache-2.0 (google-research), converted in a CC-BY-NC-SA-4.0 collection",
)
CLIP_RN50 = WeightFile("RN50.pt", None, "clip", "the model RN50 of the GitHub repository openai/CLIP", "MIT")

# By metric, all that it needs; any one file of a choice will do, the first that is found is taken.
NEEDS: dict[str, tuple[tuple[WeightFile, ...], ...]] = {
    "lpips": ((LPIPS_ALEX,), (ALEXNET,)),
    "lpips_vgg": ((LPIPS_VGG,), (VGG16,)),
    "musiq": ((MUSIQ_KONIQ,),),
    "clipiqa": ((CLIP_RN50,),),
    "niqe": ((NIQE_AUTHORS, NIQE_PYIQA),),
    "brisque": ((BRISQUE_AUTHORS, BRISQUE_PYIQA),),
}
FILES = tuple(dict.fromkeys(file for needs in NEEDS.values() for choice in needs for file in choice))

_downloads_allowed = False


def allow_download(allowed: bool = True) -> None:
    """Let pyiqa and torchvision download what is missing into the cache of torch.hub, in this process, from now on."""
    global _downloads_allowed
    _downloads_allowed = allowed


def downloads_allowed() -> bool:
    """Whether missing weights may be downloaded."""
    return _downloads_allowed


def folders(file: WeightFile) -> list[Path]:
    """List the folders in which a file is looked for, first to last; none if ``HDRBENCH_DATA`` would be needed."""
    if file.folder.startswith("data/"):
        data = os.environ.get("HDRBENCH_DATA")
        return [Path(data).expanduser() / file.folder.removeprefix("data/")] if data else []
    import torch

    own = os.environ.get("HDRBENCH_WEIGHTS")
    hubs = [Path(own).expanduser()] if own else []
    return [hub / file.folder for hub in (*hubs, Path(torch.hub.get_dir()))]


def find(file: WeightFile) -> Path | None:
    """Find a file on this machine; ``None`` if it is not there."""
    return next((folder / file.name for folder in folders(file) if (folder / file.name).is_file()), None)


def size_text(size: int | None) -> str:
    """Write a size for readers, e.g. ``"109 MB"``."""
    if size is None:
        return "size not stated"
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e3:.3g} kB"


def wanted(file: WeightFile) -> str:
    """Say in one line what a file is, where it is expected, and how to get it."""
    places = " or ".join(_shown(folder) for folder in folders(file))
    if not places:
        places = f"$HDRBENCH_DATA/{file.folder.removeprefix('data/')} (HDRBENCH_DATA is not set)"
    return f"{file.name} ({size_text(file.size)}) expected in {places}: get {file.source}"


def _shown(folder: Path) -> str:
    """Write a folder as a user would, which also keeps the home of whoever ran this out of results."""
    home = Path.home()
    return f"~/{folder.relative_to(home).as_posix()}" if folder.is_relative_to(home) else str(folder)


def missing(metric: str) -> list[str]:
    """List what a metric lacks on this machine, one line each; empty if it can be computed.

    Raises
    ------
    HdrbenchError
        If no metric of that name needs weights.
    """
    if metric not in NEEDS:
        raise unknown("metric with weights", metric, NEEDS)
    lacking = [choice for choice in NEEDS[metric] if not any(find(file) for file in choice)]
    lines = [", or ".join(wanted(file) for file in choice) for choice in lacking]
    return lines if find_spec("pyiqa") else [PYIQA_ABSENT, *lines]


def unavailable(metric: str) -> str | None:
    """Say in one line what a metric lacks on this machine; ``None`` if it can be computed, or may be downloaded for."""
    if downloads_allowed() and find_spec("pyiqa"):
        return None
    return "; ".join(missing(metric)) or None


def require(metric: str) -> tuple[Path, ...]:
    """Return the files of a metric, one for each of its `NEEDS`.

    Raises
    ------
    HdrbenchError
        If pyiqa is not installed, or no metric of that name needs weights.
    WeightsMissingError
        If a file is missing.
    """
    lacking = missing(metric)
    if PYIQA_ABSENT in lacking:
        raise HdrbenchError(f"{metric}: {PYIQA_ABSENT}")
    if lacking:
        raise WeightsMissingError(
            f"{metric} lacks files: {'; '.join(lacking)}; put them there, or allow the download with --allow-download"
        )
    found = (next(filter(None, map(find, choice))) for choice in NEEDS[metric])
    return tuple(found)
