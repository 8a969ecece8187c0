"""Arithmetic that gives the same bits on every machine.

Only operations whose result IEEE 754 or integer arithmetic fixes are used, one NumPy call each, over float64:
``+ - * /``, ``sqrt``, ``floor``, comparisons, ``frexp``/``ldexp`` and order statistics. The C library's ``exp``,
``pow`` or ``sin`` and NumPy's sums differ in the last bit between processors, and one bit is enough to change a
quantised picture.
"""

import hashlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_LN2 = 0.6931471805599453
_SQRT_HALF = 0.7071067811865476


class Dice:
    """Random draws that do not depend on NumPy's version: uniforms made from PCG64's raw stream, which never changes.

    Parameters
    ----------
    *key
        What the draws are for, e.g. a seed, a split and a scene index; other keys give independent draws.
    """

    def __init__(self, *key: int | str) -> None:
        digest = hashlib.sha256(repr(key).encode()).digest()
        self._stream = np.random.PCG64(int.from_bytes(digest[:16], "big"))

    def uniforms(self, shape: tuple[int, ...], low: float = 0.0, high: float = 1.0) -> Array:
        """Draw an array of uniforms in [low, high)."""
        count = int(np.prod(shape))
        raw = self._stream.random_raw(count).reshape(shape)
        return low + (high - low) * ((raw >> np.uint64(11)).astype(np.float64) * 2.0**-53)

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """Draw one uniform in [low, high)."""
        return float(self.uniforms((1,), low, high)[0])

    def integer(self, low: int, high: int) -> int:
        """Draw an integer in [low, high], both included."""
        return low + int(self.uniform() * (high - low + 1))

    def chance(self, probability: float) -> bool:
        """Draw a yes with the given probability."""
        return self.uniform() < probability

    def normals(self, shape: tuple[int, ...]) -> Array:
        """Draw approximate normals (mean 0, sd 1, |x| < 3.47): the sum of the four 16-bit parts of each raw number."""
        raw = self._stream.random_raw(int(np.prod(shape))).reshape(shape)
        total = np.zeros(shape, np.int64)
        for part in range(4):
            total += ((raw >> np.uint64(16 * part)) & np.uint64(0xFFFF)).astype(np.int64)
        # Each part has variance (2**32 - 1) / 12, so the sum has sd 2**16 / sqrt(3).
        return (total - 131070).astype(np.float64) * (1.7320508075688772 / 65536.0)


def exp2(x: ArrayLike) -> Array:
    """Compute 2**x to about 1e-13 relative."""
    x = np.asarray(x, dtype=np.float64)
    whole = np.floor(x + 0.5)
    step = (x - whole) * _LN2
    total = np.ones_like(step)
    for order in range(11, 0, -1):
        total = 1.0 + total * step / order
    return np.ldexp(total, whole.astype(np.int32))


def log2(x: ArrayLike) -> Array:
    """Compute the binary logarithm of x > 0 to about 1e-13 absolute."""
    mantissa, exponent = np.frexp(np.asarray(x, dtype=np.float64))
    low = mantissa < _SQRT_HALF
    mantissa = np.where(low, mantissa * 2.0, mantissa)
    ratio = (mantissa - 1.0) / (mantissa + 1.0)
    square = ratio * ratio
    total = np.zeros_like(ratio)
    for order in range(15, 0, -2):
        total = 1.0 / order + total * square
    return (exponent - low) + total * ratio * (2.0 / _LN2)


def power(x: ArrayLike, exponent: float) -> Array:
    """Compute x**exponent for x >= 0 and exponent > 0; 0 stays 0."""
    x = np.asarray(x, dtype=np.float64)
    positive = x > 0
    return np.where(positive, exp2(log2(np.where(positive, x, 1.0)) * exponent), 0.0)


def smoothstep(x: Array, low: float, high: float) -> Array:
    """Rise smoothly from 0 at `low` to 1 at `high`."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def lattice(dice: Dice, size: int = 64) -> Array:
    """Draw the random values (size, size) that noise interpolates; `size` is a power of two."""
    return dice.uniforms((size, size))


def noise(values: Array, x: Array, y: Array) -> Array:
    """Interpolate a lattice smoothly at (x, y), repeating it over the whole plane; the result is in [0, 1)."""
    size = values.shape[0] - 1
    x0, y0 = np.floor(x), np.floor(y)
    fx, fy = x - x0, y - y0
    fx, fy = fx * fx * (3.0 - 2.0 * fx), fy * fy * (3.0 - 2.0 * fy)
    # The period is a power of two, so masking is the remainder, for negative cells too.
    left, top = x0.astype(np.int64) & size, y0.astype(np.int64) & size
    right, bottom = (left + 1) & size, (top + 1) & size
    upper = values[top, left] + (values[top, right] - values[top, left]) * fx
    lower = values[bottom, left] + (values[bottom, right] - values[bottom, left]) * fx
    return upper + (lower - upper) * fy


def fractal(values: Array, x: Array, y: Array, octaves: int, footprint: ArrayLike = 0.0) -> Array:
    """Sum octaves of noise, each twice as fine and 0.6 as strong; the mean is about 0.5.

    Parameters
    ----------
    values
        A `lattice`.
    x, y
        Positions in units of the coarsest cell.
    octaves
        How many scales are summed.
    footprint
        Size of a pixel in the units of `x`; octaves finer than it fade out, so that distance does not alias.
    """
    footprint = np.asarray(footprint, dtype=np.float64)
    total, weight, weights = np.zeros_like(x), 1.0, 0.0
    for octave in range(octaves):
        scale = 2.0**octave
        seen = np.clip(2.0 - 3.0 * footprint * scale, 0.0, 1.0)
        offset = 17.31 * octave
        if seen.any():
            total = total + weight * seen * (noise(values, x * scale + offset, y * scale - offset) - 0.5)
        weights += weight
        weight *= 0.6
    return 0.5 + total * (1.6 / weights)


def quantile(values: Array, fraction: float) -> float:
    """Pick the order statistic at `fraction` of the way from the smallest (0) to the largest (1) value."""
    flat = values.ravel()
    rank = min(int(fraction * flat.size), flat.size - 1)
    return float(np.partition(flat, rank)[rank])


def window(image: Array, top: float, left: float, height: int, width: int) -> Array:
    """Cut (height, width) out of an image (H, W, C) at a position between pixels, by bilinear interpolation."""
    row, column = int(np.floor(top)), int(np.floor(left))
    fy, fx = top - row, left - column
    part = image[row : row + height + 1, column : column + width + 1]
    rows = part[:-1] + (part[1:] - part[:-1]) * fy
    return rows[:, :-1] + (rows[:, 1:] - rows[:, :-1]) * fx


def halve(image: Array) -> Array:
    """Average 2 x 2 pixels of an image (H, W, C) with even H and W."""
    return ((image[0::2, 0::2] + image[1::2, 0::2]) + (image[0::2, 1::2] + image[1::2, 1::2])) * 0.25
