"""HDR-VDP-2 and HDR-VDP-3 as their authors published them, run in GNU Octave or MATLAB.

The code is not part of hdrbench: download HDR-VDP 2.2.2 or 3.0.7 from its home, and name the unpacked folder, which stays
as it is, in ``HDRBENCH_HDRVDP2`` or ``HDRBENCH_HDRVDP3``. Octave needs its packages image and, for HDR-VDP-3,
statistics. One process per version serves all images until Python ends. MATLAB runs the same driver where no Octave
is found, but that has not been tested.
"""

import atexit
import contextlib
import math
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import torch
from torch import Tensor

from hdrbench.errors import HdrbenchError, unknown
from hdrbench.metrics.checks import check_pair
from hdrbench.metrics.hdrvdp.display import CHANNELS
from hdrbench.metrics.hdrvdp.official_process import (
    DRIVER,
    TIMEOUT_S,
    Interpreter,
    InterpreterProcess,
    find_interpreter,
)
from hdrbench.metrics.hdrvdp.v3 import Vdp3


@dataclass(frozen=True)
class _Release:
    """How the code of one major version is found and called."""

    variable: str
    entry: str
    # 2.2.0's Q is a log error, lower being better, and 3.0.5 has other fits: neither may enter a column of the others.
    versions: tuple[str, ...]
    packages: tuple[str, ...]
    shim: str
    channels: dict[str, int]
    values: int


_RELEASES = {
    2: _Release("HDRBENCH_HDRVDP2", "hdrvdp", ("2.2.1", "2.2.2"), ("image",), str(DRIVER / "shim"), CHANNELS[2], 1),
    3: _Release(
        variable="HDRBENCH_HDRVDP3",
        entry="hdrvdp3",
        versions=("3.0.6", "3.0.7"),
        packages=("image", "statistics"),
        shim="",
        channels=CHANNELS[3],
        values=2,
    ),
}
_TASKS = ("quality", "side-by-side", "flicker", "detection")
_ORDERS = ("target,output", "output,target")


@dataclass(frozen=True)
class OfficialCode:
    """A folder with the official code, and what can run it.

    Attributes
    ----------
    major
        2 or 3.
    version
        As the code states it, e.g. ``"2.2.2"``.
    folder
        Where ``hdrvdp.m`` or ``hdrvdp3.m`` lies.
    interpreter
        What runs it.
    """

    major: int
    version: str
    folder: Path
    interpreter: Interpreter


def find_official(version: int) -> OfficialCode:
    """Find the official code of HDR-VDP-2 or -3 and what runs it, without starting anything.

    Raises
    ------
    HdrbenchError
        If the variable is not set, its folder does not hold a known version of the code, or there is no interpreter.
    ValueError
        If `version` is not 2 or 3.
    """
    if version not in _RELEASES:
        raise ValueError(f"expected version 2 or 3 of HDR-VDP, got {version!r}")
    release = _RELEASES[version]
    given = os.environ.get(release.variable)
    if not given:
        raise HdrbenchError(
            f"{release.variable} is not set; download HDR-VDP {release.versions[-1]} and set it to the folder that holds "
            f"{release.entry}.m"
        )
    folder = Path(given).expanduser().resolve()
    if not (folder / f"{release.entry}.m").is_file():
        inner = sorted(folder.glob(f"*/{release.entry}.m"))
        hint = f"; did you mean {inner[-1].parent}?" if inner else ""
        raise HdrbenchError(f"{release.variable} is {folder}, where there is no {release.entry}.m{hint}")
    stated = _stated_version(folder)
    if stated not in release.versions:
        raise HdrbenchError(
            f"{folder} holds HDR-VDP {stated}, whose Q is not that of {' and '.join(release.versions)}; set "
            f"{release.variable} to one of these"
        )
    return OfficialCode(version, stated, folder, find_interpreter())


def _stated_version(folder: Path) -> str:
    """Read the version, which the code writes as a number: 2.22 for 2.2.2, 2.2 for 2.2.0, 3.07 for 3.0.7."""
    path = folder / "hdrvdp_version.m"
    if not path.is_file():
        raise HdrbenchError(f"{folder} has no hdrvdp_version.m, so the version of its HDR-VDP is not known")
    found = re.search(r"^\s*ver\s*=\s*(\d)\.(\d)(\d?)\s*;", path.read_text(errors="replace"), re.MULTILINE)
    if found is None:
        raise HdrbenchError(f"{path} does not state a version such as 'ver = 2.22;'")
    return f"{found[1]}.{found[2]}.{found[3] or 0}"


class OfficialHdrVdp:
    """The official code in a process of its own, which starts with the first pair and ends with the context.

    Parameters
    ----------
    code
        What to run, from `find_official`.
    timeout_s
        Seconds that one pair may take.
    """

    def __init__(self, code: OfficialCode, *, timeout_s: float = TIMEOUT_S):
        self.code = code
        self._release = _RELEASES[code.major]
        first = (str(code.folder), self._release.entry, self._release.shim, *self._release.packages)
        self._process = InterpreterProcess(code.interpreter, first, timeout_s=timeout_s)
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def starts(self) -> int:
        """How often the process has been started: once, and once more after each failure or end of it."""
        return self._process.starts

    def start(self) -> None:
        """Start the process now. Raises `HdrbenchError` if it does not come up with all that the code needs."""
        with self._lock, self._named("start"):
            self._process.start()

    @contextlib.contextmanager
    def _named(self, doing: str) -> Iterator[None]:
        try:
            yield
        except HdrbenchError as error:
            raise HdrbenchError(f"HDR-VDP {self.code.version} of {self.code.folder}, {doing}: {error}") from error

    def close(self) -> None:
        """End the process; scoring another pair starts a new one."""
        with self._lock:
            self._process.close()

    def score(
        self, test: Tensor, reference: Tensor, *, encoding: str, ppd: float, task: str = "quality"
    ) -> tuple[float, ...]:
        """Score one pair of (C, H, W) images, the arguments in the order of the official functions.

        Returns
        -------
        tuple of float
            (Q,) of HDR-VDP-2, or (Q, Q_JOD) of HDR-VDP-3.

        Raises
        ------
        HdrbenchError
            If the process cannot be started, fails, does not reply in time, or replies a value that is not finite.
        """
        channels, height, width = test.shape
        with self._lock, self._named(f"{channels}x{height}x{width} pair, {encoding}, {ppd:g} ppd"):
            folder = self._process.start()
            files = [str(folder / "test.bin"), str(folder / "reference.bin")]
            for file, image in zip(files, (test, reference), strict=True):
                columns = image.detach().cpu().double().transpose(1, 2)  # column-major, as fread and reshape take it
                columns.contiguous().numpy().astype("<f8", copy=False).tofile(file)
            size = (height, width, channels)
            values = self._process.request("score", self._release.entry, files, size, encoding, float(ppd), task)
            if len(values) != self._release.values or not all(math.isfinite(value) for value in values):
                raise HdrbenchError(f"expected {self._release.values} finite values, got {values}")
        return tuple(values)


# By process id as well: a forked worker must neither use nor end its parent's interpreter.
_shared: dict[tuple[int, int], OfficialHdrVdp] = {}
_shared_lock = threading.Lock()


def official(version: int) -> OfficialHdrVdp:
    """Return the process that `hdrvdp2_official` or `hdrvdp3_official` uses, made anew if the variables have changed.

    Its ``code.version`` is what a table must name. It is not started here.

    Raises
    ------
    HdrbenchError, ValueError
        As `find_official`.
    """
    code = find_official(version)
    with _shared_lock:
        key = (os.getpid(), version)
        present = _shared.get(key)
        if present is None or present.code != code:
            if present is not None:
                present.close()
            _shared[key] = present = OfficialHdrVdp(code)
        return present


@atexit.register
def close_official() -> None:
    """End the shared processes; done at exit, and harmless before, since they start again when needed."""
    with _shared_lock:
        for (owner, _), process in _shared.items():
            if owner == os.getpid():
                process.close()


def official_missing(version: int) -> str | None:
    """Return why the official HDR-VDP-2 or -3 cannot be used here, or None if it can.

    Octave is started, in about half a second, only if all else is in place, and kept for the images to come. MATLAB,
    which takes much longer, is not started, so what it lacks shows with the first image.

    Raises
    ------
    ValueError
        If `version` is not 2 or 3.
    """
    try:
        process = official(version)
        if process.code.interpreter.name == "GNU Octave":
            process.start()
    except HdrbenchError as error:
        return str(error)
    return None


def _score(
    version: int, pred: Tensor, ref: Tensor, *, encoding: str, ppd: float, order: str, task: str = "quality"
) -> Tensor:
    """Check the arguments and score each pair; returns (N, 1) or (N, 2) float64."""
    check_pair(pred, ref)
    channels = _RELEASES[version].channels
    if encoding not in channels:
        raise unknown("colour encoding", encoding, channels)
    if pred.shape[1] != channels[encoding]:
        raise ValueError(f"'{encoding}' takes {channels[encoding]} channels, got {pred.shape[1]}")
    if not (math.isfinite(ppd) and ppd > 0):
        raise ValueError(f"expected a positive number of pixels per degree, got {ppd}")
    if order not in _ORDERS:
        raise unknown("argument order", order, _ORDERS)
    if task not in _TASKS:
        raise unknown("HDR-VDP-3 task", task, _TASKS)
    test, reference = (ref, pred) if order == "target,output" else (pred, ref)
    process = official(version)
    scores = [process.score(*pair, encoding=encoding, ppd=ppd, task=task) for pair in zip(test, reference, strict=True)]
    return torch.tensor(scores, dtype=torch.float64, device=pred.device).reshape(len(pred), _RELEASES[version].values)


def hdrvdp2_official(pred: Tensor, ref: Tensor, *, encoding: str, ppd: float, order: str = "target,output") -> Tensor:
    """Q of HDR-VDP-2 (Mantiuk2011, Narwaria2015), from the authors' code 2.2.1 or 2.2.2.

    Parameters
    ----------
    pred, ref
        (N, C, H, W), in the unit of `encoding`; nothing is clipped or scaled here. No gradient is returned. Negative
        luminance has no meaning: where the image passed second has it, the code takes the pixel for unchanged.
    encoding
        ``"sRGB-display"`` (codes in [0, 1]), ``"rgb-bt.709"`` or ``"XYZ"`` (cd/m²), all of three channels;
        ``"luma-display"`` (codes) or ``"luminance"`` (cd/m²), of one.
    ppd
        Pixels per visual degree.
    order
        ``"target,output"`` calls ``hdrvdp(ref, pred, ...)`` as SelfHDR's evaluation does; ``"output,target"`` is the
        order of the code's documentation (test, reference). The mask of changed pixels is relative to the second.

    Returns
    -------
    Tensor
        (N,) float64; 100 for identical images, lower for worse ones, without lower bound.

    Raises
    ------
    HdrbenchError
        If the code or Octave is missing, fails, does not reply in time, or Q is not finite; for an unknown name.
    ValueError
        On unequal shapes, values that are not finite, a wrong number of channels or `ppd`.
    """
    return _score(2, pred, ref, encoding=encoding, ppd=ppd, order=order)[:, 0]


def hdrvdp3_official(
    pred: Tensor, ref: Tensor, *, encoding: str, ppd: float, order: str = "target,output", task: str = "quality"
) -> Vdp3:
    """Q and Q_JOD of HDR-VDP-3 (Mantiuk2023), from the authors' code 3.0.6 or 3.0.7; Octave runs only 3.0.7.

    Parameters
    ----------
    pred, ref, encoding, ppd, order
        As for `hdrvdp2_official`; the encodings ``"rgb-native"`` and ``"rgb-bt.2020"`` (cd/m²) are known besides.
    task
        ``"quality"``, ``"side-by-side"``, ``"flicker"`` or ``"detection"``.

    Returns
    -------
    Vdp3
        `q` and `q_jod`, each (N,) float64; 10 for identical images, lower for worse ones.

    Raises
    ------
    HdrbenchError, ValueError
        As `hdrvdp2_official`.
    """
    scores = _score(3, pred, ref, encoding=encoding, ppd=ppd, order=order, task=task)
    return Vdp3(scores[:, 0], scores[:, 1])
