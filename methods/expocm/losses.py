"""Training: consistency training (Liu2026, eq. 4), then with the ELC loss (eq. 15); or noise prediction (Ho2020)."""

from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from hdrbench.errors import HdrbenchError, unknown
from hdrbench.methods import Batch, Objective
from hdrbench.methods.expocm import diffusion
from hdrbench.methods.expocm.consistency import step_count, target_rate, time_grid
from hdrbench.methods.expocm.elc import Elc
from hdrbench.methods.expocm.encoding import decode, encode
from hdrbench.methods.expocm.masks import exposure_masks
from hdrbench.methods.expocm.model import ExpoCm


def objective(
    stage_one: float = 0.8,
    consistency_in_stage_two: float = 1.0,
    first_steps: int = 2,
    last_steps: int = 150,
    start_rate: float = 0.95,
    elc_from: str = "end",
    ema_rate: float = 0.999,
    **elc: Any,
) -> tuple[Objective, list[str]]:
    """Build the training objective on ``ldr`` and ``hdr``, both (N, 3, H, W) in [0, 1].

    Parameters
    ----------
    stage_one
        Share of the iterations in (0, 1] that are the first stage, without ELC; 0.8 (ours). 1 leaves ELC out.
    consistency_in_stage_two
        Factor of eq. 4 in the second stage. 1 (ours) adds ELC to it, as section 4.4 says of 'w/o EACT'; 0 leaves ELC alone,
        as section 3.4 may be read.
    first_steps, last_steps, start_rate
        s0, s1 and mu0 of `hdrbench.methods.expocm.consistency`: 2, 150, 0.95 (Song2023). k / K counts within the first stage.
    elc_from
        Which output ELC is taken on: ``"end"``, from x_T, as in inference (ours), or ``"any"``, from a random time of the grid.
    ema_rate
        Share in [0, 1) of the target that is kept with a diffusion sampler, where it has one: 0.999 (Jiang2023), 0.9999
        (Ho2020).
    elc
        See `hdrbench.methods.expocm.elc.Elc`.

    Returns
    -------
    tuple
        A function of (network, batch) that returns ``consistency`` and, in the second stage, ``elc``; or ``noise`` where
        the network's sampler is a diffusion one. No notes. Each call first updates the target for the iteration before,
        so that after the last one the target is one update behind.

    Raises
    ------
    HdrbenchError
        If `stage_one` is not in (0, 1] or `ema_rate` not in [0, 1), or `elc_from` or the ELC loss's luma is unknown.
    """
    if not 0.0 < stage_one <= 1.0:
        raise HdrbenchError(f"stage_one must be above 0 and at most 1, got {stage_one}")
    if not 0.0 <= ema_rate < 1.0:
        raise HdrbenchError(f"ema_rate must be at least 0 and below 1, got {ema_rate}")
    if elc_from not in ("end", "any"):
        raise unknown("elc_from", elc_from, ("end", "any"))
    constants = Elc(**elc)

    def losses(network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        model = cast(ExpoCm, network)
        if model.sampler != "consistency":
            if model.target is not None:
                model.update_target(ema_rate if batch.iteration else 0.0)
            return {"noise": noise_loss(model, batch)}
        length = stage_one * batch.iterations
        # Song2023 updates the target after the optimiser's step. Here that is the start of the next iteration; a checkpoint
        # in between holds both networks, so nothing is lost.
        before = step_count(min(1.0, (batch.iteration - 1) / length), first_steps, last_steps) if batch.iteration else 0
        model.update_target(target_rate(before, first_steps, start_rate) if before else 0.0)
        count = step_count(min(1.0, batch.iteration / length), first_steps, last_steps)
        if batch.iteration < length:
            return {"consistency": consistency_loss(model, batch, count)}
        values = {"elc": elc_loss(model, batch, constants, count if elc_from == "any" else None)}
        if consistency_in_stage_two:
            values["consistency"] = consistency_in_stage_two * consistency_loss(model, batch, count)
        return values

    return losses, []


def consistency_loss(network: ExpoCm, batch: Batch, count: int) -> Tensor:
    """Compare the network at a time of the grid with the target at the next smaller one, on the same noise (eq. 4).

    The squared distance is averaged over pixels and channels, times are equally likely and equally weighted (Song2023).
    """
    ldr, path = batch["ldr"], network.trajectory
    x0, y0, masks = encode(batch["hdr"], network.encoding), network.observed(ldr), exposure_masks(ldr)
    grid = time_grid(count, path.t_min, path.t_max, path.rho).to(ldr.device)
    index, noise = torch.randint(count - 1, (len(ldr),), device=ldr.device), torch.randn_like(x0)
    later, earlier = grid[index + 1], grid[index]
    with torch.no_grad():
        wanted = network(ldr, at=(path.state(x0, y0, masks, noise, earlier), earlier), target=True)
    return F.mse_loss(network(ldr, at=(path.state(x0, y0, masks, noise, later), later)), wanted)


def elc_loss(network: ExpoCm, batch: Batch, elc: Elc, count: int | None = None) -> Tensor:
    """Take the ELC loss of the one-step output from fresh noise, from x_T or from a random one of `count` times."""
    ldr, hdr, masks, path = batch["ldr"], batch["hdr"], exposure_masks(batch["ldr"]), network.trajectory
    at = network.start(ldr, torch.randn_like(ldr))
    if count is not None:
        grid = time_grid(count, path.t_min, path.t_max, path.rho).to(ldr.device)
        t = grid[torch.randint(1, count, (len(ldr),), device=ldr.device)]
        noise = torch.randn_like(ldr)
        at = path.state(encode(hdr, network.encoding), network.observed(ldr), masks, noise, t), t
    return elc.loss(decode(network(ldr, at=at), network.encoding), hdr, ldr, masks)


def noise_loss(network: ExpoCm, batch: Batch) -> Tensor:
    """Predict the noise in a state of a random step (Ho2020, eq. 14)."""
    x0 = encode(batch["hdr"], network.encoding) - network.base(batch["ldr"])
    steps, noise = torch.randint(diffusion.TRAIN_STEPS, (len(x0),), device=x0.device), torch.randn_like(x0)
    state = diffusion.make_scheduler(network.sampler, network.scheduler).add_noise(x0, noise, steps)
    return F.mse_loss(network(batch["ldr"], at=(state, steps)), noise)
