"""The PU21 encoding: published points, inversion, clamping, and the display model."""

import math
import warnings

import pytest
import torch

from hdrbench.errors import HdrbenchError
from hdrbench.imaging import pu21

# V(1), V(100), V(10000) cd/m2, rounded.
POINTS = {
    "banding": (84.4045, 261.7517, 520.4673),
    "banding_glare": (36.5439, 256.3839, 595.3939),
    "peaks": (85.5420, 260.7250, 380.9853),
    "peaks_glare": (47.0090, 252.2985, 407.5066),
}
RANGE = torch.logspace(math.log10(0.005), 4, 3 * pu21.BLOCK // 2, dtype=torch.float64)


@pytest.mark.parametrize("variant", pu21.VARIANTS)
class TestVariants:
    def test_published_points(self, variant):
        code = pu21.encode(torch.tensor([1.0, 100.0, 1e4]), variant)
        assert code.tolist() == pytest.approx(POINTS[variant], abs=6e-5)

    def test_grows_with_luminance(self, variant):
        assert (pu21.encode(RANGE, variant).diff() > 0).all()

    def test_decoding_inverts(self, variant):
        code = pu21.encode(RANGE, variant)
        found = pu21.decode(code, variant)
        torch.testing.assert_close(pu21.encode(found, variant), code, rtol=0, atol=1e-10)
        # The published digits put the code of 0.005 cd/m2 a few 1e-8 below 0, where the curve is cut off.
        torch.testing.assert_close(found, RANGE, rtol=1e-6, atol=0)

    def test_range_is_clamped(self, variant):
        inside = pu21.encode(torch.tensor([0.005, 0.005, 0.005, 1e4], dtype=torch.float64), variant)
        outside = pu21.encode(torch.tensor([-3.0, 0.0, 1e-6, 1e9], dtype=torch.float64), variant)
        torch.testing.assert_close(outside, inside, rtol=0, atol=0)
        assert (inside >= 0).all()
        ends = pu21.decode(torch.tensor([-5.0, 1e4], dtype=torch.float64), variant)
        assert ends.tolist() == pytest.approx([0.005, 1e4], rel=1e-6)

    def test_tensors_and_arrays_agree(self, variant):
        with_gradient = pu21.encode(RANGE.clone().requires_grad_(), variant).detach()
        torch.testing.assert_close(with_gradient, pu21.encode(RANGE, variant), rtol=0, atol=1e-11)

    def test_gradient(self, variant):
        luminance = torch.tensor([0.01, 0.3, 7.0, 900.0], dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda y: pu21.encode(y, variant), luminance)
        code = pu21.encode(luminance.detach(), variant).requires_grad_()
        assert torch.autograd.gradcheck(lambda v: pu21.decode(v, variant), code)


def test_single_precision_input_loses_nothing():
    image = (1000 * torch.rand(2, 3, 8, 9)).expand(2, 3, 8, 9)
    code = pu21.encode(image)
    assert code.dtype == torch.float64
    assert code.shape == image.shape
    assert torch.equal(code, pu21.encode(image.double()))
    assert torch.equal(code.transpose(2, 3), pu21.encode(image.transpose(2, 3)))


class TestUnits:
    def test_relative_data_are_warned_of_and_encoded_all_the_same(self):
        dark = torch.linspace(0, 1, 50).view(1, 1, 5, 10)
        with pytest.warns(pu21.RelativeLuminanceWarning, match="cd/m2, but the largest value is 1; multiply"):
            code = pu21.encode(dark)
        assert code[..., -1].max() == pytest.approx(36.54, abs=0.01)

    @pytest.mark.parametrize("image", [torch.linspace(0, 1.5, 50), torch.zeros(9), torch.tensor([0.3]), torch.zeros(0)])
    def test_nothing_else_is(self, image):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert pu21.encode(image).shape == image.shape

    @pytest.mark.parametrize("function", [pu21.encode, pu21.decode])
    def test_bad_values_are_refused(self, function):
        with pytest.raises(ValueError, match="finite"):
            function(torch.tensor([1.0, float("nan")]))
        with pytest.raises(ValueError, match="finite"):
            function(torch.tensor([1.0, float("inf")]))
        with pytest.raises(ValueError, match="floating-point"):
            function(torch.tensor([1, 2]))
        with pytest.raises(HdrbenchError, match="did you mean 'peaks'"):
            function(torch.tensor([1.0]), "peak")


def test_luminance():
    image = torch.rand(2, 3, 4, 5)
    expected = 0.212656 * image[:, 0].double() + 0.715158 * image[:, 1].double() + 0.072186 * image[:, 2].double()
    torch.testing.assert_close(pu21.luminance(image), expected[:, None])
    grey = torch.full((3, 1, 1), 100.0)
    assert pu21.luminance(grey).item() == pytest.approx(100.0)
    with pytest.raises(ValueError, match="RGB"):
        pu21.luminance(image[:, :1])


def test_display():
    display = pu21.Display(peak=55.0, contrast=1000.0, ambient=10.0)
    black = 0.055 + 10 / math.pi * 0.005
    assert display.black == pytest.approx(black)
    shown = pu21.emitted(torch.tensor([0.0, 0.5, 1.0]), display)
    assert shown.dtype == torch.float64
    assert shown.tolist() == pytest.approx([black, (55 - black) * 0.5**2.2 + black, 55.0])
    dark = pu21.Display(peak=55.0, ambient=0.0)
    assert pu21.emitted(torch.zeros(1), dark).item() == pytest.approx(0.055)
    for codes in (torch.tensor([0.0, 255.0]), torch.tensor([-0.1]), torch.tensor([float("nan")])):
        with pytest.raises(ValueError):  # noqa: PT011
            pu21.emitted(codes, display)
