import math

import pytest
import torch
from scipy.ndimage import gaussian_filter

from hdrbench import methods
from hdrbench.errors import HdrbenchError
from hdrbench.imaging.exposure import reexpose
from hdrbench.methods import Batch
from hdrbench.methods.usme_hdr import losses, perceptual
from hdrbench.methods.usme_hdr.luminance import ESTIMATORS, GSI_SIGMA, gaussian_illumination, global_statistics
from hdrbench.methods.usme_hdr.network import Csft, Ean, UsmeHdr
from hdrbench.pipeline.cost import cost

ABLATIONS = [
    {},
    {"input_channels": 3},
    *({"luminance": kind} for kind in ESTIMATORS[1:]),
    {"initialisation": "he"},
    {"light_map": False},
    {"light_feature": False},
    {"light_map": False, "light_feature": False},
    {"light_map": False, "light_feature": False, "exposure_ratio": False},
]


@pytest.mark.parametrize(("channels", "params", "macs"), [(3, "3.928", "487.59"), (6, "3.932", "494.36")])
def test_costs_equal_the_printed_ones(channels, params, macs):
    counted = cost("usme_hdr", {"input_channels": channels}, "single_image", (1000, 1500))
    assert f"{counted['params']:.3f}" == params
    assert f"{counted['macs_thop']:.2f}" == macs
    assert f"{counted['macs_counted']:.2f}" == macs


def stack(size=32, count=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    radiance = torch.rand(count, 3, size, size, generator=generator) ** 4
    times = torch.tensor([[1.0, 4.0, 16.0], [1.0, 8.0, 64.0]])[:count]
    exposures = {name: reexpose(radiance, times[:, k]) for k, name in enumerate(("short", "middle", "long"))}
    return Batch(exposures | {"times": times, "pseudo": radiance})


@pytest.mark.parametrize("options", ABLATIONS, ids=str)
def test_every_ablation_trains_all_its_parameters(options):
    torch.manual_seed(0)
    network = UsmeHdr(width=4, **options)
    objective, _ = losses.objective(perceptual_weights="random", perceptual_width_divisor=16)
    values = objective(network, stack())
    assert set(values) == set(losses.WEIGHTS)
    sum(values.values()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize("size", [(8, 8), (17, 23), (64, 40), (45, 64)])
def test_any_size_goes_through(size):
    middle = torch.rand(1, 3, *size)
    result = methods.get("usme_hdr").reconstruct(UsmeHdr(width=4), middle, torch.tensor([[1.0, 4.0, 16.0]]))
    assert result.hdr.shape == middle.shape
    assert all(image.min() >= 0 and image.max() <= 1 for image in result.exposures.values())


def test_scenes_of_a_batch_do_not_mix():
    network, batch = UsmeHdr(width=4).eval(), stack()
    both = network(batch["middle"], batch["times"])
    for index in range(2):
        alone = network(batch["middle"][index : index + 1], batch["times"][index : index + 1])
        for together, single in zip(both, alone, strict=True):
            torch.testing.assert_close(together[index], single[0], rtol=1e-4, atol=1e-5)


def test_exposure_ratio_matters_exactly_when_it_is_switched_on():
    x = torch.rand(1, 6, 16, 16)
    for on in (True, False):
        network = Ean(6, 4, "learned", True, True, on)
        same = torch.equal(network(x, torch.tensor([4.0])), network(x, torch.tensor([8.0])))
        assert same is not on


def test_csft_without_guidance_is_the_identity_and_with_it_is_affine_in_the_features():
    features, light, code = torch.rand(1, 8, 4, 4), torch.rand(1, 6, 16, 16), torch.rand(1, 16)
    assert torch.equal(Csft(8, 0, 0, 4)(features, None, None), features)
    layer = Csft(8, 6, 16, 4)
    zero, one, two = (layer(k * features, light, code) for k in (0, 1, 2))
    torch.testing.assert_close(two - one, one - zero, rtol=1e-4, atol=1e-5)


def test_statistics_of_table_5():
    image = torch.rand(2, 3, 60, 70)
    planes = global_statistics(image)
    assert planes.shape == (2, 2, 60, 70)
    torch.testing.assert_close(planes[1, :, 0, 0], torch.stack([image[1].mean(), image[1].std()]))
    expected = gaussian_filter(image[0].mean(0).numpy(), GSI_SIGMA, mode="nearest", truncate=3)
    torch.testing.assert_close(gaussian_illumination(image)[0, 0], torch.from_numpy(expected))


@pytest.mark.parametrize(
    ("value", "expected"), [(0.04, 0), (0.05, 0.1), (0.1, 1), (0.5, 1), (0.9, 1), (0.93, 0.1), (0.96, 0)]
)
def test_exposure_mask_is_eq_15(value, expected):
    assert losses.exposure_mask(torch.full((1, 3, 1, 1), value)).item() == pytest.approx(expected)


def test_aligned_mask_is_the_weighted_mean_difference_against_5_over_255():
    middle = torch.full((1, 3, 1, 2), 0.1)
    shifted = torch.expm1(torch.log1p(5000 * middle) + torch.tensor([4.0, 6.0]) / 255 * math.log(5001)) / 5000
    one = torch.ones_like(middle)
    assert losses.aligned_mask(shifted, middle, one).flatten().tolist() == [1, 0]
    assert losses.aligned_mask(shifted, middle, one / 2).flatten().tolist() == [1, 1]


def test_losses_vanish_for_a_perfect_generator_of_an_ideal_stack():
    batch = stack(count=1)

    class Oracle(torch.nn.Module):
        def forward(self, middle, times):
            return batch["short"], batch["long"]

    objective, notes = losses.objective(perceptual_weights="random", perceptual_width_divisor=16)
    values = objective(Oracle(), batch)
    assert notes == ["perceptual: random features, VGG19 / 16 channels"]
    for name in ("se", "le", "he", "ea", "p"):
        assert values[name].item() == pytest.approx(0, abs=1e-4), name


def test_weights_are_those_of_eq_17():
    assert losses.WEIGHTS == {"sp": 4, "se": 1, "le": 2, "he": 2, "ea": 1, "p": 1}


def test_loss_terms_are_switched_by_name():
    objective, notes = losses.objective(terms=["sp", "se"])
    assert set(objective(UsmeHdr(width=4), stack())) == {"sp", "se"}
    assert notes == []
    with pytest.raises(HdrbenchError, match="loss term"):
        losses.objective(terms=["spp"])


def test_perceptual_features_are_stated(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert perceptual.make_perceptual("auto", 16)[1] == "perceptual: random features, VGG19 / 16 channels"
    with pytest.raises(HdrbenchError, match=perceptual.VGG19_FILE):
        perceptual.make_perceptual("imagenet")
    file = tmp_path / "hub" / "checkpoints" / perceptual.VGG19_FILE
    file.parent.mkdir(parents=True)
    torch.save(perceptual.Vgg19Distance().state_dict() | {"features.34.weight": torch.zeros(1)}, file)
    assert perceptual.make_perceptual("auto")[1] == "perceptual: ImageNet features"


def test_vgg_taps_are_relu3_2_relu4_2_relu5_2():
    """Counted from torchvision's own layer list: conv index in block, after its ReLU."""
    from torchvision.models import vgg19

    network = perceptual.Vgg19Distance()
    reference = vgg19(weights=None).features
    assert [type(a) for a in network.features] == [type(a) for a in reference[: len(network.features)]]
    block, conv, names = 1, 0, {}
    for index, layer in enumerate(reference):
        kind = type(layer).__name__
        block, conv = (block + 1, 0) if kind == "MaxPool2d" else (block, conv + (kind == "Conv2d"))
        if kind == "ReLU":
            names[index] = f"relu{block}_{conv}"
    assert [names[index] for index in perceptual.TAPS] == ["relu3_2", "relu4_2", "relu5_2"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 6}, "multiple of 4"),
        ({"input_channels": 4}, "3 or 6"),
        ({"wide": 8}, "wide"),
        ({"luminance": "gs"}, "gsb"),
    ],
)
def test_bad_options_are_one_line(options, message):
    with pytest.raises(HdrbenchError, match=message):
        methods.build("usme_hdr", options)
