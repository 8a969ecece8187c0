"""The network of ExpandNet (Marnerides2018, section 4.1): 456,899 parameters at full width."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

GLOBAL_SIZE = 256


class ExpandNet(nn.Module):
    """Three branches, joined by two 1x1 convolutions; SELU throughout.

    Parameters
    ----------
    width
        Channels of a branch, 64 in the paper; the local one ends in twice as many.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        if width < 1:
            raise ValueError(f"width must be positive, got {width}")
        self.local = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1), nn.SELU(), nn.Conv2d(width, 2 * width, 3, padding=1), nn.SELU()
        )
        self.dilated = nn.Sequential()
        self.whole = nn.Sequential()
        for inputs in (3, *[width] * 3):
            self.dilated.extend((nn.Conv2d(inputs, width, 3, padding=2, dilation=2), nn.SELU()))
        for inputs in (3, *[width] * 5):
            self.whole.extend((nn.Conv2d(inputs, width, 3, stride=2, padding=1), nn.SELU()))
        del self.dilated[-1]
        self.whole.append(nn.Conv2d(width, width, 4))
        self.join = nn.Sequential(nn.Conv2d(4 * width, width, 1), nn.SELU(), nn.Conv2d(width, 3, 1))

    def forward(self, ldr: Tensor, times: Tensor | None = None) -> Tensor:
        """Expand (N, 3, H, W) LDR images in [0, 1] to relative HDR in [0, 1]; `times` is not used."""
        resized = F.interpolate(ldr, (GLOBAL_SIZE, GLOBAL_SIZE), mode="bilinear", align_corners=False)
        whole = self.whole(resized).expand(-1, -1, *ldr.shape[-2:])
        joined = self.join(torch.cat([self.local(ldr), self.dilated(ldr), whole], 1))
        # Always in float32: bfloat16 has steps of 1/256 below 1.
        return torch.sigmoid(joined.float())
