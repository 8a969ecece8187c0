"""The six losses of USME-HDR (eq. 6-17) with their masks and weights.

Every L1 term is a mean over all samples, masked ones included; a mask multiplies both tone-mapped images first, as in
SelfHDR, whose pseudo-label scheme the paper adopts.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from hdrbench.errors import unknown
from hdrbench.imaging.exposure import to_radiance
from hdrbench.imaging.merge import fuse_exposures, triangle_weights
from hdrbench.imaging.transfer import mu_law
from hdrbench.methods import Batch, Objective
from hdrbench.methods.usme_hdr.perceptual import make_perceptual

WEIGHTS = {"sp": 4.0, "se": 1.0, "le": 2.0, "he": 2.0, "ea": 1.0, "p": 1.0}
THRESHOLD = 5.0 / 255.0


def aligned_mask(candidate: Tensor, middle_hdr: Tensor, weight: Tensor) -> Tensor:
    """Mark pixels where `candidate` agrees with the middle exposure (eq. 9, 10, 13).

    Parameters
    ----------
    candidate, middle_hdr
        (N, 3, H, W) linear.
    weight
        Triangle weight of the middle exposure, (N, 3, H, W).

    Returns
    -------
    Tensor
        (N, 1, H, W), 1 where the weighted tone-mapped difference, averaged over RGB, is below 5/255, else 0.
    """
    difference = ((mu_law(candidate) - mu_law(middle_hdr)) * weight).abs().mean(1, keepdim=True)
    return (difference < THRESHOLD).to(candidate.dtype)


def exposure_mask(middle: Tensor) -> Tensor:
    """Weigh pixels by brightness E, the mean over RGB of the middle exposure (eq. 15): (N, 3, H, W) -> (N, 1, H, W)."""
    brightness = middle.mean(1, keepdim=True)
    good = (brightness >= 0.1) & (brightness <= 0.9)
    fair = (brightness >= 0.05) & (brightness <= 0.95) & ~good
    return good.to(middle.dtype) + 0.1 * fair.to(middle.dtype)


def masked_l1(pred: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference of tone-mapped images under a mask."""
    return ((mu_law(pred) - mu_law(target)) * mask).abs().mean()


def objective(
    terms: Sequence[str] = tuple(WEIGHTS), perceptual_weights: str = "auto", perceptual_width_divisor: int = 1
) -> tuple[Objective, list[str]]:
    """Build the training objective of eq. 17.

    Parameters
    ----------
    terms
        Which of sp, se, le, he, ea, p take part (Table 6).
    perceptual_weights, perceptual_width_divisor
        See `hdrbench.methods.usme_hdr.perceptual.make_perceptual`.

    Returns
    -------
    tuple
        A function of (network, batch) that returns the weighted terms by name, and notes for the run's provenance.
    """
    for term in terms:
        if term not in WEIGHTS:
            raise unknown("loss term", term, WEIGHTS)
    perceptual, notes = None, []
    if "p" in terms:
        perceptual, note = make_perceptual(perceptual_weights, perceptual_width_divisor)
        notes.append(note)

    def losses(network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        low, high = (image.float() for image in network(batch["middle"], batch["times"]))
        fused = fuse_exposures(low, batch["middle"], high, batch["times"])
        middle_hdr = to_radiance(batch["middle"], batch["times"][:, 1])
        weight = triangle_weights(batch["middle"])[1]
        values: dict[str, Tensor] = {}
        if "sp" in terms:
            values["sp"] = masked_l1(fused, middle_hdr, weight)
        if "se" in terms:
            values["se"] = masked_l1(fused, batch["pseudo"], aligned_mask(batch["pseudo"], middle_hdr, weight))
        if "le" in terms:
            mask = aligned_mask(to_radiance(batch["short"], batch["times"][:, 0]), middle_hdr, weight)
            values["le"] = masked_l1(low, batch["short"], mask)
        if "he" in terms:
            mask = aligned_mask(to_radiance(batch["long"], batch["times"][:, 2]), middle_hdr, weight)
            values["he"] = masked_l1(high, batch["long"], mask)
        if "ea" in terms:
            values["ea"] = masked_l1(fused, batch["pseudo"], exposure_mask(batch["middle"]))
        if perceptual is not None:
            values["p"] = perceptual.to(fused.device)(mu_law(fused), mu_law(batch["pseudo"]))
        return {name: WEIGHTS[name] * value for name, value in values.items()}

    return losses, notes
