"""Conditional DDPM (Ho2020) and DDIM (Song2021) on the same network, through the schedulers of diffusers."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from hdrbench.errors import HdrbenchError

TRAIN_STEPS = 1000
PROGRESS_FROM = 20


def make_scheduler(kind: str) -> Any:
    """Make the diffusers scheduler of ``"ddpm"`` or ``"ddim"``.

    Betas run linearly from 1e-4 to 0.02 and the network predicts noise (Ho2020); x_0 is clipped to [-1, 1] at every step.
    DDIM adds no noise (eta 0), and takes steps 0, 1000 / n, 2000 / n ... (diffusers' defaults).

    Raises
    ------
    HdrbenchError
        If diffusers is not installed.
    """
    try:
        import diffusers
    except ImportError as error:
        raise HdrbenchError(f"sampler '{kind}' needs diffusers ({error}); install 'diffusers>=0.42'") from error
    scheduler = {"ddpm": diffusers.DDPMScheduler, "ddim": diffusers.DDIMScheduler}[kind]
    return scheduler(TRAIN_STEPS, beta_start=1e-4, beta_end=0.02, beta_schedule="linear", prediction_type="epsilon")


def sample(kind: str, steps: int, predict: Callable[[Tensor, Tensor], Tensor], start: Tensor, seed: int) -> Tensor:
    """Denoise step by step, with a progress bar.

    Parameters
    ----------
    kind, steps
        ``"ddpm"`` or ``"ddim"``, and how many of the `TRAIN_STEPS` are taken.
    predict
        Noise from a state and (N,) step indices.
    start
        The noise to start from, (N, 3, H, W).
    seed
        Of the noise that DDPM adds, the same for every image, so that they do not depend on what else is in the batch.

    Returns
    -------
    Tensor
        (N, 3, H, W), nominally in [-1, 1].
    """
    from rich.progress import track

    scheduler = make_scheduler(kind)
    scheduler.set_timesteps(steps)
    generators = [torch.Generator().manual_seed(seed) for _ in start]
    state = start * scheduler.init_noise_sigma
    for step in track(scheduler.timesteps.tolist(), f"{kind} sampling", transient=True, disable=steps < PROGRESS_FROM):
        noise = predict(state, torch.full((len(state),), step, device=state.device))
        state = scheduler.step(noise, step, state, generator=generators).prev_sample
    return state
