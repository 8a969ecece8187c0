"""What every registered method must do, so that the engine can treat them alike."""

from pathlib import Path

import pytest
import torch

from hdrbench import methods
from hdrbench.errors import HdrbenchError

REFERENCES = (Path(__file__).parents[2] / "REFERENCES.bib").read_text()
SMALL = {
    "usme_hdr": {"width": 4},
    "unsupervised_fusion": {"width_divisor": 16},
    "cevr": {"width_divisor": 16},
    "multi_exposure_generation": {"width_divisor": 16},
    "expandnet": {"width": 4},
    "expocm": {"width": 4},
}
RECONSTRUCT = [name for name in methods.names() if methods.get(name).reconstruct is not None]
MERGE = [name for name in methods.names() if methods.get(name).merge is not None]
EXPOSE = [name for name in methods.names() if methods.get(name).expose is not None]
FUSE = [name for name in methods.names() if methods.get(name).fuse is not None]


def build(name):
    torch.manual_seed(0)
    return methods.build(name, SMALL.get(name, {})).eval()


def counts(name):
    """Numbers of exposures that a method should take."""
    frames = methods.get(name).frames
    return (2, 3, 5) if frames is None else (frames,)


def exposures(count, size=(21, 34)):
    """Two stacks, from dark to bright."""
    radiance = torch.rand(2, 1, 3, *size, generator=torch.Generator().manual_seed(0)) ** 3
    return (radiance * 4.0 ** torch.arange(count).view(1, -1, 1, 1, 1)).clamp(0, 1) ** (1 / 2.2)


@pytest.mark.parametrize("name", methods.names())
class TestEveryMethod:
    def test_describes_itself(self, name):
        method = methods.get(name)
        assert method.title
        assert f"{{{method.reference}," in REFERENCES
        assert name in {*RECONSTRUCT, *EXPOSE, *MERGE, *FUSE}
        assert method.frames is None or (name in FUSE and method.frames >= 2)

    def test_refuses_an_objective_that_is_not_there(self, name):
        make = methods.get(name).objective
        if make is not None:
            with pytest.raises(TypeError, match="no_such_option"):
                make(no_such_option=1)
        else:
            assert next(build(name).parameters(), None) is None


@pytest.mark.parametrize("name", RECONSTRUCT)
class TestEveryReconstruction:
    def test_is_finite_and_of_the_input_size(self, name):
        middle = torch.rand(2, 3, 21, 34, generator=torch.Generator().manual_seed(0))
        times = torch.tensor([[1.0, 4.0, 16.0], [1.0, 8.0, 64.0]])
        result = methods.get(name).reconstruct(build(name), middle, times)
        assert result.hdr.shape == middle.shape
        assert torch.isfinite(result.hdr).all()
        assert all(image.shape == middle.shape for image in result.exposures.values())

    def test_survives_black_and_white_input(self, name):
        for value in (0.0, 1.0):
            image = torch.full((1, 3, 16, 16), value)
            result = methods.get(name).reconstruct(build(name), image, torch.tensor([[1.0, 4.0, 16.0]]))
            assert torch.isfinite(result.hdr).all()


@pytest.mark.parametrize("name", EXPOSE)
class TestEveryExposure:
    def test_is_a_picture_of_the_input_size_and_0_is_the_input(self, name):
        image = exposures(3)[:, 1]
        made = methods.get(name).expose(build(name), image, (-1.5, 0.0, 2.0))
        assert made.shape == (2, 3, 3, 21, 34)
        assert torch.isfinite(made).all()
        assert made.min() >= 0
        assert made.max() <= 1
        assert torch.equal(made[:, 1], image)

    def test_images_of_a_batch_do_not_mix(self, name):
        network, image = build(name), exposures(3)[:, 1]
        expose = methods.get(name).expose
        forward = expose(network, image, (-1.0, 1.0))
        torch.testing.assert_close(expose(network, image.flip(0), (-1.0, 1.0)).flip(0), forward, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(expose(network, image[:1], (-1.0, 1.0)), forward[:1], rtol=1e-4, atol=1e-5)

    def test_survives_black_and_white_input(self, name):
        for value in (0.0, 1.0):
            made = methods.get(name).expose(build(name), torch.full((1, 3, 16, 16), value), (-1.0, 1.0))
            assert torch.isfinite(made).all()


@pytest.mark.parametrize("name", MERGE)
class TestEveryMerge:
    def test_gives_radiance_back_whatever_the_batch(self, name):
        radiance = torch.rand(2, 3, 40, 56, generator=torch.Generator().manual_seed(0)) * 3 + 0.02
        evs = (-2.0, -1.0, 0.0, 1.0, 2.0)
        stack = torch.stack([(radiance * 2.0**ev).clamp(0, 1) ** (1 / 2.2) for ev in evs], 1)
        merged = methods.get(name).merge(build(name), stack, evs)
        assert merged.shape == radiance.shape
        assert (merged / radiance).log2().abs().median() < 0.1
        torch.testing.assert_close(methods.get(name).merge(build(name), stack[1:], evs), merged[1:])


@pytest.mark.parametrize("name", FUSE)
class TestEveryFusion:
    def check(self, fusion, stack):
        assert fusion.image.shape == stack[:, 0].shape
        assert torch.isfinite(fusion.image).all()
        assert fusion.image.min() >= 0
        assert fusion.image.max() <= 1
        if fusion.weights is not None:
            assert fusion.weights.shape == (*stack.shape[:2], 1, *stack.shape[3:])
            torch.testing.assert_close(fusion.weights.sum(1), torch.ones_like(stack[:, 0, :1]))

    def test_is_a_picture_of_the_input_size(self, name):
        for count in counts(name):
            for size in ((21, 34), (16, 64)):
                stack = exposures(count, size)
                kept = stack.clone()
                self.check(methods.get(name).fuse(build(name), stack), stack)
                assert torch.equal(stack, kept)

    def test_scenes_of_a_batch_do_not_mix(self, name):
        network = build(name)
        for count in counts(name):
            stack = exposures(count)
            fuse = methods.get(name).fuse
            forward, backward = fuse(network, stack).image, fuse(network, stack.flip(0)).image
            torch.testing.assert_close(backward.flip(0), forward, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(fuse(network, stack[:1]).image, forward[:1], rtol=1e-4, atol=1e-5)

    def test_survives_black_and_white_exposures(self, name):
        for count in counts(name):
            stack = torch.linspace(0, 1, count).view(1, -1, 1, 1, 1).expand(1, -1, 3, 16, 16).contiguous()
            self.check(methods.get(name).fuse(build(name), stack), stack)


def test_all_abilities_are_covered():
    assert {"cevr", "multi_exposure_generation", "gamma_linear"} <= set(EXPOSE)
    assert {"usme_hdr", "gamma_linear"} <= set(RECONSTRUCT)
    assert {"mertens", "adaptive_weights", "unsupervised_fusion"} <= set(FUSE)


def test_unknown_method_suggests_a_near_one():
    with pytest.raises(HdrbenchError, match="did you mean 'usme_hdr'"):
        methods.get("usme-hdr")


def test_a_method_that_cannot_be_imported_says_so(monkeypatch, tmp_path):
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "__init__.py").write_text("import a_package_that_is_not_there\n")
    monkeypatch.setattr(methods, "__file__", str(tmp_path / "__init__.py"))
    monkeypatch.setattr(methods, "__path__", [str(tmp_path)])
    with pytest.raises(HdrbenchError, match="a_package_that_is_not_there"):
        methods.get("broken")
