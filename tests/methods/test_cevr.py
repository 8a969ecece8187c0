import math
import warnings

import numpy as np
import pytest
import torch

from hdrbench import methods
from hdrbench.errors import HdrbenchError, WeightsMissingError
from hdrbench.imaging.exposure import reexpose
from hdrbench.imaging.merging.generated import merge_stack, pad_to_multiple
from hdrbench.methods import Batch
from hdrbench.methods.cevr import expose, losses
from hdrbench.methods.cevr import network as networks
from hdrbench.methods.cevr.network import Cevr, ExposureModel
from hdrbench.pipeline.cost import cost

ABLATIONS = [
    {},
    {"intensity_transformation": False},
    {"norm_groups": 1},
    {"norm_affine": True},
    {"initialisation": "near_identity"},
]
NEAR = {"width_divisor": 16, "initialisation": "near_identity"}

PREDEFINED = tuple(float(ev) for ev in range(-3, 4))
CONTINUOUS = tuple(ev / 2 for ev in range(-6, 7))


def images(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def stack(evs=PREDEFINED, count=2, size=32):
    radiance = torch.nn.functional.interpolate(images(count, 3, 8, 8), size, mode="bicubic").clamp(0.01, 1) ** 2
    times = 2.0 ** torch.tensor(evs).expand(count, -1)
    frames = torch.stack([reexpose(radiance, times[:, k]) for k in range(len(evs))], 1)
    return Batch({"stack": frames, "times": times / times[:, :1]})


@pytest.mark.parametrize(("affine", "pair"), [(False, "6.583"), (True, "6.586")])
def test_sizes_are_those_of_the_released_network(affine, pair):
    with torch.device("meta"):
        network = Cevr(norm_affine=affine)
    assert f"{sum(parameter.numel() for parameter in network.parameters()) / 1e6:.3f}" == pair


def test_costs_are_those_of_the_released_network():
    counted = cost("cevr", {}, "single_image", (256, 256))
    assert f"{counted['params']:.3f}" == "6.583"
    assert f"{counted['macs_counted'] / 2:.2f}" == "28.57"
    assert f"{1e6 * counted['macs_counted'] / 2 / 256**2:.1f}" == "436.0"


def test_encoder_is_vgg16_bn_of_torchvision():
    from torchvision.models import vgg16_bn

    with torch.device("meta"):
        ours, reference = ExposureModel(1, 2, False, True).features, vgg16_bn(weights=None).features
    assert [type(layer) for layer in ours] == [type(layer) for layer in reference[: len(ours)]]
    shapes = {key: value.shape for key, value in reference.state_dict().items()}
    assert all(shapes[key] == value.shape for key, value in ours.state_dict().items())


def test_encoder_halves_twice_and_equals_its_layers_in_a_row():
    model, image = ExposureModel(16, 2, False, True).eval(), images(1, 3, 16, 24)
    full, half, quarter = model.encode(image)
    assert [tuple(x.shape[1:]) for x in (full, half, quarter)] == [(4, 16, 24), (8, 8, 12), (16, 4, 6)]
    torch.testing.assert_close(quarter, model.features(image))


def test_imagenet_weights_are_read_from_the_cache_or_asked_for(monkeypatch, tmp_path):
    from torchvision.models import vgg16_bn

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsMissingError, match=f"{networks.VGG16_BN_FILE}.*torchvision"):
        networks.pretrain(Cevr(pretrained="imagenet"))
    file = tmp_path / "hub" / "checkpoints" / networks.VGG16_BN_FILE
    file.parent.mkdir(parents=True)
    reference = vgg16_bn(weights=None).features
    torch.save({f"features.{key}": value for key, value in reference.state_dict().items()}, file)
    network = Cevr(pretrained="imagenet")
    assert networks.pretrain(network) == ["encoders start from VGG16-BN of torchvision, trained on ImageNet"]
    assert networks.pretrain(Cevr()) == ["encoders start from random weights"]
    for model in (network.dark, network.bright):
        assert torch.equal(model.features[20].weight, reference[20].weight)
        assert model.features[20].weight.requires_grad


@pytest.mark.parametrize("options", ABLATIONS, ids=str)
@pytest.mark.parametrize("cycle", losses.CYCLES)
def test_every_ablation_trains_all_its_parameters(options, cycle):
    torch.manual_seed(0)
    network = Cevr(width_divisor=16, **options)
    objective, notes = losses.objective(cycle=cycle)
    values = objective(network, stack())
    assert set(values) == ({"rec"} if cycle == "none" else {"rec", "cyc"})
    assert notes == []
    sum(values.values()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize("size", [(8, 8), (1, 5), (17, 23), (40, 64)])
def test_sides_are_padded_and_cropped_back_exactly(size):
    network, image, times = Cevr(width_divisor=16).eval(), images(2, 3, *size), torch.tensor([[1.0, 4.0, 16.0]] * 2)
    low, high = network(image, times)
    assert low.shape == high.shape == image.shape
    whole = pad_to_multiple(image, 8)
    assert whole.shape[-2] % 8 == whole.shape[-1] % 8 == 0
    assert torch.equal(whole[..., : size[0], : size[1]], image)
    expected = network(whole, times)
    assert torch.equal(low, expected[0][..., : size[0], : size[1]])
    np.testing.assert_array_equal(
        whole, np.pad(image, [(0, 0), (0, 0), (0, -size[0] % 8), (0, -size[1] % 8)], mode="edge")
    )


def test_scenes_of_a_batch_do_not_mix():
    network, image = Cevr(width_divisor=16).eval(), images(2, 3, 16, 16)
    times = torch.tensor([[1.0, 4.0, 16.0], [1.0, 8.0, 64.0]])
    for index in range(2):
        alone = network(image[index : index + 1], times[index : index + 1])
        for together, single in zip(network(image, times), alone, strict=True):
            torch.testing.assert_close(together[index], single[0], rtol=1e-4, atol=1e-5)


def test_intensity_transformation_is_affine_with_one_map_for_all_colours():
    layer, features, step = networks.IntensityTransformation(6, 2), images(1, 6, 8, 8), torch.tensor([1.5])
    black, white = (layer(torch.full((1, 3, 16, 16), value), features, step) for value in (0.0, 1.0))
    image = images(1, 3, 16, 16)
    torch.testing.assert_close(layer(image, features, step), black + (white - black) * image)
    assert torch.equal(black[:, 0], black[:, 2])
    assert torch.equal(white[:, 0], white[:, 2])


def test_near_identity_starts_there():
    """Not exactly, and without any promise of the paper's: only this start makes it so."""
    image = images(1, 3, 32, 32)
    for model, close in ((Cevr(**NEAR), True), (Cevr(width_divisor=16), False)):
        difference = (model.eval().dark(image, torch.tensor([0.0])) - image).abs().mean()
        assert (difference.item() < 0.1) is close


def test_a_split_step_is_the_model_applied_twice():
    network, image = Cevr(width_divisor=16).eval(), images(1, 3, 16, 16)
    times, split = torch.tensor([[1.0, 4.0, 32.0]]), torch.tensor([[0.25, 0.7]])
    *direct, dark, bright = network(image, times, split)
    for found, expected in zip(direct, network(image, times), strict=True):
        assert torch.equal(found, expected)
    twice = network.dark(network.dark(image, torch.tensor([-0.5])), torch.tensor([-1.5]))
    torch.testing.assert_close(dark, twice, rtol=1e-4, atol=1e-5)
    twice = network.bright(network.bright(image, torch.tensor([2.1])), torch.tensor([0.9]))
    torch.testing.assert_close(bright, twice, rtol=1e-4, atol=1e-5)


class Constant(torch.nn.Module):
    """Generates flat images: what is made directly, and in two steps."""

    def __init__(self, direct, cycled):
        super().__init__()
        self.direct, self.cycled, self.seen = direct, cycled, None

    def forward(self, middle, times, split=None):
        self.seen = times, split
        made = [torch.full_like(middle, value) for value in (*self.direct, *self.cycled)]
        return tuple(made[:2] if split is None else made)


def flat(*values):
    frames = torch.tensor(values).view(1, -1, 1, 1, 1).expand(2, -1, 3, 4, 5)
    return Batch({"stack": frames, "times": 2.0 ** torch.arange(len(values)).expand(2, -1).float()})


def test_losses_are_the_sums_of_eq_3_to_5():
    """One target on each side but EV 0: three exposures, the middle one left out by being like its neighbour."""
    batch = flat(0.5, 0.5, 0.5)
    objective, _ = losses.objective()
    values = objective(Constant((0.25, 1.0), (0.5, 0.625)), batch)
    assert values["rec"].item() == pytest.approx(2 * 60 * (0.25 + 0.5))
    assert values["cyc"].item() == pytest.approx(0.1 * 2 * 60 * (0.0 + 0.125))
    assert set(losses.objective(cycle="none")[0](Constant((0.25, 1.0), ()), batch)) == {"rec"}


def test_targets_are_those_at_the_times_the_network_is_asked_for():
    batch = flat(0.1, 0.2, 0.3, 0.4, 0.5)
    for seed in range(10):
        torch.manual_seed(seed)
        network = Constant((0.0, 0.0), (0.0, 0.0))
        value = losses.objective()[0](network, batch)["rec"].item()
        times, split = network.seen
        assert times[:, 1].tolist() == [4.0, 4.0]
        assert value == pytest.approx(60 * 0.1 * (times[:, 0::2].log2() + 1).sum().item(), rel=1e-5)
        assert split.shape == (2, 2)
        assert split.min() >= 0
        assert split.max() <= 1


@pytest.mark.parametrize(("held_out", "kept"), [((), {0, 1, 2, 3, 4, 5, 6}), ((-1.0, 1.0), {0, 1, 3, 5, 6})])
def test_all_exposures_are_targets_but_those_held_out(held_out, kept):
    torch.manual_seed(0)
    times = 2.0 ** torch.arange(7.0).expand(200, -1)
    dark, bright = losses.choose_targets(times, held_out)
    assert {*dark.tolist(), *bright.tolist()} == kept
    assert dark.max() == bright.min() == 3
    counts = torch.bincount(dark, minlength=4)[torch.tensor(sorted(kept & {0, 1, 2, 3}))]
    assert counts.min() > 200 / len(counts) / 2


def test_choices_are_repeated_by_the_seed_and_new_without():
    batch, network = stack(), Cevr(width_divisor=16).eval()
    objective, _ = losses.objective()

    def value(seed):
        torch.manual_seed(seed)
        return sum(objective(network, batch).values()).item()

    assert value(3) == value(3)
    assert value(3) != value(4)


def test_halves_are_halves():
    network = Constant((0.0, 0.0), (0.0, 0.0))
    losses.objective(cycle="halves")[0](network, flat(0.1, 0.2, 0.3))
    assert torch.equal(network.seen[1], torch.full((2, 2), 0.5))


def test_warm_up_leaves_the_cycle_out_below_its_psnr_for_each_model():
    psnr = -20 * math.log10(0.1)
    batch, network = flat(0.5, 0.5, 0.5), Constant((0.4, 0.9), (0.0, 0.0))
    for threshold, counted in ((psnr - 0.1, 1), (psnr + 0.1, 0), (0.0, 2), (None, 2)):
        values = losses.objective(warmup_psnr=threshold)[0](network, batch)
        assert values["cyc"].item() == pytest.approx(0.1 * 60 * 2 * 0.5 * counted)


def test_twenty_steps_lower_the_loss():
    torch.manual_seed(0)
    network, (objective, _), batch = Cevr(**NEAR), losses.objective(), stack(size=16)
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


def test_brightness_follows_the_exposure_value_after_a_little_training():
    """Also at those between the exposures it was trained on, and not from the start."""
    torch.manual_seed(1)
    network, (objective, _), batch = Cevr(**NEAR), losses.objective(), stack(size=16)
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)

    def differences():
        with torch.inference_mode():
            return expose(network.eval(), batch["stack"][:, 3], CONTINUOUS).mean((2, 3, 4)).diff(dim=1)

    assert (differences() < 0).any()
    network.train()
    for _ in range(25):
        optimizer.zero_grad()
        sum(objective(network, batch).values()).backward()
        optimizer.step()
    assert (differences() > 0).all()
    assert (differences().sum(1) > 0.3).all()


@pytest.mark.parametrize("transformed", [True, False])
def test_a_naive_residual_starts_near_the_naive_exposures(transformed):
    torch.manual_seed(0)
    options = {"intensity_transformation": transformed, "initialisation": "near_identity", "width_divisor": 16}
    network, image = Cevr(naive_residual=True, **options).eval(), images(2, 3, 16, 24)
    made = expose(network, image, (-2.0, 0.5, 1.0))
    naive = methods.get("gamma_linear").expose(network, image, (-2.0, 0.5, 1.0))
    assert ((made - naive).abs().mean((0, 2, 3, 4)) < torch.tensor([0.1, 0.03, 0.03])).all()


def test_exposures_come_in_the_order_asked_for_and_0_is_the_image():
    network, image = Cevr(width_divisor=16).eval(), images(2, 3, 17, 23)
    made = expose(network, image, (1.5, 0.0, -2.0, 0.5))
    assert made.shape == (2, 4, 3, 17, 23)
    assert torch.equal(made[:, 1], image)
    low, high = network(image, torch.tensor([[1.0, 4.0, 4 * 2**1.5]] * 2))
    torch.testing.assert_close(made[:, 2], low.clamp(0, 1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(made[:, 0], high.clamp(0, 1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("evs", [PREDEFINED, CONTINUOUS])
def test_merging_recovers_radiance_with_1_the_saturation_of_the_input(evs):
    radiance = torch.linspace(0.02, 6.0, 64 * 64).view(1, 1, 64, 64).expand(2, 3, -1, -1)
    frames = torch.stack([reexpose(radiance, 2.0**ev) for ev in evs], 1)
    assert merge_stack(frames, evs, "debevec").div(radiance).log().abs().median() < 0.03


def test_gamma_is_taken_with_a_warning_where_there_is_no_response():
    black = torch.zeros(1, 3, 3, 8, 8)
    with pytest.warns(UserWarning, match=r"gamma 2\.2 is taken"):
        assert torch.isfinite(merge_stack(black, (-1, 0, 1), "debevec")).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        merge_stack(stack()["stack"], PREDEFINED, "debevec")
    with pytest.raises(ValueError, match="ascending"):
        merge_stack(black, (1, 0, -1), "debevec")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width_divisor": 3}, "divide 32"),
        ({"width_divisor": 64}, "divide 32"),
        ({"norm_groups": 4}, "norm_groups"),
        ({"initialisation": "he"}, "near_identity"),
        ({"pretrained": "places"}, "imagenet"),
        ({"pretrained": "imagenet", "width_divisor": 2}, "full width"),
        ({"width": 8}, "width"),
    ],
)
def test_bad_options_are_one_line(options, message):
    with pytest.raises(HdrbenchError, match=message):
        methods.build("cevr", options)


def test_bad_objectives_and_stacks_are_one_line():
    with pytest.raises(HdrbenchError, match="did you mean 'halves'"):
        losses.objective(cycle="halve")
    with pytest.raises(HdrbenchError, match="EV 0"):
        losses.objective(held_out=(0.0,))
    with pytest.raises(HdrbenchError, match=r"no exposure at EV \+0\.5"):
        losses.objective(held_out=(0.5,))[0](Cevr(width_divisor=16), stack())
    with pytest.raises(HdrbenchError, match="got 4"):
        losses.objective()[0](Cevr(width_divisor=16), stack((-1, 0, 1, 2)))
