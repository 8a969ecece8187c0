"""Conditional DDPM (Ho2020) and DDIM (Song2021) on the same network, through the schedulers of diffusers."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from hdrbench.errors import HdrbenchError

TRAIN_STEPS = 1000
PROGRESS_FROM = 20
# Of diffusers' schedulers: Ho2020's betas; steps 0, 1000 / n, 2000 / n ...; x_0 clipped to [-1, 1] at every step; the
# variance of DDPM's steps.
SETTINGS: Mapping[str, Any] = {
    "beta_start": 1e-4,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "timestep_spacing": "leading",
    "clip_sample": True,
    "variance_type": "fixed_small",
}


def make_scheduler(kind: str, settings: Mapping[str, Any] = SETTINGS) -> Any:
    """Make the diffusers scheduler of ``"ddpm"`` or ``"ddim"``; the network predicts noise (Ho2020).

    DDIM adds none (Song2021), so it has no `variance_type`.

    Raises
    ------
    HdrbenchError
        If diffusers is not installed.
    """
    try:
        import diffusers
    except ImportError as error:
        raise HdrbenchError(f"sampler '{kind}' needs diffusers ({error}); install 'diffusers>=0.42'") from error
    if kind == "ddpm":
        return diffusers.DDPMScheduler(TRAIN_STEPS, prediction_type="epsilon", **settings)
    settings = {name: value for name, value in settings.items() if name != "variance_type"}
    return diffusers.DDIMScheduler(TRAIN_STEPS, prediction_type="epsilon", **settings)


def sample(
    kind: str,
    steps: int,
    predict: Callable[[Tensor, Tensor], Tensor],
    like: Tensor,
    seed: int,
    settings: Mapping[str, Any] = SETTINGS,
) -> Tensor:
    """Denoise step by step, with a progress bar.

    Parameters
    ----------
    kind, steps
        ``"ddpm"`` or ``"ddim"``, and how many of the `TRAIN_STEPS` are taken.
    predict
        Noise from a state and (N,) step indices.
    like
        (N, 3, H, W), of the size and on the device of the images to be made.
    seed
        Of the noise to start from and, after it, what DDPM adds; the same for every image, so that they do not depend on what
        else is in the batch.
    settings
        See `SETTINGS`.

    Returns
    -------
    Tensor
        (N, 3, H, W), nominally in [-1, 1].
    """
    from rich.progress import track

    scheduler = make_scheduler(kind, settings)
    scheduler.set_timesteps(steps)
    generators = [torch.Generator().manual_seed(seed) for _ in like]
    noise = [torch.randn(like.shape[1:], generator=generator, device="cpu") for generator in generators]
    state = torch.stack(noise).to(like) * scheduler.init_noise_sigma
    for step in track(scheduler.timesteps.tolist(), f"{kind} sampling", transient=True, disable=steps < PROGRESS_FROM):
        predicted = predict(state, torch.full((len(state),), step, device=state.device))
        state = scheduler.step(predicted, step, state, generator=generators).prev_sample
    return state
