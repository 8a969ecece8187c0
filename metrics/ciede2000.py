"""The CIEDE2000 colour difference, and CIELAB of linear RGB."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function

from hdrbench.errors import unknown
from hdrbench.metrics.checks import check_pair

BLOCK = 1 << 14  # pixels whose intermediate results stay in the cache
# The formulas below are written once, for NumPy arrays, whose functions are the faster ones on a CPU, and for tensors.
Array = Any
Planes = tuple[Array, ...]


@dataclass(frozen=True)
class LabConstants:
    """The numbers that lead from linear Rec. 709 RGB to CIELAB, whose rounding moves the fourth digit of a result.

    Attributes
    ----------
    matrix
        RGB to XYZ, by rows.
    white
        XYZ of the reference white.
    threshold, slope
        Up to this ratio to white the cube root is replaced by a line of this slope.
    """

    matrix: tuple[tuple[float, float, float], ...]
    white: tuple[float, float, float]
    threshold: float
    slope: float


CONSTANTS = {
    "skimage": LabConstants(
        ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227)),
        (0.95047, 1.0, 1.08883),
        0.008856,
        7.787,
    ),
    # The rounded matrix of IEC 61966-2-1, the white of x = 0.3127 and y = 0.3290, and the fractions of the CIE.
    "colour": LabConstants(
        ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505)),
        (0.3127 / 0.3290, 1.0, (1.0 - 0.3127 - 0.3290) / 0.3290),
        (24 / 116) ** 3,
        841 / 108,
    ),
}


def ciede2000(pred: Tensor, ref: Tensor, *, peak: float = 1.0, constants: str = "skimage") -> Tensor:
    """CIEDE2000 colour difference (Sharma2005), averaged over the pixels of each image.

    Both images are taken as linear: undo any transfer function first. Nothing is clipped; CIELAB goes on beyond the white
    (L* > 100) by its cube root and below zero by its straight line. How linear HDR is scaled decides the result, so state
    `peak` with it. Differentiable; where the square roots have no derivative, at equal colours and at grey, the
    subgradient 0 is returned.

    Parameters
    ----------
    pred, ref
        (N, 3, H, W) linear RGB with Rec. 709 primaries and white point D65.
    peak
        The value that is white, L* = 100: 1 for data in [0, 1].
    constants
        A name in `CONSTANTS`: the library whose matrix and white point are used.

    Returns
    -------
    Tensor
        (N,) float64, 0 for equal images; about 1 is just noticeable side by side.

    Raises
    ------
    ValueError
        On unequal shapes, other than three channels, values that are not finite, or a peak that is not positive.
    HdrbenchError
        On unknown constants.
    """
    check_pair(pred, ref)
    _check_channels(pred)
    numbers = _constants(constants, peak)
    means = []
    for image, target in zip(pred.flatten(2), ref.flatten(2), strict=True):
        differences = (_difference(*(_lab(rgb, numbers, peak) for rgb in pair)) for pair in _blocks(image, target))
        sums = [torch.as_tensor(difference.sum()) for difference in differences]
        means.append(torch.stack(sums).sum() / image.shape[1])
    return torch.stack(means)


def delta_e_2000(lab1: Tensor, lab2: Tensor) -> Tensor:
    """CIEDE2000 colour difference of each pixel (Sharma2005), all parametric factors 1.

    Parameters
    ----------
    lab1, lab2
        (..., 3, H, W) CIELAB.

    Returns
    -------
    Tensor
        (..., H, W) float64. Gradients as for `ciede2000`.

    Raises
    ------
    ValueError
        On unequal shapes or other than three channels.
    """
    if lab1.shape != lab2.shape:
        raise ValueError(f"expected images of one shape, got {tuple(lab1.shape)} and {tuple(lab2.shape)}")
    _check_channels(lab1)
    pairs = _blocks(*(lab.movedim(-3, 0).flatten(1) for lab in (lab1, lab2)))
    differences = [torch.as_tensor(_difference(*pair)) for pair in pairs]
    return torch.cat(differences).view(*lab1.shape[:-3], *lab1.shape[-2:])


def linear_to_lab(image: Tensor, *, peak: float = 1.0, constants: str = "skimage") -> Tensor:
    """Convert (..., 3, H, W) linear Rec. 709 RGB to CIELAB, float64; parameters and errors as for `ciede2000`."""
    _check_channels(image)
    numbers = _constants(constants, peak)
    blocks = [_lab(rgb, numbers, peak) for (rgb,) in _blocks(image.movedim(-3, 0).flatten(1))]
    planes = [torch.cat([torch.as_tensor(block) for block in plane]) for plane in zip(*blocks, strict=True)]
    return torch.stack(planes).view(3, *image.shape[:-3], *image.shape[-2:]).movedim(0, -3)


def _check_channels(image: Tensor) -> None:
    """Refuse what has not three channels."""
    if image.dim() < 3 or image.shape[-3] != 3:
        raise ValueError(f"expected three channels, (..., 3, H, W), got {tuple(image.shape)}")


def _constants(name: str, peak: float) -> LabConstants:
    """Look constants up, and refuse a white that is none."""
    if not peak > 0.0:
        raise ValueError(f"peak must be positive, got {peak}")
    if name not in CONSTANTS:
        raise unknown("CIELAB constants", name, CONSTANTS)
    return CONSTANTS[name]


def _blocks(*images: Tensor) -> Iterator[tuple[Any, ...]]:
    """Yield pixels of (3, P) images as float64 rows: of short arrays on a CPU, unless a gradient is asked for."""
    differentiable = torch.is_grad_enabled() and any(image.requires_grad for image in images)
    if differentiable or images[0].device.type != "cpu":
        yield tuple(image.double().unbind() for image in images)
        return
    for blocks in zip(*(image.detach().split(BLOCK, 1) for image in images), strict=True):
        yield tuple(tuple(block.double().numpy()) for block in blocks)


class _Root(Function):
    """Square root with the subgradient 0 at 0."""

    @staticmethod
    def forward(ctx: Any, square: Tensor) -> Tensor:
        """Take the root."""
        root = square.sqrt()
        ctx.save_for_backward(root)
        return root

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """Divide by twice the root, if it is not 0."""
        (root,) = ctx.saved_tensors
        return torch.where(root > 0, gradients[0] / (2.0 * torch.where(root > 0, root, 1.0)), 0.0)


def _root(square: Array) -> Array:
    """Square root of an array or tensor."""
    return np.sqrt(square) if isinstance(square, np.ndarray) else _Root.apply(square)


def _namespace(array: Array) -> Any:
    """Return the module of the functions that both kinds have."""
    return np if isinstance(array, np.ndarray) else torch


def _trigonometric(function: Callable[[Tensor], Tensor], angle: Array) -> Array:
    """Apply `torch.sin` or `torch.cos`, which are faster than NumPy's, to an array or tensor."""
    return function(torch.from_numpy(angle)).numpy() if isinstance(angle, np.ndarray) else function(angle)


def _lab(rgb: Planes, constants: LabConstants, peak: float) -> Planes:
    """Convert linear RGB to CIELAB."""
    red, green, blue = rgb
    responses = []
    for (r, g, b), white in zip(constants.matrix, constants.white, strict=True):
        scale = 1.0 / (white * peak)
        ratio = (r * scale) * red + (g * scale) * green + (b * scale) * blue
        above = ratio.clip(constants.threshold, None)
        root = np.cbrt(above) if isinstance(above, np.ndarray) else above.log().div(3.0).exp()
        line = constants.slope * ratio + 16.0 / 116.0
        responses.append(_namespace(ratio).where(ratio > constants.threshold, root, line))
    x, y, z = responses
    return 116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)


def _saturation(chroma: Array) -> Array:
    """Weight from 0 at grey to 1: sqrt(C^7 / (C^7 + 25^7))."""
    ratio = chroma.clip(None, 1e6) / 25.0  # larger ones, whose powers might overflow, give 1 as well
    square = ratio * ratio
    seventh = square * square * square * ratio
    return _root(seventh / (seventh + 1.0))


def _difference(lab1: Planes, lab2: Planes) -> Array:
    """Compute CIEDE2000 of pixels."""
    (l1, a1, b1), (l2, a2, b2) = lab1, lab2
    mean_chroma = (_root(a1 * a1 + b1 * b1) + _root(a2 * a2 + b2 * b2)) / 2.0
    stretch = 1.5 - 0.5 * _saturation(mean_chroma)
    a1, a2 = a1 * stretch, a2 * stretch
    c1, c2 = _root(a1 * a1 + b1 * b1), _root(a2 * a2 + b2 * b2)
    hue, mean_hue = _hues(a1, b1, c1, a2, b2, c2)

    offset = (l1 + l2) / 2.0 - 50.0
    lightness = offset * offset
    chroma = (c1 + c2) / 2.0
    scaled_l = (l2 - l1) / (1.0 + 0.015 * lightness / _root(lightness + 20.0))
    scaled_c = (c2 - c1) / (1.0 + 0.045 * chroma)
    scaled_h = hue / (1.0 + 0.015 * chroma * _hue_weight(mean_hue))
    rotation = -2.0 * _saturation(chroma) * _trigonometric(torch.sin, 2.0 * _blueness(mean_hue))
    square = scaled_l * scaled_l + scaled_c * scaled_c + scaled_h * (scaled_h + rotation * scaled_c)
    return _root(square.clip(0.0, None))


def _hues(a1: Array, b1: Array, c1: Array, a2: Array, b2: Array, c2: Array) -> tuple[Array, Array]:
    """Return the signed hue difference Delta H', and the mean hue in radians, from 0 to 2 pi.

    With d the angle from one hue to the other, 2 sqrt(c1 c2) sin(d / 2) follows from the cross product, c1 c2 sin(d), and
    the dot product, c1 c2 cos(d), without either hue. If one colour is grey the difference is 0, and the mean hue has no
    influence.
    """
    where = _namespace(a1).where
    dot, cross = a1 * a2 + b1 * b2, a1 * b2 - a2 * b1
    near = dot >= 0.0
    # Which way round opposite hues differ: exactly opposite ones from the hue in [0, 180) degrees to the other.
    first_half = (b1 > 0.0) | ((b1 == 0.0) & (a1 > 0.0))
    sign = where((cross > 0.0) | ((cross == 0.0) & first_half), 1.0, -1.0)
    total = c1 * c2 + abs(dot)
    root = _root(where(total > 0.0, 2.0 * total, math.inf))  # infinite, so that grey has no difference and no gradient
    difference = where(near, 2.0 * cross / root, sign * root)

    # The bisector is the sum of the unit vectors, or, turned by 90 degrees, their difference: whichever is the longer.
    a1, b1, a2, b2 = a1 * c2, b1 * c2, a2 * c1, b2 * c1
    cosine = where(near, a1 + a2, sign * (b2 - b1))
    sine = where(near, b1 + b2, sign * (a1 - a2))
    # The angle of the opposite direction plus half a turn runs from 0 to 360 degrees, as hues do.
    return difference, _namespace(a1).arctan2(-sine, -cosine) + math.pi


def _hue_weight(hue: Array) -> Array:
    """Evaluate T, the weight of hue differences at a mean hue."""
    weight = 1.0
    for factor, multiple, phase in ((-0.17, 1, -30.0), (0.24, 2, 0.0), (0.32, 3, 6.0), (-0.20, 4, -63.0)):
        weight = weight + factor * _trigonometric(torch.cos, multiple * hue + math.radians(phase))
    return weight


def _blueness(hue: Array) -> Array:
    """Evaluate Delta theta in radians: 30 degrees at a mean hue of 275 degrees, nothing far from it."""
    distance = (hue - math.radians(275.0)) / math.radians(25.0)
    return math.radians(30.0) * _namespace(hue).exp(-distance * distance)
