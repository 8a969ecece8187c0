"""The network: two grey exposures to a weight map for each (section 3.1).

It is the SegNet-like network of Hou2021 but for the decoder. The paper lists ten filter sizes that mirror the encoder's,
where the parent drops to the next width one convolution earlier, and it says "upsampling" where the parent un-pools with
the places of the encoder's maxima. Un-pooling needs as many channels as there were maxima, which the printed sizes do not
leave at any stage but the first. So the default is nearest-neighbour upsampling with the printed sizes (17.638 M parameters,
757.0 k multiply-adds per pixel), and ``decoder="parent", upsampling="unpooling"`` is the parent (15.315 M, 591.1 k).
"""

import math

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

GREY = (0.3, 0.59, 0.11)
STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512))
DECODERS = {
    "printed": ((512, 512, 512), (256, 256, 256), (128, 128), (64, 64)),
    "parent": ((512, 512, 256), (256, 256, 128), (128, 64), (64, 64)),
}
UPSAMPLINGS = ("nearest", "unpooling")
TRUNCATED_STD = 0.87962566103423978  # of a standard normal distribution cut at two standard deviations


def grey(images: Tensor) -> Tensor:
    """Weigh (..., 3, H, W) display codes into (..., H, W)."""
    red, green, blue = images.unbind(-3)
    return GREY[0] * red + GREY[1] * green + GREY[2] * blue


class FusionNetwork(nn.Module):
    """Encoder and decoder of ten convolutions each, and a softmax over the exposures.

    Parameters
    ----------
    decoder
        Widths: ``"printed"`` or ``"parent"``.
    upsampling
        ``"nearest"``, or ``"unpooling"``, which only the parent's widths allow.
    dropout
        Probability after the two deepest stages of encoder and decoder; the parent has 0.5, the paper mentions none.
    width_divisor
        Divides all widths, for small profiles.
    batchnorm_momentum
        Weight of a batch in the running statistics. TensorFlow's default, as the parent; a training of a few hundred steps
        needs more, or the statistics it is evaluated with are still those before the first step.

    Raises
    ------
    ValueError
        On options that are unknown or do not fit.
    """

    def __init__(
        self,
        decoder: str = "printed",
        upsampling: str = "nearest",
        dropout: float = 0.0,
        width_divisor: int = 1,
        batchnorm_momentum: float = 0.01,
    ) -> None:
        super().__init__()
        if decoder not in DECODERS or upsampling not in UPSAMPLINGS:
            raise ValueError(
                f"expected decoder of {', '.join(DECODERS)} and upsampling of {', '.join(UPSAMPLINGS)}, "
                f"got '{decoder}' and '{upsampling}'"
            )
        if upsampling == "unpooling" and decoder != "parent":
            raise ValueError("un-pooling needs a decoder as wide as the encoder was there; use decoder 'parent'")
        if width_divisor < 1 or STAGES[0][0] % width_divisor:
            raise ValueError(f"width_divisor must divide {STAGES[0][0]}, got {width_divisor}")
        if not (0.0 <= dropout < 1.0 and 0.0 < batchnorm_momentum <= 1.0):
            raise ValueError(
                f"expected 0 <= dropout < 1 and 0 < batchnorm_momentum <= 1, got {dropout} and {batchnorm_momentum}"
            )
        self.unpooling = upsampling == "unpooling"
        self.dropout = nn.Dropout(dropout)

        def stages(inputs: int, widths: tuple[tuple[int, ...], ...]) -> nn.ModuleList:
            made = nn.ModuleList()
            for stage in widths:
                narrow = [width // width_divisor for width in stage]
                made.append(block(inputs, narrow, batchnorm_momentum))
                inputs = narrow[-1]
            return made

        self.encoder = stages(2, STAGES)
        self.decoder = stages(STAGES[-1][-1] // width_divisor, DECODERS[decoder])
        self.output = nn.Conv2d(DECODERS[decoder][-1][-1] // width_divisor, 2, 1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                initialise(layer)

    def forward(self, stack: Tensor) -> Tensor:
        """Weigh a pair of exposures: (N, 2, 3, H, W) codes in [0, 1] -> (N, 2, 1, H, W), summing to 1 over the pair."""
        if stack.dim() != 5 or stack.shape[1:3] != (2, 3):
            raise ValueError(
                f"expected a pair of exposures, (N, 2, 3, H, W), got {tuple(stack.shape)}; "
                "of a longer stack choose two, as the darkest and the brightest"
            )
        hidden = grey(stack)
        pools: list[tuple[Tensor | None, tuple[int, int]]] = []
        for index, stage in enumerate(self.encoder):
            hidden = stage(hidden)
            size = (hidden.shape[-2], hidden.shape[-1])
            places = None
            # An odd side is halved upwards, as TensorFlow's "SAME" does, so that nothing is lost.
            if self.unpooling:
                hidden, places = F.max_pool2d(hidden, 2, ceil_mode=True, return_indices=True)
            else:
                hidden = F.max_pool2d(hidden, 2, ceil_mode=True)
            pools.append((places, size))
            hidden = self.dropout(hidden) if index >= 2 else hidden
        for index, stage in enumerate(self.decoder):
            places, size = pools.pop()
            if places is None:
                hidden = F.interpolate(hidden, size, mode="nearest")
            else:
                hidden = F.max_unpool2d(hidden, places, (2, 2), output_size=size)
            hidden = stage(hidden)
            hidden = self.dropout(hidden) if index < 2 else hidden
        return self.output(hidden).softmax(1).unsqueeze(2)


def weighted_sum(weights: Tensor, stack: Tensor) -> Tensor:
    """Fuse a stack (eq. 3): weights (N, K, 1, H, W), exposures (N, K, 3, H, W) -> (N, 3, H, W)."""
    return (weights * stack).sum(1)


def block(inputs: int, widths: list[int], momentum: float) -> nn.Sequential:
    """3x3 convolutions, each with batch normalisation (TensorFlow's epsilon, as the parent's) and ReLU."""
    layers: list[nn.Module] = []
    for width in widths:
        convolution = nn.Conv2d(inputs, width, 3, padding=1)
        layers += [convolution, nn.BatchNorm2d(width, eps=1e-3, momentum=momentum), nn.ReLU(inplace=True)]
        inputs = width
    return nn.Sequential(*layers)


def initialise(layer: nn.Conv2d) -> None:
    """Draw weights from He's distribution (He2015), cut at two standard deviations as the parent's, and no bias."""
    fan_in = layer.weight[0].numel()
    std = math.sqrt(2.0 / fan_in) / TRUNCATED_STD
    nn.init.trunc_normal_(layer.weight, std=std, a=-2.0 * std, b=2.0 * std)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
