"""The eye of HDR-VDP: optics, adaptation, receptors, their response, and contrast sensitivity (Mantiuk2011).

Images are (..., H, W). The models are those of the papers named below; what the releases 2.2.2 and 3.0.7 fitted differently
is an `Eye`, and all other numbers are parameters of both.
"""

import math
from dataclasses import dataclass
from functools import lru_cache, reduce

import numpy as np
import scipy.fft
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from scipy.integrate import cumulative_trapezoid
from torch import Tensor

LOG_DARKEST, LOG_BRIGHTEST = -5.0, 5.0  # log10 cd/m², the range of adaptation and of all tables over luminance
CSF_STEPS = 256  # of the table of sensitivity over that range
# Weights and decays (degrees) of the four exponentials whose sum is the optical transfer function.
_LENS, _GLARE = 0.9972737002377702, 0.061466549455263
MTF_WEIGHTS = (_LENS * 0.426, _LENS * 0.574, (1 - _LENS) * _GLARE, (1 - _LENS) * (1 - _GLARE))
MTF_DECAYS = (0.028, 0.37, 37.0, 360.0)
# Vangorp2015 and Watson2012, which only HDR-VDP-3 has.
ADAPTATION_SIGMA = 10**-0.781367  # degrees
WIDE = 4.3  # pixels of sigma, above which the release filters with a periodic Gaussian
AGE, REFERENCE_AGE = 24.0, 28.0  # years


@dataclass(frozen=True)
class Eye:
    """What a release fitted.

    Attributes
    ----------
    joint
        Sensitivity of rods and cones together, which falls in the dark: peak, half-way luminance in cd/m², two powers.
    rods
        Sensitivity of rods alone: peak, and power and width in log10 units of its fall in the dark.
    csf
        Contrast sensitivity: luminance in cd/m², slope and power of the fall to high frequencies, power of the fall to low
        ones, and peak.
    csf_has_optics
        Whether `csf` is of the whole eye rather than of what is behind its optics.
    scale
        Factor on both sensitivities of the receptors.
    """

    joint: tuple[float, float, float, float]
    rods: tuple[float, float, float]
    csf: tuple[tuple[float, float, float, float, float], ...]
    csf_has_optics: bool
    scale: float = 1.0


def mtf(cycles_per_degree: Tensor) -> Tensor:
    """Modulation transfer of the eye's optics, 1 at frequency 0."""
    terms = [a * torch.exp(-b * cycles_per_degree) for a, b in zip(MTF_WEIGHTS, MTF_DECAYS, strict=True)]
    return reduce(torch.add, terms)


@lru_cache
def response_tables(eye: Eye) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Response of a cone and of a rod, in JNDs, at 2048 luminances of equal steps in log10 from 1e-5 to 1e5 cd/m²."""
    log_luminance = np.linspace(LOG_DARKEST, LOG_BRIGHTEST, 2048)
    luminance = 10.0**log_luminance
    peak, half, steepness, fall = eye.joint
    joint = peak * ((half / luminance) ** steepness + 1.0) ** -fall
    rod_peak, power, width = eye.rods
    distance = np.abs(np.log10(luminance / 1.1732))
    rods = rod_peak * np.exp(-np.where(luminance > 1.1732, distance**2.9899 / 0.5547, distance**power / width))
    # L and M cones share the sensitivity that rods leave, and L + M is the luminance.
    cones = 0.5 * np.interp(np.minimum(2 * luminance, luminance[-1]), luminance, np.maximum(joint - rods, 1e-3))
    # A JND is a step of luminance over sensitivity, so the response is the integral of the sensitivity over ln(luminance).
    scale = eye.scale * math.log(10)
    cone_response, rod_response = (cumulative_trapezoid(s * scale, log_luminance, initial=0) for s in (cones, rods))
    return cone_response, rod_response


def log_range(luminance: Tensor) -> Tensor:
    """Decimal logarithm of cd/m², limited to the range of the tables."""
    return luminance.clamp(10.0**LOG_DARKEST, 10.0**LOG_BRIGHTEST).log10()


def lookup(log_luminance: Tensor, table: Tensor) -> Tensor:
    """Interpolate linearly in a table of equal steps over the range to which all of `log_luminance` must be limited."""
    position = (log_luminance - LOG_DARKEST).mul_((len(table) - 1) / (LOG_BRIGHTEST - LOG_DARKEST))
    index = position.detach().int().clamp_(0, len(table) - 1).flatten()  # NaN must not become an index
    slopes = F.pad(table.diff(), (0, 1))
    start, slope = (t.index_select(0, index).view_as(position) for t in (table, slopes))
    return torch.addcmul(start, position.frac(), slope)


def respond(eye: Eye, long: Tensor, medium: Tensor, rods: Tensor) -> Tensor:
    """Achromatic response in JNDs to the signals of L cones, M cones and rods."""
    cone_table, rod_table = (torch.from_numpy(table).to(long) for table in response_tables(eye))
    response = lookup(log_range(long), cone_table) + lookup(log_range(medium), cone_table)
    return response + lookup(log_range(rods), rod_table)


def neural_csf(eye: Eye, cycles_per_degree: float | Tensor, log_luminance: Tensor) -> Tensor:
    """Contrast sensitivity behind the optics for a frequency and log10 cd/m² that broadcast; 0 at frequency 0."""
    frequency = torch.as_tensor(cycles_per_degree, dtype=log_luminance.dtype, device=log_luminance.device)
    columns = torch.tensor(eye.csf, dtype=log_luminance.dtype, device=log_luminance.device).T
    nodes = columns[0].log10()
    x = log_luminance.clamp(nodes[0], nodes[-1])
    above = torch.searchsorted(nodes, x.detach(), right=True).clamp(max=len(nodes) - 1)
    weight = (x - nodes[above - 1]) / (nodes[above] - nodes[above - 1])
    slope, power, cut, peak = (torch.lerp(column[above - 1], column[above], weight) for column in columns[1:])
    low = (-torch.expm1(-(frequency / 7.0).square())) ** (0.5 * cut)  # a square root of 0 has no gradient
    sensitivity = peak * low * torch.rsqrt(1.0 + (slope * frequency) ** power)
    return sensitivity / mtf(frequency) if eye.csf_has_optics else sensitivity


def sensitivity_map(eye: Eye, cycles_per_degree: float, log_adapting: Tensor) -> Tensor:
    """Contrast sensitivity behind the optics of each pixel, from a table over log10 cd/m², for values outside it its ends."""
    grid = torch.linspace(LOG_DARKEST, LOG_BRIGHTEST, CSF_STEPS, dtype=torch.float64, device=log_adapting.device)
    table = neural_csf(eye, cycles_per_degree, grid).to(log_adapting.dtype)
    return lookup(log_adapting.clamp(LOG_DARKEST, LOG_BRIGHTEST), table)


def common(pair: Tensor) -> Tensor:
    """What a band of an image and of its reference (2, ..., h, w) share: 3x3 means, with zeros outside the image."""
    padded = F.pad(torch.minimum(pair[0].abs(), pair[1].abs()), (1, 1, 1, 1))
    rows = (padded[..., :-2, :] + padded[..., 1:-1, :]).add_(padded[..., 2:, :])
    return (rows[..., :-2] + rows[..., 1:-1]).add_(rows[..., 2:]).div_(9)


def adaptation(luminance: Tensor, ppd: float) -> Tensor:
    """Luminance in cd/m² that each pixel's receptors are adapted to: a Gaussian mean of the logarithm (Vangorp2015)."""
    log_luminance = luminance.clamp_min(1e-6).log()
    for dim in (-1, -2):
        log_luminance = _blur(log_luminance, ADAPTATION_SIGMA * ppd, dim)
    return log_luminance.exp()


def _blur(images: Tensor, sigma: float, dim: int) -> Tensor:
    """Gaussian along one axis of (B, H, W); outside the image its border pixels repeat.

    A narrow kernel ends at three sigma. A wide one is periodic in the release: its circle is twice as long as the image
    and holds the last pixel in the second half, so the last pixel, not the first, is what the first pixel sees before it.
    A shorter circle gives the same where the kernel ends within it.
    """
    size = images.shape[dim]
    wide = sigma >= WIDE
    reach = math.ceil(9 * sigma) if wide else math.floor(6 * sigma + 0.5) // 2
    period = scipy.fft.next_fast_len(size + (reach if wide else 2 * reach), real=True)
    before, period = (0, min(period, 2 * size)) if wide else (reach, period)
    w = torch.arange(period // 2 + 1, dtype=images.dtype, device=images.device) * (2 * math.pi / period)
    if wide:
        gain = torch.exp(-0.5 * (w * sigma).square())
    else:
        lags = torch.arange(-reach, reach + 1, dtype=images.dtype, device=images.device)
        gain = torch.cos(w[:, None] * lags) @ torch.softmax(-0.5 * (lags / sigma).square(), 0)
    pads = (before, period - size - before)
    padded = F.pad(images, (*pads, 0, 0) if dim == -1 else (0, 0, *pads), mode="replicate")
    spectrum = torch.fft.rfft(padded, dim=dim) * (gain if dim == -1 else gain[:, None])
    return torch.fft.irfft(spectrum, n=period, dim=dim).narrow(dim, before, size)


def pupil_gain(adapting: Tensor, ppd: float) -> Tensor:
    """Light that enters the eye, relative to an older one, whose pupil is smaller (Watson2012, unified formula).

    Takes the adapting luminance (B, H, W), whose geometric mean over the field of view sets the pupil; returns (B, 1, 1).
    """
    mean = adapting.log().mean(dim=(-2, -1), keepdim=True).exp()
    flux = (mean * (adapting.shape[-2] * adapting.shape[-1] / ppd**2 / 846.0)) ** 0.41
    diameter = 7.75 - 5.75 * flux / (flux + 2.0)  # mm, Stanley and Davies
    aged, normal = (diameter + (age - 28.58) * (0.02132 - 0.009562 * diameter) for age in (AGE, REFERENCE_AGE))
    return (aged / normal).square()
