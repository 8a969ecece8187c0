"""Fitting the scale, or the tone curve, of a prediction to its reference before both are compared.

Single-image reconstructions are often right up to a factor or a camera response. Whether that is forgiven decides a score
more than most networks do, so it is a field of the protocol.
"""

import torch
from torch import Tensor

from hdrbench.metrics.checks import check_pair

# SMPTE ST 2084 (PQ), to the four decimals that the published CRF correction uses; luminance in cd/m2.
PQ_M, PQ_N, PQ_C1, PQ_C2, PQ_C3 = 78.8438, 0.1593, 0.8359, 18.8516, 18.6875
PQ_PEAK, DARKEST = 1e4, 0.005
XYZ_RANGE = (1e-4, 1e8)
TO_XYZ = ((0.412424, 0.357579, 0.180464), (0.212656, 0.715158, 0.072186), (0.019332, 0.119193, 0.950444))
UV_SCALE = 410 / 255


def align(pred: Tensor, ref: Tensor, how: str, *, cd_per_unit: float = 1.0) -> Tensor:
    """Fit each prediction to its reference.

    Parameters
    ----------
    pred, ref
        (N, 3, H, W) linear.
    how
        ``"none"``; ``"median"`` or ``"max"``: one factor per image, which makes the medians or the largest values over all
        samples equal; ``"crf"``: `crf_correction`.
    cd_per_unit
        cd/m² of the value 1; only the CRF correction asks.

    Returns
    -------
    Tensor
        (N, 3, H, W) float64, in the unit of `ref`.

    Raises
    ------
    ValueError
        If there is no factor because a median or maximum is not positive, or on unequal shapes and values not finite.
    """
    check_pair(pred, ref)
    pred, ref = pred.double(), ref.double()
    if how == "none":
        return pred
    if how == "crf":
        return crf_correction(pred * cd_per_unit, ref * cd_per_unit) / cd_per_unit
    here, there = (_statistic(image, how) for image in (pred, ref))
    for what, found in (("prediction", here), ("reference", there)):
        if not (found > 0).all():
            raise ValueError(f"alignment '{how}' needs a positive {how} of the {what}, got {found.min().item():g}")
    return pred * (there / here).view(-1, 1, 1, 1)


def _statistic(images: Tensor, how: str) -> Tensor:
    flat = images.flatten(1)
    if how == "max":
        return flat.amax(1)
    if how == "median":
        return flat.quantile(0.5, dim=1) if flat.shape[1] < 2**24 else torch.stack([_median(row) for row in flat])
    raise ValueError(f"unknown alignment '{how}'; known: none, median, max, crf")


def _median(values: Tensor) -> Tensor:
    """Median as `quantile` gives it, which refuses more than 2**24 values."""
    half = values.numel() // 2
    upper = values.kthvalue(half + 1).values
    return upper if values.numel() % 2 else (upper + values.kthvalue(half).values) / 2


def crf_correction(pred: Tensor, ref: Tensor, *, degree: int = 3, ridge: float = 0.01) -> Tensor:
    """Undo differences of tone and colour that a camera response could have made (Hanji2022).

    Luminance is mapped by the polynomial that fits the reference's best in PQ values; the two chromaticities u', v' by
    another that may mix them, pulled towards the identity by `ridge`.

    Parameters
    ----------
    pred, ref
        (N, 3, H, W) linear Rec. 709, cd/m²; darker values count as 0.005 cd/m².

    Returns
    -------
    Tensor
        (N, 3, H, W) float64, cd/m².
    """
    corrected = []
    for one, other in zip(pred.double(), ref.double(), strict=True):
        here, there = (_to_yuv(image.clamp_min(DARKEST)) for image in (one, other))
        luminance = _from_pq(_fit(_to_pq(here[:1]), _to_pq(there[:1]), degree, 0.0).clamp_min(_to_pq(DARKEST)))
        chroma = _fit(here[1:], there[1:], degree, ridge).clamp_min(DARKEST)
        corrected.append(_to_rgb(torch.cat([luminance, chroma])))
    return torch.stack(corrected)


def _fit(source: Tensor, target: Tensor, degree: int, ridge: float) -> Tensor:
    """Map (C, H, W) by the least-squares polynomial towards `target`: powers of each channel, products of two, and 1."""
    x = source.flatten(1)
    count = len(x)
    products = [x[i] * x[j] for i in range(count) for j in range(i + 1, count)]
    columns = torch.stack([*x, *products, *(x[i] ** d for d in range(2, degree + 1) for i in range(count))])
    design = torch.cat([columns, torch.ones_like(x[:1])])
    identity = torch.eye(len(design), count, dtype=x.dtype, device=x.device)
    weight = ridge * design.shape[1] / len(design)
    normal = design @ design.T + weight * torch.eye(len(design), dtype=x.dtype, device=x.device)
    solution = torch.linalg.solve(normal, design @ target.flatten(1).T + weight * identity)
    return (solution.T @ design).view_as(source)


def _to_pq(luminance: Tensor | float) -> Tensor:
    power = (torch.as_tensor(luminance, dtype=torch.float64) / PQ_PEAK) ** PQ_N
    return ((PQ_C1 + PQ_C2 * power) / (1 + PQ_C3 * power)) ** PQ_M


def _from_pq(value: Tensor) -> Tensor:
    root = value ** (1 / PQ_M)
    return PQ_PEAK * ((PQ_C1 - root) / (PQ_C3 * root - PQ_C2)) ** (1 / PQ_N)


def _to_yuv(rgb: Tensor) -> Tensor:
    """Turn (3, H, W) linear RGB into luminance and scaled CIE 1976 u', v'."""
    x, y, z = torch.einsum("ij,jhw->ihw", rgb.new_tensor(TO_XYZ), rgb).clamp(*XYZ_RANGE)
    total = x + 15 * y + 3 * z
    return torch.stack([y, 4 * x / total * UV_SCALE, 9 * y / total * UV_SCALE])


def _to_rgb(yuv: Tensor) -> Tensor:
    luminance, u, v = yuv[0], yuv[1] / UV_SCALE, yuv[2] / UV_SCALE
    x = 9 * u / (4 * v) * luminance
    z = (12 - 3 * u - 20 * v) / (4 * v) * luminance
    xyz = torch.stack([x, luminance, z]).clamp(*XYZ_RANGE)
    return torch.einsum("ij,jhw->ihw", torch.linalg.inv(yuv.new_tensor(TO_XYZ)), xyz).clamp_min(0)
