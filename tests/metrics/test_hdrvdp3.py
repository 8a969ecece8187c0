"""Laws of HDR-VDP-3: what its stages must do by definition, and how the score must behave on any images."""

import math

import numpy as np
import pytest
import torch
from scipy import fft, ndimage

from hdrbench.errors import HdrbenchError
from hdrbench.metrics.hdrvdp import display
from hdrbench.metrics.hdrvdp.display import mix, show
from hdrbench.metrics.hdrvdp.eye import ADAPTATION_SIGMA, adaptation, lookup, mtf, neural_csf, respond
from hdrbench.metrics.hdrvdp.fourier import filter_mirrored, frequencies
from hdrbench.metrics.hdrvdp.pyramid import ISOTROPIC, decompose
from hdrbench.metrics.hdrvdp.v3 import EYE, TASKS, hdrvdp3

PPD = 30.0
ENCODINGS = display.ENCODINGS[3]
KERNELS = (ISOTROPIC.high_0, ISOTROPIC.low_0, ISOTROPIC.low, ISOTROPIC.bands[0])


def random(*shape, seed=0, dtype=torch.float64):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.fixture(scope="module")
def pair():
    ref = 1000 * torch.nn.functional.interpolate(random(3, 3, 6, 8) ** 3, size=(45, 62), mode="bilinear")
    return ref * (1 + 0.1 * (random(*ref.shape, seed=1) - 0.5)), ref


class TestScore:
    @pytest.mark.parametrize("task", TASKS)
    @pytest.mark.parametrize("encoding", ENCODINGS)
    def test_identical_images_score_exactly_ten(self, encoding, task):
        images = random(2, ENCODINGS[encoding].channels, 33, 40)
        q, q_jod = hdrvdp3(images, images, encoding=encoding, ppd=PPD, task=task)
        assert q.tolist() == q_jod.tolist() == [10.0, 10.0]
        assert q.dtype == q_jod.dtype == torch.float64

    def test_more_noise_scores_worse(self, pair):
        noise = random(*pair[1].shape, seed=2) - 0.5
        scores = [hdrvdp3(pair[1] * (1 + s * noise), pair[1], ppd=PPD) for s in (0.01, 0.03, 0.1, 0.3, 1.0)]
        assert (torch.stack([s.q for s in scores]).diff(dim=0) < 0).all()
        assert (torch.stack([s.q_jod for s in scores]).diff(dim=0) < 0).all()

    def test_jod_follows_from_q(self, pair):
        q, q_jod = hdrvdp3(*pair, ppd=PPD)
        torch.testing.assert_close(q_jod, 10 - 0.52 * (10 - q) ** 1.2812)

    def test_one_value_per_image_whatever_its_neighbours(self, pair):
        together = hdrvdp3(*pair, ppd=PPD).q
        assert together.tolist() == [hdrvdp3(p[None], r[None], ppd=PPD).q.item() for p, r in zip(*pair, strict=True)]

    def test_invisible_in_the_dark_and_from_afar(self, pair):
        bright, dark = (hdrvdp3(pair[0] * k, pair[1] * k, ppd=PPD).q for k in (1.0, 1e-4))
        assert (bright < dark).all()
        assert (hdrvdp3(*pair, ppd=120.0).q > hdrvdp3(*pair, ppd=PPD).q).all()

    def test_changes_below_a_thousandth_do_not_count(self, pair):
        ref = pair[1] + 1.0
        assert hdrvdp3(ref * 1.0009, ref, encoding="rgb-native", ppd=PPD).q.tolist() == [10.0] * 3
        assert (hdrvdp3(ref * 1.1, ref, encoding="rgb-native", ppd=PPD).q < 10).all()

    def test_a_change_where_the_reference_is_negative_does_not_count(self, pair):
        # As in the release, which is why callers must not pass negative light.
        assert hdrvdp3(pair[1], pair[1] - 2000, encoding="rgb-native", ppd=PPD).q.tolist() == [10.0] * 3
        assert (hdrvdp3(pair[1] - 2000, pair[1], encoding="rgb-native", ppd=PPD).q < 10).all()

    def test_the_same_upside_down_and_mirrored(self, pair):
        # Not near 30 ppd and above, where the release's Gaussian of adaptation sees the far border.
        score = hdrvdp3(pair[0], pair[1], ppd=20.0).q
        flipped = hdrvdp3(pair[0].flip(-1, -2), pair[1].flip(-1, -2), ppd=20.0).q
        torch.testing.assert_close(flipped, score, atol=0.05, rtol=0)

    def test_single_precision(self, pair):
        exact = hdrvdp3(*pair, ppd=PPD)
        single = hdrvdp3(*pair, ppd=PPD, dtype=torch.float32)
        assert single.q.dtype == torch.float64
        torch.testing.assert_close(single.q, exact.q, atol=1e-3, rtol=0)
        images = [image.float() for image in pair]
        torch.testing.assert_close(
            hdrvdp3(*images, ppd=PPD).q, hdrvdp3(*(i.double() for i in images), ppd=PPD).q, atol=0, rtol=0
        )

    def test_extreme_images_keep_a_finite_score(self):
        black, white = torch.zeros(1, 3, 31, 33), torch.full((1, 3, 31, 33), 1e9)
        for encoding in ("rgb-bt.709", "rgb-native"):
            for pred, ref in ((black, white), (white, black), (black - 5, black), (black, black)):
                scores = torch.cat(hdrvdp3(pred, ref, encoding=encoding, ppd=PPD))
                assert torch.isfinite(scores).all()
                assert (scores <= 10).all()

    @pytest.mark.parametrize(("size", "ppd"), [((9, 9), PPD), ((9, 60), 2.01), ((13, 12), 100.0), ((26, 27), 4.0)])
    def test_small_images(self, size, ppd):
        ref = 100 * random(1, 3, *size)
        assert hdrvdp3(ref * 1.5, ref, ppd=ppd).q.item() < 10


class TestGradient:
    @pytest.mark.parametrize("task", ["quality", "detection"])
    def test_gradcheck(self, task):
        ref = 50 + 100 * random(1, 1, 27, 29)
        pred = (ref * (1.1 + 0.3 * random(*ref.shape, seed=1))).requires_grad_()
        assert torch.autograd.gradcheck(
            lambda p, r: hdrvdp3(p, r, encoding="luminance", ppd=PPD, task=task).q,
            (pred, ref.requires_grad_()),
            fast_mode=True,
        )

    def test_path_with_gradient_gives_the_same_value(self, pair):
        for ppd in (4.5, PPD):
            plain = hdrvdp3(*pair, ppd=ppd).q
            torch.testing.assert_close(hdrvdp3(pair[0].clone().requires_grad_(), pair[1], ppd=ppd).q, plain)

    @pytest.mark.parametrize("encoding", ["sRGB-display", "rgb-bt.709", "rgb-native"])
    def test_finite_where_images_agree_or_are_black(self, encoding):
        ref = random(1, 3, 32, 32)
        ref[..., :10] = 0
        pred = ref.clone()
        pred[..., 20:] += 0.1
        hdrvdp3(pred.requires_grad_(), ref, encoding=encoding, ppd=PPD).q_jod.sum().backward()
        assert torch.isfinite(pred.grad).all()
        assert pred.grad.any()

    def test_after_inference_mode(self, pair):
        with torch.inference_mode():
            hdrvdp3(*pair, ppd=17.0)
        pred = pair[0].clone().requires_grad_()
        hdrvdp3(pred, pair[1], ppd=17.0).q.sum().backward()
        assert pred.grad.any()


class TestBadInput:
    def test_what_every_metric_refuses(self, pair):
        with pytest.raises(ValueError, match="one shape"):
            hdrvdp3(pair[0][:2], pair[1], ppd=PPD)
        with pytest.raises(ValueError, match="images with pixels"):
            hdrvdp3(pair[0][:0], pair[1][:0], ppd=PPD)
        with pytest.raises(ValueError, match="NaN"):
            hdrvdp3(pair[0] * math.nan, pair[1], ppd=PPD)

    @pytest.mark.parametrize("ppd", [0.0, 2.0, -30.0, math.nan, math.inf])
    def test_resolution(self, pair, ppd):
        with pytest.raises(ValueError, match="more than 2 pixels per degree"):
            hdrvdp3(*pair, ppd=ppd)

    def test_size(self):
        with pytest.raises(ValueError, match="9x9"):
            hdrvdp3(torch.ones(1, 3, 8, 40), torch.ones(1, 3, 8, 40), ppd=PPD)
        with pytest.raises(ValueError, match="15x15"):
            hdrvdp3(torch.ones(1, 3, 14, 40), torch.ones(1, 3, 14, 40), ppd=PPD, task="detection")

    def test_names(self, pair):
        with pytest.raises(HdrbenchError, match=r"did you mean 'rgb-bt\.709'"):
            hdrvdp3(*pair, encoding="rgb-bt709", ppd=PPD)
        with pytest.raises(HdrbenchError, match="did you mean 'quality'"):
            hdrvdp3(*pair, ppd=PPD, task="qualty")

    def test_channels(self, pair):
        with pytest.raises(ValueError, match=r"1 channel\(s\), got 3"):
            hdrvdp3(*pair, encoding="luminance", ppd=PPD)

    def test_negative_luma_and_overflow(self):
        images = torch.full((1, 1, 20, 20), -0.1)
        with pytest.raises(ValueError, match="must not be negative"):
            hdrvdp3(images, images, encoding="luma-display", ppd=PPD)
        with pytest.raises(ValueError, match="overflowed"):
            hdrvdp3(images.double() * 1e307, images.double(), encoding="luminance", ppd=PPD)


class TestDisplay:
    def test_white_has_the_luminance_it_says(self):
        for name in ("rgb-bt.709", "rgb-bt.2020", "rgb-native", "luminance"):
            encoding = ENCODINGS[name]
            light = show(torch.full((1, encoding.channels, 2, 2), 400.0, dtype=torch.float64), encoding)
            long, medium, _ = mix(light, encoding.to_receptors)
            # The CIE 1931 luminance of a matrix is not quite that of the cones.
            torch.testing.assert_close(long + medium, torch.full_like(long, 400.0), rtol=0.03, atol=0)

    def test_codes_give_1_to_100(self):
        codes = torch.tensor([0.0, 0.5, 1.0]).double().view(1, 1, 1, 3)
        luma = show(codes, ENCODINGS["luma-display"])[0].flatten()
        torch.testing.assert_close(luma, torch.tensor([1.0, 99 * 0.5**2.2 + 1, 100.0]).double())

    def test_colours_outside_the_gamut_are_raised(self):
        blue = torch.tensor([0.0, 0.0, 50.0]).double().view(1, 3, 1, 1)
        assert min(primary.item() for primary in show(blue, ENCODINGS["rgb-bt.709"])) == 1e-6
        assert min(primary.item() for primary in show(blue, ENCODINGS["rgb-native"])) == 0


class TestEye:
    def test_optics_keep_a_flat_field_and_the_mean(self):
        image = random(1, 20, 31)
        gain, flat = mtf(frequencies(20, 31, PPD, image)), torch.full_like(image, 7.0)
        torch.testing.assert_close(filter_mirrored(flat, gain), flat)
        torch.testing.assert_close(filter_mirrored(image, gain).mean(), image.mean())

    def test_optics_are_the_transfer_function_on_mirrored_images(self):
        image = random(14, 15)
        mirrored = np.pad(image.numpy(), ((0, 14), (0, 15)), mode="symmetric")
        rho = np.hypot(np.fft.fftfreq(28, 1 / PPD)[:, None], np.fft.fftfreq(30, 1 / PPD))
        expected = np.fft.ifft2(np.fft.fft2(mirrored) * mtf(torch.from_numpy(rho)).numpy()).real[:14, :15]
        for given in (image, image.clone().requires_grad_()):
            filtered = filter_mirrored(given, mtf(frequencies(14, 15, PPD, image)))
            np.testing.assert_allclose(filtered.detach(), expected, atol=1e-13)

    def test_adaptation_is_a_gaussian_of_the_logarithm(self):
        image = 1 + 100 * random(1, 60, 70)
        sigma = ADAPTATION_SIGMA * 20
        radius = math.floor(6 * sigma + 0.5) // 2
        expected = np.exp(ndimage.gaussian_filter(np.log(image[0].numpy()), sigma, mode="nearest", radius=radius))
        np.testing.assert_allclose(adaptation(image, 20.0)[0], expected, rtol=1e-12)

    @pytest.mark.parametrize("size", [(80, 90), (21, 33)])
    def test_wide_adaptation_is_periodic(self, size):
        image = 1 + 100 * random(1, *size)
        extended = np.pad(np.log(image[0].numpy()), ((0, size[0]), (0, size[1])), mode="edge")
        expected = fft.ifft2(ndimage.fourier_gaussian(fft.fft2(extended), ADAPTATION_SIGMA * 60)).real
        np.testing.assert_allclose(adaptation(image, 60.0)[0], np.exp(expected[: size[0], : size[1]]), rtol=1e-10)

    def test_response_grows_with_light(self):
        light = torch.logspace(-5, 5, 200, dtype=torch.float64).view(1, 1, -1)
        assert (respond(EYE, light, light, light).diff() > 0).all()

    def test_lookup_interpolates(self):
        x = torch.linspace(-5, 5, 77, dtype=torch.float64)
        table = random(31)
        expected = np.interp(x, np.linspace(-5, 5, 31), table)
        np.testing.assert_allclose(lookup(x, table), expected, atol=1e-12)

    def test_sensitivity_has_no_steps_and_ignores_a_flat_field(self):
        log_luminance = torch.linspace(-5, 5, 1001, dtype=torch.float64)
        assert (neural_csf(EYE, 4.0, log_luminance).diff().abs() < 0.05).all()
        assert not neural_csf(EYE, 0.0, log_luminance).any()
        torch.testing.assert_close(
            neural_csf(EYE, 1e-9 + 4.0, log_luminance), neural_csf(EYE, 4.0, log_luminance), rtol=1e-7, atol=0
        )


class TestPyramid:
    @pytest.mark.parametrize(("size", "height"), [((13, 13), 1), ((27, 51), 2), ((104, 104), 4), ((9, 12), 0)])
    def test_bands_are_those_of_spatial_filters(self, size, height):
        high_0, low_0, low, band = (kernel.numpy() for kernel in KERNELS)
        image = random(1, *size)
        rest = ndimage.correlate(image[0].numpy(), low_0, mode="mirror")
        expected = [ndimage.correlate(image[0].numpy(), high_0, mode="mirror")]
        for _ in range(height):
            expected.append(ndimage.correlate(rest, band, mode="mirror"))
            rest = ndimage.correlate(rest, low, mode="mirror")[::2, ::2]
        assert height == min(ISOTROPIC.max_height(size), 4)
        for got, want in zip(decompose(image, height, ISOTROPIC), [*expected, rest], strict=True):
            np.testing.assert_allclose(got[0, 0], want, atol=1e-14)

    def test_filters_split_the_spectrum(self):
        # High-pass and low-pass power add up to 1, as far as kernels of this size can.
        high_0, low_0, low, band = (np.abs(np.fft.fft2(k.numpy(), (64, 64))) for k in KERNELS)
        np.testing.assert_allclose(high_0**2 + low_0**2, 1, atol=0.1)
        inner = np.abs(np.fft.fftfreq(64)) < 0.25
        np.testing.assert_allclose((band**2 + low**2 / 4)[np.ix_(inner, inner)], 1, atol=0.15)
