"""The four losses (section 3.3). The paper prints no weights; they and the reductions are those of the released code."""

from collections.abc import Sequence
from itertools import combinations, combinations_with_replacement

import torch
from torch import Tensor, nn

from hdrbench.errors import HdrbenchError, unknown
from hdrbench.methods import Batch, Objective
from hdrbench.methods.multi_exposure_generation.network import EQUATIONS, exposure_mask
from hdrbench.methods.usme_hdr.perceptual import Vgg19Distance, make_perceptual

WEIGHTS = {"h": 1.0, "r": 100.0, "p": 0.1, "tv": 1e-5}
EPSILON = 1.0 / 255.0
POOLS = {4: 64, 9: 128, 18: 256}  # layers of VGG19 and their channels


def representation_loss(shorter: Tensor, longer: Tensor, ratio: Tensor) -> Tensor:
    """Compare two sensor exposures (N, 3, H, W), in logarithms and both ways, by their ratio of times (N,) (eq. 5, 6)."""
    ratio = ratio[:, None, None, None]
    up = (shorter * ratio + EPSILON).log() - (longer + EPSILON).log()
    down = (longer / ratio + EPSILON).log() - (shorter + EPSILON).log()
    return up.abs().mean() + down.abs().mean()


def total_variation(images: Tensor) -> Tensor:
    """Sum of absolute differences of neighbours in (N, C, H, W), mean over images (eq. 9)."""
    return (images.diff(dim=-1).abs().sum() + images.diff(dim=-2).abs().sum()) / len(images)


def perceptual_distance(network: Vgg19Distance, pred: Tensor, target: Tensor) -> Tensor:
    """L1 distance of VGG19's first three pooled layers (eq. 8): mean over pixels and images, sum over channels.

    A network of less channels counts as if it had all.
    """
    hidden = (torch.cat([pred, target]) - network.mean) / network.std
    total = pred.new_zeros(())
    for index, layer in enumerate(network.features[: max(POOLS) + 1]):
        hidden = layer(hidden)
        if index in POOLS:
            ours, theirs = hidden.chunk(2)
            total = total + POOLS[index] * (ours - theirs).abs().mean()
    return total


def choose_pairs(count: int, exposures: int, pairs: str) -> tuple[Tensor, Tensor]:
    """Choose two exposures for each of `count` scenes, uniformly: indices of the shorter and the longer, (count,) each."""
    if exposures < 2:
        raise HdrbenchError(f"expected stacks of 2 or more exposures, got {exposures}")
    make = combinations if pairs == "paper" else combinations_with_replacement
    chosen = torch.tensor(list(make(range(exposures), 2)))
    # On the CPU, so that a seed means the same on every device.
    shorter, longer = chosen[torch.randint(len(chosen), (count,))].unbind(1)
    return shorter, longer


def objective(
    terms: Sequence[str] = tuple(WEIGHTS),
    losses: str = "paper",
    pairs: str = "paper",
    perceptual_weights: str = "auto",
    perceptual_width_divisor: int = 1,
) -> tuple[Objective, list[str]]:
    """Build the training objective (eq. 3).

    Parameters
    ----------
    terms
        Which of h, r, p, tv take part; Table 4 leaves out h.
    losses
        ``"paper"``: r and p compare whole images; ``"released"``: images under the mask of the target, which is the released
        one, see `hdrbench.methods.multi_exposure_generation.network.exposure_mask`.
    pairs
        ``"paper"``: two different exposures of a scene; ``"released"``: also twice the same one.
    perceptual_weights, perceptual_width_divisor
        See `hdrbench.methods.usme_hdr.perceptual.make_perceptual`.

    Returns
    -------
    tuple
        A function of (network, batch) that returns the weighted terms by name, of batches with ``"stack"``,
        (N, K, 3, H, W) codes in [0, 1] in ascending exposure, and ``"times"``, (N, K); and notes for the run's provenance.

    Raises
    ------
    HdrbenchError
        On unknown names, missing weights, or, at the first batch, stacks of one exposure.
    """
    for term in terms:
        if term not in WEIGHTS:
            raise unknown("loss term", term, WEIGHTS)
    for kind, name in (("losses", losses), ("pairs", pairs)):
        if name not in EQUATIONS:
            raise unknown(kind, name, EQUATIONS)
    perceptual, notes = None, []
    if "p" in terms:
        perceptual, note = make_perceptual(perceptual_weights, perceptual_width_divisor)
        notes.append(note)

    def evaluate(network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        stack, times = batch["stack"], batch["times"]
        rows = torch.arange(len(stack), device=stack.device)
        low, high = (index.to(stack.device) for index in choose_pairs(len(stack), stack.shape[1], pairs))
        targets = (stack[rows, low], stack[rows, high])
        around = torch.stack([times[rows, low], times[rows, high]], 1)
        *made, shorter, longer = (image.float() for image in network(targets[0], around, targets[1]))
        seen = [(image, target) for image, target in zip(made, targets, strict=True)]
        if losses == "released":
            seen = [(image * exposure_mask(target), target * exposure_mask(target)) for image, target in seen]
        values: dict[str, Tensor] = {}
        if "h" in terms:
            values["h"] = representation_loss(shorter, longer, around[:, 1] / around[:, 0])
        if "r" in terms:
            values["r"] = torch.stack([(image - target).abs().mean() for image, target in seen]).sum()
        if perceptual is not None:
            frozen = perceptual.to(stack.device)
            values["p"] = torch.stack([perceptual_distance(frozen, *pair) for pair in seen]).sum()
        if "tv" in terms:
            values["tv"] = total_variation(made[0]) + total_variation(made[1])
        return {name: WEIGHTS[name] * value for name, value in values.items()}

    return evaluate, notes
