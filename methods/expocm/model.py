"""ExpoCM as one module: the U-Net as a consistency function or a noise predictor, and the target of its training."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hdrbench.imaging.transfer import gamma_decode
from hdrbench.methods.expocm import diffusion
from hdrbench.methods.expocm.consistency import boundary, time_code
from hdrbench.methods.expocm.encoding import ENCODINGS, decode, encode
from hdrbench.methods.expocm.masks import exposure_masks
from hdrbench.methods.expocm.network import UNet
from hdrbench.methods.expocm.trajectory import Trajectory

CHOICES: Mapping[str, tuple[str, ...]] = {
    "encoding": ENCODINGS,
    "guide": ("codes", "linear"),
    "time_code": ("log", "linear"),
    "inference": ("online", "target"),
    "beta_schedule": ("linear", "scaled_linear", "squaredcos_cap_v2"),
    "timestep_spacing": ("leading", "trailing", "linspace"),
    "variance_type": ("fixed_small", "fixed_large"),
}


class ExpoCm(nn.Module):
    """The network, everything that both training and inference must know, and the EMA target.

    The target's weights are buffers: checkpoints carry them, optimisers and parameter counts do not see them.

    Parameters
    ----------
    width, multipliers, blocks, attention, initialisation
        See `hdrbench.methods.expocm.network.UNet`.
    sampler
        ``"consistency"``, or the diffusion baselines ``"ddpm"`` and ``"ddim"``, which train alike: there is no mask and no
        trajectory in them, and their weights fit each other.
    ddpm_steps, ddim_steps
        Network calls for one image of the diffusion samplers, of 1000 steps in training: 1000 and 50, as printed.
    encoding
        What of the HDR image the network sees: ``"mu_law"`` (ours) or ``"linear"``.
    guide
        y_0, the LDR image in the trajectories and beside the state: display codes in [-1, 1], ``"codes"``, where the 0 that
        eq. 8 has for a guide is mid-grey (ours), or ``"linear"``, linearised by gamma 2.2 and encoded as HDR is.
    time_code
        ``"log"`` for 250 ln t (Song2023's code), or ``"linear"`` for 1000 t; see `hdrbench.methods.expocm.consistency`.
    scheduler
        What differs from `hdrbench.methods.expocm.diffusion.SETTINGS` in the schedulers of diffusers.
    sigma_data
        Spread of the data in the parameterisation, 0.5 (Karras2022, Song2023).
    inference
        Whose weights reconstruct: ``"online"``, as in section 3.1, or ``"target"``, the average of them (EMA), which diffusion
        samplers have only where this asks for it.
    noise_seed
        Of the noise that inference starts from. It is the same for every image, so that results repeat.
    naive_level
        Let the result start from the LDR image linearised by gamma 2.2, whose white is this value of the HDR image, and the
        network learn what to change of it, which a training of hundreds of iterations needs; the trajectories then end in
        it in place of the LDR image. Not in the paper: ``None``.
    trajectory
        See `hdrbench.methods.expocm.trajectory.Trajectory`.
    """

    def __init__(
        self,
        width: int = 64,
        multipliers: Sequence[int] = (1, 2, 3, 4),
        blocks: int = 2,
        attention: Sequence[int] = (2,),
        initialisation: str = "pytorch",
        sampler: str = "consistency",
        ddpm_steps: int = 1000,
        ddim_steps: int = 50,
        encoding: str = "mu_law",
        guide: str = "codes",
        time_code: str = "log",
        scheduler: Mapping[str, Any] | None = None,
        sigma_data: float = 0.5,
        inference: str = "online",
        noise_seed: int = 0,
        naive_level: float | None = None,
        **trajectory: Any,
    ) -> None:
        super().__init__()
        steps = {"ddpm": ddpm_steps, "ddim": ddim_steps}
        choices = {"encoding": encoding, "guide": guide, "time_code": time_code, "inference": inference}
        settings = {**diffusion.SETTINGS, **(scheduler or {})}
        self._check(sampler, steps, choices, settings)
        if naive_level is not None and not 0.0 < naive_level <= 1.0:
            raise ValueError(f"naive_level must be above 0 and at most 1, got {naive_level}")
        self.sampler, self.encoding, self.sigma_data = sampler, encoding, sigma_data
        self.guide, self.time_code, self.scheduler = guide, time_code, settings
        self.inference, self.noise_seed, self.naive_level = inference, noise_seed, naive_level
        self.steps = steps.get(sampler, 1)
        self.trajectory = Trajectory(**trajectory)
        self.unet = UNet(width, multipliers, blocks, attention, initialisation)
        self.target = frozen_copy(self.unet) if sampler == "consistency" or inference == "target" else None

    @staticmethod
    def _check(
        sampler: str, steps: Mapping[str, int], choices: Mapping[str, str], scheduler: Mapping[str, Any]
    ) -> None:
        for name in scheduler:
            if name not in diffusion.SETTINGS:
                raise ValueError(f"scheduler must be of {', '.join(diffusion.SETTINGS)}, got '{name}'")
        known, chosen = {**CHOICES, "sampler": ("consistency", *steps)}, {**choices, "sampler": sampler, **scheduler}
        for name, names in known.items():
            if chosen[name] not in names:
                raise ValueError(f"{name} must be one of {', '.join(names)}, got '{chosen[name]}'")
        for kind, count in steps.items():
            if not 1 <= count <= diffusion.TRAIN_STEPS:
                raise ValueError(f"{kind}_steps must be from 1 to {diffusion.TRAIN_STEPS}, got {count}")

    def forward(
        self,
        ldr: Tensor,
        times: Tensor | None = None,
        *,
        at: tuple[Tensor, Tensor] | None = None,
        target: bool = False,
    ) -> Tensor:
        """Call the network once.

        Parameters
        ----------
        ldr
            (N, 3, H, W) codes in [0, 1].
        times
            Exposure times; not used.
        at
            A noisy state (N, 3, H, W) and its times, (N,), or step indices for a diffusion sampler; ``None`` for where
            inference starts.
        target
            Use the target's weights.

        Returns
        -------
        Tensor
            The HDR image as `hdrbench.methods.expocm.encoding.encode` has it, not clipped; or, for a diffusion sampler, the
            noise in the state of `encode` less `base`.
        """
        state, t = at if at is not None else self.start(ldr)
        condition = self.condition(ldr)
        network = self.target if target else self.unet
        if network is None:
            raise ValueError(f"sampler {self.sampler} has a target network with inference='target' only")
        if self.sampler != "consistency":
            return network(state, condition, t)
        skip, out, scale = (c.view(-1, 1, 1, 1) for c in boundary(t, self.trajectory.t_min, self.sigma_data))
        base = self.base(ldr)
        state = state - base
        return base + skip * state + out * network(scale * state, condition, time_code(t, self.time_code))

    def base(self, ldr: Tensor) -> Tensor:
        """Return what the result starts from, as `encode` has it: zeros, or the image that `naive_level` describes."""
        if self.naive_level is None:
            return torch.zeros_like(ldr)
        return encode(gamma_decode(ldr) * self.naive_level, self.encoding)

    def condition(self, ldr: Tensor) -> Tensor:
        """Return y_0 as `guide` has it, which the network sees beside the state."""
        return 2.0 * ldr - 1.0 if self.guide == "codes" else encode(gamma_decode(ldr), self.encoding)

    def observed(self, ldr: Tensor) -> Tensor:
        """Return y_0 as the trajectories have it: `condition`, or `base` where the result starts from that."""
        return self.condition(ldr) if self.naive_level is None else self.base(ldr)

    def start(self, ldr: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return x_T and T, where inference starts, on given noise or on that of `noise_seed`."""
        if noise is None:
            generator = torch.Generator().manual_seed(self.noise_seed)
            noise = torch.randn(ldr.shape[1:], generator=generator, device="cpu").to(ldr.device).expand(ldr.shape)
        if self.sampler != "consistency":
            return noise, torch.full((len(ldr),), diffusion.TRAIN_STEPS - 1, device=ldr.device)
        t = torch.full((len(ldr),), self.trajectory.t_max, device=ldr.device)
        return self.trajectory.end(self.observed(ldr), exposure_masks(ldr), noise), t

    @torch.no_grad()
    def reconstruct(self, ldr: Tensor) -> Tensor:
        """Reconstruct linear HDR in [0, 1] from (N, 3, H, W) codes: the sample, clipped to [-1, 1], decoded."""
        averaged = self.inference == "target"
        if self.sampler == "consistency":
            result = self(ldr, target=averaged)
        else:
            result = self.base(ldr) + diffusion.sample(
                self.sampler,
                self.steps,
                lambda state, step: self(ldr, at=(state, step), target=averaged),
                ldr,
                self.noise_seed,
                self.scheduler,
            )
        return decode(result.clamp(-1.0, 1.0), self.encoding)

    @torch.no_grad()
    def update_target(self, rate: float) -> None:
        """Keep `rate` of the target, and take the rest from the network, in place; 0 copies it."""
        assert self.target is not None
        for old, new in zip(self.target.buffers(), self.unet.parameters(), strict=True):
            old.lerp_(new, 1.0 - rate)


def frozen_copy(network: nn.Module) -> nn.Module:
    """Copy a network with buffers for parameters, under the same names and in the same order."""
    frozen = copy.deepcopy(network)
    for module in frozen.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, parameter.detach().clone())
    return frozen
