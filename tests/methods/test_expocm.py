import sys

import pytest
import torch

from hdrbench import methods
from hdrbench.errors import HdrbenchError
from hdrbench.imaging.transfer import mu_law
from hdrbench.methods import Batch
from hdrbench.methods.expocm import diffusion, losses
from hdrbench.methods.expocm.consistency import step_count
from hdrbench.methods.expocm.encoding import decode
from hdrbench.methods.expocm.masks import exposure_masks
from hdrbench.methods.expocm.model import ExpoCm
from hdrbench.methods.expocm.network import UNet
from hdrbench.pipeline import checkpoint
from hdrbench.pipeline.cost import cost

TIMES = torch.tensor([[1.0, 4.0, 16.0]])


def pair(size=16, count=2, seed=0):
    radiance = torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed)) ** 3
    return {"ldr": (4 * radiance).clamp(0, 1) ** (1 / 2.2), "hdr": radiance}


def small(**options):
    torch.manual_seed(0)
    return ExpoCm(width=4, **options)


def test_costs_are_those_of_the_groups_public_network():
    counted = cost("expocm", {}, "single_image", (256, 256))
    assert counted["params"] == 20_763_651 / 1e6
    assert f"{counted['macs_counted']:.1f}" == "151.7"


@pytest.mark.parametrize("sampler", ["consistency", "ddpm"])
@pytest.mark.parametrize("size", [(1, 1), (8, 8), (17, 23)])
def test_any_size_goes_through(sampler, size):
    network, ldr = small(sampler=sampler), torch.rand(1, 3, *size)
    assert network(ldr).shape == ldr.shape


def test_padding_does_not_change_what_needs_none():
    """An image that is extended by its own last row and column gives the same result as one that is padded."""
    network, state, ldr = UNet(width=4).eval(), torch.randn(1, 3, 15, 15), torch.rand(1, 3, 15, 15)
    wide = [torch.nn.functional.pad(x, (0, 1, 0, 1), mode="replicate") for x in (state, ldr)]
    code = torch.tensor([3.0])
    torch.testing.assert_close(network(state, ldr, code), network(*wide, code)[..., :15, :15])


@pytest.mark.parametrize("width", [4, 32, 64, 96])
def test_groups_hold_two_channels_or_more(width):
    for module in UNet(width, (1, 2), 1, ()).modules():
        if isinstance(module, torch.nn.GroupNorm):
            assert module.num_channels >= 2 * module.num_groups
            assert module.num_groups == min(32, width // 2)


def test_identity_at_t_min():
    network, ldr, state = small(), torch.rand(2, 3, 16, 16), torch.randn(2, 3, 16, 16)
    t = torch.full((2,), network.trajectory.t_min)
    for target in (False, True):
        assert torch.equal(network(ldr, at=(state, t), target=target), state)
    assert not torch.equal(network(ldr, at=(state, 2 * t)), state)


def test_zero_initialisation_predicts_nothing():
    assert (
        small(initialisation="zero").unet(torch.randn(1, 3, 8, 8), torch.rand(1, 3, 8, 8), torch.ones(1)).abs().max()
        == 0
    )


def test_the_guide_is_the_ldr_image_as_codes_or_as_light():
    ldr = pair()["ldr"]
    torch.testing.assert_close(small().observed(ldr), 2 * ldr - 1)
    linear = small(guide="linear")
    for y0 in (linear.observed(ldr), linear.condition(ldr)):
        torch.testing.assert_close(y0, 2 * mu_law(ldr**2.2) - 1)
    assert torch.equal(small(guide="linear", naive_level=0.5).observed(ldr), small(naive_level=0.5).observed(ldr))


def test_settings_of_the_schedulers_reach_diffusers():
    pytest.importorskip("diffusers", reason="diffusers is not installed")
    large = small(sampler="ddpm", scheduler={"variance_type": "fixed_large"})
    assert diffusion.make_scheduler("ddpm", large.scheduler).config.variance_type == "fixed_large"
    network = small(sampler="ddim", scheduler={"timestep_spacing": "trailing", "beta_end": 0.03})
    scheduler = diffusion.make_scheduler("ddim", network.scheduler)
    scheduler.set_timesteps(10)
    assert (scheduler.timesteps[0], scheduler.betas[-1]) == (999, pytest.approx(0.03))


class TestNaiveLevel:
    """The result starts from gamma 2.2 alone."""

    LEVEL = 0.25

    def test_an_untrained_network_without_noise_returns_the_naive_image(self):
        quiet = dict.fromkeys(("sigma_over", "sigma_under", "sigma_good"), 0.0) | {"masks": "none"}
        network, batch = small(initialisation="zero", naive_level=self.LEVEL, **quiet), pair()
        naive = batch["ldr"] ** 2.2 * self.LEVEL
        torch.testing.assert_close(network.reconstruct(batch["ldr"]), naive, rtol=1e-4, atol=1e-6)
        unclipped = batch["ldr"] < 1
        torch.testing.assert_close(naive[unclipped], batch["hdr"][unclipped], rtol=1e-4, atol=1e-6)

    def test_the_identity_at_t_min_stays(self):
        network, ldr, state = small(naive_level=self.LEVEL), torch.rand(2, 3, 16, 16), torch.randn(2, 3, 16, 16)
        t = torch.full((2,), network.trajectory.t_min)
        torch.testing.assert_close(network(ldr, at=(state, t)), state)

    def test_trajectories_end_in_the_naive_image(self):
        network, ldr = small(naive_level=self.LEVEL, masks="none", sigma_good=0.0), pair()["ldr"]
        torch.testing.assert_close(network.start(ldr)[0], 2 * mu_law(ldr**2.2 * self.LEVEL) - 1)

    def test_diffusion_is_of_what_is_missing(self, monkeypatch):
        pytest.importorskip("diffusers", reason="diffusers is not installed")
        network, batch = small(sampler="ddim", naive_level=self.LEVEL), pair()
        missing = 2 * mu_law(batch["hdr"]) - 1 - network.base(batch["ldr"])
        monkeypatch.setattr(diffusion, "sample", lambda *_: missing)
        torch.testing.assert_close(network.reconstruct(batch["ldr"]), batch["hdr"], rtol=1e-4, atol=1e-6)

    def test_the_paper_has_none(self):
        assert small().naive_level is None
        assert not small().base(pair()["ldr"]).any()


class TestReconstruct:
    def test_is_one_network_call_from_x_t(self):
        network, ldr = small(), pair()["ldr"]
        calls = []
        network.unet.register_forward_hook(lambda *_: calls.append(1))
        hdr = methods.get("expocm").reconstruct(network, ldr, TIMES).hdr
        assert len(calls) == 1
        state, t = network.start(ldr)
        assert torch.equal(hdr, decode(network(ldr, at=(state, t)).clamp(-1, 1), "mu_law"))
        assert 0 <= hdr.min() <= hdr.max() <= 1

    def test_repeats_whatever_the_random_state_and_the_batch(self):
        network, ldr = small(), pair()["ldr"]
        first = network.reconstruct(ldr)
        torch.manual_seed(77)
        assert torch.equal(network.reconstruct(ldr), first)
        torch.testing.assert_close(network.reconstruct(ldr[1:]), first[1:], rtol=1e-4, atol=1e-6)
        assert not torch.equal(small(noise_seed=1).reconstruct(ldr), first)

    def test_weights_are_chosen(self):
        ldr, networks = pair()["ldr"], [small(inference=kind) for kind in ("online", "target")]
        for network in networks:
            torch.nn.init.ones_(network.unet.output[-1].weight)
        online, target = (network.reconstruct(ldr) for network in networks)
        assert not torch.equal(online, target)
        networks[1].update_target(0.0)
        assert torch.equal(networks[1].reconstruct(ldr), online)


class TestTarget:
    def test_is_seen_by_checkpoints_only(self):
        network = small()
        assert not list(network.target.parameters())
        assert sum(p.numel() for p in network.parameters()) == sum(b.numel() for b in network.buffers())
        names = set(network.state_dict())
        assert {name.replace("unet.", "target.", 1) for name in names if name.startswith("unet.")} <= names

    def test_is_a_copy_that_follows(self):
        network = small()
        old = [b.clone() for b in network.target.buffers()]
        with torch.no_grad():
            for parameter in network.unet.parameters():
                parameter.add_(1.0)
        assert all(torch.equal(a, b) for a, b in zip(old, network.target.buffers(), strict=True))
        network.update_target(0.75)
        for before, after, new in zip(old, network.target.buffers(), network.unet.parameters(), strict=True):
            torch.testing.assert_close(after, 0.75 * before + 0.25 * new)

    def test_takes_part_from_the_second_iteration_on_by_the_rate_of_the_one_before(self):
        objective, _ = losses.objective(stage_one=1.0)
        network, batch = small(), pair()
        objective(network, Batch(batch, 0, 100))
        old = network.target.output[-1].weight.clone()
        torch.nn.init.ones_(network.unet.output[-1].weight)
        objective(network, Batch(batch, 37, 100))
        rate = 0.95 ** (2 / step_count(36 / 100))
        torch.testing.assert_close(network.target.output[-1].weight, rate * old + (1 - rate))


class TestObjective:
    def test_first_iteration_is_eq_4_between_both_ends(self):
        """N(0) = 2, and the target at t_min is the identity."""
        network, batch = small(), pair()
        torch.manual_seed(5)
        value = losses.objective()[0](network, Batch(batch, 0, 10))["consistency"]
        torch.manual_seed(5)
        torch.randint(1, (2,))
        noise, x0 = torch.randn(2, 3, 16, 16), 2 * mu_law(batch["hdr"]) - 1
        x_t = network.trajectory.end(2 * batch["ldr"] - 1, exposure_masks(batch["ldr"]), noise)
        expected = (network(batch["ldr"], at=(x_t, torch.ones(2))) - (x0 + 0.002 * noise)).square().mean()
        torch.testing.assert_close(value, expected)

    @pytest.mark.parametrize(
        ("options", "iteration", "terms"),
        [
            ({}, 7, {"consistency"}),
            ({}, 8, {"consistency", "elc"}),
            ({"stage_one": 1.0}, 9, {"consistency"}),
            ({"stage_one": 0.5, "consistency_in_stage_two": 0.0}, 5, {"elc"}),
        ],
    )
    def test_stages(self, options, iteration, terms):
        objective, notes = losses.objective(**options)
        network = small()
        values = objective(network, Batch(pair(), iteration, 10))
        assert set(values) == terms
        assert notes == []
        sum(values.values()).backward()
        for name, parameter in network.named_parameters():
            assert torch.isfinite(parameter.grad).all(), name

    def test_no_gradient_reaches_the_target(self):
        network = small()
        losses.objective()[0](network, Batch(pair(), 5, 10))["consistency"].backward()
        assert all(not buffer.requires_grad for buffer in network.target.buffers())

    def test_twenty_steps_under_fabric_lower_the_one_step_error(self):
        from lightning_fabric import Fabric

        coarse = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
        hdr = torch.nn.functional.interpolate(coarse, (16, 16), mode="bilinear") ** 3
        batch, network = {"ldr": (4 * hdr).clamp(0, 1) ** (1 / 2.2), "hdr": hdr}, small()

        def error():
            return (mu_law(network.reconstruct(batch["ldr"])) - mu_law(hdr)).abs().mean().item()

        before, (objective, _) = error(), losses.objective(last_steps=5)
        fabric = Fabric(accelerator="cpu", devices=1)
        wrapped, optimizer = fabric.setup(network, torch.optim.Adam(network.parameters(), 1e-2))
        for iteration in range(20):
            total = sum(objective(wrapped, Batch(batch, iteration, 20)).values())
            optimizer.zero_grad()
            fabric.backward(total)
            optimizer.step()
        assert error() < 0.7 * before

    @pytest.mark.parametrize("cut", [3, 6])
    @pytest.mark.parametrize("options", [{}, {"sampler": "ddpm", "inference": "target"}])
    def test_a_run_cut_in_either_stage_goes_on_exactly(self, options, cut, tmp_path):
        if options:
            pytest.importorskip("diffusers", reason="diffusers is not installed")

        def go(network, optimizer, start, stop):
            objective, _ = losses.objective(stage_one=0.5)
            for iteration in range(start, stop):
                torch.manual_seed(iteration)
                total = sum(objective(network, Batch(pair(8), iteration, 8)).values())
                optimizer.zero_grad()
                total.backward()
                optimizer.step()

        def fresh(seed):
            torch.manual_seed(seed)
            network = ExpoCm(width=4, multipliers=(1, 2), blocks=1, attention=(), **options)
            return network, torch.optim.AdamW(network.parameters(), 1e-3)

        whole, first, second = fresh(0), fresh(0), fresh(1)
        go(*whole, 0, 8)
        go(*first, 0, cut)
        checkpoint.write(tmp_path / "state", checkpoint.pack(*first), {"identity": {}})
        checkpoint.unpack(checkpoint.read(tmp_path / "state")[0], *second)
        go(*second, cut, 8)
        for name, value in whole[0].state_dict().items():
            assert torch.equal(value, second[0].state_dict()[name]), name

    def test_elc_may_be_taken_from_any_time_of_the_grid(self, monkeypatch):
        network, batch, seen = small(), pair(), []
        called = network.unet.forward
        monkeypatch.setattr(network.unet, "forward", lambda *a: seen.append(a[2]) or called(*a))
        for start, least in (("end", 1.0), ("any", 0.002)):
            seen.clear()
            objective, _ = losses.objective(
                stage_one=0.5, elc_from=start, consistency_in_stage_two=0.0, first_steps=3, last_steps=3
            )
            for iteration in range(5, 10):
                assert torch.isfinite(objective(network, Batch(batch, iteration, 10))["elc"])
            found = {t for code in seen for t in torch.exp(code / 250).tolist()}
            assert max(found) == pytest.approx(1.0)
            assert (len(found) > 1) == (start == "any")
            assert min(found) > least - 1e-6

    @pytest.mark.parametrize(
        "options",
        [{"stage_one": 0.0}, {"stage_one": 1.1}, {"luma": "hsv"}, {"elc_from": "t"}, {"ema_rate": 1.0}],
    )
    def test_bad_options_are_one_line(self, options):
        with pytest.raises(HdrbenchError, match=next(iter(options))):
            losses.objective(**options)


class TestDiffusion:
    def test_training_loss_is_the_error_of_the_noise(self):
        pytest.importorskip("diffusers", reason="diffusers is not installed")
        network, batch = small(sampler="ddpm"), pair()
        torch.manual_seed(5)
        values = losses.objective()[0](network, Batch(batch))
        torch.manual_seed(5)
        steps, noise = torch.randint(1000, (2,)), torch.randn(2, 3, 16, 16)
        betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
        a = torch.cumprod(1 - betas, 0)[steps].float().view(2, 1, 1, 1)
        state = a.sqrt() * (2 * mu_law(batch["hdr"]) - 1) + (1 - a).sqrt() * noise
        expected = (network(batch["ldr"], at=(state, steps)) - noise).square().mean()
        assert set(values) == {"noise"}
        torch.testing.assert_close(values["noise"], expected, rtol=1e-4, atol=1e-6)

    @pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
    def test_reconstructs_each_image_alike_alone_or_in_a_batch(self, sampler):
        pytest.importorskip("diffusers", reason="diffusers is not installed")
        network, ldr = small(sampler=sampler, ddpm_steps=3, ddim_steps=3), pair()["ldr"]
        both = methods.get("expocm").reconstruct(network, ldr, TIMES).hdr
        assert 0 <= both.min() <= both.max() <= 1
        torch.testing.assert_close(network.reconstruct(ldr[1:]), both[1:], rtol=1e-3, atol=1e-5)

    def test_weights_of_ddpm_and_ddim_fit_each_other(self):
        network = small(sampler="ddpm")
        assert small(sampler="ddim").load_state_dict(network.state_dict())
        assert network.target is None

    def test_the_average_of_the_weights_may_reconstruct(self):
        pytest.importorskip("diffusers", reason="diffusers is not installed")
        network, ldr = small(sampler="ddim", ddim_steps=3, inference="target"), pair()["ldr"]
        objective, _ = losses.objective(ema_rate=0.75)
        before, old = network.reconstruct(ldr), network.target.output[-1].bias.clone()
        objective(network, Batch(pair(), 0, 10))
        torch.nn.init.constant_(network.unet.output[-1].bias, 1.0)
        assert torch.equal(network.reconstruct(ldr), before)
        objective(network, Batch(pair(), 1, 10))
        torch.testing.assert_close(network.target.output[-1].bias, 0.75 * old + 0.25)
        assert not torch.equal(network.reconstruct(ldr), before)

    def test_without_diffusers_it_says_what_to_install(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "diffusers", None)
        with pytest.raises(HdrbenchError, match="install 'diffusers"):
            small(sampler="ddim").reconstruct(pair()["ldr"])
        assert small().reconstruct(pair()["ldr"]).shape == (2, 3, 16, 16)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 5}, "even"),
        ({"width": 80}, "multiple of 32"),
        ({"attention": [7]}, "attention"),
        ({"blocks": 0}, "blocks"),
        ({"initialisation": "he"}, "pytorch or zero"),
        ({"sampler": "edm"}, "consistency, ddpm, ddim"),
        ({"ddpm_steps": 0}, "ddpm_steps must be from 1 to 1000"),
        ({"sampler": "ddim", "ddim_steps": 2000}, "ddim_steps must be from 1 to 1000"),
        ({"naive_level": 0.0}, "naive_level"),
        ({"guide": "hdr"}, "codes, linear"),
        ({"time_code": "cosine"}, "log, linear"),
        ({"inference": "both"}, "online, target"),
        ({"scheduler": {"eta": 1.0}}, "beta_start, beta_end"),
        ({"scheduler": {"timestep_spacing": "even"}}, "leading, trailing, linspace"),
        ({"encoding": "log"}, "mu_law, linear"),
        ({"masks": "four"}, "three, two, none"),
        ({"ill_posed": "both"}, "over or under"),
        ({"t_min": 2.0}, "t_min"),
        ({"blur": 0.0}, "blur"),
        ({"sigma_left": 1.0}, "sigma_left"),
    ],
)
def test_bad_options_are_one_line(options, message):
    with pytest.raises(HdrbenchError, match=message):
        methods.build("expocm", {"width": 4} | options)
