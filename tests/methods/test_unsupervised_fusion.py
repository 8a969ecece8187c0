import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, sobel
from torch.utils.flop_counter import FlopCounterMode

from hdrbench import methods
from hdrbench.errors import HdrbenchError
from hdrbench.methods import Batch
from hdrbench.methods.unsupervised_fusion import gamma, losses
from hdrbench.methods.unsupervised_fusion.network import FusionNetwork, grey, weighted_sum
from hdrbench.metrics.ssim import ssim

PARENT = {"decoder": "parent", "upsampling": "unpooling"}
VARIANTS = [{}, {"decoder": "parent"}, PARENT, {"dropout": 0.5}]
TABLE_2 = ("variance", "gradient", "well_exposedness", "gradient_well_exposedness", "variance_gradient")


def images(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("options", "params", "per_pixel", "at_512"),
    [({}, "17.638", "757.0", "198.44"), (PARENT, "15.315", "591.1", "154.95")],
)
def test_costs_are_those_of_the_printed_and_of_the_parents_widths(options, params, per_pixel, at_512):
    with torch.device("meta"):
        network, stack = methods.build("unsupervised_fusion", options), torch.empty(1, 2, 3, 512, 512)
    with FlopCounterMode(display=False) as counter:
        network(stack)
    macs = counter.get_total_flops() / 2
    assert f"{sum(parameter.numel() for parameter in network.parameters()) / 1e6:.3f}" == params
    assert f"{macs / 512**2 / 1e3:.1f}" == per_pixel
    assert f"{macs / 1e9:.2f}" == at_512


@pytest.mark.parametrize("divisor", [1, 16])
def test_ten_and_ten_convolutions_of_the_printed_sizes(divisor):
    with torch.device("meta"):
        network = FusionNetwork(width_divisor=divisor)
    sizes = [layer.out_channels * divisor for layer in network.modules() if isinstance(layer, torch.nn.Conv2d)]
    encoder = [64, 64, 128, 128, 256, 256, 256, 512, 512, 512]
    assert sizes == [*encoder, *encoder[::-1], 2 * divisor]


@pytest.mark.parametrize("options", VARIANTS, ids=str)
@pytest.mark.parametrize("size", [(16, 16), (17, 23), (250, 63), (33, 64)])
def test_any_size_comes_back_with_weights_that_sum_to_1(options, size):
    network = FusionNetwork(width_divisor=16, **options).eval()
    stack = images(2, 2, 3, *size)
    fusion = methods.get("unsupervised_fusion").fuse(network, stack)
    assert fusion.image.shape == (2, 3, *size)
    assert fusion.weights.shape == (2, 2, 1, *size)
    torch.testing.assert_close(fusion.weights.sum(1), torch.ones(2, 1, *size))
    assert fusion.weights.min() >= 0
    torch.testing.assert_close(fusion.image, (fusion.weights * stack).sum(1))


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_every_parameter_learns(options):
    torch.manual_seed(0)
    network = FusionNetwork(width_divisor=16, **options)
    objective, notes = losses.objective()
    values = objective(network, Batch({"under": images(2, 3, 32, 40), "over": images(2, 3, 32, 40, seed=1)}))
    assert set(values) == {"ssim"}
    assert notes == []
    values["ssim"].backward()
    for name, parameter in network.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        # A bias before batch normalisation has no effect.
        assert name.endswith(".bias") or parameter.grad.abs().max() > 0, name


def test_two_equal_images_are_fused_to_themselves():
    image = images(2, 1, 3, 20, 30)
    fusion = methods.get("unsupervised_fusion").fuse(FusionNetwork(width_divisor=16), image.expand(-1, 2, -1, -1, -1))
    torch.testing.assert_close(fusion.image, image[:, 0], rtol=0, atol=3e-7)


def test_colour_enters_through_the_grey_of_the_parent_alone():
    stack = images(1, 2, 3, 16, 16)
    np.testing.assert_allclose(grey(stack), np.tensordot(stack, [0.3, 0.59, 0.11], (2, 0)), rtol=1e-6)
    network = FusionNetwork(width_divisor=16).eval()
    same = grey(stack).unsqueeze(2).expand(-1, -1, 3, -1, -1)
    torch.testing.assert_close(network(stack), network(same), rtol=1e-4, atol=1e-5)


def test_upsampling_repeats_and_unpooling_returns_maxima_to_their_places():
    """With odd sides too, where the last window has one row or column."""
    hidden = images(1, 4, 7, 9)
    pooled, places = torch.nn.functional.max_pool2d(hidden, 2, ceil_mode=True, return_indices=True)
    back = torch.nn.functional.max_unpool2d(pooled, places, (2, 2), output_size=(7, 9))
    assert torch.equal(back[back > 0].sort().values, pooled.flatten().sort().values)
    assert torch.equal(back[back > 0], hidden[back > 0])
    repeated = pooled.repeat_interleave(2, -1).repeat_interleave(2, -2)[..., :7, :9]
    assert torch.equal(torch.nn.functional.interpolate(pooled, (7, 9), mode="nearest"), repeated)


def test_initial_weights_are_hes_and_cut():
    torch.manual_seed(0)
    layer = FusionNetwork().encoder[3][0]
    std = (2 / (256 * 9)) ** 0.5
    assert layer.weight.std().item() == pytest.approx(std, rel=0.01)
    assert layer.weight.abs().max() <= 2.01 * std / 0.8796
    assert layer.bias.abs().max() == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decoder": "mirrored"}, "printed, parent"),
        ({"upsampling": "unpooling"}, "use decoder 'parent'"),
        ({"width_divisor": 3}, "divide 64"),
        ({"width_divisor": 0}, "divide 64"),
        ({"dropout": 1.0}, "dropout < 1"),
        ({"batchnorm_momentum": 0.0}, "batchnorm_momentum"),
        ({"width": 8}, "width"),
    ],
)
def test_bad_options_are_one_line(options, message):
    with pytest.raises(HdrbenchError, match=message):
        methods.build("unsupervised_fusion", options)


def test_three_exposures_are_refused():
    with pytest.raises(ValueError, match="choose two"):
        methods.get("unsupervised_fusion").fuse(FusionNetwork(width_divisor=16), images(1, 3, 3, 16, 16))


@pytest.mark.parametrize("window", losses.WINDOWS)
def test_blur_equals_scipys_and_is_its_own_adjoint(window):
    picture = images(2, 3, 20, 27).double()
    expected = gaussian_filter(
        picture.numpy(), (0, 0, 1.5, 1.5), mode="constant", radius=(0, 0, window // 2, window // 2)
    )
    np.testing.assert_allclose(gamma.blur(picture, window), expected, atol=1e-12)
    small = images(1, 2, 6, 5).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda image: gamma.blur(image, window), small)


@pytest.mark.parametrize("kind", gamma.KINDS)
@pytest.mark.parametrize("window", losses.WINDOWS)
def test_gamma_is_a_share(kind, window):
    under, over = images(2, 3, 24, 31) * 0.3, images(2, 3, 24, 31, seed=1)
    share = gamma.gamma_map(under, over, kind, window)
    assert share.shape == under.shape
    assert share.min() > 0
    assert share.max() < 1
    torch.testing.assert_close(share + gamma.gamma_map(over, under, kind, window), torch.ones_like(share))
    torch.testing.assert_close(gamma.gamma_map(over, over, kind, window), torch.full_like(share, 0.5))


@pytest.mark.parametrize("kind", gamma.KINDS)
def test_gamma_equals_a_plain_reference(kind):
    under, over = (images(1, 3, 30, 22, seed=seed).double() for seed in (0, 1))

    def cues(image):
        plane = image.numpy()
        blurred = [
            gaussian_filter(x, (0, 0, 1.5, 1.5), mode="constant", radius=(0, 0, 5, 5)) for x in (plane, plane**2)
        ]
        slope = np.stack([np.hypot(sobel(x, 0, mode="nearest"), sobel(x, 1, mode="nearest")) / 8 for x in plane[0]])[
            None
        ]
        return {
            "variance": np.maximum(blurred[1] - blurred[0] ** 2, 1e-4),
            "gradient": np.maximum(slope, 1e-2),
            "well_exposedness": np.exp(-0.5 * ((plane - 0.5) / 0.2) ** 2),
        }

    def importance(image):
        found = [cues(image)[name] for name in gamma.KINDS[kind]]
        return found[0] if len(found) == 1 else found[0] * found[1] / np.sqrt(found[0] ** 2 + found[1] ** 2)

    expected = importance(under) / (importance(under) + importance(over))
    np.testing.assert_allclose(gamma.gamma_map(under, over, kind, 11), expected, rtol=1e-9)


@pytest.mark.parametrize("kind", gamma.KINDS)
def test_flat_exposures_of_equal_distance_from_grey_share_alike(kind):
    """Also in the interior of black and white, where variance and gradient are 0 / 0 without floors."""
    pictures = torch.zeros(1, 3, 30, 30), torch.ones(1, 3, 30, 30)
    middle = gamma.gamma_map(*pictures, kind)[..., 8:-8, 8:-8]
    torch.testing.assert_close(middle, torch.full_like(middle, 0.5))


def test_gamma_prefers_what_is_not_clipped():
    under, over = images(1, 3, 32, 32) * 0.8, torch.ones(1, 3, 32, 32)
    for kind in gamma.KINDS:
        assert gamma.gamma_map(under, over, kind)[..., 8:-8, 8:-8].mean() > 0.7, kind


@pytest.mark.parametrize("kind", TABLE_2)
def test_loss_is_0_for_equal_images_and_above_for_others(kind):
    image = images(2, 3, 24, 31)
    assert losses.weighted_ssim_loss(image, image, image, kind).item() == pytest.approx(0, abs=1e-5)
    other = images(2, 3, 24, 31, seed=1)
    assert losses.weighted_ssim_loss(image, image, other, kind) > 0.5
    assert losses.weighted_ssim_loss(image, other, image, kind) > 0.1


@pytest.mark.parametrize("kind", TABLE_2)
def test_loss_does_not_mind_the_order_of_the_exposures(kind):
    under, over, fused = (images(2, 3, 24, 31, seed=seed) for seed in range(3))
    forward, backward = (losses.weighted_ssim_loss(*pair, fused, kind) for pair in ((under, over), (over, under)))
    torch.testing.assert_close(forward, backward)


def test_ssim_equals_those_of_the_metrics_and_of_scikit_image():
    x, y = (images(1, 3, 40, 44, seed=seed).double() for seed in (0, 1))
    pair, inside = torch.stack([x, y]), (slice(None), slice(5, -5), slice(5, -5))
    found = losses.ssim_to_both(pair, gamma.blur(pair, 11), gamma.variance(pair, 11), y, 11)
    torch.testing.assert_close(found[0][:, *inside].mean((1, 2, 3)), ssim(x, y, variant="wang"))
    torch.testing.assert_close(found[1], torch.ones_like(found[1]))
    structural_similarity = pytest.importorskip("skimage.metrics").structural_similarity
    options = {"gaussian_weights": True, "use_sample_covariance": False, "data_range": 1.0, "channel_axis": 0}
    index = structural_similarity(x[0].numpy(), y[0].numpy(), full=True, **options)[1]
    np.testing.assert_allclose(found[0, 0][inside], index[inside], atol=1e-9)


def test_loss_is_the_mean_over_five_windows_and_three_channels():
    under, over, fused = (images(1, 3, 20, 21, seed=seed).double() for seed in range(3))
    pair, total = torch.stack([under, over]), 0.0
    for window in (11, 9, 7, 5, 3):
        share = gamma.gamma_map(under, over, "variance", window)
        index = losses.ssim_to_both(pair, gamma.blur(pair, window), gamma.variance(pair, window), fused, window)
        total += (share * index[0] + (1 - share) * index[1]).mean((0, 2, 3)).sum()
    torch.testing.assert_close(losses.weighted_ssim_loss(under, over, fused, "variance"), 1 - total / 15)


@pytest.mark.parametrize("kind", TABLE_2)
def test_gradients_are_right_and_finite_for_clipped_images(kind):
    under, over, fused = (images(1, 3, 7, 6, seed=seed).double() for seed in range(3))
    assert torch.autograd.gradcheck(
        lambda image: losses.weighted_ssim_loss(under, over, image, kind), fused.requires_grad_()
    )
    for low, high in ((0.0, 0.0), (1.0, 1.0), (0.0, 1.0)):
        flat = [torch.full((1, 3, 20, 20), value) for value in (low, high)]
        for start in (low, high, 0.5):
            image = torch.full((1, 3, 20, 20), start, requires_grad=True)
            loss = losses.weighted_ssim_loss(*flat, image, kind)
            loss.backward()
            assert torch.isfinite(loss)
            assert torch.isfinite(image.grad).all()


def test_loss_keeps_single_precision_under_autocast():
    under, over, fused = (images(1, 3, 20, 21, seed=seed) for seed in range(3))
    expected = losses.weighted_ssim_loss(under, over, fused)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(losses.weighted_ssim_loss(under, over, fused), expected)
        assert losses.weighted_ssim_loss(under, over, fused.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize("kind", TABLE_2)
def test_twenty_steps_lower_the_loss(kind):
    torch.manual_seed(0)
    radiance = torch.nn.functional.interpolate(images(4, 3, 9, 9), (32, 32), mode="bicubic").clamp(0, 1) ** 3
    batch = Batch({"under": radiance ** (1 / 2.2), "over": (radiance * 16).clamp(0, 1) ** (1 / 2.2)})
    network, (objective, _) = FusionNetwork(width_divisor=16), losses.objective(gamma=kind)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    history = []
    for _ in range(20):
        loss = objective(network, batch)["ssim"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    assert history[-1] < 0.9 * history[0]


def test_unknown_gamma_suggests_a_near_one():
    with pytest.raises(HdrbenchError, match="did you mean 'variance_gradient'"):
        losses.objective(gamma="variance_gradients")
    with pytest.raises(HdrbenchError, match="gamma"):
        gamma.gamma_map(images(1, 3, 8, 8), images(1, 3, 8, 8), "varience")
    with pytest.raises(ValueError, match="odd number"):
        gamma.blur(images(1, 3, 8, 8), 4)


def test_weighted_sum_is_eq_3():
    weights, stack = images(2, 2, 1, 5, 6), images(2, 2, 3, 5, 6)
    expected = np.einsum("nkihw,nkchw->nchw", weights.numpy(), stack.numpy())
    np.testing.assert_allclose(weighted_sum(weights, stack), expected, rtol=1e-6)
