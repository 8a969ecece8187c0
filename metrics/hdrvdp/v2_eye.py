"""HDR-VDP-2, the eye: glare, receptors, their response, and contrast sensitivity (model of Mantiuk2011).

Images are (..., H, W). Every number is a default parameter of the HDR-VDP 2.2.2 release.
"""

import math
from collections.abc import Sequence
from functools import lru_cache, reduce

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from scipy.integrate import cumulative_trapezoid
from torch import Tensor

from hdrbench.metrics.hdrvdp.display import mix
from hdrbench.metrics.hdrvdp.fourier import forward, inverse, product

SURROUND = 1e-5  # cd/m² outside the image
LOG_DARKEST, LOG_BRIGHTEST = -5.0, 5.0  # log10 cd/m², the range of adaptation and of all tables over luminance
# Weights and decays (degrees) of the four exponentials whose sum is the optical transfer function.
_LENS, _GLARE = 0.9972737002377702, 0.061466549455263
MTF_WEIGHTS = (_LENS * 0.426, _LENS * 0.574, (1 - _LENS) * _GLARE, (1 - _LENS) * (1 - _GLARE))
MTF_DECAYS = (0.028, 0.37, 37.0, 360.0)
# Signals of the L cones, M cones and rods (rows) to unit drive of each primary (columns): integrals over 360..780 nm of
# the Smith-Pokorny cones and the CIE scotopic curve times the emission of the release's LCD with fluorescent backlight,
# or D65 for images of luminance only.
_FROM_RGB = (
    (0.19899612033792871, 0.40476260703812544, 0.054390619255321161),
    (0.041005860407588933, 0.25492330644134564, 0.050012248959300676),
    (0.014377368621119191, 0.48092084108413191, 0.45427589566935994),
)
_FROM_LUMINANCE = ((0.60184715224469898,), (0.31670829557916946,), (0.90467065459950324,))
# Daly's peak sensitivity at 30 cd/m² over the one that 2.2 was calibrated to.
SENSITIVITY = 0.006894596 / 10**-2.4
# Neural contrast sensitivity at six luminances in cd/m²; the columns are the slope and power of the decline to high
# frequencies, the power of the decline to low ones, and the peak.
CSF_LUMINANCES = (0.002, 0.02, 0.2, 2.0, 20.0, 150.0)
CSF_PARAMETERS = (
    (0.991265, 3.74038, 0.50722, 4.46044),
    (0.800889, 3.54104, 0.682505, 4.94958),
    (0.476505, 4.37453, 0.750315, 5.28678),
    (0.405782, 4.40602, 0.935314, 5.61425),
    (0.334278, 3.79542, 1.07327, 6.4635),
    (0.394533, 2.7755, 1.16577, 7.45665),
)


def frequencies(height: int, width: int, ppd: float, like: Tensor) -> Tensor:
    """Frequencies in cycles per degree, not negative on either axis, of a canvas of 2H, 2W pixels: (H + 1, W + 1)."""
    v, u = (
        torch.fft.rfftfreq(2 * length, 1 / ppd, dtype=torch.float64, device=like.device).to(like.dtype)
        for length in (height, width)
    )
    return torch.hypot(v[:, None], u)


def mtf(cycles_per_degree: Tensor) -> Tensor:
    """Modulation transfer of the eye's optics, 1 at frequency 0."""
    terms = [a * torch.exp(-b * cycles_per_degree) for a, b in zip(MTF_WEIGHTS, MTF_DECAYS, strict=True)]
    return reduce(torch.add, terms)


def convolve(images: Tensor, gain: Tensor, outside: float | Tensor) -> Tensor:
    """Filter (..., H, W), on a canvas of twice the size whose rest is `outside`, with the gain at `frequencies`."""
    height, width = images.shape[-2:]
    canvas = (2 * height, 2 * width)
    both_signs = torch.cat([gain, gain[1:-1].flip(0)])
    spectrum = product(forward(images - outside, canvas), both_signs)
    return inverse(spectrum, canvas, 0, (height, width)) + outside * gain[0, 0]


def scatter(channels: Sequence[Tensor], ppd: float) -> list[Tensor]:
    """Filter channels (N, H, W) with the optics of the eye; outside the images it is dark."""
    height, width = channels[0].shape[-2:]
    gain = mtf(frequencies(height, width, ppd, channels[0]))
    # One image at a time, as the canvas is four times as large.
    return [
        torch.stack([convolve(image, gain, SURROUND) for image in channel]).clamp(1e-5, 1e10) for channel in channels
    ]


def receive(light: Sequence[Tensor]) -> list[Tensor]:
    """Signals of L cones, M cones and rods to the light of 3 primaries or 1 white, all of one shape."""
    return mix(light, _FROM_LUMINANCE if len(light) == 1 else _FROM_RGB)


@lru_cache
def _response_tables() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Response of a cone and of a rod, in JNDs, at 2048 luminances of equal steps in log10 from 1e-5 to 1e5 cd/m²."""
    log_luminance = np.linspace(LOG_DARKEST, LOG_BRIGHTEST, 2048)
    luminance = 10.0**log_luminance
    # Sensitivity of rods and cones together, which falls in the dark, and of rods alone, which peaks at 1.1732 cd/m².
    joint = 30.162 * ((4.0627 / luminance) ** 1.6596 + 1.0) ** -0.2712
    distance = np.abs(np.log10(luminance / 1.1732))
    rods = 10**1.1414 * np.exp(-np.where(luminance > 1.1732, distance**2.9899 / 0.5547, distance**1.2167 / 1.1478))
    # L and M cones share the sensitivity that rods leave, and L + M is the luminance.
    cones = 0.5 * np.interp(np.minimum(2 * luminance, luminance[-1]), luminance, np.maximum(joint - rods, 1e-3))
    # A JND is a step of luminance over sensitivity, so the response is the integral of the sensitivity over ln(luminance).
    scale = SENSITIVITY * math.log(10)
    cone_response, rod_response = (cumulative_trapezoid(s * scale, log_luminance, initial=0) for s in (cones, rods))
    return cone_response, rod_response


def log_range(luminance: Tensor) -> Tensor:
    """Decimal logarithm of cd/m², limited to the range of the tables."""
    return luminance.clamp(10.0**LOG_DARKEST, 10.0**LOG_BRIGHTEST).log10()


def lookup(log_luminance: Tensor, table: Tensor) -> Tensor:
    """Interpolate linearly in a table of equal steps over the range to which all of `log_luminance` must be limited."""
    position = (log_luminance - LOG_DARKEST).mul_((len(table) - 1) / (LOG_BRIGHTEST - LOG_DARKEST))
    index = position.detach().int().flatten()
    slopes = F.pad(table.diff(), (0, 1))
    start, slope = (t.index_select(0, index).view_as(position) for t in (table, slopes))
    return torch.addcmul(start, position.frac(), slope)


def respond(long: Tensor, medium: Tensor, rods: Tensor) -> Tensor:
    """Achromatic response (N, H, W) in JNDs, of zero mean, to the signals of L cones, M cones and rods."""
    cone_table, rod_table = (torch.from_numpy(table).to(long) for table in _response_tables())
    response = lookup(log_range(long), cone_table) + lookup(log_range(medium), cone_table)
    response = response + lookup(log_range(rods), rod_table)
    return response - response.mean(dim=(-2, -1), keepdim=True)


def neural_csf(cycles_per_degree: float | Tensor, luminance: Tensor) -> Tensor:
    """Contrast sensitivity behind optics and receptors, for a frequency and a luminance in cd/m² that broadcast."""
    frequency = torch.as_tensor(cycles_per_degree, dtype=luminance.dtype, device=luminance.device)
    nodes = torch.tensor(CSF_LUMINANCES, dtype=luminance.dtype, device=luminance.device).log10()
    x = luminance.log10().clamp(nodes[0], nodes[-1])
    above = torch.searchsorted(nodes, x.detach(), right=True).clamp(max=len(nodes) - 1)
    weight = (x - nodes[above - 1]) / (nodes[above] - nodes[above - 1])
    columns = torch.tensor(CSF_PARAMETERS, dtype=x.dtype, device=x.device).T
    slope, power, cut, peak = (torch.lerp(column[above - 1], column[above], weight) for column in columns)
    low = (-torch.expm1(-(frequency / 7.0).square())) ** (0.5 * cut)  # a square root of 0 has no gradient
    return peak * low * torch.rsqrt(1.0 + (slope * frequency) ** power)
