"""A virtual camera with any response curve: radiance in, code values of a bracket out.

Light is integrated for an exposure time, gets photon and read noise, saturates, passes the response curve, is quantised
and, if the camera stores JPEG, compressed. Equal light, curve and dice give equal codes: quantising compares with the
exposures at which the code changes, and `hdrbench.datasets.exact` makes the noise.

`hdrbench.datasets.camera`, which the ``hdri_*`` and ``embedded_*`` sets use, is the same camera with two fixed curves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hdrbench.datasets import exact
from hdrbench.datasets.scene import Image, Scene
from hdrbench.errors import DataMissingError, HdrbenchError
from hdrbench.imaging import response as curves
from hdrbench.imaging.response import Response

# How a preset or a card names response curves; parts in brackets may be left out.
RESPONSES = ("gamma:EXPONENT", "sigmoid[:N:SIGMA]", "dorf:ROW[:NAME]", "emor:COUNT")
_DORF_FILES = ("dorfCurves.txt", "201_CRF_data.mat")

Codes = NDArray[np.unsignedinteger]


@dataclass(frozen=True)
class VirtualCamera:
    """What a camera does to light, but for its response curve.

    Attributes
    ----------
    evs
        Exposures of the bracket in EV relative to the shortest, ascending from 0.
    bits
        Depth of the code values, 1 to 16.
    shot_noise
        Standard deviation of the photon noise at saturation, relative to saturation; it grows as the root of exposure,
        so that a sensor which holds n electrons has ``n ** -0.5``.
    read_noise
        Standard deviation of the noise in the dark, relative to saturation.
    jpeg
        Quality of the JPEG compression, 1 to 100, or ``None`` for a camera that stores code values as they are.

    Raises
    ------
    HdrbenchError
        A value is out of its range.
    """

    evs: tuple[float, ...]
    bits: int
    shot_noise: float
    read_noise: float
    jpeg: int | None

    def __post_init__(self) -> None:
        if self.evs[:1] != (0.0,) or list(self.evs) != sorted(set(self.evs)):
            raise HdrbenchError(f"camera evs must ascend from 0, got {list(self.evs)}; give EV above the shortest")
        if not 1 <= self.bits <= 16:
            raise HdrbenchError(f"camera has {self.bits} bits; expected 1 to 16")
        if not (self.shot_noise >= 0 and self.read_noise >= 0):
            raise HdrbenchError(f"camera noise is {self.shot_noise}, {self.read_noise}; expected values >= 0")
        if self.jpeg is not None and not (self.bits == 8 and 1 <= self.jpeg <= 100):
            raise HdrbenchError(
                f"camera stores JPEG of quality {self.jpeg} from {self.bits} bits; expected quality 1 to 100 and 8 bits"
            )

    @property
    def times(self) -> tuple[float, ...]:
        """Relative exposure times, the shortest = 1."""
        return tuple(float(t) for t in exact.exp2(self.evs))

    @property
    def top(self) -> int:
        """The highest code value."""
        return 2**self.bits - 1


@dataclass(frozen=True)
class Stack:
    """A bracket as a camera stores it.

    Attributes
    ----------
    codes
        (n, H, W, 3) code values, shortest exposure first.
    top
        The code value that stands for 1.
    times
        Relative exposure times, the shortest = 1.
    hdr
        (H, W, 3) radiance at the middle exposure's instant, 1 = saturation of the shortest exposure, clipped to [0, 1].
    """

    codes: Codes
    top: int
    times: tuple[float, ...]
    hdr: Image

    def scene(self, name: str) -> Scene:
        """Scale the code values to [0, 1]."""
        return Scene(name, tuple(to_unit(codes, self.top) for codes in self.codes), self.times, self.hdr)


def to_unit(codes: Codes, top: int) -> Image:
    """Scale code values to float32 in [0, 1]."""
    return (codes / np.float64(top)).astype(np.float32)


def expose(radiance: exact.Array, time: float, camera: VirtualCamera, dice: exact.Dice) -> exact.Array:
    """Integrate light on the sensor.

    Parameters
    ----------
    radiance
        (H, W, 3), linear, 1 = saturation of an exposure of time 1.
    time
        Relative exposure time.
    camera
        The camera.
    dice
        Source of the noise; a camera without noise draws nothing.

    Returns
    -------
    numpy.ndarray
        (H, W, 3) exposure in [0, 1], 1 = saturation.
    """
    exposure = np.minimum(radiance * time, 2.0)
    if camera.shot_noise or camera.read_noise:
        variance = camera.shot_noise * camera.shot_noise * exposure + camera.read_noise * camera.read_noise
        exposure = exposure + np.sqrt(variance) * dice.normals(exposure.shape)
    return np.clip(exposure, 0.0, 1.0)


def develop(exposure: exact.Array, response: Response, camera: VirtualCamera) -> Codes:
    """Turn exposure in [0, 1] into code values: response curve, nearest of ``2**bits`` codes, JPEG.

    Raises
    ------
    HdrbenchError
        The curve needs exposures that do not ascend, so it is no response curve.
    """
    changes = response.invert((np.arange(camera.top) + 0.5) / camera.top)
    if (np.diff(changes) < 0).any():
        raise HdrbenchError(f"response '{response.name}' falls somewhere; expected a curve that never falls")
    codes = np.searchsorted(changes, exposure, side="right")
    if camera.bits > 8:
        return codes.astype(np.uint16)
    return codes.astype(np.uint8) if camera.jpeg is None else _compress(codes.astype(np.uint8), camera.jpeg)


def _compress(codes: NDArray[np.uint8], quality: int) -> Codes:
    done, data = cv2.imencode(".jpg", np.ascontiguousarray(codes[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise HdrbenchError(f"a frame of shape {codes.shape} cannot be stored as JPEG; sides must be below 65536")
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.ascontiguousarray(decoded[..., ::-1], dtype=np.uint8)


def auto_gain(radiance: exact.Array, camera: VirtualCamera, clipped: float, cores: float = 0.01) -> float:
    """Choose the factor that brings radiance to the camera's scale, 1 = saturation of the shortest exposure.

    Parameters
    ----------
    radiance
        (H, W, 3) of the middle frame.
    camera
        The camera.
    clipped
        Fraction of the pixels that the middle exposure clips.
    cores
        Largest fraction that the shortest exposure may clip; it wins over `clipped` when both cannot be had.

    Raises
    ------
    HdrbenchError
        The frame is black there, so no exposure clips that fraction.
    """
    peak = radiance.max(axis=-1)
    middle = camera.times[len(camera.times) // 2]
    level = max(exact.quantile(peak, 1.0 - clipped) * middle, exact.quantile(peak, 1.0 - cores))
    if level <= 0:
        raise HdrbenchError("a view is black and cannot be exposed; take the map it comes from out of the data set")
    return 1.0 / level


def photograph(
    instants: Sequence[exact.Array], response: Response, camera: VirtualCamera, dice: exact.Dice, clipped: float
) -> Stack:
    """Take a bracket of a changing world.

    Parameters
    ----------
    instants
        Radiance (H, W, 3) while each exposure is taken, shortest first.
    response
        The camera's curve.
    camera
        The rest of the camera.
    dice
        Source of the noise.
    clipped
        Fraction of the pixels that the middle exposure clips.

    Raises
    ------
    HdrbenchError
        The middle instant is black.
    """
    middle = instants[len(instants) // 2]
    gain = auto_gain(middle, camera, clipped)
    pairs = zip(instants, camera.times, strict=True)
    frames = [develop(expose(radiance * gain, time, camera, dice), response, camera) for radiance, time in pairs]
    return Stack(np.stack(frames), camera.top, camera.times, np.clip(middle * gain, 0.0, 1.0).astype(np.float32))


def curve_files(responses: Sequence[str], folder: Path | None) -> list[Path]:
    """List the files that named responses are read from.

    Raises
    ------
    DataMissingError
        They are not there, or no folder is given.
    """
    kinds = {name.split(":")[0] for name in responses}
    found = [_dorf_file(folder)] if kinds & {"dorf", "emor"} else []
    return [*found, found[0].with_name("emor.txt")] if "emor" in kinds else found


def _dorf_file(folder: Path | None) -> Path:
    source = f"get it from {curves.DORF_HOMEPAGE}, or choose the responses gamma or sigmoid, which need no file"
    if folder is None:
        raise DataMissingError(f"measured response curves are asked for, but no folder of them is named; {source}")
    for name in _DORF_FILES:
        if (folder / name).is_file():
            return folder / name
    raise DataMissingError(
        f"{folder} holds neither {' nor '.join(_DORF_FILES)}, the measured response curves; {source}"
    )


def make_response(name: str, folder: Path | None, dice: exact.Dice) -> Response:
    """Make the response curve of a name, one of `RESPONSES`.

    ``sigmoid`` without parameters draws them as Eilertsen2017 does. ``emor:COUNT`` draws the coefficients of the first
    COUNT directions of EMoR (Grossberg2004) with the spread they have over the measured curves, and takes the nearest
    curve that never falls.

    Parameters
    ----------
    name
        Such as ``"gamma:2.2"``.
    folder
        Where the measured curves are, for ``dorf`` and ``emor``.
    dice
        Source of what is drawn.

    Raises
    ------
    DataMissingError
        The measured curves are not there.
    HdrbenchError
        The name is none of `RESPONSES`, or the files have no such curve.
    """
    kind, *parts = name.split(":")
    try:
        if kind == "gamma" and len(parts) == 1:
            return curves.gamma(float(parts[0]))
        if kind == "sigmoid" and len(parts) in (0, 2):
            drawn = np.array([0.9, 0.6]) + 0.1 * dice.normals((2,)) if not parts else [float(part) for part in parts]
            return curves.sigmoid(float(drawn[0]), float(drawn[1]))
        if kind == "dorf" and len(parts) in (1, 2):
            return _measured(_dorf_file(folder), int(parts[0]))
        if kind == "emor" and len(parts) == 1:
            return _random_emor(_dorf_file(folder), int(parts[0]), dice)
    except ValueError as error:
        raise HdrbenchError(f"response '{name}': {error}; expected {', '.join(RESPONSES)}") from None
    raise HdrbenchError(f"unknown response '{name}'; expected {', '.join(RESPONSES)}")


def _measured(path: Path, row: int) -> Response:
    known = _dorf(path, path.stat().st_mtime_ns)
    if not 0 <= row < len(known):
        raise HdrbenchError(f"{path}: has no curve {row}; expected a row from 0 to {len(known) - 1}")
    return known[row]


@cache
def _dorf(path: Path, changed: int) -> tuple[Response, ...]:
    """Read the measured curves once per process as long as their file stays the same."""
    return curves.read_dorf(path)


def _random_emor(measured: Path, count: int, dice: exact.Dice) -> Response:
    basis, spread = _emor(measured, measured.stat().st_mtime_ns)
    if not 1 <= count <= len(spread):
        raise HdrbenchError(f"EMoR has {len(spread)} directions, {count} were asked for; name 1 to {len(spread)}")
    return basis.response(curves.monotone(basis, spread[:count] * dice.normals((count,))), f"emor {count} drawn")


@cache
def _emor(measured: Path, changed: int) -> tuple[curves.Basis, exact.Array]:
    """Read the basis, and measure the standard deviation of each coefficient over the measured curves."""
    basis = curves.read_basis(measured.with_name("emor.txt"))
    samples = np.stack([known.evaluate(basis.grid) for known in _dorf(measured, changed)])
    return basis, curves.fit(basis, samples, len(basis.vectors)).std(axis=0)
