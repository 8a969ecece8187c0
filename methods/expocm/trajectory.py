"""Exposure-aware trajectories from the HDR image at t_min to what is known of it at t_max (Liu2026, eq. 3, 8-11)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from hdrbench.methods.expocm.masks import KINDS, Masks, merge


@dataclass(frozen=True)
class Trajectory:
    """The trajectory's functions of time, none of which the paper prints.

    Attributes
    ----------
    masks
        One of `hdrbench.methods.expocm.masks.KINDS`: three regions; two, for Table 2; or none, the baseline of eq. 3.
    ill_posed
        Which trajectory the merged region of ``masks="two"`` takes, ``"over"`` (ours) or ``"under"``.
    t_min
        The smallest time, 0.002 (Song2023).
    t_max
        T. Because alpha(T) = 1 leaves nothing of the HDR image, T need not be large for that, as the 80 of Song2023 is;
        with 80 the LDR image in eq. 9 and 10 would drown in noise. 1 is ours: twice the spread of data in [-1, 1].
    rho
        Spacing of the times, 7 (Karras2022, Song2023).
    alpha_power
        alpha(t) = ((t - t_min) / (t_max - t_min)) ^ alpha_power, 1 (ours): 0 at the HDR image, 1 at the end.
    sigma_over, sigma_under, sigma_good
        sigma_r(t) = sigma_r x t: that of Karras2022 and Song2023, with a factor for each region, all 1 (ours).
    lambda_under
        lambda_u, 1 (ours).
    blur
        Standard deviation of the Gaussian low-pass filter in pixels, 3 (ours).
    """

    masks: str = "three"
    ill_posed: str = "over"
    t_min: float = 0.002
    t_max: float = 1.0
    rho: float = 7.0
    alpha_power: float = 1.0
    sigma_over: float = 1.0
    sigma_under: float = 1.0
    sigma_good: float = 1.0
    lambda_under: float = 1.0
    blur: float = 3.0

    def __post_init__(self) -> None:
        if self.masks not in KINDS:
            raise ValueError(f"masks must be one of {', '.join(KINDS)}, got '{self.masks}'")
        if self.ill_posed not in ("over", "under"):
            raise ValueError(f"ill_posed must be over or under, got '{self.ill_posed}'")
        if not 0.0 < self.t_min < self.t_max:
            raise ValueError(f"expected 0 < t_min < t_max, got {self.t_min} and {self.t_max}")
        if not self.blur > 0.0:
            raise ValueError(f"blur must be positive, got {self.blur}")

    def alpha(self, t: Tensor) -> Tensor:
        """Return alpha(t), from 0 to 1."""
        return ((t - self.t_min) / (self.t_max - self.t_min)).pow(self.alpha_power)

    def regions(self, x0: Tensor, y0: Tensor, noise: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the states of the over-, under- and well-exposed region (eq. 8-10); parameters as for `state`."""
        t = t.view(-1, 1, 1, 1)
        alpha = self.alpha(t)
        kept, low = (1.0 - alpha) * x0, low_pass(y0, self.blur)
        return (
            kept + self.sigma_over * t * noise,
            kept + alpha * self.lambda_under * low + self.sigma_under * t * noise,
            kept + alpha * y0 + self.sigma_good * t * noise,
        )

    def state(self, x0: Tensor, y0: Tensor, masks: Masks, noise: Tensor, t: Tensor) -> Tensor:
        """Return the state at a time (eq. 11).

        Parameters
        ----------
        x0, y0
            HDR and LDR image as the network takes them, (N, 3, H, W) in [-1, 1].
        masks
            All three, of `hdrbench.methods.expocm.masks.exposure_masks`.
        noise
            (N, 3, H, W), standard normal.
        t
            (N,) in [t_min, t_max].
        """
        weights = merge(masks, self.masks, self.ill_posed)
        over, under, good = self.regions(x0, y0, noise, t)
        return weights.over * over + weights.under * under + weights.good * good

    def end(self, y0: Tensor, masks: Masks, noise: Tensor) -> Tensor:
        """Return the state at t_max, x_T, which does not depend on the HDR image."""
        t = torch.full((len(y0),), self.t_max, dtype=y0.dtype, device=y0.device)
        return self.state(torch.zeros_like(y0), y0, masks, noise, t)


def low_pass(image: Tensor, sigma: float) -> Tensor:
    """Blur (N, C, H, W) by a Gaussian of `sigma` pixels, cut off at three of them, with replicated borders."""
    radius, channels = max(1, round(3 * sigma)), image.shape[1]
    offsets = torch.arange(-radius, radius + 1, dtype=image.dtype, device=image.device)
    kernel = torch.exp(-offsets.square() / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).repeat(channels, 1)
    rows = F.conv2d(
        F.pad(image, (0, 0, radius, radius), mode="replicate"), kernel.view(channels, 1, -1, 1), groups=channels
    )
    return F.conv2d(
        F.pad(rows, (radius, radius, 0, 0), mode="replicate"), kernel.view(channels, 1, 1, -1), groups=channels
    )
