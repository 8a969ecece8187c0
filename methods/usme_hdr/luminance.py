"""Luminance estimation: the Light Map and Light Feature of section 3.3, and the four alternatives of Table 5.

Every estimator maps X, (N, C, H, W) with the LDR image in its first three channels, to a Light Feature (N, m, H, W) and
a Light Map (N, C, H, W), or to None in its place where the map is switched off.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from hdrbench.imaging.color import max_intensity

GSI_SIGMA = 15.0


class LearnedEstimator(nn.Module):
    """The paper's estimator: mean over channels appended, 1x1, depthwise 5x5 (= Light Feature), 1x1 (= Light Map)."""

    def __init__(self, channels: int, features: int, light_map: bool) -> None:
        super().__init__()
        self.compress = nn.Conv2d(channels + 1, features, 1)
        self.depthwise = nn.Conv2d(features, features, 5, padding=2, groups=features)
        self.to_map = nn.Conv2d(features, channels, 1) if light_map else None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return Light Feature and Light Map."""
        feature = self.depthwise(self.compress(torch.cat([x, x.mean(1, keepdim=True)], 1)))
        return feature, self.to_map(feature) if self.to_map is not None else None


class StatisticEstimator(nn.Module):
    """A given luminance statistic in place of the learned one: 1x1 to the Light Feature, 1x1 to the Light Map."""

    def __init__(
        self, channels: int, features: int, light_map: bool, statistic: Callable[[Tensor], Tensor], planes: int
    ) -> None:
        super().__init__()
        self.statistic = statistic
        self.to_feature = nn.Conv2d(planes, features, 1)
        self.to_map = nn.Conv2d(features, channels, 1) if light_map else None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return Light Feature and Light Map."""
        feature = self.to_feature(self.statistic(x[:, :3]))
        return feature, self.to_map(feature) if self.to_map is not None else None


def global_statistics(ldr: Tensor) -> Tensor:
    """Mean and standard deviation of the whole image, as two constant planes (GSB)."""
    statistics = torch.stack([ldr.mean((1, 2, 3)), ldr.std((1, 2, 3))], 1)
    return statistics[:, :, None, None].expand(-1, -1, *ldr.shape[-2:])


def gaussian_illumination(ldr: Tensor) -> Tensor:
    """Low frequencies of the channel mean: Gaussian of sigma 15 pixels, replicated borders (GSI)."""
    radius = int(3 * GSI_SIGMA)
    offsets = torch.arange(-radius, radius + 1, dtype=ldr.dtype, device=ldr.device)
    kernel = torch.exp(-offsets.square() / (2 * GSI_SIGMA**2))
    kernel = kernel / kernel.sum()
    plane = F.pad(ldr.mean(1, keepdim=True), (radius,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(plane, kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1))


class RetinexDecomposition(nn.Module):
    """Decomposition network of RetinexNet (Wei2018): its illumination plane, (N, 3, H, W) -> (N, 1, H, W)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(4, width, 9, padding=4)]
        for _ in range(5):
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.ReLU()]
        self.body = nn.Sequential(*layers, nn.Conv2d(width, 4, 3, padding=1), nn.Sigmoid())

    def forward(self, ldr: Tensor) -> Tensor:
        """Return the illumination; the reflectance is not used."""
        return self.body(torch.cat([max_intensity(ldr), ldr], 1))[:, 3:]


ESTIMATORS = ("learned", "gsb", "gsi", "hvi_i", "retinexnet")


def make_estimator(kind: str, channels: int, features: int, width: int, light_map: bool) -> nn.Module:
    """Build an estimator of `ESTIMATORS` for `channels` input channels and `features` Light Feature channels.

    `width` is the network's base width; RetinexNet's published 64 channels belong to the default of 32.
    """
    if kind == "learned":
        return LearnedEstimator(channels, features, light_map)
    statistics: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
        "gsb": (global_statistics, 2),
        "gsi": (gaussian_illumination, 1),
        "hvi_i": (max_intensity, 1),
    }
    if kind == "retinexnet":
        statistics[kind] = (RetinexDecomposition(2 * width), 1)
    if kind not in statistics:
        raise ValueError(f"luminance must be one of {', '.join(ESTIMATORS)}, got '{kind}'")
    return StatisticEstimator(channels, features, light_map, *statistics[kind])
