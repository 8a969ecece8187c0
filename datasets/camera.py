"""A virtual camera: radiance in, bracketed display-referred frames out.

The arithmetic is that of `hdrbench.datasets.exact`, so equal radiance gives equal frames on every machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hdrbench.datasets import exact
from hdrbench.datasets.scene import Image, Scene
from hdrbench.errors import HdrbenchError, unknown

RESPONSES = ("gamma2.2", "srgb")


@dataclass(frozen=True)
class Camera:
    """What a camera does to light.

    Attributes
    ----------
    response
        Curve from exposure to code value: ``"gamma2.2"`` or ``"srgb"``.
    evs
        Exposures of the bracket in EV relative to the shortest, ascending from 0.
    bits
        Depth of the code values.
    shot_noise
        Standard deviation of the photon noise at saturation, relative to saturation; it grows as the root of exposure.
    read_noise
        Standard deviation of the noise in the dark, relative to saturation.
    """

    response: str
    evs: tuple[float, ...]
    bits: int
    shot_noise: float
    read_noise: float

    def __post_init__(self) -> None:
        if self.response not in RESPONSES:
            raise unknown("camera response", self.response, RESPONSES)
        if self.evs[:1] != (0.0,) or list(self.evs) != sorted(set(self.evs)):
            raise HdrbenchError(f"camera evs must ascend from 0, got {list(self.evs)}; give EV above the shortest")

    @property
    def times(self) -> tuple[float, ...]:
        """Relative exposure times, the shortest = 1."""
        return tuple(float(t) for t in exact.exp2(self.evs))


def camera_from(options: dict[str, Any]) -> Camera:
    """Build a camera from the ``camera`` mapping of a card.

    Raises
    ------
    HdrbenchError
        A key is unknown or missing.
    """
    fields = Camera.__dataclass_fields__
    for key in options:
        if key not in fields:
            raise unknown("camera option", key, fields)
    missing = sorted(fields.keys() - options.keys())
    if missing:
        raise HdrbenchError(f"camera option '{missing[0]}' is missing; a camera needs {', '.join(fields)}")
    return Camera(**{**options, "evs": tuple(float(ev) for ev in options["evs"])})


def capture(radiance: exact.Array, time: float, camera: Camera, dice: exact.Dice) -> Image:
    """Take one frame.

    Parameters
    ----------
    radiance
        (H, W, 3), linear, 1 = saturation of an exposure of time 1.
    time
        Relative exposure time.
    camera
        The camera.
    dice
        Source of the noise.

    Returns
    -------
    numpy.ndarray
        (H, W, 3) float32 display-referred in [0, 1], a multiple of 1 / (2**bits - 1).
    """
    exposure = np.minimum(radiance * time, 2.0)
    variance = camera.shot_noise * camera.shot_noise * exposure + camera.read_noise * camera.read_noise
    noisy = np.clip(exposure + np.sqrt(variance) * dice.normals(exposure.shape), 0.0, 1.0)
    if camera.response == "srgb":
        curved = np.where(noisy <= 0.0031308, 12.92 * noisy, 1.055 * exact.power(noisy, 1 / 2.4) - 0.055)
    else:
        curved = exact.power(noisy, 1 / 2.2)
    top = 2.0**camera.bits - 1.0
    return (np.minimum(np.floor(curved * top + 0.5), top) / top).astype(np.float32)


def auto_gain(radiance: exact.Array, camera: Camera, clipped: float, cores: float = 0.01) -> float:
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
    """
    peak = np.maximum(np.maximum(radiance[..., 0], radiance[..., 1]), radiance[..., 2])
    middle = camera.times[len(camera.times) // 2]
    level = max(exact.quantile(peak, 1.0 - clipped) * middle, exact.quantile(peak, 1.0 - cores))
    return 1.0 / level


def photograph(name: str, instants: Sequence[exact.Array], camera: Camera, dice: exact.Dice, clipped: float) -> Scene:
    """Take a bracket of a changing world.

    The reference is what a bracket of the unmoved middle instant holds: the radiance at that instant in units of the
    shortest exposure's saturation, clipped to [0, 1].

    Parameters
    ----------
    name
        Name of the scene.
    instants
        Radiance (H, W, 3) while each exposure is taken, shortest first.
    camera
        The camera.
    dice
        Source of the noise.
    clipped
        Fraction of the pixels that the middle exposure clips.
    """
    middle = instants[len(instants) // 2]
    gain = auto_gain(middle, camera, clipped)
    pairs = zip(instants, camera.times, strict=True)
    ldrs = tuple(capture(radiance * gain, time, camera, dice) for radiance, time in pairs)
    return Scene(name, ldrs, camera.times, np.clip(middle * gain, 0.0, 1.0).astype(np.float32))
