"""The VGG19 perceptual loss (eq. 16).

Which layers and weights is not printed; relu3_2, relu4_2 and relu5_2 with (1, 1, 2) / 4 on ImageNet-normalised mu-law
images are SelfHDR's (Zhang2024). ImageNet weights are used when torchvision's file lies in torch's cache, never fetched.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from hdrbench.errors import HdrbenchError

VGG19_FILE = "vgg19-dcbb9e9d.pth"
VGG19_WIDTHS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512, 512)
TAPS = {13: 0.25, 22: 0.25, 31: 0.5}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Vgg19Distance(nn.Module):
    """L1 distance of VGG19 features, mean over samples, weighted over `TAPS`.

    Parameters
    ----------
    width_divisor
        Divides every layer's channels; only random features may be narrower than VGG19.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, width_divisor: int = 1) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for width in VGG19_WIDTHS:
            outputs = width // width_divisor
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()] if width else [nn.MaxPool2d(2)]
            inputs = outputs or inputs
        self.features = nn.Sequential(*layers)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Compare two (N, 3, H, W) images in [0, 1], sides of at least 16 pixels; returns a scalar."""
        count = len(pred)
        hidden = (torch.cat([pred, target]) - self.mean) / self.std
        total = pred.new_zeros(())
        for index, layer in enumerate(self.features):
            hidden = layer(hidden)
            if index in TAPS:
                total = total + TAPS[index] * (hidden[:count] - hidden[count:]).abs().mean()
        return total


def randomise(network: Vgg19Distance, seed: int = 0) -> None:
    """Draw He-normal weights, so that random features keep their scale through the depth."""
    generator = torch.Generator().manual_seed(seed)
    for layer in network.features:
        if isinstance(layer, nn.Conv2d) and layer.bias is not None:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
            nn.init.zeros_(layer.bias)


def make_perceptual(weights: str = "auto", width_divisor: int = 1) -> tuple[Vgg19Distance, str]:
    """Build the frozen loss network, and say what its features are.

    Parameters
    ----------
    weights
        ``"random"``; ``"imagenet"``, an error where the file is missing; or ``"auto"``, ImageNet's where it is there.
    width_divisor
        For random features only.

    Returns
    -------
    tuple
        The network, and a note such as ``"perceptual: random features"``.
    """
    if weights not in ("auto", "imagenet", "random"):
        raise HdrbenchError(f"perceptual weights must be auto, imagenet or random, got '{weights}'")
    file = Path(torch.hub.get_dir()) / "checkpoints" / VGG19_FILE
    if weights == "imagenet" and not file.is_file():
        raise HdrbenchError(f"{file}: VGG19 weights (548 MB) not found; get them from torchvision, or use 'random'")
    if weights == "random" or not file.is_file():
        network = Vgg19Distance(width_divisor)
        randomise(network)
        narrow = f", VGG19 / {width_divisor} channels" if width_divisor > 1 else ""
        note = f"perceptual: random features{narrow}"
    else:
        network = Vgg19Distance()
        state = torch.load(file, weights_only=True)
        wanted = network.state_dict()
        network.load_state_dict({key: state[key] for key in wanted})
        note = "perceptual: ImageNet features"
    return network.eval().requires_grad_(False), note
