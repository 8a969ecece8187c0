"""A virtual camera with any response curve: radiance in, bracketed display-referred frames out.

Light is integrated for an exposure time, gets photon and read noise, saturates, passes the response curve, is quantised
and, if the camera stores JPEG, compressed. Equal light, curve and dice give equal frames: quantising compares with the
exposures at which the code changes, and `hdrbench.datasets.exact` makes the noise. With ``gamma`` and ``srgb`` those
exposures are exact too, so the frames are the same on every machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hdrbench.datasets import exact
from hdrbench.datasets.scene import Scene
from hdrbench.errors import DataMissingError, HdrbenchError, unknown
from hdrbench.imaging import response as curves
from hdrbench.imaging.response import Response

# How a preset or a card names response curves; parts in brackets may be left out.
RESPONSES = ("gamma:EXPONENT", "srgb", "sigmoid[:N:SIGMA]", "dorf:ROW[:NAME]", "emor:COUNT")
_DORF_FILES = ("dorfCurves.txt", "201_CRF_data.mat")

_CARD_OPTIONS = ("response", "evs", "bits", "shot_noise", "read_noise")

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


def camera_from(options: dict[str, Any], dice: exact.Dice) -> tuple[VirtualCamera, Response]:
    """Build a camera that stores code values as they are from the ``camera`` mapping of a card.

    Parameters
    ----------
    options
        The fields of `VirtualCamera` but for ``jpeg``, and ``response``, one of `RESPONSES` that needs no file.
    dice
        Source of what is drawn for the response; ``gamma`` and ``srgb`` draw nothing.

    Raises
    ------
    HdrbenchError
        A key is unknown or missing, or a value is out of its range.
    DataMissingError
        The response needs a file.
    """
    for key in options:
        if key not in _CARD_OPTIONS:
            raise unknown("camera option", key, _CARD_OPTIONS)
    missing = sorted(set(_CARD_OPTIONS) - options.keys())
    if missing:
        raise HdrbenchError(f"camera option '{missing[0]}' is missing; a camera needs {', '.join(_CARD_OPTIONS)}")
    evs = tuple(float(ev) for ev in options["evs"])
    camera = VirtualCamera(evs, options["bits"], options["shot_noise"], options["read_noise"], jpeg=None)
    return camera, make_response(str(options["response"]), None, dice)


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
    name: str,
    instants: Sequence[exact.Array],
    response: Response,
    camera: VirtualCamera,
    dice: exact.Dice,
    clipped: float,
) -> Scene:
    """Take a bracket of a changing world.

    The reference is what a bracket of the unmoved middle instant holds: the radiance at that instant in units of the
    shortest exposure's saturation, clipped to [0, 1].

    Parameters
    ----------
    name
        Name of the scene.
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
    ldrs = tuple((codes / np.float64(camera.top)).astype(np.float32) for codes in frames)
    return Scene(name, ldrs, camera.times, np.clip(middle * gain, 0.0, 1.0).astype(np.float32))


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
            return _exact_gamma(float(parts[0]))
        if name == "srgb":
            return Response("srgb", _srgb_evaluate, _srgb_invert)
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


def _exact_gamma(exponent: float) -> Response:
    # The C library's power would move a code's change by the last bit from machine to machine.
    return replace(curves.gamma(exponent), invert=lambda b: exact.power(np.clip(b, 0.0, 1.0), exponent))


def _srgb_evaluate(irradiance: ArrayLike) -> exact.Array:
    x = np.clip(np.asarray(irradiance, dtype=np.float64), 0.0, 1.0)
    return np.where(x <= 0.0031308, 12.92 * x, 1.055 * exact.power(x, 1 / 2.4) - 0.055)


def _srgb_invert(brightness: ArrayLike) -> exact.Array:
    b = np.clip(np.asarray(brightness, dtype=np.float64), 0.0, 1.0)
    return np.where(b <= 0.04045, b / 12.92, exact.power((b + 0.055) / 1.055, 2.4))


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
