"""The Exposure-Adjustment Network (EAN) with its CSFT layers, and the pair of EANs that is USME-HDR (section 3.4).

The paper prints neither widths nor depth. The defaults are a configuration calibrated to the four printed totals of
Table 1 (3.928 M / 487.59 G with 3 input channels, 3.932 M / 494.36 G with 6), not recovered from the authors; the
replication's README lists what is assumed. `width` scales every layer.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from hdrbench.imaging.exposure import exposure_ratios, to_radiance
from hdrbench.methods.usme_hdr.luminance import make_estimator


def block(inputs: int, outputs: int) -> nn.Sequential:
    """Two 3x3 convolutions, each followed by Mish."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1), nn.Mish(), nn.Conv2d(outputs, outputs, 3, padding=1), nn.Mish()
    )


class Csft(nn.Module):
    """Composite spatial feature transform: ``F * alpha(r, L) + beta(r, L)`` (eq. 5).

    The Light Map gives a scale and shift per pixel, the encoded exposure ratio one per channel; they are added. Without
    either the layer is the identity.

    Parameters
    ----------
    channels
        Channels of F.
    map_channels
        Channels of the Light Map; 0 leaves it out.
    code
        Length of the encoded exposure ratio; 0 leaves it out.
    width
        Base width; the Light Map passes through ``width / 2`` and ``width`` channels.
    """

    def __init__(self, channels: int, map_channels: int, code: int, width: int) -> None:
        super().__init__()
        self.spatial = self.ratio = None
        if map_channels:
            self.squeeze = nn.Conv2d(map_channels, width // 2, 1)
            self.spatial = nn.Sequential(nn.Mish(), nn.Conv2d(width // 2, width, 3, padding=1), nn.Mish())
            self.scale, self.shift = nn.Conv2d(width, channels, 1), nn.Conv2d(width, channels, 1)
        if code:
            self.ratio = nn.Linear(code, 2 * channels)
        # The scale starts around 1, so that features pass from the first step on.
        if self.ratio is not None:
            nn.init.constant_(self.ratio.bias[:channels], 1.0)
        elif self.spatial is not None and self.scale.bias is not None:
            nn.init.ones_(self.scale.bias)

    def forward(self, features: Tensor, light_map: Tensor | None, code: Tensor | None) -> Tensor:
        """Modulate (N, channels, h, w) features by the full-resolution Light Map and the (N, code) ratio vector."""
        scales, shifts = [], []
        if self.spatial is not None:
            resized = F.interpolate(self.squeeze(light_map), features.shape[-2:], mode="bilinear", align_corners=False)
            hidden = self.spatial(resized)
            scales.append(self.scale(hidden))
            shifts.append(self.shift(hidden))
        if self.ratio is not None:
            scale, shift = self.ratio(code)[:, :, None, None].chunk(2, 1)
            scales.append(scale)
            shifts.append(shift)
        return features * sum(scales) + sum(shifts) if scales else features


class Ean(nn.Module):
    """Exposure-Adjustment Network: one exposure of the scene to another (Fig. 2a).

    A four-level U-Net: max-pooling down, pixel shuffle up, the Light Feature concatenated at every decoder level, a CSFT
    layer at the bottleneck and after every decoder block.

    Parameters
    ----------
    channels
        Channels of the input X.
    width
        Channels of the first level; each level doubles it.
    luminance
        Key of `hdrbench.methods.usme_hdr.luminance.ESTIMATORS`.
    light_map, light_feature, exposure_ratio
        Switch the guidance off, as in Table 4.
    """

    def __init__(
        self, channels: int, width: int, luminance: str, light_map: bool, light_feature: bool, exposure_ratio: bool
    ) -> None:
        super().__init__()
        features = 7 * width // 4
        code = 4 * width if exposure_ratio else 0
        self.light_feature = light_feature
        guided = light_map or light_feature
        self.luminance = make_estimator(luminance, channels, features, width, light_map) if guided else None
        self.encode_ratio = (
            nn.Sequential(nn.Linear(1, code, bias=False), nn.Mish(), nn.Linear(code, code, bias=False))
            if code
            else None
        )
        widths = [width, 2 * width, 4 * width, 8 * width]
        inputs = [channels * (2 if light_map else 1), *widths[:3]]
        self.encoder = nn.ModuleList(block(i, o) for i, o in zip(inputs, widths, strict=True))
        map_channels = channels if light_map else 0
        extra = features if light_feature else 0
        self.bottleneck = Csft(widths[3], map_channels, code, width)
        # Pixel shuffle leaves a quarter of the deeper level's channels.
        self.decoder = nn.ModuleList(block(widths[k + 1] // 4 + widths[k] + extra, widths[k]) for k in (2, 1, 0))
        self.modulate = nn.ModuleList(Csft(widths[k], map_channels, code, width) for k in (2, 1, 0))
        self.output = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, x: Tensor, ratio: Tensor) -> Tensor:
        """Predict the other exposure: X (N, channels, H, W), ratio (N,) -> (N, 3, H, W), not clipped."""
        feature, light = self.luminance(x) if self.luminance is not None else (None, None)
        code = self.encode_ratio(ratio[:, None]) if self.encode_ratio is not None else None
        skips: list[Tensor] = []
        hidden = x if light is None else torch.cat([x, light], 1)
        for level, encode in enumerate(self.encoder):
            hidden = encode(hidden if level == 0 else F.max_pool2d(hidden, 2))
            skips.append(hidden)
        hidden = self.bottleneck(skips.pop(), light, code)
        for decode, modulate in zip(self.decoder, self.modulate, strict=True):
            skip = skips.pop()
            hidden = match_size(F.pixel_shuffle(hidden, 2), skip)
            parts = [hidden, skip]
            if self.light_feature and feature is not None:
                parts.append(F.interpolate(feature, skip.shape[-2:], mode="bilinear", align_corners=False))
            hidden = modulate(decode(torch.cat(parts, 1)), light, code)
        # Always in float32: under bfloat16 the exposures would come out in steps of 1/256.
        with torch.autocast("cuda", enabled=False):
            return self.output(hidden.float())


def match_size(image: Tensor, like: Tensor) -> Tensor:
    """Repeat the last row and column where pooling an odd size has lost them."""
    missing = (like.shape[-2] - image.shape[-2], like.shape[-1] - image.shape[-1])
    return F.pad(image, (0, missing[1], 0, missing[0]), mode="replicate") if any(missing) else image


def initialise(network: Ean) -> None:
    """Draw all convolutions from He's normal distribution, and start from a flat, dim image."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.normal_(network.output.weight, std=0.01)
    assert network.output.bias is not None
    nn.init.constant_(network.output.bias, 0.3)


class UsmeHdr(nn.Module):
    """Both EANs: the middle exposure to a low and a high one.

    Parameters
    ----------
    input_channels
        3: the LDR image; 6: with its HDR-domain image appended (``**`` in the paper).
    width
        Base width, 32 in the calibrated configuration.
    luminance, light_map, light_feature, exposure_ratio
        See `Ean`.
    initialisation
        ``"pytorch"``, PyTorch's default, as in the code the paper builds on; or ``"he"``, which learns in hundreds of
        iterations what the default learns in thousands.
    """

    def __init__(
        self,
        input_channels: int = 6,
        width: int = 32,
        luminance: str = "learned",
        light_map: bool = True,
        light_feature: bool = True,
        exposure_ratio: bool = True,
        initialisation: str = "pytorch",
    ) -> None:
        super().__init__()
        if initialisation not in ("pytorch", "he"):
            raise ValueError(f"initialisation must be pytorch or he, got '{initialisation}'")
        if input_channels not in (3, 6):
            raise ValueError(f"input_channels must be 3 or 6, got {input_channels}")
        if width < 4 or width % 4:
            raise ValueError(f"width must be a positive multiple of 4, got {width}")
        self.input_channels = input_channels
        options = (input_channels, width, luminance, light_map, light_feature, exposure_ratio)
        self.low, self.high = Ean(*options), Ean(*options)
        if initialisation == "he":
            initialise(self.low)
            initialise(self.high)

    def forward(self, middle: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
        """Generate the low and the high exposure, (N, 3, H, W) each and not clipped, from the middle one in [0, 1]."""
        x = middle if self.input_channels == 3 else torch.cat([middle, to_radiance(middle, times[:, 1])], 1)
        down, up = exposure_ratios(times)
        return self.low(x, down), self.high(x, up)
