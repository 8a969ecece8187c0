"""Local moments of image pairs under a separable window, and means of what is computed from them."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

# Rows filtered at a time on the CPU: the float64 intermediates of a band stay in the cache, whatever the image's size.
BAND = 96


@dataclass(frozen=True)
class Moments:
    """Window averages at every position: of x, of y, of x² + y² and of xy."""

    x: Tensor
    y: Tensor
    squares: Tensor
    product: Tensor


class Buffers:
    """Memory for the float64 intermediates of a band, handed out again for the next: fresh memory costs more than sums.

    Attributes
    ----------
    reuse
        If not, as where a gradient is required, `out` and `over` give none, and every operation allocates its result.
    """

    def __init__(self, *, reuse: bool) -> None:
        self.reuse = reuse
        self._held: list[Tensor] = []
        self._taken = 0

    def rewind(self) -> None:
        """Take back all that was handed out."""
        self._taken = 0

    def take(self, shape: torch.Size) -> Tensor:
        """Return uninitialised memory, of a shape no larger than that of the first to take it."""
        if self._taken == len(self._held):
            self._held.append(torch.empty(shape.numel(), dtype=torch.float64))
        self._taken += 1
        return self._held[self._taken - 1][: shape.numel()].view(shape)

    def out(self, shape: torch.Size) -> Tensor | None:
        """Return memory for a result of that shape."""
        return self.take(shape) if self.reuse else None

    def over(self, spent: Tensor) -> Tensor | None:
        """Return the memory of an intermediate that is not needed any more, for a result of its shape."""
        return spent if self.reuse else None


def gaussian(size: int, sigma: float, dtype: torch.dtype = torch.float64) -> tuple[float, ...]:
    """Return the `size` weights of a sampled Gaussian in one dimension, summing to 1 within the precision of `dtype`."""
    offsets = torch.arange(size, dtype=dtype) - (size - 1) / 2
    weights = torch.exp(-offsets.square() / (2 * sigma**2))
    return tuple((weights / weights.sum()).tolist())


def local_mean(images: Tensor, taps: tuple[float, ...], room: Buffers) -> Tensor:
    """Filter float64 images with a separable window, valid region only.

    Parameters
    ----------
    images
        (N, C, H, W), at least as large as the window.
    taps
        The window's weights in one dimension, an odd number of them.
    room
        Where memory is reused OpenCV filters, on the CPU twenty times as fast as a convolution.

    Returns
    -------
    Tensor
        (N, C, H - len(taps) + 1, W - len(taps) + 1).
    """
    size, (height, width) = len(taps), images.shape[-2:]
    window = torch.tensor(taps, dtype=images.dtype, device=images.device)
    if not room.reuse:
        columns = F.conv2d(images.reshape(-1, 1, height, width), window.view(1, 1, -1, 1))
        return F.conv2d(columns, window.view(1, 1, 1, -1)).view(*images.shape[:2], height - size + 1, width - size + 1)
    filtered = room.take(images.shape)
    for source, target in zip(images.flatten(0, 1).numpy(), filtered.flatten(0, 1).numpy(), strict=True):
        cv2.sepFilter2D(source, -1, window.numpy(), window.numpy(), dst=target)
    return filtered[..., size // 2 : height - size // 2, size // 2 : width - size // 2]


def moments(x: Tensor, y: Tensor, taps: tuple[float, ...], room: Buffers, across: Tensor | None = None) -> Moments:
    """Average x, y, x² + y² and xy of float64 (N, C, H, W) batches under a window, valid region only.

    `across`, (C, C) float64, is what the window does along the channels, as a matrix; none keeps them apart.
    """
    squares = torch.square(x, out=room.out(x.shape)).addcmul_(y, y)
    product = torch.mul(x, y, out=room.out(x.shape))
    means = [local_mean(image, taps, room) for image in (x, y, squares, product)]
    if across is not None:
        means = [torch.einsum("ij,njhw->nihw", across, mean) for mean in means]
    return Moments(*means)


def mean_over_positions(
    index: Callable[[Tensor, Tensor, Buffers], Tensor], x: Tensor, y: Tensor, size: int, *, together: bool = False
) -> Tensor:
    """Average an index of local similarity over channels and all positions where its window fits.

    Parameters
    ----------
    index
        From two (n, c, h, w) float64 batches to the values at their (n, c, h - size + 1, w - size + 1) positions.
    x, y
        (N, C, H, W) batches of any floating-point type, at least as large as the window.
    size
        Width of the window.
    together
        The index needs all channels of an image at once.

    Returns
    -------
    Tensor
        (N,) float64, differentiable; on the CPU in bands, unless a gradient is required.

    Raises
    ------
    ValueError
        If a mean is not finite.
    """
    (count, channels), rows = x.shape[:2], x.shape[2] - size + 1
    positions = channels * rows * (x.shape[3] - size + 1)
    gradient = torch.is_grad_enabled() and (x.requires_grad or y.requires_grad)
    room = Buffers(reuse=x.device.type == "cpu" and not gradient)
    if not room.reuse:
        return finite(index(x.double(), y.double(), room).sum(dim=(1, 2, 3)) / positions)
    totals = x.new_zeros(count, channels, dtype=torch.float64)
    step = channels if together else 1
    for n in range(count):
        for c in range(0, channels, step):
            for top in range(0, rows, BAND):
                room.rewind()
                part = (slice(n, n + 1), slice(c, c + step), slice(top, top + BAND + size - 1))
                first, second = (room.take(b.shape).copy_(b) for b in (x.detach()[part], y.detach()[part]))
                totals[n, c] += index(first, second, room).sum()
    return finite(totals.sum(dim=1) / positions)


def finite(means: Tensor) -> Tensor:
    """Return means over positions and channels as they are, or raise `ValueError` unless all are finite."""
    if not torch.isfinite(means).all():
        raise ValueError(
            "the mean is not a finite number: the images have no channels, or values too large for float64"
        )
    return means
