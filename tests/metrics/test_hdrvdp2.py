"""HDR-VDP-2 and its parts, against GNU Octave, SciPy and torch, and the laws they must keep."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from scipy.ndimage import correlate

from hdrbench.errors import HdrbenchError
from hdrbench.metrics.hdrvdp.display import ENCODINGS, pixels_per_degree, show
from hdrbench.metrics.hdrvdp.eye import lookup, mtf, neural_csf, response_tables
from hdrbench.metrics.hdrvdp.fourier import filter_surrounded, frequencies
from hdrbench.metrics.hdrvdp.pyramid import STEERABLE, decompose
from hdrbench.metrics.hdrvdp.resize import resampling_matrix, resize
from hdrbench.metrics.hdrvdp.v2 import EYE, hdrvdp2


def noise(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def formula_pair(height, width, channels, scale, offset):
    y, x, c = np.mgrid[:height, :width, :channels].astype(float)
    ref = scale * (1.2 + np.sin((x + 1 + c) / 3) * np.cos((y + 1) / (5 + c))) + offset
    pred = ref * (1 + 0.1 * np.sin(x * y / 7))
    return tuple(torch.from_numpy(image).permute(2, 0, 1)[None] for image in (pred, ref))


# Q of HDR-VDP 2.2.2 in GNU Octave 7.3 with octave-image 2.14, for pairs that `formula_pair` makes.
OCTAVE = [
    (37, 53, 3, 100, 0, "rgb-bt.709", 30, 62.9095682731),
    (61, 40, 3, 100, 0, "XYZ", 24, 68.2536394637),
    (61, 40, 1, 100, 0, "luminance", 60, 57.5245073635),
    (48, 64, 3, 0.4, 0, "sRGB-display", 4, 98.2014975424),
    (35, 35, 1, 0.4, 0, "luma-display", 12, 81.3650877078),
    (40, 33, 3, 100, -60, "rgb-bt.709", 30, 77.0967088060),
    (33, 70, 3, 1e-3, 0, "rgb-bt.709", 30, 96.0426535735),
    (33, 70, 3, 1e5, 0, "rgb-bt.709", 45, 70.5420575125),
    (15, 16, 3, 100, 0, "rgb-bt.709", 30, 88.2411802928),
]


class TestQuality:
    @pytest.mark.parametrize("case", OCTAVE, ids=lambda c: f"{c[0]}x{c[1]}-{c[5]}-{c[3]}")
    def test_same_as_the_release_in_octave(self, case):
        *shape, encoding, ppd, expected = case
        pair = formula_pair(*shape)
        assert hdrvdp2(*pair, encoding=encoding, ppd=ppd).item() == pytest.approx(expected, abs=1e-8)
        single = hdrvdp2(*pair, encoding=encoding, ppd=ppd, dtype=torch.float32).item()
        assert single == pytest.approx(expected, abs=5e-3)

    @pytest.mark.parametrize("level", [0.0, 1e-9, 1.0, 1e7])
    def test_no_difference_scores_exactly_100(self, level):
        flat = torch.full((1, 3, 20, 24), level)
        assert hdrvdp2(flat, flat, ppd=30).tolist() == [100.0]
        textured = level * noise(1, 3, 20, 24)
        assert hdrvdp2(textured, textured, ppd=30).tolist() == [100.0]

    def test_more_noise_scores_worse_and_black_against_light_is_finite(self):
        ref = 100 * noise(1, 3, 40, 40)
        scores = [hdrvdp2(ref * (1 + s * noise(1, 3, 40, 40, seed=1)), ref, ppd=30).item() for s in (0, 0.01, 0.1, 1)]
        assert scores == sorted(scores, reverse=True)
        assert len(set(scores)) == 4
        black = torch.zeros_like(ref)
        for pair in ((black, ref), (ref, black)):
            assert hdrvdp2(*pair, ppd=30).item() < scores[-1]

    def test_a_change_where_the_reference_is_negative_does_not_count(self):
        # As in the release, which is why callers must not pass negative light.
        light = 100 * noise(1, 3, 20, 24)
        assert hdrvdp2(light, light - 200, ppd=30).tolist() == [100.0]
        assert hdrvdp2(light - 200, light, ppd=30).item() < 100

    def test_one_value_per_image_whatever_its_neighbours(self):
        ref = 100 * noise(3, 3, 30, 41)
        pred = ref * (1 + torch.tensor([0.01, 0.1, 0.5]).view(3, 1, 1, 1) * noise(3, 3, 30, 41, seed=1))
        together = hdrvdp2(pred, ref, ppd=30)
        assert together.shape == (3,)
        assert together.dtype == torch.float64
        for k in range(3):
            assert torch.equal(hdrvdp2(pred[k : k + 1], ref[k : k + 1], ppd=30), together[k : k + 1])

    def test_float32_images_are_computed_in_float64(self):
        ref = (100 * noise(1, 3, 20, 24)).float()
        pred = ref * 1.1
        assert torch.equal(hdrvdp2(pred, ref, ppd=30), hdrvdp2(pred.double(), ref.double(), ppd=30))

    def test_mirror_images_score_the_same(self):
        # With 33 pixels, every level of the pyramid samples both borders, so nothing distinguishes left from right.
        ref = 100 * noise(1, 3, 33, 33)
        pred = ref * (1 + 0.1 * noise(1, 3, 33, 33, seed=1))
        for dim in (-1, -2):
            assert hdrvdp2(pred.flip(dim), ref.flip(dim), ppd=30).item() == pytest.approx(
                hdrvdp2(pred, ref, ppd=30).item(), abs=1e-9
            )

    def test_a_neutral_image_of_luminance_is_seen_as_one_of_rgb_nearly(self):
        ref = 100 * noise(1, 1, 32, 32)
        pred = ref * (1 + 0.1 * noise(1, 1, 32, 32, seed=1))
        grey = hdrvdp2(pred, ref, encoding="luminance", ppd=30).item()
        white = hdrvdp2(pred.expand(1, 3, 32, 32), ref.expand(1, 3, 32, 32), ppd=30).item()
        assert grey == pytest.approx(white, abs=1.0)

    @pytest.mark.parametrize("encoding", ["rgb-bt.709", "sRGB-display"])
    def test_gradient(self, encoding):
        ref = 0.1 + 0.8 * noise(1, 3, 20, 23)
        pred, direction = ref * (1 + 0.2 * noise(1, 3, 20, 23, seed=1)), noise(1, 3, 20, 23, seed=2) - 0.5
        step = torch.zeros((), dtype=torch.float64, requires_grad=True)

        def score(step):
            return hdrvdp2(pred + step * direction, ref - 0.5 * step * direction, encoding=encoding, ppd=30)

        assert torch.autograd.gradcheck(score, step, eps=1e-7, atol=1e-4, rtol=1e-4)
        assert score(step).item() == pytest.approx(score(0.0).item(), abs=1e-10)

    def test_gradient_of_identical_images_is_zero_not_nan(self):
        ref = 100 * noise(1, 3, 20, 20)
        pred = ref.clone().requires_grad_()
        hdrvdp2(pred, ref, ppd=30).sum().backward()
        assert torch.equal(pred.grad, torch.zeros_like(ref))

    def test_gradient_after_inference_mode(self):
        pred, ref = formula_pair(39, 43, 3, 100, 0)
        with torch.inference_mode():
            expected = hdrvdp2(pred, ref, ppd=30).item()
        pred.requires_grad_()
        score = hdrvdp2(pred, ref, ppd=30)
        score.backward()
        assert score.item() == pytest.approx(expected, abs=1e-10)
        assert torch.isfinite(pred.grad).all()
        assert pred.grad.abs().max() > 0

    def test_bad_input_is_refused(self):
        image = torch.rand(1, 3, 20, 20)
        with pytest.raises(ValueError, match="one shape"):
            hdrvdp2(image, image[:, :1], ppd=30)
        with pytest.raises(ValueError, match="images with pixels"):
            hdrvdp2(image[:0], image[:0], ppd=30)
        with pytest.raises(ValueError, match="1 values that are NaN"):
            hdrvdp2(
                image.index_fill(3, torch.tensor([0]), 1.0), torch.where(image == image.max(), math.nan, image), ppd=30
            )
        with pytest.raises(ValueError, match="at least 15x15 pixels"):
            hdrvdp2(image[..., :14], image[..., :14], ppd=30)
        for ppd in (0, -1, math.inf, math.nan):
            with pytest.raises(ValueError, match="positive number of pixels per degree"):
                hdrvdp2(image, image, ppd=ppd)
        with pytest.raises(ValueError, match="to compute in, got torch"):
            hdrvdp2(image, image, ppd=30, dtype=torch.float16)
        with pytest.raises(ValueError, match=r"'luminance' is of images of 1 channel\(s\), got 3"):
            hdrvdp2(image, image, encoding="luminance", ppd=30)
        with pytest.raises(ValueError, match="must not be negative"):
            hdrvdp2(-image[:, :1], image[:, :1], encoding="luma-display", ppd=30)
        with pytest.raises(HdrbenchError, match="did you mean 'sRGB-display'"):
            hdrvdp2(image, image, encoding="srgb-display", ppd=30)

    @pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
    def test_overflow_is_an_error_not_nan(self):
        image = noise(1, 3, 20, 20)
        with pytest.raises(ValueError, match="overflowed"):
            hdrvdp2(image * 1e307, image, ppd=30)


class TestPyramid:
    def test_kernels(self):
        assert STEERABLE.low_0.sum().item() == pytest.approx(1, abs=1e-6)
        assert STEERABLE.low.sum().item() == pytest.approx(2, abs=1e-6)
        assert STEERABLE.high_0.sum().abs().item() < 1e-6
        assert STEERABLE.bands.sum(dim=(-2, -1)).abs().max() < 1e-12
        for even in (STEERABLE.high_0, STEERABLE.low_0, STEERABLE.low):
            assert torch.equal(even, even.T)
            assert torch.equal(even, even.flip(0))
        assert torch.equal(STEERABLE.bands, -STEERABLE.bands.flip((1, 2)))

    @pytest.mark.parametrize("size", [(96, 80), (51, 77), (17, 20), (15, 16)])
    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
    def test_same_as_spatial_filters(self, size, dtype):
        images = noise(2, *size)
        height = STEERABLE.max_height(size)
        bands = decompose(images.to(dtype), height, STEERABLE)
        for n, image in enumerate(images.numpy()):
            expected = [[correlate(image, STEERABLE.high_0, mode="mirror")]]
            low = correlate(image, STEERABLE.low_0, mode="mirror")
            for _ in range(height):
                expected.append([correlate(low, k, mode="mirror") for k in STEERABLE.bands])
                low = correlate(low, STEERABLE.low, mode="mirror")[::2, ::2]
            expected.append([low])
            assert len(bands) == height + 2
            for band, reference in zip(bands, expected, strict=True):
                assert band.dtype == dtype
                error = np.abs(band[n].double().numpy() - np.stack(reference)).max()
                assert error < (1e-12 if dtype == torch.float64 else 1e-5)

    def test_heights(self):
        assert [STEERABLE.max_height(s) for s in ((16, 99), (17, 17), (33, 99), (34, 34), (1000, 1500))] == [
            0,
            1,
            1,
            2,
            6,
        ]
        with pytest.raises(ValueError, match="expected 0 to 1"):
            decompose(noise(1, 20, 20), 2, STEERABLE)
        with pytest.raises(ValueError, match="at least 15x15"):
            decompose(noise(1, 14, 20), 0, STEERABLE)


class TestResize:
    @pytest.mark.parametrize("size", [(20, 30), (10, 15), (80, 120), (40, 15), (160, 240)])
    def test_same_as_torch_far_from_the_border(self, size):
        images = noise(2, 40, 60)
        expected = F.interpolate(images[None], size, mode="bicubic", antialias=True)[0]
        # torch leaves out what lies beyond the border, instead of mirroring the image.
        rim = [max(1, math.ceil(2 * max(1.0, new / old))) for new, old in zip(size, (40, 60), strict=True)]
        inner = (slice(None), slice(rim[0], -rim[0]), slice(rim[1], -rim[1]))
        torch.testing.assert_close(resize(images, size)[inner], expected[inner], atol=1e-12, rtol=0)

    def test_keeps_constants_and_the_same_size(self):
        images = noise(2, 33, 20)
        assert torch.equal(resize(images, (33, 20)), images)
        flat = torch.full((1, 32, 48), 3.0, dtype=torch.float64)
        for size in ((16, 24), (8, 6), (57, 99)):
            torch.testing.assert_close(resize(flat, size), torch.full((1, *size), 3.0, dtype=torch.float64))

    def test_mirrors_at_the_border(self):
        image = noise(1, 7, 5)
        mirrored = torch.cat([image.flip(1), image, image.flip(1)], 1)
        mirrored = torch.cat([mirrored.flip(2), mirrored, mirrored.flip(2)], 2)
        torch.testing.assert_close(resize(image, (14, 10)), resize(mirrored, (42, 30))[:, 14:28, 10:20])

    def test_weights_of_octave(self):
        # Row 1 of imresize(eye(5), [3 5]) in GNU Octave: not divided by its sum, 0.9936.
        row = resampling_matrix(5, 3, torch.float64, torch.device("cpu")).to_dense()[0]
        assert row.tolist() == pytest.approx([0.648, 0.3744, 0, -0.0288, 0], abs=1e-12)


class TestDisplay:
    def test_pixels_per_degree(self):
        # Published uses: SelfHDR's, SAFNet's and the benchmark script's, of GNU Octave.
        assert pixels_per_degree(24, (1500, 1000), 0.5) == pytest.approx(26.762696462554334, rel=1e-14)
        assert pixels_per_degree(28, (1500, 1000), 0.55) == pytest.approx(25.342365242086828, rel=1e-14)
        # A screen twice as high as far fills 90 degrees.
        diagonal = math.hypot(3, 4) * 0.5 / 0.0254
        assert pixels_per_degree(diagonal, (800, 600), 0.75) == pytest.approx(600 / 90)
        for bad in ((0, (10, 10), 1), (24, (10, 0), 1), (24, (10, 10), -1), (math.nan, (10, 10), 1)):
            with pytest.raises(ValueError, match="positive diagonal"):
                pixels_per_degree(*bad)

    def test_light(self):
        ends = torch.tensor([0.0, 1.0], dtype=torch.float64).view(1, 1, 1, 2)
        assert show(ends, ENCODINGS[2]["luma-display"])[0].flatten().tolist() == pytest.approx([1, 100])
        codes = show(ends.expand(1, 3, 1, 2), ENCODINGS[2]["sRGB-display"])
        assert [light.flatten().tolist() for light in codes] == [pytest.approx([1, 100])] * 3
        assert torch.equal(show(ends, ENCODINGS[2]["luminance"])[0], ends[:, 0])
        d65 = torch.tensor([0.95047, 1.0, 1.08883], dtype=torch.float64).view(1, 3, 1, 1)
        white = torch.stack(show(d65, ENCODINGS[2]["XYZ"]))
        torch.testing.assert_close(white, torch.ones_like(white), atol=2e-3, rtol=0)
        blue = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).view(1, 3, 1, 1)
        assert min(primary.item() for primary in show(blue, ENCODINGS[2]["XYZ"])) == -0.49857


class TestEye:
    def test_response_tables_of_octave(self):
        cones, rods = response_tables(EYE)
        assert cones[[0, 1023, -1]].tolist() == pytest.approx([0, 5.934805004, 284.8994849], rel=1e-9)
        assert rods[[0, 1023, -1]].tolist() == pytest.approx([0, 54.00498598, 98.39374138], rel=1e-9)

    def test_lookup(self):
        table = noise(2048)
        x = 10 * noise(50, 7) - 5
        x[0, :2] = torch.tensor([-5.0, 5.0])
        expected = np.interp(x.numpy(), np.linspace(-5, 5, 2048), table.numpy())
        torch.testing.assert_close(lookup(x, table), torch.from_numpy(expected))

    def test_optics_are_a_convolution_with_dark_around(self):
        image, dark = 100 * noise(12, 17), 1e-5
        gain = mtf(frequencies(12, 17, 30.0, image))
        v, u = np.fft.fftfreq(24, 1 / 30), np.fft.fftfreq(34, 1 / 30)
        frequency = torch.from_numpy(np.hypot(v[:, None], u))
        canvas = np.full((24, 34), dark)
        canvas[:12, :17] = image
        expected = np.fft.ifft2(np.fft.fft2(canvas) * mtf(frequency).numpy()).real[:12, :17]
        for given in (image, image.clone().requires_grad_()):
            np.testing.assert_allclose(filter_surrounded(given, gain, dark).detach(), expected, rtol=1e-10)
        flat = torch.full_like(image, dark)
        torch.testing.assert_close(filter_surrounded(flat, gain, dark), flat)

    def test_contrast_sensitivity(self):
        # At a luminance of the table nothing is interpolated; at frequency 0 nothing is seen.
        node, a, b, c, d = EYE.csf[3]
        expected = d / math.sqrt((1 + (4 * a) ** b) / (1 - math.exp(-((4 / 7) ** 2))) ** c)
        log_luminance = torch.tensor([node, node], dtype=torch.float64).log10()
        frequency = torch.tensor([4.0, 0.0], dtype=torch.float64)
        assert neural_csf(EYE, frequency, log_luminance).tolist() == pytest.approx([expected, 0.0])
        outside = torch.tensor([1e-5, 0.002, 150.0, 1e5], dtype=torch.float64).log10()
        ends = neural_csf(EYE, 4.0, outside).tolist()
        assert ends[0] == pytest.approx(ends[1])
        assert ends[2] == pytest.approx(ends[3])
