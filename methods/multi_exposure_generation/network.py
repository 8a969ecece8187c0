"""HDR encoding net N1, up- and down-exposure nets N2 and N3 (section 3.2, appendix C).

The released code computes something else than the paper says in five places; `MultiExposureGenerator` and the objective have
an option for each, whose values ``"paper"`` and ``"released"`` choose:

1. ``activation``: ReLU in the encoder and LeakyReLU in the decoder; or Mish in both.
2. ``representation``: eq. 11, ``(tanh(F) + I + 1) / 3``; or ``max(0, tanh(F) + I)``.
3. ``mask``: eq. 14, as printed; or a trapezoid, 1 where the luma is 0.05 to 0.95 and falling to 0 at black and white. Eq. 14
   contradicts its text: it is 1 at black and at white and lowest at mid-grey. So the released one is the default here.
4. ``losses`` (objective): plain images; or both images multiplied with the mask of the target, in two of the losses.
5. The optimiser, a matter of the profile: Adam; or AdamW with a weight decay of 1e-4.

In both, I of eq. 11 is the image without the mask; the masked one is I' in eq. 13. What the paper leaves out is as
released: batch normalisation after every convolution but the last, pixel shuffles that keep their channels, decoder blocks
that reduce to the width of the level above, and N2 and N3 seeing their input again before the last layer.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from hdrbench.imaging.merging.generated import pad_to_multiple
from hdrbench.imaging.transfer import GAMMA

EQUATIONS = ("paper", "released")
MASKS = (*EQUATIONS, "none")
LUMA = (0.299, 0.587, 0.114)
MARGIN = 0.05  # gamma of eq. 14
LEVEL = 1.0 / 255.0
LEVELS = 7
ENCODING_WIDTHS, EXPOSURE_WIDTHS = (16, 256), (32, 512)  # of the first level, and at most


def exposure_mask(images: Tensor, equations: str = "released") -> Tensor:
    """Tell how well exposed each pixel is (eq. 14): 1 is well, 0 is black or saturated.

    Parameters
    ----------
    images
        (N, 3, H, W) in [0, 1].
    equations
        Of `MASKS`; ``"none"`` takes all pixels for well exposed.

    Returns
    -------
    Tensor
        (N, 1, H, W) in [0, 1].
    """
    luma = sum(weight * plane for weight, plane in zip(LUMA, images.split(1, 1), strict=True))
    assert isinstance(luma, Tensor)
    if equations == "none":
        return torch.ones_like(luma)
    if equations == "paper":
        under = 1.0 - (1.0 - MARGIN - luma).clamp_min(0.0) / (1.0 - MARGIN)
        over = 1.0 - (luma - MARGIN).clamp_min(0.0) / (1.0 - MARGIN)
        return torch.maximum(under, over)
    return 1.0 - torch.maximum((MARGIN - luma).clamp_min(0.0), (luma - (1.0 - MARGIN)).clamp_min(0.0)) / MARGIN


def block(inputs: int, outputs: int, activation: type[nn.Module]) -> nn.Sequential:
    """Two 3x3 convolutions, each with batch normalisation and an activation."""
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [nn.Conv2d(channels, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), activation()]
    return nn.Sequential(*layers)


def enlargement(channels: int, activation: type[nn.Module]) -> nn.Sequential:
    """Sub-pixel convolution that keeps the channels, and starts as nearest-neighbour upsampling (ICNR, Aitken2017)."""
    convolution = nn.Conv2d(channels, 4 * channels, 1, bias=False)
    start = nn.init.kaiming_normal_(torch.empty(channels, channels, 1, 1))
    with torch.no_grad():
        convolution.weight.copy_(start.repeat_interleave(4, 0))
    return nn.Sequential(convolution, nn.BatchNorm2d(4 * channels), activation(), nn.PixelShuffle(2))


class Unet(nn.Module):
    """The U-Net of all three nets, up to its last layer.

    Parameters
    ----------
    width, most
        Channels of the first level, doubled at each up to `most`.
    levels
        Number of levels; sides must be multiples of ``2 ** (levels - 1)``.
    activation
        Of `EQUATIONS`.
    again
        Let the last layer see the input.
    """

    def __init__(self, width: int, most: int, levels: int, activation: str, again: bool) -> None:
        super().__init__()
        inner, outer = (nn.ReLU, nn.LeakyReLU) if activation == "paper" else (nn.Mish, nn.Mish)
        widths = [min(width * 2**level, most) for level in range(levels)]
        self.encoder = nn.ModuleList(block(i, o, inner) for i, o in zip([3, *widths], widths, strict=False))
        self.enlarge, self.decoder = nn.ModuleList(), nn.ModuleList()
        inputs = widths[-1]
        for level in reversed(range(levels - 1)):
            outputs = widths[max(level - 1, 0)]
            self.enlarge.append(enlargement(inputs, outer))
            self.decoder.append(block(inputs + widths[level], outputs, outer))
            inputs = outputs
        self.again = again
        self.output = nn.Conv2d(inputs + 3 * again, 3, 1)

    def forward(self, images: Tensor, offset: Tensor | None = None) -> Tensor:
        """Map (N, 3, H, W) to tanh of (N, 3, H, W), to which an offset of that shape may be added first."""
        skips: list[Tensor] = []
        hidden = images
        for level, encode in enumerate(self.encoder):
            hidden = encode(F.max_pool2d(hidden, 2) if level else hidden)
            skips.append(hidden)
        skips.pop()
        for enlarge, decode in zip(self.enlarge, self.decoder, strict=True):
            hidden = decode(torch.cat([skips.pop(), enlarge(hidden)], 1))
        # Always in float32: under bfloat16 the exposures would come out in steps of 1/256.
        with torch.autocast("cuda", enabled=False):
            hidden = hidden.float()
            result = self.output(torch.cat([hidden, images.float()], 1) if self.again else hidden)
            return (result if offset is None else result + offset).tanh()


class MultiExposureGenerator(nn.Module):
    """The three nets: an image to its sensor exposure, and that, scaled, to other exposures.

    6.916 M parameters and 10.37 G multiply-adds at 512x512 in N1, 27.639 M and 41.22 G in each of N2 and N3.

    Parameters
    ----------
    activation, representation
        Of `EQUATIONS`, see the module.
    mask
        Of `MASKS`; ``"none"`` is the first row of Table 5.
    two_exposure_nets
        ``False`` takes one net for both directions, as in Table 4.
    naive_residual
        Let N2 and N3 start from the image scaled by gamma 2.2 and clipped, and learn what to change of it, which a training of
        hundreds of iterations needs. Not in the paper.
    levels
        Fewer for crops so small that the last of 7 levels would be a single pixel, which batch normalisation cannot use.
    width_divisor
        Divides all widths, for small profiles.

    Raises
    ------
    ValueError
        On options that are unknown or do not fit.
    """

    def __init__(
        self,
        activation: str = "paper",
        representation: str = "paper",
        mask: str = "released",
        two_exposure_nets: bool = True,
        naive_residual: bool = False,
        levels: int = LEVELS,
        width_divisor: int = 1,
    ) -> None:
        super().__init__()
        if activation not in EQUATIONS or representation not in EQUATIONS or mask not in MASKS:
            raise ValueError(
                f"expected activation and representation of {', '.join(EQUATIONS)} and mask of {', '.join(MASKS)}, "
                f"got '{activation}', '{representation}' and '{mask}'"
            )
        if not 2 <= levels <= LEVELS or width_divisor < 1 or ENCODING_WIDTHS[0] % width_divisor:
            raise ValueError(
                f"expected levels of 2 to {LEVELS} and a width_divisor that divides {ENCODING_WIDTHS[0]}, "
                f"got {levels} and {width_divisor}"
            )
        self.representation, self.mask, self.multiple = representation, mask, 2 ** (levels - 1)
        first, most = (width // width_divisor for width in ENCODING_WIDTHS)
        self.encoding = Unet(first, most, levels, activation, again=False)
        first, most = (width // width_divisor for width in EXPOSURE_WIDTHS)
        self.up = Unet(first, most, levels, activation, again=True)
        self.down = Unet(first, most, levels, activation, again=True) if two_exposure_nets else None
        self.naive_residual = naive_residual
        for net in (self.up, self.down):
            if naive_residual and net is not None:
                nn.init.zeros_(net.output.weight)
                nn.init.zeros_(net.output.bias)  # type: ignore[arg-type]

    def represent(self, images: Tensor) -> Tensor:
        """Estimate the sensor exposure X of images (N1): (N, 3, H, W) in [0, 1] to (N, 3, H, W), not negative."""
        height, width = images.shape[-2:]
        padded = pad_to_multiple(images * exposure_mask(images, self.mask), self.multiple)
        change = self.encoding(padded)[..., :height, :width]
        return (change + images + 1.0) / 3.0 if self.representation == "paper" else (change + images).relu()

    def expose(self, image: Tensor, exposure: Tensor, ratio: Tensor, *, up: bool) -> Tensor:
        """Generate another exposure of an image (eq. 2, 12).

        Parameters
        ----------
        image
            (N, 3, H, W) in [0, 1], which only a naive residual looks at.
        exposure
            (N, 3, H, W), the image's sensor exposure.
        ratio
            (N,), of exposure times.
        up
            Which net to take.

        Returns
        -------
        Tensor
            (N, 3, H, W) in [0, 1].
        """
        height, width = exposure.shape[-2:]
        scaled = pad_to_multiple(exposure * ratio[:, None, None, None], self.multiple)
        net = self.up if up or self.down is None else self.down
        offset = None
        if self.naive_residual:
            naive = image * (ratio ** (1.0 / GAMMA))[:, None, None, None]
            offset = pad_to_multiple((2.0 * naive.clamp(LEVEL / 2, 1.0 - LEVEL / 2) - 1.0).atanh(), self.multiple)
        return (net(scaled, offset)[..., :height, :width] + 1.0) / 2.0

    def forward(self, image: Tensor, times: Tensor, longer: Tensor | None = None) -> tuple[Tensor, ...]:
        """Generate the exposures around one image, or those of a pair from each other, as training does (Fig. 3).

        Parameters
        ----------
        image
            (N, 3, H, W) in [0, 1], of any size; the shorter exposure of a pair.
        times
            (N, 3): of the darker exposure, the image and the brighter one; of a pair (N, 2).
        longer
            The longer exposure of a pair.

        Returns
        -------
        tuple of Tensor
            Darker and brighter image, (N, 3, H, W) in [0, 1]; of a pair followed by the sensor exposures of both.
        """
        # Padded once, so that every net sees what it would see of an image of a suitable size.
        height, width = image.shape[-2:]
        image = pad_to_multiple(image, self.multiple)
        shorter = self.represent(image)
        if longer is None:
            ratios = times[:, 0::2] / times[:, 1:2]
            made = [self.expose(image, shorter, ratios[:, k], up=bool(k)) for k in range(2)]
        else:
            ratio, longer = times[:, 1] / times[:, 0], pad_to_multiple(longer, self.multiple)
            other = self.represent(longer)
            down = self.expose(longer, other, 1.0 / ratio, up=False)
            made = [down, self.expose(image, shorter, ratio, up=True), shorter, other]
        return tuple(result[..., :height, :width] for result in made)
