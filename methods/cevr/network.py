"""Continuous exposure value representation (section 3.2, Fig. 3): an image and an EV step to the image at that exposure.

What the paper leaves out is as in its released network: widths, depths and order of the layers, one LeakyReLU at the end of
each MLP, alpha and beta with one channel for all three colours, no activation at the output, and group normalisation with
two groups and no parameters. The pair has 6.583 M parameters so (6.586 M with them), 436.0 k multiply-adds per pixel and model.
"""

from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from hdrbench.errors import WeightsMissingError
from hdrbench.imaging.merging.generated import pad_to_multiple
from hdrbench.imaging.transfer import GAMMA

VGG16_BN_FILE = "vgg16_bn-6c64b313.pth"
STAGES = ((64, 64), (128, 128), (256, 256, 256))
MULTIPLE = 2 ** len(STAGES)
INITIALISATIONS = ("pytorch", "near_identity")


def with_step(features: Tensor, step: Tensor) -> Tensor:
    """Append the EV step to every pixel: (N, C, h, w) and (N,) to (N, C + 1, h, w)."""
    plane = step.to(features.dtype).view(-1, 1, 1, 1).expand(-1, 1, *features.shape[-2:])
    return torch.cat([features, plane], 1)


def enlarge(features: Tensor, factor: int) -> Tensor:
    """Bicubic interpolation."""
    return F.interpolate(features, scale_factor=factor, mode="bicubic", align_corners=False)


def mlp(inputs: int, *widths: int) -> nn.Sequential:
    """Linear layers on each pixel, of features with the EV step appended, and one LeakyReLU at the end."""
    sizes = (inputs + 1, *widths)
    layers = [nn.Conv2d(i, o, 1) for i, o in zip(sizes, widths, strict=False)]
    return nn.Sequential(*layers, nn.LeakyReLU())


class ImplicitModule(nn.Module):
    """Normalisation and MLPs that see the EV step, around them a residual connection (eq. 2, Fig. 3c)."""

    def __init__(self, channels: int, mlps: list[nn.Sequential], norm_groups: int, norm_affine: bool) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(norm_groups, channels, affine=norm_affine)
        self.mlps = nn.ModuleList(mlps)

    def forward(self, features: Tensor, step: Tensor) -> Tensor:
        """Map (N, C, h, w) features to the exposure that is `step` (N,) away."""
        hidden = self.norm(features)
        for layer in self.mlps:
            hidden = layer(with_step(hidden, step))
        return features + hidden


class DecoderBlock(nn.Module):
    """Enlarge twofold, join the encoder's features, and apply an implicit module (Fig. 3b)."""

    def __init__(self, inputs: int, channels: int, norm_groups: int, norm_affine: bool) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(inputs, channels, 3, padding=1)
        self.join = mlp(2 * channels, channels)
        mlps = [mlp(channels, channels // 2, channels // 2, channels) for _ in range(2)]
        self.implicit = ImplicitModule(channels, mlps, norm_groups, norm_affine)

    def forward(self, features: Tensor, skip: Tensor, step: Tensor) -> Tensor:
        """Map (N, inputs, h, w) and the skip (N, channels, 2h, 2w) to (N, channels, 2h, 2w)."""
        joined = torch.cat([self.reduce(enlarge(features, 2)), skip], 1)
        return self.implicit(self.join(with_step(joined, step)), step)


class IntensityTransformation(nn.Module):
    """Alpha and beta maps from the features of one scale (Fig. 3d).

    Parameters
    ----------
    channels
        Of the features.
    factor
        By which the scale is smaller than the image; at 1 the EV step is appended and the kernel is 1x1.
    """

    def __init__(self, channels: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        kernel, inputs = (3, channels) if factor > 1 else (1, channels + 1)
        self.alpha, self.beta = (nn.Conv2d(inputs, 1, kernel, padding=kernel // 2) for _ in range(2))

    def forward(self, image: Tensor, features: Tensor, step: Tensor) -> Tensor:
        """Change an image (N, 3, H, W) by ``alpha * image + beta``, in float32."""
        with torch.autocast("cuda", enabled=False):
            features = features.float()
            seen = enlarge(features, self.factor) if self.factor > 1 else with_step(features, step)
            return image * self.alpha(seen) + self.beta(seen)


class ExposureModel(nn.Module):
    """One of the two models: F(I, s) of eq. 1, for steps of one sign. See `Cevr` for the parameters."""

    def __init__(
        self,
        width_divisor: int,
        norm_groups: int,
        norm_affine: bool,
        intensity_transformation: bool,
        naive_residual: bool = False,
    ) -> None:
        super().__init__()
        self.naive_residual = naive_residual
        stages = [[width // width_divisor for width in stage] for stage in STAGES]
        # One flat list, so that the keys are those of torchvision's weights.
        layers: list[nn.Module] = []
        self.ends: list[int] = []
        inputs = 3
        for index, stage in enumerate(stages):
            layers += [nn.MaxPool2d(2)] if index else []
            for width in stage:
                layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
                inputs = width
            self.ends.append(len(layers))
        self.features = nn.Sequential(*layers)
        self.neck = ImplicitModule(inputs, [mlp(inputs, inputs, inputs, inputs)], norm_groups, norm_affine)
        self.decoder, self.transformations = nn.ModuleList(), nn.ModuleList()
        for level in reversed(range(len(stages))):
            width = stages[level][-1]
            self.decoder.append(DecoderBlock(inputs, width, norm_groups, norm_affine))
            if intensity_transformation:
                self.transformations.append(IntensityTransformation(width, 2**level))
            inputs = width
        self.output = None if intensity_transformation else nn.Conv2d(inputs + 1, 3, 1)

    def encode(self, image: Tensor) -> list[Tensor]:
        """Compute the features of (N, 3, H, W), full, half and quarter size; they hold for every step."""
        found, start, hidden = [], 0, image
        for end in self.ends:
            hidden = self.features[start:end](hidden)
            found.append(hidden)
            start = end
        return found

    def decode(self, image: Tensor, encoded: list[Tensor], step: Tensor) -> Tensor:
        """Generate the exposure that is `step` (N,) away from an image and its features: (N, 3, H, W), not clipped."""
        hidden = self.neck(F.max_pool2d(encoded[-1], 2), step)
        if self.naive_residual:
            image = (image * (2.0 ** (step / GAMMA)).view(-1, 1, 1, 1)).clamp_max(1.0)
        for level, block in enumerate(self.decoder):
            hidden = block(hidden, encoded[-1 - level], step)
            if self.output is None:
                image = self.transformations[level](image, hidden, step)
        if self.output is None:
            return image
        with torch.autocast("cuda", enabled=False):
            result = self.output(with_step(hidden.float(), step))
            return image + result if self.naive_residual else result

    def forward(self, image: Tensor, step: Tensor) -> Tensor:
        """Generate the exposure `step` (N,) EV away, of sides that are multiples of 8."""
        return self.decode(image, self.encode(image), step)


class Cevr(nn.Module):
    """The two models: one makes an image darker, the other brighter, each for any EV step of its sign.

    Parameters
    ----------
    intensity_transformation
        ``False`` gives the image straight from the last features, as in Tables 3 and 4; through one 1x1 convolution, since
        the paper does not say how.
    norm_groups
        2, or 1 as in the released variant that is called LN.
    norm_affine
        Give the normalisation a learned scale and shift.
    pretrained
        ``"imagenet"``: the encoders start from torchvision's VGG16-BN, as in the paper; ``False``: from random weights.
    naive_residual
        Let the result start from the image scaled by gamma 2.2 and clipped, and the network learn what to change of it, which a
        training of hundreds of iterations needs. Not in the paper.
    initialisation
        ``"pytorch"``, PyTorch's default; or ``"near_identity"``, where alpha starts near 1 and beta near 0, which a training
        of hundreds of iterations needs, and without intensity transformation a naive residual near 0.
    width_divisor
        Divides all widths, for small profiles.

    Raises
    ------
    ValueError
        On options that are unknown or do not fit.
    """

    def __init__(
        self,
        intensity_transformation: bool = True,
        norm_groups: int = 2,
        norm_affine: bool = False,
        pretrained: str | Literal[False] = False,
        naive_residual: bool = False,
        initialisation: str = "pytorch",
        width_divisor: int = 1,
    ) -> None:
        super().__init__()
        if width_divisor < 1 or (STAGES[0][0] // 2) % width_divisor:
            raise ValueError(f"width_divisor must divide {STAGES[0][0] // 2}, got {width_divisor}")
        if norm_groups not in (1, 2) or initialisation not in INITIALISATIONS or pretrained not in (False, "imagenet"):
            raise ValueError(
                f"expected norm_groups of 1, 2, initialisation of {', '.join(INITIALISATIONS)} and pretrained of False, "
                f"imagenet, got {norm_groups}, '{initialisation}' and '{pretrained}'"
            )
        if pretrained and width_divisor > 1:
            raise ValueError(f"ImageNet weights need the full width, got width_divisor {width_divisor}")
        options = (width_divisor, norm_groups, norm_affine, intensity_transformation, naive_residual)
        self.dark, self.bright = ExposureModel(*options), ExposureModel(*options)
        if initialisation == "near_identity":
            for layer in self.modules():
                if isinstance(layer, IntensityTransformation):
                    start_near(layer.alpha, 1.0)
                    start_near(layer.beta, 0.0)
                elif isinstance(layer, ExposureModel) and layer.output is not None and naive_residual:
                    start_near(layer.output, 0.0)
        self.pretrained = pretrained

    def forward(self, middle: Tensor, times: Tensor, split: Tensor | None = None) -> tuple[Tensor, ...]:
        """Generate a darker and a brighter exposure, and perhaps both again in two steps (eq. 1 and 4).

        Parameters
        ----------
        middle
            (N, 3, H, W) in [0, 1], of any size.
        times
            (N, 3): of the darker exposure, the image and the brighter one.
        split
            (N, 2) in [0, 1]: the share of the EV step that the first of two steps takes, darkening and brightening.

        Returns
        -------
        tuple of Tensor
            Darker and brighter, (N, 3, H, W) and not clipped; with `split` followed by both as made in two steps.
        """
        height, width = middle.shape[-2:]
        image, steps = pad_to_multiple(middle, MULTIPLE), (times[:, 0::2] / times[:, 1:2]).log2()
        models = (self.dark, self.bright)
        made = [model(image, steps[:, k]) for k, model in enumerate(models)]
        if split is not None:
            first, second = split * steps, (1.0 - split) * steps
            made += [model(model(image, first[:, k]), second[:, k]) for k, model in enumerate(models)]
        return tuple(result[..., :height, :width] for result in made)


def start_near(convolution: nn.Conv2d, value: float) -> None:
    """Let a convolution start near a value, little dependent on the features."""
    nn.init.normal_(convolution.weight, std=0.01)
    assert convolution.bias is not None
    nn.init.constant_(convolution.bias, value)


def pretrain(network: nn.Module) -> list[str]:
    """Load the encoders' weights from torch's cache, if the network's options ask for them.

    Returns
    -------
    list of str
        What the encoders start from, for the run's provenance.

    Raises
    ------
    WeightsMissingError
        If VGG16-BN's weights are not in torch's cache; they are never fetched.
    """
    assert isinstance(network, Cevr)
    if not network.pretrained:
        return ["encoders start from random weights"]
    file = Path(torch.hub.get_dir()) / "checkpoints" / VGG16_BN_FILE
    if not file.is_file():
        raise WeightsMissingError(
            f"{file}: VGG16-BN weights (528 MB) not found; get them from torchvision, or use pretrained: false"
        )
    state = torch.load(file, weights_only=True)
    for model in (network.dark, network.bright):
        model.features.load_state_dict({key: state[f"features.{key}"] for key in model.features.state_dict()})
    return ["encoders start from VGG16-BN of torchvision, trained on ImageNet"]
