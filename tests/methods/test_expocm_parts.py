import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from hdrbench.methods.expocm import diffusion, elc
from hdrbench.methods.expocm.consistency import boundary, step_count, target_rate, time_code, time_grid
from hdrbench.methods.expocm.elc import Elc
from hdrbench.methods.expocm.encoding import ENCODINGS, decode, encode
from hdrbench.methods.expocm.masks import Masks, exposure_masks, merge
from hdrbench.methods.expocm.model import ExpoCm
from hdrbench.methods.expocm.trajectory import Trajectory, low_pass


def pair(size=16, count=2, seed=0):
    radiance = torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed)) ** 3
    return {"ldr": (4 * radiance).clamp(0, 1) ** (1 / 2.2), "hdr": radiance}


class TestMasks:
    def test_equal_eq_5_to_7_by_numpy(self):
        ldr = torch.rand(3, 3, 40, 31, generator=torch.Generator().manual_seed(1))
        masks = exposure_masks(ldr)
        for index, image in enumerate(ldr.double().numpy()):
            y = 0.2126 * image[0] + 0.7152 * image[1] + 0.0722 * image[2]
            low, high = np.percentile(y, (2, 98))
            margin = 0.02 * (high - low)
            m_low = np.clip((low + margin - y) / margin, 0, 1)
            m_high = np.clip((y - (high - margin)) / margin, 0, 1)
            over, under = m_high * (1 - m_low), m_low * (1 - m_high)
            for mask, expected in zip(masks, (over, under, 1 - np.maximum(over, under)), strict=True):
                np.testing.assert_allclose(mask[index, 0], expected, atol=2e-4)

    @pytest.mark.parametrize("tau", [0.02, 0.2, 0.49])
    def test_sum_to_one_and_stay_in_0_1(self, tau):
        masks = exposure_masks(torch.rand(2, 3, 33, 20), tau)
        torch.testing.assert_close(sum(masks), torch.ones(2, 1, 33, 20))
        assert all(mask.min() >= 0 and mask.max() <= 1 for mask in masks)
        assert masks.over.max() == masks.under.max() == 1

    def test_are_1_from_the_percentile_on_and_0_within_the_core(self):
        ramp = torch.linspace(0, 1, 101).view(1, 1, 1, 101).expand(1, 3, 1, 101)
        masks = exposure_masks(ramp)
        edge = torch.tensor([1.0, 1.0, 1.0, (0.0392 - 0.03) / 0.0192, 0.0])
        torch.testing.assert_close(masks.under[0, 0, 0, :5], edge, atol=1e-4, rtol=0)
        torch.testing.assert_close(masks.over[0, 0, 0, -5:], edge.flip(0), atol=1e-4, rtol=0)
        assert masks.good[0, 0, 0, 4:97].min() == 1

    def test_an_image_without_contrast_is_well_exposed(self):
        for value in (0.0, 0.3, 1.0):
            assert exposure_masks(torch.full((1, 3, 5, 5), value)).good.min() == 1

    def test_fewer_regions(self):
        masks = exposure_masks(torch.rand(1, 3, 30, 30))
        assert merge(masks, "three") is masks
        for side in ("over", "under"):
            two = merge(masks, "two", side)
            torch.testing.assert_close(getattr(two, side), masks.over + masks.under)
            assert torch.equal(two.good, masks.good)
            torch.testing.assert_close(sum(two), torch.ones_like(masks.good))
        none = merge(masks, "none")
        assert none.good.min() == 1
        assert none.over.max() == none.under.max() == 0

    @pytest.mark.parametrize("tau", [0.0, 0.5])
    def test_transitions_must_not_overlap(self, tau):
        with pytest.raises(ValueError, match="tau"):
            exposure_masks(torch.rand(1, 3, 4, 4), tau)


class TestSchedules:
    def test_steps_grow_from_2_to_151_as_published(self):
        total = 500
        counts = [step_count(k / total) for k in range(total + 1)]
        assert (counts[0], counts[-1]) == (2, 151)
        for k, count in enumerate(counts):
            # The smallest integer n with n + 1 >= sqrt(...) is N(k) - 1.
            square = (k * (151**2 - 4) + 4 * total) / total
            assert (count - 1) ** 2 < square * (1 + 1e-12) <= count**2 * (1 + 2e-12)

    def test_rate_is_a_power_of_the_first(self):
        assert target_rate(2) == pytest.approx(0.95)
        for count in (3, 20, 151):
            assert target_rate(count) == pytest.approx(0.95 ** (2 / count), rel=1e-12)
            assert target_rate(count, first=10, start=0.9) == pytest.approx(0.9 ** (10 / count), rel=1e-12)

    def test_grid_is_even_in_the_root_of_order_rho(self):
        grid = time_grid(18, 0.002, 80.0, 7.0).double().numpy()
        assert (grid[0], grid[-1]) == (np.float32(0.002), 80.0)
        expected = [(0.002 ** (1 / 7) + i / 17 * (80 ** (1 / 7) - 0.002 ** (1 / 7))) ** 7 for i in range(18)]
        np.testing.assert_allclose(grid, expected, rtol=1e-6)

    @pytest.mark.parametrize("values", [(1, 0.1, 1.0, 7.0), (5, 0.0, 1.0, 7.0), (5, 1.0, 1.0, 7.0)])
    def test_grid_needs_a_range(self, values):
        with pytest.raises(ValueError, match="t_min"):
            time_grid(*values)

    def test_scalings(self):
        t = torch.tensor([0.002, 0.5, 80.0], dtype=torch.float64)
        skip, out, scale = boundary(t, 0.002, 0.5)
        assert (skip[0], out[0]) == (1.0, 0.0)
        for index, value in enumerate(t.tolist()):
            assert skip[index].item() == pytest.approx(0.25 / ((value - 0.002) ** 2 + 0.25))
            assert out[index].item() == pytest.approx(0.5 * (value - 0.002) / math.hypot(value, 0.5))
            assert scale[index].item() == pytest.approx(1 / math.hypot(value, 0.5))

    def test_equal_those_of_diffusers(self):
        diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed")
        reference = diffusers.CMStochasticIterativeScheduler(num_train_timesteps=40)
        np.testing.assert_allclose(
            time_grid(40, 0.002, 80.0, 7.0).numpy()[::-1], reference.sigmas[:40].numpy(), rtol=1e-5
        )
        for t in (0.002, 0.7, 80.0):
            skip, out, _ = boundary(torch.tensor(t, dtype=torch.float64), 0.002, 0.5)
            assert (skip.item(), out.item()) == pytest.approx(reference.get_scalings_for_boundary_condition(t))

    def test_time_code(self):
        assert time_code(torch.tensor([1.0, math.e])).tolist() == pytest.approx([0.0, 250.0])
        assert time_code(torch.tensor([0.5]), "linear").tolist() == [500.0]


class TestTrajectory:
    def setup_method(self):
        batch = pair(24)
        self.x0, self.y0 = encode(batch["hdr"], "mu_law"), 2 * batch["ldr"] - 1
        self.masks, self.noise = exposure_masks(batch["ldr"]), torch.randn(2, 3, 24, 24)
        self.path = Trajectory(sigma_over=1.5, sigma_under=0.7, sigma_good=0.3, lambda_under=0.8, blur=2.0)

    def only(self, name):
        one, zero = torch.ones_like(self.masks.good), torch.zeros_like(self.masks.good)
        return Masks(**{field: one if field == name else zero for field in Masks._fields})

    @pytest.mark.parametrize("region", Masks._fields)
    def test_all_weight_on_one_region_gives_its_equation(self, region):
        t = torch.tensor([0.3, 1.0])
        low = torch.stack(
            [torch.from_numpy(gaussian_filter(y.numpy(), (0, 2, 2), mode="nearest", truncate=3)) for y in self.y0]
        )
        guide, sigma = {"over": (0, 1.5), "under": (0.8 * low, 0.7), "good": (self.y0, 0.3)}[region]
        a = ((t - 0.002) / 0.998).view(2, 1, 1, 1)
        expected = (1 - a) * self.x0 + a * guide + sigma * t.view(2, 1, 1, 1) * self.noise
        torch.testing.assert_close(self.path.state(self.x0, self.y0, self.only(region), self.noise, t), expected)

    def test_is_the_blend_of_the_regions(self):
        t = torch.tensor([0.1, 0.9])
        regions = self.path.regions(self.x0, self.y0, self.noise, t)
        blend = sum(mask * region for mask, region in zip(self.masks, regions, strict=True))
        torch.testing.assert_close(self.path.state(self.x0, self.y0, self.masks, self.noise, t), blend)

    def test_starts_at_the_image_and_ends_without_it(self):
        first = torch.full((2,), 0.002)
        start = Trajectory().state(self.x0, self.y0, self.masks, self.noise, first)
        torch.testing.assert_close(start, self.x0 + 0.002 * self.noise)
        end = self.path.state(self.x0, self.y0, self.masks, self.noise, torch.ones(2))
        torch.testing.assert_close(end, self.path.end(self.y0, self.masks, self.noise))

    def test_without_masks_it_is_eq_3(self):
        t = torch.tensor([0.4, 0.4])
        a = (0.4 - 0.002) / 0.998
        expected = (1 - a) * self.x0 + a * self.y0 + 0.4 * self.noise
        torch.testing.assert_close(
            Trajectory(masks="none").state(self.x0, self.y0, self.masks, self.noise, t), expected
        )

    def test_alpha_is_a_power_of_the_time_passed(self):
        t = torch.tensor([0.002, 0.501, 1.0])
        torch.testing.assert_close(Trajectory(alpha_power=2.0).alpha(t), torch.tensor([0.0, 0.25, 1.0]))

    def test_low_pass_takes_images_smaller_than_its_kernel(self):
        image = torch.rand(1, 3, 2, 5)
        expected = gaussian_filter(image.numpy(), (0, 0, 3, 3), mode="nearest", truncate=3)
        torch.testing.assert_close(low_pass(image, 3.0), torch.from_numpy(expected))


class TestEncoding:
    @pytest.mark.parametrize("kind", ENCODINGS)
    def test_round_trip(self, kind):
        hdr = torch.linspace(0, 1, 50, dtype=torch.float64)
        code = encode(hdr, kind)
        assert (code[0], code[-1]) == (-1, pytest.approx(1))
        torch.testing.assert_close(decode(code, kind), hdr)

    @pytest.mark.parametrize("kind", ENCODINGS)
    def test_is_smooth_and_rises_beyond_its_range(self, kind):
        code = torch.linspace(-30, 30, 601, dtype=torch.float64, requires_grad=True)
        hdr = decode(code, kind)
        (slope,) = torch.autograd.grad(hdr.sum(), code)
        assert torch.isfinite(hdr).all()
        assert (slope > 0).all()
        inside, outside = decode(torch.tensor([1 - 1e-7, 1 + 1e-7], dtype=torch.float64), kind)
        assert (outside - inside).item() == pytest.approx(2e-7 * slope[-1].item(), rel=1e-3)


class TestElc:
    @pytest.mark.parametrize("weighting", [True, False])
    def test_is_zero_at_equality_only(self, weighting):
        batch = pair()
        masks, loss = exposure_masks(batch["ldr"]), Elc(weighting=weighting)
        assert loss.loss(batch["hdr"], batch["hdr"], batch["ldr"], masks).item() == pytest.approx(0, abs=1e-9)
        assert loss.loss(0.9 * batch["hdr"], batch["hdr"], batch["ldr"], masks) > 1e-3

    @pytest.mark.parametrize("value", [0.0, 1.0, 40.0, -3.0, 1e-8])
    @pytest.mark.parametrize("true", [0.0, 0.5, 1.0])
    def test_value_and_gradient_are_finite(self, value, true):
        ldr = torch.rand(1, 3, 8, 8)
        pred = torch.full((1, 3, 8, 8), value, requires_grad=True)
        loss = Elc(chroma_base=1.0).loss(pred, torch.full_like(pred, true), ldr, exposure_masks(ldr))
        loss.backward()
        assert torch.isfinite(loss)
        assert torch.isfinite(pred.grad).all()
        if abs(value - true) > 1e-3:
            assert (pred.grad.sum() > 0) == (value > true)

    def test_gradients_of_the_network_output_are_finite(self):
        code = torch.linspace(-20, 20, 3 * 64).view(1, 3, 8, 8).requires_grad_()
        ldr = torch.rand(1, 3, 8, 8)
        Elc().loss(decode(code, "mu_law"), torch.rand(1, 3, 8, 8), ldr, exposure_masks(ldr)).backward()
        assert torch.isfinite(code.grad).all()
        assert code.grad.abs().max() > 0

    def test_equals_eq_12_to_15_by_scikit_image(self):
        color = pytest.importorskip("skimage.color.colorconv", reason="scikit-image is not installed")
        batch = pair(20, 1, seed=3)
        ldr, hdr, pred = batch["ldr"], batch["hdr"], (batch["hdr"] * 1.3 + 0.01)
        masks = exposure_masks(ldr)
        over, under = masks.over[0, 0].double().numpy(), masks.under[0, 0].double().numpy()
        lab = []
        for image in (pred, hdr):
            xyz = image[0].double().permute(1, 2, 0).numpy() @ color.xyz_from_rgb.T
            lab.append(np.moveaxis(color.xyz2lab(xyz), -1, 0))
        d_l, d_c = lab[0][0] - lab[1][0], np.hypot(*(lab[0] - lab[1])[1:])
        y = np.tensordot((0.2126, 0.7152, 0.0722), ldr[0].double().numpy(), 1)
        s_y, h_y = 1 / (1 + np.exp(-(0.2 - y) / 0.1)), 1 / (1 + np.exp(-(y - 0.8) / 0.1))
        a_spec = 1 / (1 + np.hypot(lab[1][1], lab[1][2]) / 10)
        w_l = 0.01 * (1 + 3 * s_y * under**1.5 + 1 * a_spec * over**1.5)
        w_c = 0.02 * (3 * over**1.5 * (1 - a_spec) * h_y + 0.5 * under**1.5 * (1 - s_y))
        rho = lambda x: np.sqrt(x**2 + 1e-6) - 1e-3  # noqa: E731
        expected = (w_l * rho(d_l)).mean() + (w_c * rho(d_c)).mean()
        value = Elc(alpha=1.5, lambda_c=0.02).loss(pred, hdr, ldr, masks).item()
        assert value == pytest.approx(expected, rel=1e-4)

    def test_luma_is_of_the_reference_if_asked(self):
        batch = pair(20, 1, seed=3)
        ldr, hdr, pred = batch["ldr"], batch["hdr"], 1.3 * batch["hdr"]
        masks = exposure_masks(ldr)
        value = Elc(luma="hdr").loss(pred, hdr, ldr, masks)
        assert value == Elc().loss(pred, hdr, hdr, masks)
        assert value != Elc().loss(pred, hdr, ldr, masks)

    def test_white_is_a_scale_of_the_light(self):
        batch = pair(20, 1, seed=3)
        ldr, hdr, pred = batch["ldr"], batch["hdr"], 1.3 * batch["hdr"]
        masks = exposure_masks(ldr)
        expected = Elc().loss(4 * pred, 4 * hdr, ldr, masks).item()
        assert Elc(white=0.25).loss(pred, hdr, ldr, masks).item() == pytest.approx(expected, rel=1e-5)

    def test_without_weighting_every_pixel_counts_alike(self):
        batch = pair(20, 1, seed=3)
        luma, chroma = batch["ldr"][:, :1], batch["hdr"][:, :1]
        for weight, expected in zip(
            Elc(weighting=False, lambda_c=0.02).weights(luma, exposure_masks(batch["ldr"]), chroma),
            (0.01, 0.02),
            strict=True,
        ):
            assert torch.equal(weight, torch.full_like(luma, expected))

    def test_eq_14_as_printed_leaves_well_exposed_colour_alone(self):
        luma, chroma = torch.rand(1, 1, 4, 4), torch.rand(1, 1, 4, 4)
        masks = merge(Masks(luma, luma, luma), "none")
        lightness, colour = Elc().weights(luma, masks, chroma)
        assert colour.max() == 0
        assert torch.equal(lightness, torch.full_like(luma, 0.01))
        assert Elc(chroma_base=1.0).weights(luma, masks, chroma)[1].min() == pytest.approx(0.01)

    def test_charbonnier_has_the_gradient_of_the_printed_penalty(self):
        x = torch.linspace(-1, 1, 21, dtype=torch.float64, requires_grad=True)
        (gradient,) = torch.autograd.grad(elc.charbonnier(x.square(), 0.1).sum(), x)
        torch.testing.assert_close(gradient, x.detach() / (x.detach().square() + 0.01).sqrt())


class TestSampling:
    @pytest.mark.parametrize(("kind", "steps"), [("ddpm", 1000), ("ddim", 50)])
    def test_a_perfect_noise_predictor_recovers_the_image(self, kind, steps):
        pytest.importorskip("diffusers", reason="diffusers is not installed")
        x0 = torch.rand(2, 3, 4, 4) * 2 - 1
        kept = make_alphas()
        calls = []

        def predict(state, step):
            calls.append(step[0].item())
            a = kept[step[0]].float()
            return (state - a.sqrt() * x0) / (1 - a).sqrt()

        assert ExpoCm(width=4, sampler=kind).steps == steps
        result = diffusion.sample(kind, steps, predict, torch.randn(2, 3, 4, 4), seed=0)
        torch.testing.assert_close(result, x0, rtol=0, atol=1e-3)
        assert calls == list(range(1000 - 1000 // steps, -1, -1000 // steps))

    @pytest.mark.parametrize(("kind", "steps"), [("ddpm", 10), ("ddpm", 50), ("ddim", 10)])
    def test_states_of_a_perfect_predictor_are_as_noisy_as_those_of_training(self, kind, steps):
        pytest.importorskip("diffusers", reason="diffusers is not installed")
        kept, spreads = make_alphas(), []

        def predict(state, step):  # of an image that is 0, mid-grey, everywhere
            noise = (1 - kept[step[0]].float()).sqrt()
            spreads.append((state.std() / noise).item())
            return state / noise

        diffusion.sample(kind, steps, predict, torch.zeros(1, 3, 64, 64), seed=0)
        assert spreads[: steps // 2] == pytest.approx([1.0] * (steps // 2), abs=0.06)


def make_alphas():
    return torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)
