"""MEF-SSIM: how much of the structure of an exposure stack a fused image keeps."""

import math
from collections.abc import Iterator
from functools import reduce

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

WINDOW = 11
AREA = WINDOW**2
SIGMA = 1.5
C = (0.03 * 255) ** 2
LEVEL_WEIGHTS = (0.0448, 0.2856, 0.3001)
OFFSET = 0.001  # added to the contrast of every patch
EPS = 2.0**-52
MAX_POWER = 10.0
CANCELLED = 1e-12  # of the exposures' energies: what rounding leaves
STRIP = 1 << 16  # pixels


def mef_ssim(fused: Tensor, stack: Tensor, *, levels: int = 3) -> Tensor:
    """MEF-SSIM of fused images against the exposure stacks they were made of (Ma2015).

    In each 11x11 patch the exposures' contrasts and structures are combined into the patch that an ideal fusion would
    show, and the fused one is compared with it as SSIM compares, without a term for luminance. All of it follows from
    sums of products of two images over the patch, so there is no loop over patches. The sums that decide whether a patch
    is flat are sums of integers and therefore exact: a flat or saturated patch has no structure and takes no part.

    As in the original, images are reduced to 8-bit grey first (weights 0.298936, 0.587043, 0.114021, halves rounded up).
    That has no gradient, and neither has the score.

    Parameters
    ----------
    fused
        (N, C, H, W) in [0, 1], display codes; C is 3, or 1 for grey.
    stack
        (N, K, C, H, W), as `fused`, with K exposures in any order.
    levels
        3 for the product over three scales that papers report, 1 for full resolution alone.

    Returns
    -------
    Tensor
        (N,) float64, in [-1, 1]. Where the scores of the three scales differ in sign, their product of powers is no real
        number, and the result is 0; three negative ones, as of a photographic negative, give a negative result.

    Raises
    ------
    ValueError
        On unequal shapes, values outside [0, 1] or NaN, or images of less than 44 pixels (11 for one level) on a side.
    """
    _check(fused, stack, levels)
    scores = []
    for image, exposures in zip(fused, stack, strict=True):
        pyramids = zip(_pyramid(_grey(image[None]), levels), _pyramid(_grey(exposures), levels), strict=True)
        scales = torch.stack([_score(plane[0], planes, 4.0**level) for level, (plane, planes) in enumerate(pyramids)])
        scores.append(scales[0] if levels == 1 else _product(scales))
    return torch.stack(scores)


def _product(scales: Tensor) -> Tensor:
    """Combine the scores of all scales; the exponents sum to 1, so that three of one sign keep it."""
    weights = torch.tensor(LEVEL_WEIGHTS, dtype=scales.dtype, device=scales.device)
    sign = scales.sign().mean().trunc()
    return sign * (scales.abs() ** (weights / weights.sum())).prod()


def _check(fused: Tensor, stack: Tensor, levels: int) -> None:
    """Refuse what the metric is not defined for."""
    if levels not in (1, len(LEVEL_WEIGHTS)):
        raise ValueError(f"levels must be 1 or {len(LEVEL_WEIGHTS)}, got {levels}")
    shape = tuple(stack.shape)
    if stack.dim() != 5 or fused.shape != (*shape[:1], *shape[2:]) or shape[2] not in (1, 3) or 0 in shape[:2]:
        raise ValueError(
            f"expected fused (N, C, H, W) and stack (N, K, C, H, W) with C 1 or 3, got {tuple(fused.shape)} and {shape}"
        )
    least = WINDOW * 2 ** (levels - 1)
    if min(shape[-2:]) < least:
        raise ValueError(f"mef_ssim with {levels} levels needs images of at least {least}x{least}, got {shape[-2:]}")
    for name, images in (("fused", fused), ("stack", stack)):
        if not images.is_floating_point():
            raise ValueError(f"expected floating-point images, but {name} is {images.dtype}; divide 8-bit codes by 255")
        low, high = (float(bound) for bound in torch.aminmax(images.detach()))
        if not (low >= 0.0 and high <= 1.0):
            raise ValueError(f"expected display codes in [0, 1], but {name} has values from {low:g} to {high:g}")


def _grey(images: Tensor) -> Tensor:
    """Reduce (P, C, H, W) in [0, 1] to whole grey levels (P, H, W), float64, 0 to 255."""
    codes = (images.detach().double() * 255.0).add_(0.5).floor_()
    if codes.shape[1] == 1:
        return codes[:, 0]
    red, green, blue = codes.unbind(1)
    # In millionths, so that no rounding decides which way a half goes.
    return red.mul_(298936.0).add_(green, alpha=587043.0).add_(blue, alpha=114021.0).add_(500000.0).div_(1e6).floor_()


def _pyramid(planes: Tensor, levels: int) -> Iterator[Tensor]:
    """Yield (P, H, W) at each scale n as sums of 2^n x 2^n pixels, which remain whole numbers."""
    yield planes
    for _ in range(levels - 1):
        odd_rows, odd_columns = planes.shape[1] % 2, planes.shape[2] % 2
        if odd_rows or odd_columns:  # the last one is mirrored, so it counts twice
            planes = F.pad(planes[None], (0, odd_columns, 0, odd_rows), "replicate")[0]
        rows = planes[:, 0::2] + planes[:, 1::2]
        planes = rows[..., 0::2] + rows[..., 1::2]
        yield planes


def _on_cpu(plane: Tensor) -> bool:
    """Tell whether OpenCV, whose filters are the faster ones there, can be used."""
    return plane.device.type == "cpu"


def _box(plane: Tensor) -> Tensor:
    """Sum (H, W) over each window inside; exact for whole numbers."""
    if _on_cpu(plane):
        return _inside(cv2.boxFilter(plane.numpy(), -1, (WINDOW, WINDOW), normalize=False))
    return plane.unfold(0, WINDOW, 1).sum(-1).unfold(1, WINDOW, 1).sum(-1)


def _gauss(plane: Tensor) -> Tensor:
    """Weigh (H, W) with the Gaussian over each window inside."""
    taps = np.exp(-(np.arange(-(WINDOW // 2), WINDOW // 2 + 1) ** 2) / (2 * SIGMA**2))
    taps /= taps.sum()
    if _on_cpu(plane):
        return _inside(cv2.sepFilter2D(plane.numpy(), -1, taps, taps))
    kernel = torch.from_numpy(taps).to(plane.device)
    return plane.unfold(0, WINDOW, 1).matmul(kernel).unfold(1, WINDOW, 1).matmul(kernel)


def _inside(filtered: np.ndarray) -> Tensor:
    """Cut off where the window reached over the border."""
    edge = WINDOW // 2
    return torch.from_numpy(filtered[edge:-edge, edge:-edge])


def _total(planes: list[Tensor]) -> Tensor:
    """Add planes up."""
    total = planes[0].clone()
    for plane in planes[1:]:
        total += plane
    return total


def _structure_weights(norms: list[Tensor], joint: Tensor) -> tuple[list[Tensor], Tensor]:
    """Return the factor of each exposure's structure in the ideal patch, and the contrast of that patch.

    Parameters
    ----------
    norms
        Norm of each exposure's patches less their means, grey levels.
    joint
        The same of the sum of all exposures.
    """
    consistency = joint.add(EPS).div_(_total(norms).add_(EPS))
    # Beyond this consistency the power stays at its largest; the tangent itself would jump to minus infinity at 1.
    power = consistency.clamp_max_(2.0 / math.pi * math.atan(MAX_POWER)).mul_(math.pi / 2.0).tan_()
    contrasts = [norm + OFFSET for norm in norms]
    weights = [contrast.div(WINDOW).log_().mul_(power).exp_().add_(EPS) for contrast in contrasts]
    total = _total(weights)
    for weight, contrast, norm in zip(weights, contrasts, norms, strict=True):
        weight.div_(total).div_(contrast).mul_(norm > 0)
    return weights, reduce(torch.maximum, contrasts)


def _scatter(a: Tensor, b: Tensor, sum_a: Tensor, sum_b: Tensor) -> Tensor:
    """Sum the products of two images' deviations from their patch means, times 121: exact for whole numbers."""
    return _box(a * b).mul_(AREA).sub_(sum_a * sum_b)


def _similarity(fused: Tensor, stack: Tensor, unit: float) -> Tensor:
    """Map (H, W) and (K, H, W), whole numbers `unit` times grey levels, to the score of each patch."""
    sums = [_box(plane) for plane in stack]
    scatters = [_scatter(plane, plane, total, total) for plane, total in zip(stack, sums, strict=True)]
    everything, total = stack.sum(0), _total(sums)
    scale = 1.0 / (AREA * unit**2)
    norms = [scatter.mul(scale).sqrt_() for scatter in scatters]
    weights, contrast = _structure_weights(norms, _scatter(everything, everything, total, total).mul_(scale).sqrt_())

    # Moments of the ideal patch before it gets its contrast: a weighted sum of the exposures.
    mean, fused_mean = torch.zeros_like(contrast), _gauss(fused)
    own, cross, square, product = (torch.zeros_like(contrast) for _ in range(4))
    for k, plane in enumerate(stack):
        mean.addcmul_(weights[k], _gauss(plane))
        product.addcmul_(weights[k], _gauss(plane * fused))
        own.addcmul_(weights[k].square(), scatters[k])
        square.addcmul_(weights[k].square(), _gauss(plane.square()))
        twice = 2.0 * weights[k]
        for j in range(k):
            pair = twice * weights[j]
            cross.addcmul_(pair, _scatter(plane, stack[j], sums[k], sums[j]))
            square.addcmul_(pair, _gauss(plane * stack[j]))
    # Structures that cancel up to rounding leave an ideal patch without structure.
    energy = cross.add_(own)
    gain = torch.where(energy > CANCELLED * own, contrast / energy.clamp_min_(0.0).mul_(scale).sqrt_(), 0.0)
    covariance = product.addcmul_(mean, fused_mean, value=-1).mul_(gain)
    variance = square.addcmul_(mean, mean, value=-1).mul_(gain.square_())
    spread = _gauss(fused.square()).addcmul_(fused_mean, fused_mean, value=-1)
    c = C * unit**2
    return covariance.mul_(2.0).add_(c).div_(variance.add_(spread).add_(c))


def _score(fused: Tensor, stack: Tensor, unit: float) -> Tensor:
    """Average `_similarity` over all patches of one scale; on a CPU by strips of rows that fit into the cache."""
    height, width = fused.shape
    patches = height - WINDOW + 1
    step = max(WINDOW, STRIP // width) if _on_cpu(fused) else patches
    total = torch.zeros((), dtype=fused.dtype, device=fused.device)
    for top in range(0, patches, step):
        rows = slice(top, min(top + step, patches) + WINDOW - 1)
        total += _similarity(fused[rows], stack[:, rows], unit).sum()
    return total / (patches * (width - WINDOW + 1))
