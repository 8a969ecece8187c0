import itertools

import pytest
import torch

from hdrbench import methods
from hdrbench.errors import HdrbenchError
from hdrbench.imaging.merging import adaptive

OPTIONS = list(itertools.product(["both", "well_exposedness", "gradient"], ["sum", "pyramid"]))
METHOD = methods.get("adaptive_weights")


def stack(count, seed=0):
    """Exposures from dark to bright."""
    radiance = torch.rand(2, 1, 3, 40, 56, generator=torch.Generator().manual_seed(seed)) ** 3
    return (radiance * 2.0 ** torch.arange(count).view(1, -1, 1, 1, 1)).clamp(0, 1) ** (1 / 2.2)


@pytest.mark.parametrize("count", [2, 3, 7])
@pytest.mark.parametrize(("weights", "blending"), OPTIONS)
def test_any_number_of_exposures(weights, blending, count):
    exposures = stack(count)
    fusion = METHOD.fuse(methods.build("adaptive_weights", {"weights": weights, "blending": blending}), exposures)
    use = "intensity" if weights == "well_exposedness" else weights
    expected = adaptive.fuse(exposures, use=use, blending=blending)[0]
    torch.testing.assert_close(fusion.image, expected, rtol=0, atol=1e-6)
    assert fusion.weights.shape == (2, count, 1, 40, 56)
    torch.testing.assert_close(fusion.weights.sum(1), torch.ones(2, 1, 40, 56))


@pytest.mark.parametrize("weights", ["both", "well_exposedness", "gradient"])
@pytest.mark.parametrize("blending", ["sum", "smoothed_sum"])
def test_sums_are_those_of_eq_2(weights, blending):
    exposures = stack(4)
    fusion = METHOD.fuse(methods.build("adaptive_weights", {"weights": weights, "blending": blending}), exposures)
    torch.testing.assert_close(fusion.image, (fusion.weights * exposures).sum(1))


def test_both_is_the_product_of_the_two_weights():
    one, two, both = (
        METHOD.fuse(methods.build("adaptive_weights", {"weights": name, "blending": "sum"}), stack(3)).weights.double()
        for name in ("well_exposedness", "gradient", "both")
    )
    product = one * two
    torch.testing.assert_close(both, product / product.sum(1, keepdim=True), rtol=1e-3, atol=1e-5)


def test_weight_1_prefers_the_bright_pixels_of_dark_exposures():
    fusion = METHOD.fuse(
        methods.build("adaptive_weights", {"weights": "well_exposedness", "blending": "sum"}), stack(2)
    )
    under, weight = stack(2)[:, 0].mean(1), fusion.weights[:, 0, 0]
    bright = under > under.median()
    assert weight[bright].mean() > 2 * weight[~bright].mean()


def test_bad_input_and_options():
    network = methods.build("adaptive_weights", {})
    with pytest.raises(ValueError, match="at least 2 exposures"):
        METHOD.fuse(network, stack(1))
    with pytest.raises(ValueError, match="different mean luma"):
        METHOD.fuse(network, stack(1).expand(-1, 2, -1, -1, -1))
    with pytest.raises(HdrbenchError, match="did you mean 'gradient'"):
        methods.build("adaptive_weights", {"weights": "gradients"})
    with pytest.raises(HdrbenchError, match="did you mean 'pyramid'"):
        methods.build("adaptive_weights", {"blending": "pyramids"})
