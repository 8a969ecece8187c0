"""HDR-VDP-3, the eye: glare, adaptation, receptors, and contrast sensitivity (Mantiuk2011, Mantiuk2023).

Images are (B, H, W). The models are those of the papers named below, the numbers those of the HDR-VDP 3.0.7 release, which
refitted some of them.
"""

import math
from functools import lru_cache

import numpy as np
import scipy.fft
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from scipy.integrate import cumulative_trapezoid
from torch import Tensor

# Weights, and decay in degrees, of the four exponentials of the optical transfer function (Mantiuk2011).
_LENS, _GLARE = 0.9972737002377702, 0.061466549455263
MTF_WEIGHTS = (_LENS * 0.426, _LENS * 0.574, (1 - _LENS) * _GLARE, (1 - _LENS) * (1 - _GLARE))
MTF_DECAYS = (0.028, 0.37, 37.0, 360.0)
ADAPTATION_SIGMA = 10**-0.781367  # degrees (Vangorp2015, the model of a Gaussian of the logarithm)
WIDE = 4.3  # pixels of sigma, above which the release filters with a periodic Gaussian
AGE, REFERENCE_AGE = 24.0, 28.0  # years
LOG_DARKEST, LOG_LIGHTEST = -5.0, 5.0  # log10 cd/m², between which responses and sensitivity are tabulated
# Contrast sensitivity at seven luminances in cd/m² (Mantiuk2011): slope and power of its fall to high frequencies, power of
# its fall to low ones, and peak.
CSF_LUMINANCES = (0.0002, 0.002, 0.02, 0.2, 2.0, 20.0, 150.0)
CSF_PARAMETERS = (
    (1.26181, 4.27832, 0.361902, 3.11914),
    (0.893585, 4.27832, 0.361902, 2.18938),
    (0.84864, 3.57253, 0.530355, 3.12486),
    (0.699243, 3.94545, 0.68608, 4.41846),
    (0.530826, 4.25337, 0.866916, 4.65117),
    (0.459297, 3.78765, 0.981028, 4.33546),
    (0.312626, 4.15264, 0.952367, 3.22389),
)


def mtf(cycles_per_degree: Tensor) -> Tensor:
    """Modulation transfer of the eye's optics, 1 at frequency 0."""
    total = torch.zeros_like(cycles_per_degree)
    for weight, decay in zip(MTF_WEIGHTS, MTF_DECAYS, strict=True):
        total += weight * torch.exp(-decay * cycles_per_degree)
    return total


def scatter(light: list[Tensor], ppd: float) -> list[Tensor]:
    """Filter images (B, H, W) of one size with the optics of the eye; beyond its border an image is mirrored."""
    like = light[0]
    v, u = (torch.arange(n + 1, dtype=like.dtype, device=like.device) * (ppd / (2 * n)) for n in like.shape[-2:])
    gain = mtf(torch.hypot(v[:, None], u))
    return [_filter_mirrored(image, gain) for image in light]


def _filter_mirrored(images: Tensor, gain: Tensor) -> Tensor:
    """Multiply the spectrum of (B, H, W) and its mirror images by `gain` (H + 1, W + 1), from frequency 0 to Nyquist's."""
    height, width = images.shape[-2:]
    if images.device.type == "cpu" and not images.requires_grad:
        spectrum = scipy.fft.dctn(images.numpy(), axes=(-2, -1))
        spectrum *= gain[:-1, :-1].numpy()
        return torch.from_numpy(scipy.fft.idctn(spectrum, axes=(-2, -1), overwrite_x=True))
    mirrored = torch.cat((images, images.flip(-1)), -1)
    spectrum = torch.fft.rfft2(torch.cat((mirrored, mirrored.flip(-2)), -2))
    filtered = torch.fft.irfft2(spectrum * torch.cat((gain, gain[1:-1].flip(0))), s=(2 * height, 2 * width))
    return filtered[..., :height, :width]


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


@lru_cache
def _response_tables() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Response of a cone and of a rod, in JNDs, at 2048 luminances of equal steps in log10: integrals of sensitivity."""
    log_luminance = np.linspace(LOG_DARKEST, LOG_LIGHTEST, 2048)
    luminance = 10.0**log_luminance
    # Mantiuk2011: sensitivity to contrast at any frequency, which drops in the dark; then that of rods alone.
    joint = 315.98 * ((6.7977 / luminance) ** 1.6008 + 1.0) ** -0.25534
    distance = np.abs(np.log10(luminance / 1.1732))
    rods = 10**1.8 * np.exp(-np.where(luminance > 1.1732, distance**2.9899 / 0.5547, distance**1.095 / 1.32))
    # L and M cones share the sensitivity that rods leave, and L + M is the luminance.
    cones = 0.5 * np.interp(np.minimum(2 * luminance, luminance[-1]), luminance, np.maximum(joint - rods, 1e-3))
    tables = [cumulative_trapezoid(s * math.log(10), log_luminance, initial=0) for s in (cones, rods)]
    return tables[0], tables[1]


def respond(long: Tensor, medium: Tensor, rods: Tensor) -> Tensor:
    """Achromatic response in JNDs, before any correction of sensitivity, to the signals of L cones, M cones and rods."""
    cone_table, rod_table = (torch.from_numpy(t).to(long) for t in _response_tables())
    response = torch.zeros_like(long)
    for signal, table in ((long, cone_table), (medium, cone_table), (rods, rod_table)):
        log_signal = signal.clamp(10**LOG_DARKEST, 10**LOG_LIGHTEST).log10()
        response = response + lookup(log_signal, LOG_DARKEST, LOG_LIGHTEST, table)
    return response


def lookup(x: Tensor, first: float, last: float, table: Tensor) -> Tensor:
    """Interpolate linearly in a table of equal steps from `first` to `last`, within which all of `x` must lie."""
    position = (x - first) * ((len(table) - 1) / (last - first))
    index = position.detach().int().clamp_(0, len(table) - 2).flatten()
    start, slope = (t.index_select(0, index).view_as(position) for t in (table, table.diff()))
    return torch.addcmul(start, position - index.view_as(position), slope)


def neural_csf(cycles_per_degree: float, log_luminance: Tensor) -> Tensor:
    """Contrast sensitivity behind the optics at a frequency, for log10 cd/m² of any shape; 0 at frequency 0 (Mantiuk2011)."""
    if cycles_per_degree <= 1e-4:
        return torch.zeros_like(log_luminance)
    nodes = torch.tensor(CSF_LUMINANCES, dtype=log_luminance.dtype, device=log_luminance.device).log10()
    x = log_luminance.clamp(nodes[0], nodes[-1])
    above = torch.searchsorted(nodes, x.detach(), right=True).clamp(max=len(nodes) - 1)
    weight = (x - nodes[above - 1]) / (nodes[above] - nodes[above - 1])
    columns = torch.tensor(CSF_PARAMETERS, dtype=x.dtype, device=x.device).T
    slope, power, cut, peak = (torch.lerp(column[above - 1], column[above], weight) for column in columns)
    low = (1.0 - math.exp(-((cycles_per_degree / 7.0) ** 2))) ** cut
    sensitivity = peak * torch.sqrt(low / (1.0 + (slope * cycles_per_degree) ** power))
    return sensitivity / mtf(x.new_tensor(cycles_per_degree))
