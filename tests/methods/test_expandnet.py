import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from hdrbench import methods
from hdrbench.errors import HdrbenchError
from hdrbench.methods import Batch
from hdrbench.methods.expandnet import losses
from hdrbench.methods.expandnet.network import ExpandNet
from hdrbench.pipeline.cost import cost

TIMES = torch.tensor([[1.0, 4.0, 16.0]])


def pair(size=32, count=2):
    radiance = torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0)) ** 3
    return Batch({"ldr": (4 * radiance).clamp(0, 1) ** (1 / 2.2), "hdr": radiance})


def test_costs_are_those_of_the_public_network():
    counted = cost("expandnet", {}, "single_image", (1000, 1500))
    assert counted["params"] == 456_899 / 1e6
    assert f"{counted['macs_counted']:.2f}" == "306.76"


def test_forward_is_the_published_composition():
    """Written out with plain functions from the layers' own weights."""
    torch.manual_seed(0)
    network, image = ExpandNet(4), torch.rand(1, 3, 20, 30)
    weights = [(layer.weight, layer.bias) for layer in network.modules() if isinstance(layer, torch.nn.Conv2d)]
    local, dilated, whole, join = weights[:2], weights[2:6], weights[6:13], weights[13:]
    a = image
    for weight, bias in local:
        a = F.selu(F.conv2d(a, weight, bias, padding=1))
    b = image
    for index, (weight, bias) in enumerate(dilated):
        b = F.conv2d(b, weight, bias, padding=2, dilation=2)
        b = b if index == 3 else F.selu(b)
    c = F.interpolate(image, (256, 256), mode="bilinear", align_corners=False)
    for weight, bias in whole[:6]:
        c = F.selu(F.conv2d(c, weight, bias, stride=2, padding=1))
    c = F.conv2d(c, *whole[6])
    assert c.shape == (1, 4, 1, 1)
    joined = torch.cat([a, b, c.expand(1, 4, 20, 30)], 1)
    expected = torch.sigmoid(F.conv2d(F.selu(F.conv2d(joined, *join[0])), *join[1]))
    torch.testing.assert_close(network(image), expected)


@pytest.mark.parametrize("size", [(1, 1), (5, 8), (17, 23)])
def test_any_size_goes_through_and_stays_in_0_1(size):
    result = methods.get("expandnet").reconstruct(ExpandNet(4), torch.rand(1, 3, *size), TIMES).hdr
    assert result.shape == (1, 3, *size)
    assert 0 <= result.min() <= result.max() <= 1


def test_the_scale_does_not_depend_on_the_times():
    network, image = ExpandNet(4), torch.rand(1, 3, 8, 8)
    reconstruct = methods.get("expandnet").reconstruct
    assert torch.equal(reconstruct(network, image, TIMES).hdr, reconstruct(network, image, 3 * TIMES).hdr)


def test_colour_angle_ignores_brightness_and_is_1_for_orthogonal_or_black_pixels():
    red = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)
    green, half = red.roll(1, 1), torch.tensor([1.0, 1.0, 0.0]).view(1, 3, 1, 1)
    for other, expected in ((red, 0.0), (7 * red, 0.0), (green, 1.0), (0 * red, 1.0), (half, 1 - 0.5**0.5)):
        assert losses.colour_angle(red, other).item() == pytest.approx(expected, abs=1e-6)


def test_loss_is_l1_plus_5_times_the_angle():
    objective, notes = methods.get("expandnet").objective()
    batch, network = pair(), ExpandNet(4)
    values, pred = objective(network, batch), network(batch["ldr"])
    assert notes == []
    assert values["l1"].item() == pytest.approx((pred - batch["hdr"]).abs().mean().item())
    dot = (pred * batch["hdr"]).sum(1) / (pred.norm(dim=1) * batch["hdr"].norm(dim=1))
    assert values["cosine"].item() == pytest.approx(5 * (1 - dot.mean()).item(), rel=1e-4)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_gradients_are_finite_for_black_and_white(value):
    network, image = ExpandNet(4), torch.full((1, 3, 8, 8), value)
    objective, _ = losses.objective()
    sum(objective(network, Batch({"ldr": image, "hdr": image})).values()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_twenty_steps_lower_the_loss():
    torch.manual_seed(0)
    network, batch, (objective, _) = ExpandNet(8), pair(), losses.objective()
    optimizer, totals = torch.optim.Adam(network.parameters(), 5e-3), []
    for _ in range(20):
        total = sum(objective(network, batch).values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
    assert totals[-1] < 0.8 * totals[0]


@pytest.mark.parametrize("options", [{"width": 0}, {"wide": 8}])
def test_bad_options_are_one_line(options):
    with pytest.raises(HdrbenchError, match=next(iter(options))):
        methods.build("expandnet", options)
