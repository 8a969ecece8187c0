"""The objective of CEVR: reconstruction and cycle training (eq. 3-5).

The released training differs from the paper in the cycle. Its command splits the step into halves, and it leaves the cycle
out until the model reaches 28 dB on the *test* set. The paper mentions no such warm-up. Here it is an option, ``None``
by default, and looks at the image that is trained on instead.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hdrbench.errors import HdrbenchError, unknown
from hdrbench.methods import Batch, Objective

CYCLE_WEIGHT = 0.1
CYCLES = ("random", "halves", "none")


def objective(
    cycle: str = "random", warmup_psnr: float | None = None, held_out: Sequence[float] = ()
) -> tuple[Objective, list[str]]:
    """Build the training objective.

    Each iteration each model has one target per scene, one of the scene's exposures on its side, the image's own included.

    Parameters
    ----------
    cycle
        How the cycle splits an EV step: ``"random"``, uniformly for each image (section 3.3); ``"halves"``, as in the
        released command; ``"none"``, no cycle training (Tables 3-5).
    warmup_psnr
        The cycle counts for an image and model only if the direct result has this PSNR in dB, such as the 28 that the
        released training asks of the test set.
    held_out
        Exposure values, relative to the middle one, that are never a target: -1 and 1 in Table 5.

    Returns
    -------
    tuple
        A function of (network, batch) that returns ``"rec"`` and, unless there is none, the weighted ``"cyc"``, sums over
        images, colours and pixels; and no notes. Batches have ``"stack"``, (N, K, 3, H, W) codes in [0, 1] in ascending
        exposure, K odd and the middle one the input, and ``"times"``, (N, K).

    Raises
    ------
    HdrbenchError
        On an unknown cycle, if EV 0 is held out, or, at the first batch, without a usable stack.
    """
    if cycle not in CYCLES:
        raise unknown("cycle", cycle, CYCLES)
    if 0.0 in held_out:
        raise HdrbenchError("held_out: EV 0 is the input and cannot be held out; name others, e.g. -1 and 1")

    def losses(network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        stack, times = batch["stack"], batch["times"]
        dark, bright = choose_targets(times, held_out)
        rows, middle = torch.arange(len(stack), device=stack.device), stack.shape[1] // 2
        target = torch.stack([stack[rows, dark], stack[rows, bright]])
        around = torch.stack([times[rows, dark], times[:, middle], times[rows, bright]], 1)
        made = [image.float() for image in network(stack[:, middle], around, make_split(cycle, stack))]
        direct = torch.stack(made[:2])
        values = {"rec": (direct - target).abs().sum()}
        if cycle != "none":
            each = (torch.stack(made[2:]) - target).abs().sum((2, 3, 4))
            if warmup_psnr is not None:
                error = (direct.detach() - target).square().mean((2, 3, 4))
                each = each * (error < 10.0 ** (-warmup_psnr / 10.0))
            values["cyc"] = CYCLE_WEIGHT * each.sum()
        return values

    return losses, []


def make_split(cycle: str, stack: Tensor) -> Tensor | None:
    """Draw the share of each image's EV step that comes first, for both models: (N, 2), or None without a cycle."""
    if cycle == "none":
        return None
    # On the CPU, so that a seed means the same on every device.
    share = torch.rand(len(stack), 2) if cycle == "random" else torch.full((len(stack), 2), 0.5)
    return share.to(stack.device)


def choose_targets(times: Tensor, held_out: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Choose a darker and a brighter exposure of each scene at random, the middle one included.

    Parameters
    ----------
    times
        (N, K), ascending, K odd.
    held_out
        Exposure values that are not chosen.

    Returns
    -------
    tuple of Tensor
        Their indices, (N,) each.
    """
    count = times.shape[1]
    if count < 3 or count % 2 == 0:
        raise HdrbenchError(f"expected stacks of 3, 5, 7, ... exposures with the input in the middle, got {count}")
    middle = count // 2
    evs = (times / times[:, middle, None]).log2().cpu()
    allowed = torch.ones_like(evs)
    for ev in held_out:
        found = (evs - ev).abs() < 0.01
        if not bool(found.any(1).all()):
            raise HdrbenchError(
                f"held_out: no exposure at EV {ev:+g} in a stack of {evs[0].tolist()}; name one that is"
            )
        allowed[found] = 0.0
    dark = torch.multinomial(allowed[:, : middle + 1], 1)[:, 0]
    bright = middle + torch.multinomial(allowed[:, middle:], 1)[:, 0]
    return dark.to(times.device), bright.to(times.device)
