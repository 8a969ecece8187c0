"""Exposure fusion of Mertens, Kautz and Van Reeth (Mertens2009), equal to the authors' MATLAB program.

OpenCV's variant of the same name computes something else; see `opencv.merge_mertens`.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from hdrbench.imaging.merging.codes import bands, check_stack
from hdrbench.imaging.merging.pyramid import blend, depth

GREY = (0.298936021293776, 0.587043074451121, 0.114020904255103)  # MATLAB's rgb2gray
SPREAD = 0.2  # of well-exposedness around the middle grey
FLOOR = 1e-12  # weight of a pixel without any quality; where all are such, exposures count alike


def weights(stack: Tensor, *, contrast: float = 1.0, saturation: float = 1.0, exposedness: float = 1.0) -> Tensor:
    """Weigh each pixel by its contrast, saturation and well-exposedness (Mertens2009, section 3.1).

    Contrast is the absolute Laplacian of the grey image, saturation the standard deviation of R, G and B, and
    well-exposedness a Gaussian around 0.5 in each channel.

    Parameters
    ----------
    stack
        (N, K, 3, H, W) in [0, 1], K >= 1, exposures in any order.
    contrast, saturation, exposedness
        Exponents, >= 0. A measure whose exponent is 0 is left out. Grey images have no saturation, which makes all
        their weights equal: set its exponent to 0 for them.

    Returns
    -------
    Tensor
        (N, K, H, W), above 0, summing to 1 over K.

    Raises
    ------
    ValueError
        On a malformed stack, or negative exponents.
    """
    check_stack(stack)
    exponents = {"contrast": contrast, "saturation": saturation, "exposedness": exposedness}
    for name, exponent in exponents.items():
        if not exponent >= 0:
            raise ValueError(f"expected an exponent of {name} >= 0, got {exponent:g}")
    if stack.requires_grad and torch.is_grad_enabled():
        return _weights(stack, exponents)
    maps = torch.empty(stack.shape[:2] + stack.shape[3:], dtype=stack.dtype, device=stack.device)
    for rows in bands(stack):
        # One row more on either side, since contrast looks at the neighbours.
        first = max(rows.start - 1, 0)
        found = _weights(stack[..., first : rows.stop + 1, :], exponents)
        maps[:, :, rows] = found[:, :, rows.start - first : rows.stop - first]
    return maps


def _weights(stack: Tensor, exponents: dict[str, float]) -> Tensor:
    """Compute `weights` of all rows at once."""
    measures = {"contrast": _contrast, "saturation": _saturation, "exposedness": _exposedness}
    maps = []
    for image in stack.unbind(1):
        quality = torch.ones_like(image[:, 0])
        for name, exponent in exponents.items():
            if exponent > 0:
                measure = measures[name](*image.unbind(1))
                quality = quality * (measure if exponent == 1 else measure**exponent)
        maps.append(quality + FLOOR)
    quality = torch.stack(maps, 1)
    return quality / quality.sum(1, keepdim=True)


def fuse(
    stack: Tensor, *, contrast: float = 1.0, saturation: float = 1.0, exposedness: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Fuse exposures into one image without a radiance map (Mertens2009).

    Differentiable; computes in the stack's precision. In float64 it equals the authors' program; float32 is within a
    fraction of an 8-bit code of that.

    Parameters
    ----------
    stack
        (N, K, 3, H, W) in [0, 1], K >= 1, exposures in any order; one exposure comes back unchanged.
    contrast, saturation, exposedness
        Exponents of the measures; see `weights`.

    Returns
    -------
    tuple of Tensor
        (N, 3, H, W), clamped to [0, 1], as happens to the authors' result when it is written to a file; and `weights`,
        (N, K, H, W). The values before clamping are ``blend(stack, weights, depth(H, W))``.

    Raises
    ------
    ValueError
        On a malformed stack, or negative exponents.
    """
    maps = weights(stack, contrast=contrast, saturation=saturation, exposedness=exposedness)
    return blend(stack, maps, depth(*stack.shape[-2:])).clamp(0.0, 1.0), maps


def _contrast(red: Tensor, green: Tensor, blue: Tensor) -> Tensor:
    """Take the absolute Laplacian of the grey image, (N, H, W), its border repeated."""
    grey = torch.add(torch.add(GREY[0] * red, green, alpha=GREY[1]), blue, alpha=GREY[2])
    around = F.pad(grey[:, None], (1, 1, 1, 1), "replicate")[:, 0]
    rows = around[:, :-2, 1:-1] + around[:, 2:, 1:-1]
    columns = around[:, 1:-1, :-2] + around[:, 1:-1, 2:]
    laplacian = torch.sub(rows + columns, grey, alpha=4.0).abs()
    # A ramp has none, but rounding leaves it more than FLOOR, in single precision.
    return F.threshold(laplacian, 8.0 * torch.finfo(grey.dtype).eps, 0.0)


def _saturation(red: Tensor, green: Tensor, blue: Tensor) -> Tensor:
    """Take the standard deviation over the channels, from their differences, so that grey has exactly none."""
    squares = _sum_of_squares(red - green, green - blue, blue - red)
    # The square root has no gradient at 0.
    return (squares / 9.0).clamp_min(torch.finfo(squares.dtype).tiny).sqrt()


def _exposedness(red: Tensor, green: Tensor, blue: Tensor) -> Tensor:
    """Multiply three Gaussians around 0.5."""
    return torch.exp(_sum_of_squares(red - 0.5, green - 0.5, blue - 0.5) * (-0.5 / SPREAD**2))


def _sum_of_squares(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Add three squares."""
    return torch.addcmul(torch.addcmul(a.square(), b, b), c, c)
