"""Real Fourier transforms of images that skip what the zeros of a canvas make superfluous, and filters that rest on them.

On CPU, where no gradient is wanted, SciPy's transforms are used: up to twice as fast as torch's, of the same precision.
"""

import scipy.fft
import torch
from torch import Tensor

Size = tuple[int, int]


def _plain(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu" and not tensor.requires_grad


def forward(images: Tensor, canvas: Size) -> Tensor:
    """Transform (..., H, W), extended by zeros below and on the right to `canvas`: (..., height, width // 2 + 1)."""
    height, width = canvas
    if _plain(images):
        with scipy.fft.set_workers(torch.get_num_threads()):
            rows = scipy.fft.rfft(images.numpy(), n=width)
            return torch.from_numpy(scipy.fft.fft(rows, n=height, axis=-2))
    return torch.fft.fft(torch.fft.rfft(images, n=width), n=height, dim=-2)


def product(spectrum: Tensor, gain: Tensor) -> Tensor:
    """Multiply a spectrum by a real or complex gain that broadcasts."""
    if _plain(spectrum) and _plain(gain):
        return torch.from_numpy(spectrum.numpy() * gain.numpy())  # five times as fast as torch if the gain is real
    return spectrum * gain


def inverse(spectrum: Tensor, canvas: Size, corner: int, size: Size) -> Tensor:
    """Transform back what `forward` gave, but only the part of `size` that begins `corner` rows and columns in."""
    rows, columns = slice(corner, corner + size[0]), slice(corner, corner + size[1])
    if _plain(spectrum):
        with scipy.fft.set_workers(torch.get_num_threads()):
            lines = scipy.fft.ifft(spectrum.numpy(), axis=-2)[..., rows, :]
            return torch.from_numpy(scipy.fft.irfft(lines, n=canvas[1])[..., columns])
    lines = torch.fft.ifft(spectrum, dim=-2)[..., rows, :]
    return torch.fft.irfft(lines, n=canvas[1])[..., columns]


def frequencies(height: int, width: int, ppd: float, like: Tensor) -> Tensor:
    """Frequencies in cycles per degree, not negative on either axis, of a canvas of 2H, 2W pixels: (H + 1, W + 1)."""
    v, u = (
        torch.fft.rfftfreq(2 * length, 1 / ppd, dtype=torch.float64, device=like.device).to(like.dtype)
        for length in (height, width)
    )
    return torch.hypot(v[:, None], u)


def filter_surrounded(images: Tensor, gain: Tensor, outside: float | Tensor) -> Tensor:
    """Filter (..., H, W), on a canvas of twice the size whose rest is `outside`, with the gain at `frequencies`."""
    height, width = images.shape[-2:]
    canvas = (2 * height, 2 * width)
    both_signs = torch.cat([gain, gain[1:-1].flip(0)])
    spectrum = product(forward(images - outside, canvas), both_signs)
    return inverse(spectrum, canvas, 0, (height, width)) + outside * gain[0, 0]


def filter_mirrored(images: Tensor, gain: Tensor) -> Tensor:
    """Filter (..., H, W), mirrored beyond its borders, with the gain at `frequencies`."""
    height, width = images.shape[-2:]
    if _plain(images):
        spectrum = scipy.fft.dctn(images.numpy(), axes=(-2, -1))
        spectrum *= gain[:-1, :-1].numpy()
        return torch.from_numpy(scipy.fft.idctn(spectrum, axes=(-2, -1), overwrite_x=True))
    mirrored = torch.cat((images, images.flip(-1)), -1)
    spectrum = torch.fft.rfft2(torch.cat((mirrored, mirrored.flip(-2)), -2))
    filtered = torch.fft.irfft2(spectrum * torch.cat((gain, gain[1:-1].flip(0))), s=(2 * height, 2 * width))
    return filtered[..., :height, :width]
