"""Exposure fusion with weights that adapt to the whole stack, of Lee, Park and Cho (Lee2018).

Their weights favour, in dark exposures, bright pixels and the other way round ("intensity"), and codes that are rare in
their image, where the cumulative histogram is flat ("gradient"). The paper 'unsupervised_fusion' (section 2.4) uses the
same weights in a plain sum.
"""

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from hdrbench.errors import unknown
from hdrbench.imaging.merging import codes as coding
from hdrbench.imaging.merging.pyramid import blend, on_opencv

LUMA = (65.481, 128.553, 24.966)  # of 255, beside an offset of 16: MATLAB's rgb2ycbcr, 8-bit studio range
EPS = torch.finfo(torch.float64).eps
FLOOR = 1e-12
BLUR = 5.0  # pixels, standard deviation of the smoothing of the weights
TRUNCATED = 10  # pixels, where its window ends
SNAP = 1e-5  # codes: how far single precision may lift a whole luma above itself
LEVELS = 7  # of the pyramids
USES = ("both", "intensity", "gradient")
BLENDINGS = ("pyramid", "sum", "smoothed_sum")


def weights(stack: Tensor, *, use: str = "both") -> Tensor:
    """Weigh each pixel by relative intensity, by global gradient or by their product (Lee2018).

    Parameters
    ----------
    stack
        (N, K, 3, H, W) in [0, 1], K >= 2, exposures in any order: they are ranked by their means.
    use
        ``"both"``, ``"intensity"`` (weight 1) or ``"gradient"`` (weight 2).

    Returns
    -------
    Tensor
        (N, K, H, W) in the stack's precision, >= 0, neither smoothed nor normalised over K.

    Raises
    ------
    ValueError
        On a malformed stack, one exposure, or exposures of equal mean luma, which leave the width of weight 1 undefined.
    HdrbenchError
        On an unknown `use`.
    """
    coding.check_stack(stack, least=2)
    if use not in USES:
        raise unknown("adaptive weight", use, USES)
    maps = torch.empty(stack.shape[:2] + stack.shape[3:], dtype=stack.dtype, device=stack.device)
    for n, scene in enumerate(stack.detach()):
        _weigh(scene, use, maps[n])
    return maps


def fuse(stack: Tensor, *, use: str = "both", blending: str = "pyramid", levels: int = LEVELS) -> tuple[Tensor, Tensor]:
    """Fuse by the weights, as the authors' program does or by a plain sum (Lee2018).

    Parameters
    ----------
    stack
        (N, K, 3, H, W) in [0, 1], K >= 2, exposures in any order.
    use
        Weights, see `weights`.
    blending
        ``"pyramid"``, by smoothed weights in Laplacian pyramids; ``"sum"``, a plain weighted sum, as the paper
        'unsupervised_fusion' writes it in eq. 2; ``"smoothed_sum"``, that by smoothed weights.
    levels
        Levels of the pyramids. The authors' program has 7; with 6, the value it had when they published their result for
        "House", it gives that result.

    Returns
    -------
    tuple of Tensor
        (N, 3, H, W), clamped to [0, 1], which pyramids leave a little, as happens to the authors' result when it is written
        to a file; and each exposure's share of a pixel, (N, K, H, W), above 0, summing to 1 over K. Where all weights are 0,
        exposures count alike.

    Raises
    ------
    ValueError
        As `weights`.
    HdrbenchError
        On an unknown `use` or `blending`.
    """
    if blending not in BLENDINGS:
        raise unknown("blending", blending, BLENDINGS)
    maps = weights(stack, use=use)
    maps = (maps if blending == "sum" else _blur(maps)) + FLOOR
    shares = maps / maps.sum(1, keepdim=True)
    return blend(stack, shares, levels if blending == "pyramid" else 1).clamp(0.0, 1.0), shares


def _luma(images: Tensor) -> Tensor:
    """Reduce float64 (K, 3, H, W) to luma in 8-bit codes, 16 to 235, (K, H, W)."""
    red, green, blue = images.unbind(1)
    return (LUMA[0] * red).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2]).add_(16.0)


def _weigh(scene: Tensor, use: str, maps: Tensor) -> None:
    """Weigh exposures (K, 3, H, W) in any order; write to maps (K, H, W)."""
    luma = torch.empty(maps.shape, dtype=torch.float64, device=maps.device)
    brightness = torch.zeros(len(scene), dtype=torch.float64, device=maps.device)
    for rows in coding.bands(scene):
        images = scene[:, :, rows].double()
        luma[:, rows] = _luma(images)
        brightness += images.sum((1, 2, 3))
    means = luma.mean((1, 2)) / 255.0
    widths = _widths(means, brightness.argsort(stable=True)) if use != "gradient" else None
    rarities = [_rarity(plane) for plane in luma] if use != "intensity" else None
    for rows in coding.bands(scene):
        found = torch.ones_like(maps[:, rows])
        if widths is not None:
            offset = luma[:, rows] / 255.0 - (1.0 - means)[:, None, None]
            found *= torch.exp(-0.5 * (offset / widths[:, None, None]).to(found.dtype).square())
        if rarities is not None:
            codes = (luma[:, rows] - SNAP).ceil_().to(torch.uint8)
            rare = torch.stack([coding.look_up(*pair) for pair in zip(rarities, codes, strict=True)])
            found *= rare / (rare.sum(0) + FLOOR)
        maps[:, rows] = found


def _widths(means: Tensor, order: Tensor) -> Tensor:
    """Widths of the Gaussians of weight 1, (K,): three times half the step from mean to mean in the order of brightness."""
    means = means[order]
    ends = torch.stack([means[1] - means[0], means[-1] - means[-2]]) / 2.0
    widths = 3.0 * torch.cat([ends[:1], (means[2:] - means[:-2]) / 4.0, ends[1:]])
    if bool((widths == 0).any()):
        raise ValueError(
            f"expected exposures of different mean luma, got {[round(mean, 5) for mean in means.tolist()]}; "
            "drop repeated exposures, or use the weight 'gradient' alone"
        )
    return torch.empty_like(widths).index_copy_(0, order, widths)


def _rarity(luma: Tensor) -> Tensor:
    """Invert the frequency of each code in a plane (H, W): (256,).

    Frequencies are counted at the nearest code but looked up at the next higher one, as in the authors' program.
    """
    counts = torch.zeros(coding.CODES, dtype=torch.int64, device=luma.device)
    for rows in coding.bands(luma):
        counts += coding.histogram((luma[rows] + 0.5).floor_().to(torch.uint8))
    return 1.0 / (counts.double() / luma.numel() + EPS)


def _blur(maps: Tensor) -> Tensor:
    """Smooth (N, K, H, W) with a Gaussian whose window ends after two standard deviations, the border repeated."""
    taps = np.exp(-(np.arange(-TRUNCATED, TRUNCATED + 1) ** 2) / (2 * BLUR**2))
    taps /= taps.sum()
    if on_opencv(maps):
        border = cv2.BORDER_REPLICATE
        planes = [cv2.sepFilter2D(plane.numpy(), -1, taps, taps, borderType=border) for plane in maps.flatten(0, 1)]
        return torch.from_numpy(np.stack(planes)).view(maps.shape)
    kernel = torch.from_numpy(taps).to(maps)
    padded = F.pad(maps, (TRUNCATED,) * 4, "replicate")
    return padded.unfold(2, len(taps), 1).matmul(kernel).unfold(3, len(taps), 1).matmul(kernel)
