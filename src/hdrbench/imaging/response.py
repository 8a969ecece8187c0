"""Camera response functions: brightness as a function of irradiance, both in [0, 1].

Three kinds: measured curves (the Database of Response Functions, Grossberg2004), curves made of their principal
components (EMoR, Grossberg2004), and two that need no file, gamma and the sigmoid of Eilertsen2017.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hdrbench.errors import DataMissingError, HdrbenchError

Array = NDArray[np.float64]

DORF_HOMEPAGE = "https://cave.cs.columbia.edu/repository/DoRF"
# Curves of the measured files are stored with six digits, so their ends may be off by this much.
END_TOLERANCE = 1e-5
# Slope that a curve made monotone keeps, so that rounding cannot turn it around.
_LEAST_RISE = 1e-9


@dataclass(frozen=True)
class Response:
    """A response curve and its inverse.

    Attributes
    ----------
    name
        For readers.
    evaluate
        Brightness at an irradiance of any shape; irradiance above 1 saturates, below 0 is dark.
    invert
        Least irradiance that gives a brightness; where a curve is flat, that is where the flat part begins. Brightness
        above 1 counts as saturated, below 0 as dark.
    """

    name: str
    evaluate: Callable[[ArrayLike], Array]
    invert: Callable[[ArrayLike], Array]


def _unit(values: ArrayLike) -> Array:
    return np.clip(np.asarray(values, dtype=np.float64), 0.0, 1.0)


def gamma(exponent: float) -> Response:
    """Make the curve ``irradiance ** (1 / exponent)``.

    Raises
    ------
    HdrbenchError
        The exponent is not above 0.
    """
    if not exponent > 0:
        raise HdrbenchError(f"response gamma has exponent {exponent}; expected one above 0, such as 2.2")
    return Response(f"gamma {exponent:g}", lambda x: _unit(x) ** (1 / exponent), lambda b: _unit(b) ** exponent)


def sigmoid(n: float, sigma: float) -> Response:
    """Make the curve ``(1 + sigma) x**n / (x**n + sigma)`` of Eilertsen2017.

    They draw n from N(0.9, 0.1) and sigma from N(0.6, 0.1), the second number being the standard deviation.

    Raises
    ------
    HdrbenchError
        A parameter is not above 0.
    """
    if not (n > 0 and sigma > 0):
        raise HdrbenchError(f"response sigmoid has n = {n}, sigma = {sigma}; expected both above 0")

    def evaluate(x: ArrayLike) -> Array:
        power = _unit(x) ** n
        return (1 + sigma) * power / (power + sigma)

    def invert(b: ArrayLike) -> Array:
        brightness = _unit(b)
        return (sigma * brightness / (1 + sigma - brightness)) ** (1 / n)

    return Response(f"sigmoid n {n:.3f} sigma {sigma:.3f}", evaluate, invert)


def tabulated(name: str, irradiance: ArrayLike, brightness: ArrayLike) -> Response:
    """Make a curve from samples, linear between them.

    Parameters
    ----------
    name
        Name of the curve.
    irradiance, brightness
        (n,) both, never falling, from 0 to 1.

    Raises
    ------
    HdrbenchError
        The samples are no response curve.
    """
    x, y = np.array(irradiance, dtype=np.float64), np.array(brightness, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or x.size < 2:
        raise HdrbenchError(f"response '{name}': expected two equally long lists, got shapes {x.shape} and {y.shape}")
    for what, values in (("irradiance", x), ("brightness", y)):
        if not np.isfinite(values).all() or max(abs(values[0]), abs(values[-1] - 1)) > END_TOLERANCE:
            raise HdrbenchError(
                f"response '{name}': {what} runs from {values[0]:g} to {values[-1]:g}; expected finite values, 0 to 1"
            )
        if (fall := np.diff(values).min()) < 0:
            raise HdrbenchError(
                f"response '{name}': {what} falls by {-fall:.2g} at sample {np.diff(values).argmin()}; "
                "expected a curve that never falls"
            )
    x[[0, -1]] = y[[0, -1]] = 0.0, 1.0
    # np.interp takes the last of equal samples; seen from the other end, that is the first.
    return Response(name, lambda v: np.interp(_unit(v), x, y), lambda v: np.interp(-_unit(v), -y[::-1], x[::-1]))


def read_dorf(path: Path) -> tuple[Response, ...]:
    """Read the Database of Response Functions.

    Parameters
    ----------
    path
        The original ``dorfCurves.txt`` (six lines per curve: name, kind, ``I =``, irradiance, ``B =``, brightness), or
        a MATLAB file with ``I`` and ``B``, one row per curve, as ``201_CRF_data.mat``.

    Returns
    -------
    tuple of Response
        The curves in the order of the file; those of a MATLAB file are named by their row, counted from 0.

    Raises
    ------
    DataMissingError
        There is no such file.
    HdrbenchError
        The file has another layout, or holds something that is no response curve.
    """
    _require(path)
    rows = _dorf_matrix(path) if path.suffix == ".mat" else _dorf_text(path)
    try:
        return tuple(tabulated(*row) for row in rows)
    except HdrbenchError as error:
        raise HdrbenchError(f"{path}: {error}; get it again from {DORF_HOMEPAGE}") from None


def _require(path: Path) -> None:
    if not path.is_file():
        raise DataMissingError(f"{path} is missing; get the measured response curves from {DORF_HOMEPAGE}")


def _dorf_matrix(path: Path) -> list[tuple[str, Array, Array]]:
    from scipy.io import loadmat

    try:
        content = loadmat(path)
    except Exception as error:
        # scipy raises whatever its parser stumbles over: ValueError, TypeError, zlib.error, MatReadError.
        raise HdrbenchError(f"{path}: not a complete MATLAB file ({error}); get it again") from None
    if not {"I", "B"} <= content.keys() or content["I"].shape != content["B"].shape or content["B"].ndim != 2:
        raise HdrbenchError(f"{path}: expected matrices I and B, one row per curve; use 201_CRF_data.mat")
    return [(f"dorf row {row}", x, y) for row, (x, y) in enumerate(zip(content["I"], content["B"], strict=True))]


def _dorf_text(path: Path) -> list[tuple[str, Array, Array]]:
    lines = [line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    if not lines:
        raise HdrbenchError(f"{path}: is empty; get it again from {DORF_HOMEPAGE}")
    rows = []
    for start in range(0, len(lines), 6):
        block = lines[start : start + 6]
        if len(block) < 6 or block[2].replace(" ", "") != "I=" or block[4].replace(" ", "") != "B=":
            raise HdrbenchError(
                f"{path}: curve {start // 6} ('{block[0][:40]}') is not name, kind, 'I =', values, 'B =', values; "
                f"get it again from {DORF_HOMEPAGE}"
            )
        rows.append((block[0], _numbers(path, block[3]), _numbers(path, block[5])))
    return rows


def _numbers(path: Path, text: str) -> Array:
    try:
        return np.array(text.split(), dtype=np.float64)
    except ValueError as error:
        raise HdrbenchError(f"{path}: {error}; get it again from {DORF_HOMEPAGE}") from None


@dataclass(frozen=True)
class Basis:
    """The empirical model of response, EMoR, or of inverse response: a mean curve and orthonormal directions from it.

    Attributes
    ----------
    grid
        (n,) where the curves are sampled: irradiance, or brightness for the inverse model.
    mean
        (n,) mean curve.
    vectors
        (25, n) directions by falling importance; 0 at both ends.
    inverse
        Whether the curves are irradiance over brightness.
    """

    grid: Array
    mean: Array
    vectors: Array
    inverse: bool

    def curve(self, coefficients: ArrayLike) -> Array:
        """Sum the mean and the first directions, as many as there are coefficients."""
        weights = np.asarray(coefficients, dtype=np.float64)
        return self.mean + weights @ self.vectors[: len(weights)]

    def response(self, coefficients: ArrayLike, name: str) -> Response:
        """Make the response of a combination; one that falls somewhere is an `HdrbenchError` (see `monotone`)."""
        curve = self.curve(coefficients)
        curve[[0, -1]] = 0.0, 1.0  # the directions are 0 there up to rounding
        return tabulated(name, curve, self.grid) if self.inverse else tabulated(name, self.grid, curve)


def read_basis(path: Path) -> Basis:
    """Read ``emor.txt`` or ``invemor.txt`` (Grossberg2004): blocks ``E`` or ``B``, a mean and 25 directions.

    Raises
    ------
    DataMissingError
        There is no such file.
    HdrbenchError
        The file has another layout.
    """
    _require(path)
    pieces = re.split(r"([A-Za-z0-9()]+)[ \t]*=", path.read_text(encoding="utf-8", errors="replace"))
    blocks = {name: _numbers(path, text) for name, text in zip(pieces[1::2], pieces[2::2], strict=True)}
    names = list(blocks)
    lengths = {len(values) for values in blocks.values()}
    if names[:2] not in (["E", "f0"], ["B", "g0"]) or len(names) < 3 or len(lengths) != 1:
        raise HdrbenchError(
            f"{path}: expected equally long blocks E, f0, h(1), ... or B, g0, hinv(1), ..., got {names[:3]} with "
            f"{sorted(lengths)} values; get emor.txt or invemor.txt again from {DORF_HOMEPAGE}"
        )
    grid, mean, *vectors = blocks.values()
    return Basis(grid, mean, np.stack(vectors), names[0] == "B")


def fit(basis: Basis, samples: ArrayLike, count: int) -> Array:
    """Fit curves by the first directions of a basis, in the sense of least squares; the fit may fall somewhere.

    Parameters
    ----------
    basis
        The basis.
    samples
        (..., n) curves on the basis' grid.
    count
        How many directions are used.

    Returns
    -------
    numpy.ndarray
        (..., count) coefficients.
    """
    values = np.asarray(samples, dtype=np.float64) - basis.mean
    flat = values.reshape(-1, values.shape[-1])
    found = np.asarray(np.linalg.lstsq(basis.vectors[:count].T, flat.T)[0].T, dtype=np.float64)
    return found.reshape(*values.shape[:-1], count)


def monotone(basis: Basis, coefficients: ArrayLike) -> Array:
    """Find the coefficients nearest to the given ones whose curve never falls (Grossberg2004 fit under that condition).

    The directions being orthonormal, nearest coefficients mean nearest curves. This is the least-distance problem of
    Lawson1974 (chapter 23), solved through non-negative least squares.
    """
    from scipy.optimize import nnls

    wanted = np.asarray(coefficients, dtype=np.float64)
    slopes = np.diff(basis.vectors[: len(wanted)], axis=1)
    short = _LEAST_RISE - np.diff(basis.curve(wanted))
    if (short <= 0).all():
        return wanted
    system = np.vstack([slopes, short])
    target = np.zeros(len(wanted) + 1)
    target[-1] = 1.0
    residual = system @ nnls(system, target)[0] - target
    return wanted - residual[:-1] / residual[-1]
