import math

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from hdrbench import methods
from hdrbench.errors import HdrbenchError
from hdrbench.imaging.exposure import reexpose
from hdrbench.methods import Batch
from hdrbench.methods.multi_exposure_generation import expose, losses
from hdrbench.methods.multi_exposure_generation.network import (
    MultiExposureGenerator,
    enlargement,
    exposure_mask,
)
from hdrbench.methods.usme_hdr.perceptual import make_perceptual
from hdrbench.pipeline.cost import cost

ABLATIONS = [
    {},
    {"activation": "released"},
    {"representation": "released"},
    {"mask": "paper"},
    {"mask": "none"},
    {"two_exposure_nets": False},
    {"levels": 3},
]
RANDOM = {"perceptual_weights": "random", "perceptual_width_divisor": 16}
SMALL = {"width_divisor": 8, "levels": 4}


def images(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def stack(evs=(-2.0, -1.0, 0.0, 1.0, 2.0), count=2, size=32):
    radiance = torch.nn.functional.interpolate(images(count, 3, 8, 8), size, mode="bicubic").clamp(0.01, 1) ** 2
    times = 2.0 ** torch.tensor(evs).expand(count, -1)
    frames = torch.stack([reexpose(radiance, times[:, k]) for k in range(len(evs))], 1)
    return Batch({"stack": frames, "times": times / times[:, :1]})


def test_costs_are_those_of_the_released_network():
    with torch.device("meta"):
        network, image = MultiExposureGenerator(), torch.empty(1, 3, 512, 512)
    for net, params, macs in ((network.encoding, "6.916", "10.37"), (network.up, "27.639", "41.22")):
        assert f"{sum(parameter.numel() for parameter in net.parameters()) / 1e6:.3f}" == params
        with FlopCounterMode(display=False) as counter:
            net(image)
        assert f"{counter.get_total_flops() / 2e9:.2f}" == macs
    counted = cost("multi_exposure_generation", {}, "single_image", (512, 512))
    assert counted["params"] == pytest.approx(6.916131 + 2 * 27.639372)
    assert counted["macs_counted"] == pytest.approx(10.368 + 2 * 41.224, abs=1e-3)
    with torch.device("meta"):
        one = MultiExposureGenerator(two_exposure_nets=False)
    assert sum(parameter.numel() for parameter in one.parameters()) == 6_916_131 + 27_639_372


def test_no_equation_changes_the_size():
    with torch.device("meta"):
        sizes = {
            sum(parameter.numel() for parameter in MultiExposureGenerator(**options).parameters())
            for options in ({}, {"activation": "released", "representation": "released", "mask": "paper"})
        }
    assert len(sizes) == 1


@pytest.mark.parametrize(("equations", "kinds"), [("paper", {"ReLU", "LeakyReLU"}), ("released", {"Mish"})])
def test_activations_are_those_of_the_equations(equations, kinds):
    net = MultiExposureGenerator(width_divisor=16, activation=equations).up
    names = {type(layer).__name__ for layer in net.modules()}
    assert names & {"ReLU", "LeakyReLU", "Mish"} == kinds
    encoder = {type(layer).__name__ for layer in net.encoder.modules()}
    assert ("LeakyReLU" in encoder) is False


@pytest.mark.parametrize("options", ABLATIONS, ids=str)
@pytest.mark.parametrize("equations", ["paper", "released"])
def test_every_ablation_trains_all_its_parameters(options, equations):
    torch.manual_seed(0)
    network = MultiExposureGenerator(**{"width_divisor": 16, "levels": 4} | options)
    objective, notes = losses.objective(losses=equations, pairs=equations, **RANDOM)
    values = objective(network, stack())
    assert set(values) == set(losses.WEIGHTS)
    assert notes == ["perceptual: random features, VGG19 / 16 channels"]
    sum(values.values()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize("size", [(8, 8), (1, 5), (21, 34), (65, 64)])
def test_sides_are_padded_and_cropped_back_exactly(size):
    network = MultiExposureGenerator(width_divisor=16).eval()
    image, times = images(2, 3, *size), torch.tensor([[1.0, 4.0, 16.0]] * 2)
    low, high = network(image, times)
    assert low.shape == high.shape == image.shape
    assert min(low.min(), high.min()) >= 0
    assert max(low.max(), high.max()) <= 1
    # Repeating the border first changes nothing, as the network would have done so itself.
    whole = torch.nn.functional.pad(image, (0, -size[1] % 64, 0, -size[0] % 64), mode="replicate")
    assert whole.shape[-2] % 64 == whole.shape[-1] % 64 == 0
    for found, expected in zip((low, high), network(whole, times), strict=True):
        assert torch.equal(found, expected[..., : size[0], : size[1]])


def test_scenes_of_a_batch_do_not_mix():
    network, image = MultiExposureGenerator(width_divisor=16).eval(), images(2, 3, 64, 64)
    times = torch.tensor([[1.0, 4.0, 16.0], [1.0, 8.0, 64.0]])
    for index in range(2):
        alone = network(image[index : index + 1], times[index : index + 1])
        for together, single in zip(network(image, times), alone, strict=True):
            torch.testing.assert_close(together[index], single[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("equations", "values"),
    [
        # Luma 0, 0.025, 0.05, 0.5, 0.95, 0.98, 1; the printed mask by hand from eq. 14.
        ("released", [0.0, 0.5, 1.0, 1.0, 1.0, 0.4, 0.0]),
        ("paper", [1.0, 1.0, 1.0, 1 - 0.45 / 0.95, 1.0, 1.0, 1.0]),
        ("none", [1.0] * 7),
    ],
)
def test_soft_masks_are_those_of_the_equations(equations, values):
    luma = torch.tensor([0.0, 0.025, 0.05, 0.5, 0.95, 0.98, 1.0]).view(1, 1, 1, -1).expand(1, 3, 1, -1)
    torch.testing.assert_close(exposure_mask(luma, equations).flatten(), torch.tensor(values), rtol=0, atol=1e-5)


def test_masks_look_at_the_luma_of_yuv():
    for channel, weight in enumerate((0.299, 0.587, 0.114)):
        image = torch.zeros(1, 3, 1, 1)
        image[:, channel] = 0.1
        assert exposure_mask(image).item() == pytest.approx(min(1.0, 0.1 * weight / 0.05), rel=1e-4)


class Fixed(torch.nn.Module):
    def __init__(self, value):
        super().__init__()
        self.value, self.seen = value, None

    def forward(self, hidden, offset=None):
        self.seen = hidden
        return torch.full_like(hidden, self.value)


@pytest.mark.parametrize(("equations", "value"), [("paper", (-0.5 + 0.98 + 1) / 3), ("released", 0.98 - 0.5)])
def test_sensor_exposure_is_eq_11_or_the_released_one(equations, value):
    network, image = MultiExposureGenerator(width_divisor=16, representation=equations), torch.full((1, 3, 7, 9), 0.98)
    network.encoding = Fixed(-0.5)
    torch.testing.assert_close(network.represent(image), torch.full_like(image, value))
    torch.testing.assert_close(network.encoding.seen[..., :7, :9], torch.full_like(image, 0.98 * 0.4))
    network.encoding = Fixed(-1.0)
    assert network.represent(image).min() >= 0


def test_exposures_are_scaled_sensor_exposures_through_the_net_of_their_side():
    network = MultiExposureGenerator(width_divisor=16)
    network.up, network.down = Fixed(0.5), Fixed(-1.0)
    exposure = images(2, 3, 64, 64)
    made = network.expose(exposure, exposure, torch.tensor([2.0, 4.0]), up=True)
    torch.testing.assert_close(made, torch.full_like(made, 0.75))
    torch.testing.assert_close(network.up.seen, exposure * torch.tensor([2.0, 4.0]).view(2, 1, 1, 1))
    assert network.expose(exposure, exposure, torch.tensor([0.5, 0.25]), up=False).max() == 0


def test_one_net_for_both_directions_is_stored_once():
    network = MultiExposureGenerator(two_exposure_nets=False, **SMALL).eval()
    exposure, ratio = images(1, 3, 16, 16), torch.ones(1)
    assert torch.equal(
        network.expose(exposure, exposure, ratio, up=True), network.expose(exposure, exposure, ratio, up=False)
    )
    assert len({value.data_ptr() for value in network.state_dict().values()}) == len(network.state_dict())


def test_pixel_shuffle_starts_as_nearest_neighbour():
    layer, hidden = enlargement(6, torch.nn.ReLU).eval(), images(1, 6, 4, 5)
    made = layer(hidden)
    assert made.shape == (1, 6, 8, 10)
    torch.testing.assert_close(made, made[..., ::2, ::2].repeat_interleave(2, -1).repeat_interleave(2, -2))


def test_representation_loss_is_eq_6():
    shorter, longer = torch.full((2, 3, 4, 4), 0.1), torch.full((2, 3, 4, 4), 0.3)
    ratio, eps = torch.tensor([2.0, 3.0]), 1 / 255
    expected = sum(
        abs(math.log(0.1 * r + eps) - math.log(0.3 + eps)) + abs(math.log(0.3 / r + eps) - math.log(0.1 + eps))
        for r in (2.0, 3.0)
    )
    assert losses.representation_loss(shorter, longer, ratio).item() == pytest.approx(expected / 2, rel=1e-4)
    assert losses.representation_loss(shorter, 2 * shorter, torch.tensor([2.0, 2.0])).item() == pytest.approx(0)


def test_total_variation_is_eq_9():
    image = torch.tensor([[0.0, 0.5], [0.25, 1.0]]).expand(4, 3, 2, 2)
    assert losses.total_variation(image).item() == pytest.approx(3 * (0.5 + 0.75 + 0.25 + 0.5))


def test_perceptual_distance_is_of_the_first_three_pools():
    from torchvision.models import vgg19

    network, _ = make_perceptual("random", 16)
    pred, target = images(2, 3, 32, 32), images(2, 3, 32, 32, seed=1)
    pools = [index for index, layer in enumerate(vgg19(weights=None).features) if "Pool" in type(layer).__name__][:3]
    assert pools == list(losses.POOLS)
    expected = 0.0
    for pool, channels in zip(pools, (64, 128, 256), strict=True):
        ours, theirs = (network.features[: pool + 1]((x - network.mean) / network.std) for x in (pred, target))
        expected += channels / ours.shape[1] * (ours - theirs).abs().mean((0, 2, 3)).sum().item()
    assert losses.perceptual_distance(network, pred, target).item() == pytest.approx(expected, rel=1e-4)
    assert losses.perceptual_distance(network, pred, pred).item() == 0


class Oracle(torch.nn.Module):
    """A pair of flat images, and sensor exposures that fit their times."""

    def forward(self, image, times, longer=None):
        exposure = torch.full_like(image, 0.1)
        ratio = (times[:, 1] / times[:, 0]).view(-1, 1, 1, 1)
        return torch.full_like(image, 0.25), torch.full_like(image, 0.75), exposure, exposure * ratio


@pytest.mark.parametrize(("equations", "share"), [("paper", 1.0), ("released", 0.4)])
def test_reconstruction_loss_is_eq_7_or_under_the_mask_of_the_target(equations, share):
    levels = torch.tensor([0.5, 0.98]).view(1, 2, 1, 1, 1).expand(2, -1, 3, 16, 16)
    batch = Batch({"stack": levels, "times": torch.tensor([[1.0, 4.0], [1.0, 2.0]])})
    values = losses.objective(losses=equations, **RANDOM)[0](Oracle(), batch)
    assert values["r"].item() == pytest.approx(100 * (0.25 + share * 0.23), rel=1e-4)
    assert values["h"].item() == pytest.approx(0, abs=1e-5)
    assert values["tv"].item() == 0
    assert values["p"] > 0


def test_weights_are_those_of_the_released_training():
    assert losses.WEIGHTS == {"h": 1, "r": 100, "p": 0.1, "tv": 1e-5}


@pytest.mark.parametrize(("pairs", "count"), [("paper", 36), ("released", 45)])
def test_pairs_are_all_of_nine_exposures_alike(pairs, count):
    torch.manual_seed(0)
    shorter, longer = losses.choose_pairs(90 * count, 9, pairs)
    assert (shorter <= longer).all() if pairs == "released" else (shorter < longer).all()
    found = torch.bincount(9 * shorter + longer)
    assert (found > 0).sum() == count
    assert found[found > 0].min() > 45


def test_loss_terms_are_switched_by_name():
    objective, notes = losses.objective(terms=["r", "tv"])
    assert set(objective(MultiExposureGenerator(width_divisor=16, levels=3), stack())) == {"r", "tv"}
    assert notes == []
    with pytest.raises(HdrbenchError, match="loss term"):
        losses.objective(terms=["tvv"])
    with pytest.raises(HdrbenchError, match="did you mean 'released'"):
        losses.objective(losses="release")
    with pytest.raises(HdrbenchError, match="pairs"):
        losses.objective(pairs="all")
    with pytest.raises(HdrbenchError, match="got 1"):
        losses.objective(terms=["r"])[0](MultiExposureGenerator(width_divisor=16), stack((0.0,)))


@pytest.mark.parametrize("equations", ["paper", "released"])
def test_twenty_steps_lower_the_loss(equations):
    torch.manual_seed(0)
    network = MultiExposureGenerator(activation=equations, representation=equations, **SMALL)
    (objective, _), batch = losses.objective(losses=equations, **RANDOM), stack()
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)

    def total():
        torch.manual_seed(1)
        return sum(objective(network, batch).values())

    before = total().item()
    for _ in range(20):
        optimizer.zero_grad()
        total().backward()
        optimizer.step()
    assert total().item() < 0.8 * before


def test_a_naive_residual_starts_from_the_naive_exposures_and_trains():
    torch.manual_seed(0)
    network, image = MultiExposureGenerator(naive_residual=True, **SMALL).eval(), images(2, 3, 16, 24)
    made = expose(network, image, (-2.0, 0.5, 1.0))
    naive = methods.get("gamma_linear").expose(network, image, (-2.0, 0.5, 1.0))
    assert (made - naive).abs().max() < 0.6 / 255
    torch.manual_seed(0)
    objective, _ = losses.objective(**RANDOM)
    sum(objective(network.train(), stack()).values()).backward()
    assert network.up.output.weight.grad.abs().sum() > 0


def test_exposures_come_in_the_order_asked_for_and_0_is_the_image():
    network, image = MultiExposureGenerator(width_divisor=16).eval(), images(2, 3, 17, 23)
    made = expose(network, image, (0.75, 0.0, -2.25))
    assert made.shape == (2, 3, 3, 17, 23)
    assert torch.equal(made[:, 1], image)
    low, high = network(image, torch.tensor([[2**-2.25, 1.0, 2**0.75]] * 2))
    torch.testing.assert_close(made[:, 2], low)
    torch.testing.assert_close(made[:, 0], high)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width_divisor": 3}, "divides 16"),
        ({"levels": 8}, "levels of 2 to 7"),
        ({"activation": "mish"}, "paper, released"),
        ({"representation": "relu"}, "paper, released"),
        ({"mask": "soft"}, "none"),
        ({"width": 8}, "width"),
    ],
)
def test_bad_options_are_one_line(options, message):
    with pytest.raises(HdrbenchError, match=message):
        methods.build("multi_exposure_generation", options)
