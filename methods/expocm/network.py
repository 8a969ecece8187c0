"""The conditional U-Net of ExpoCM (Liu2026, section 3.4), which its consistency model and its diffusion baselines share.

The paper prints three stages down and up, residual blocks with a time embedding, and the LDR image concatenated to the
state. The rest is taken from the group's public diffusion network for low-light images (Jiang2023), as defaults: 20.76
million parameters. The replication's README lists what is assumed.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


def sinusoids(code: Tensor, size: int) -> Tensor:
    """Embed numbers, (N,) -> (N, size): sines and cosines of periods from 2 pi to 2 pi x 10,000 (Vaswani2017)."""
    half = size // 2
    frequencies = torch.exp(-math.log(1e4) / max(half - 1, 1) * torch.arange(half, device=code.device))
    angles = code.float()[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], 1)


class Norm(nn.GroupNorm):
    """Group normalisation, by 32 groups at full width: at least two channels in each, or their means would be lost."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__(min(32, width // 2), channels, eps=1e-6)


class ResidualBlock(nn.Module):
    """Two normalised 3x3 convolutions with the time embedding added in between, beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, width: int) -> None:
        super().__init__()
        self.first = nn.Sequential(Norm(inputs, width), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, padding=1))
        self.time = nn.Linear(4 * width, outputs)
        self.second = nn.Sequential(Norm(outputs, width), nn.SiLU(), nn.Conv2d(outputs, outputs, 3, padding=1))
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Transform (N, inputs, h, w) features given the (N, 4 width) time embedding."""
        hidden = self.first(x) + self.time(F.silu(time))[:, :, None, None]
        return self.shortcut(x) + self.second(hidden)


class Attention(nn.Module):
    """Self-attention over all positions, one head, added to its input."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.norm = Norm(channels, width)
        self.query, self.key, self.value, self.output = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        """Attend in (N, channels, h, w) features."""
        normed = self.norm(x)
        query, key, value = (
            layer(normed).flatten(2).transpose(1, 2).unsqueeze(1) for layer in (self.query, self.key, self.value)
        )
        attended = F.scaled_dot_product_attention(query, key, value)
        return x + self.output(attended.squeeze(1).transpose(1, 2).reshape(x.shape))


class Stage(nn.Module):
    """A residual block, followed by attention where the level has it."""

    def __init__(self, inputs: int, outputs: int, width: int, attends: bool) -> None:
        super().__init__()
        self.block = ResidualBlock(inputs, outputs, width)
        self.attention = Attention(outputs, width) if attends else nn.Identity()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Transform features as `ResidualBlock` does."""
        return self.attention(self.block(x, time))


class UNet(nn.Module):
    """Noise, or the clean image, from a noisy state, the LDR image and a time.

    Parameters
    ----------
    width
        Channels of the first level, even; above 64 a multiple of 32.
    multipliers
        Channels of each level by `width`; each level but the last ends in a halving of the size.
    blocks
        Residual blocks of a level on the way down; one more on the way up.
    attention
        The levels, counted from 0, whose blocks are followed by self-attention; the middle has it always.
    initialisation
        ``"pytorch"``, as in Jiang2023, or ``"zero"``: the last convolution of each block and of the network starts at 0,
        as in Dhariwal2021, whose network the consistency models (Song2023) use.
    """

    def __init__(
        self,
        width: int = 64,
        multipliers: Sequence[int] = (1, 2, 3, 4),
        blocks: int = 2,
        attention: Sequence[int] = (2,),
        initialisation: str = "pytorch",
    ) -> None:
        super().__init__()
        if width < 4 or width % 2 or (width > 64 and width % 32):
            raise ValueError(f"width must be even, from 4 to 64, or a multiple of 32, got {width}")
        if blocks < 1 or not multipliers:
            raise ValueError(f"a network needs blocks and levels, got blocks {blocks}, multipliers {multipliers}")
        if not set(attention) <= set(range(len(multipliers))):
            raise ValueError(f"attention must name levels from 0 to {len(multipliers) - 1}, got {attention}")
        self.width, self.levels, self.blocks = width, len(multipliers), blocks
        self.time = nn.Sequential(nn.Linear(width, 4 * width), nn.SiLU(), nn.Linear(4 * width, 4 * width))
        self.input = nn.Conv2d(6, width, 3, padding=1)
        channels, skips = width, [width]
        self.down, self.reduce = nn.ModuleList(), nn.ModuleList()
        for level, multiplier in enumerate(multipliers):
            for _ in range(blocks):
                self.down.append(Stage(channels, multiplier * width, width, level in attention))
                channels = multiplier * width
                skips.append(channels)
            if level + 1 < self.levels:
                self.reduce.append(nn.Conv2d(channels, channels, 3, stride=2, padding=1))
                skips.append(channels)
        self.middle = nn.ModuleList((Stage(channels, channels, width, True), Stage(channels, channels, width, False)))
        self.up, self.enlarge = nn.ModuleList(), nn.ModuleList()
        for level, multiplier in reversed(list(enumerate(multipliers))):
            for _ in range(blocks + 1):
                self.up.append(Stage(channels + skips.pop(), multiplier * width, width, level in attention))
                channels = multiplier * width
            if level:
                self.enlarge.append(nn.Conv2d(channels, channels, 3, padding=1))
        self.output = nn.Sequential(Norm(channels, width), nn.SiLU(), nn.Conv2d(channels, 3, 3, padding=1))
        self._initialise(initialisation)

    def _initialise(self, kind: str) -> None:
        if kind not in ("pytorch", "zero"):
            raise ValueError(f"initialisation must be pytorch or zero, got '{kind}'")
        if kind == "zero":
            ends = [module.second[-1] for module in self.modules() if isinstance(module, ResidualBlock)]
            ends += [module.output for module in self.modules() if isinstance(module, Attention)]
            for parameter in nn.ModuleList((*ends, self.output[-1])).parameters():
                nn.init.zeros_(parameter)

    def forward(self, state: Tensor, condition: Tensor, code: Tensor) -> Tensor:
        """Apply the network.

        Parameters
        ----------
        state, condition
            Noisy state and LDR image, (N, 3, H, W), nominally in [-1, 1]. Any size: the last row and column are repeated
            where it cannot be halved often enough, and cut off again.
        code
            (N,) numbers that say the time.

        Returns
        -------
        Tensor
            (N, 3, H, W) float32, unbounded.
        """
        height, width = state.shape[-2:]
        unit = 2 ** (self.levels - 1)
        hidden = F.pad(torch.cat([state, condition], 1), (0, -width % unit, 0, -height % unit), mode="replicate")
        time = self.time(sinusoids(code, self.width))
        skips = [self.input(hidden)]
        for index, stage in enumerate(self.down):
            skips.append(stage(skips[-1], time))
            level, last = divmod(index, self.blocks)
            if last == self.blocks - 1 and level + 1 < self.levels:
                skips.append(self.reduce[level](skips[-1]))
        hidden = skips[-1]
        for stage in self.middle:
            hidden = stage(hidden, time)
        for index, stage in enumerate(self.up):
            hidden = stage(torch.cat([hidden, skips.pop()], 1), time)
            level, last = divmod(index, self.blocks + 1)
            if last == self.blocks and level + 1 < self.levels:
                hidden = self.enlarge[level](F.interpolate(hidden, scale_factor=2.0, mode="nearest"))
        # Always in float32: under bfloat16 the image would come out in steps of 1/256.
        with torch.autocast("cuda", enabled=False):
            return self.output(hidden.float())[..., :height, :width]
