"""What every metric of the catalogue must keep, whatever it measures."""

import dataclasses
import math
from pathlib import Path

import pytest
import torch

from hdrbench import metrics, protocol
from hdrbench.errors import HdrbenchError
from hdrbench.metrics import scoring
from hdrbench.metrics.scoring import Subject

REFERENCES = (Path(__file__).parents[2] / "REFERENCES.bib").read_text()
SIDE = 176  # the least that MS-SSIM takes
PROTOCOL = protocol.get("expocm")
# SSIM-PU extends the border, as MATLAB does.
ANY_SIZE = ("psnr_l", "psnr_mu", "psnr_pu", "psnry_pu", "psnr_display", "ssim_pu", "ciede2000", "mse_l", "l1_l")
FULL_REFERENCE = [name for name, card in metrics.METRICS.items() if card.needs == "reference"]


def noise(scale, seed=1, count=1):
    return scale * torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


def scenes(count=1):
    """Smooth scenes of three decades with an edge, in (0, 1]."""
    axis = torch.linspace(0, 1, SIDE)
    planes = [torch.sin(5 * axis[:, None] * (k + 1)) * torch.cos(4 * axis[None] + k) for k in range(3 * count)]
    image = 10 ** (torch.stack(planes).view(count, 3, SIDE, SIDE) * 0.8 - 1.5)
    image[..., 60:110, 40:100] *= 4
    return image / image.flatten(1).amax(1).view(-1, 1, 1, 1)


def value(name, pred, ref, settings=PROTOCOL):
    skip_unless_here(name)
    return scoring.score(name, Subject(settings, pred, ref))


def skip_unless_here(name):
    reason = metrics.unavailable(name)
    if reason:
        pytest.skip(reason)


@pytest.mark.parametrize("name", metrics.METRICS)
def test_card(name):
    card = metrics.get(name)
    assert card.better in ("higher", "lower")
    assert card.needs in ("reference", "stack", "nothing")
    assert f"{{{card.source}," in REFERENCES
    assert name in scoring._COMPUTE


def test_nothing_is_computed_without_a_card():
    assert set(scoring._COMPUTE) == set(metrics.METRICS)


@pytest.mark.parametrize("name", FULL_REFERENCE)
class TestFullReference:
    def test_identical_images_score_perfectly(self, name):
        result = value(name, scenes(), scenes())
        assert result.item() == pytest.approx(metrics.get(name).perfect, abs=1e-9)

    def test_more_noise_scores_worse(self, name):
        ref = scenes()
        found = [value(name, (ref * (1 + noise(s))).clamp(1e-4, 1), ref).item() for s in (0.02, 0.06, 0.18)]
        assert found == sorted(found, reverse=metrics.get(name).better == "higher")
        assert len(set(found)) == 3

    def test_one_value_per_image_whatever_its_neighbours(self, name):
        ref = scenes(3)
        pred = (ref * (1 + noise(0.1, count=3))).clamp(1e-4, 1)
        together = value(name, pred, ref)
        assert together.shape == (3,)
        assert together.dtype == torch.float64
        order = torch.tensor([2, 0, 1])
        torch.testing.assert_close(value(name, pred[order], ref[order]), together[order])
        torch.testing.assert_close(value(name, pred[:1], ref[:1]), together[:1])

    def test_bad_input_is_refused(self, name):
        ref = scenes()
        with pytest.raises(ValueError, match="one shape"):
            value(name, ref[..., 1:], ref)
        broken = ref.clone()
        broken[0, 0, 0, 0] = float("nan")
        with pytest.raises(ValueError, match="NaN"):
            value(name, broken, ref)

    @pytest.mark.parametrize("level", [0.0, 1.0])
    def test_flat_images_give_a_number_or_a_reason(self, name, level):
        flat = torch.full((1, 3, SIDE, SIDE), level)
        settings = dataclasses.replace(PROTOCOL, normalisation="none")
        assert value(name, flat, flat, settings).item() == pytest.approx(metrics.get(name).perfect, abs=1e-6)
        assert not math.isnan(value(name, flat, scenes(), settings).item())
        assert not math.isnan(value(name, scenes(), flat, settings).item())

    def test_tiny_images_give_a_number_or_a_reason(self, name):
        ref, pred = scenes()[..., :7, :9], (scenes() * 0.9)[..., :7, :9]
        if name in ANY_SIZE:
            assert not math.isnan(value(name, pred, ref).item())
        else:
            with pytest.raises((ValueError, HdrbenchError), match="7"):
                value(name, pred, ref)

    def test_missing_reference_is_refused(self, name):
        skip_unless_here(name)
        with pytest.raises(ValueError, match="needs a reference"):
            scoring.score(name, Subject(PROTOCOL, scenes()))


def test_alignment_normalisation_and_crop_are_acted_upon():
    ref = scenes()
    dim = ref * 0.25
    plain = dataclasses.replace(PROTOCOL, normalisation="none")
    assert math.isinf(value("psnr_l", dim, ref, dataclasses.replace(plain, alignment="max")).item())
    assert value("psnr_l", dim, ref, plain).item() < 40
    bright = 8 * ref
    assert value("psnr_l", 8 * dim, bright).item() == pytest.approx(value("psnr_l", dim, ref, plain).item())
    edge = ref.clone()
    edge[..., :4, :] = 0
    assert math.isinf(value("psnr_l", edge, ref, dataclasses.replace(plain, crop=4)).item())
    with pytest.raises(ValueError, match="crops 90 pixels"):
        value("psnr_l", ref, ref, dataclasses.replace(plain, crop=90))


# A metric, and a value of the setting under which its score must be another.
TELLING = {
    "alignment": ("psnr_l", "median"),
    "normalisation": ("psnr_l", "none"),
    "crop": ("ssim_l", 5),
    "peak": ("ssim_l", 2.0),
    "mu": ("psnr_mu", 100.0),
    "ssim": ("ssim_mu", "matlab_volume"),
    "display_peak": ("psnr_pu", 4000.0),
    "display_black": ("psnr_pu", 1.0),
    "vdp_encoding": ("hdrvdp3", "sRGB-display"),
    "vdp_order": ("hdrvdp2", "reference first"),
    "ppd": ("hdrvdp2", 60.0),
    "display_inches": ("hdrvdp2", 30.0),
    "distance_m": ("hdrvdp2", 1.0),
    "tone_map": ("shown", "gamma"),
}


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(protocol.Protocol)])
def test_every_setting_is_acted_upon(field, monkeypatch):
    if field in ("source", "vdp2", "vdp3"):
        pytest.skip("words, and versions of which there is one each")
    name, setting = TELLING[field]
    ref = 0.7 * scenes()
    pred = (ref * (1 + noise(0.1))).clamp(1e-4, 1)
    base = dataclasses.replace(PROTOCOL, ppd=None if field in ("display_inches", "distance_m") else 30.0)
    if field == "peak":
        base = dataclasses.replace(base, normalisation="none")
    found = []
    for settings in (base, dataclasses.replace(base, **{field: setting})):
        subject = Subject(settings, pred, ref)
        found.append(subject.shown if name == "shown" else scoring.score(name, subject))
    assert not torch.equal(*found)


@pytest.mark.parametrize("tone_map", [name for name in protocol.CHOICES["tone_map"] if name not in ("none", "gamma")])
def test_tone_maps_of_protocols_are_presets_and_give_display_codes(tone_map):
    from hdrbench.imaging.tonemapping.presets import PRESETS

    assert tone_map in PRESETS
    shown = Subject(dataclasses.replace(PROTOCOL, tone_map=tone_map), 3 * scenes(), scenes()).shown
    assert 0 <= shown.min() < shown.max() <= 1


def test_ssim_variants_of_protocols_exist():
    from hdrbench.metrics.ssim import VARIANTS

    assert set(protocol.CHOICES["ssim"]) <= set(VARIANTS)


@pytest.mark.parametrize(("order", "first"), [("prediction first", "pred"), ("reference first", "ref")])
def test_official_and_native_get_the_same_order(order, first, monkeypatch):
    """The official program's first argument is the image that is tested."""
    pred, ref = 0.5 * scenes(), scenes()
    subject = Subject(dataclasses.replace(PROTOCOL, vdp_order=order), pred, ref)
    native = subject.vdp(lambda test, reference, **options: test)
    monkeypatch.setattr(scoring, "find_official", lambda version: type("Code", (), {"version": "2.2.2"}))
    given = {}

    def official(pred, ref, *, encoding, ppd, order):
        given.update(test=pred if order == "output,target" else ref)
        return pred

    subject.official_vdp(official, "2.2.2")
    expected = {"pred": subject.absolute[0], "ref": subject.absolute[1]}[first]
    assert torch.equal(native, expected)
    assert torch.equal(given["test"], expected)


def test_official_code_of_another_version_is_refused(monkeypatch):
    monkeypatch.setattr(scoring, "find_official", lambda version: type("Code", (), {"version": "2.2.1"}))
    with pytest.raises(HdrbenchError, match=r"wants HDR-VDP 2\.2\.2, but the official code here is 2\.2\.1"):
        Subject(PROTOCOL, scenes(), scenes()).official_vdp(lambda *images, **options: None, "2.2.2")


def test_light_that_is_negative_does_not_hide_from_hdrvdp():
    ref = scenes()
    pred = ref.clone()
    pred[..., 40:80, 40:80] = -0.5
    settings = dataclasses.replace(PROTOCOL, vdp_encoding="sRGB-display", vdp_order="reference first")
    black = pred.clamp_min(0)
    assert value("hdrvdp2", pred, ref, settings).item() == value("hdrvdp2", black, ref, settings).item() < 99.9


@pytest.mark.parametrize("name", ["psnr_mu", "psnr_pu", "ciede2000", "hdrvdp2"])
def test_display_codes_are_not_taken_for_light(name):
    skip_unless_here(name)
    with pytest.raises(ValueError, match="needs linear light"):
        scoring.score(name, Subject(PROTOCOL, scenes(), 0.9 * scenes(), coded=True))


def test_no_reference_metrics_see_the_normalised_prediction():
    bright = Subject(PROTOCOL, 40 * scenes(), 50 * scenes()).shown
    torch.testing.assert_close(bright, Subject(PROTOCOL, 0.8 * scenes(), scenes()).shown)
    with pytest.raises(ValueError, match="scales images by their reference"):
        _ = Subject(PROTOCOL, scenes()).shown


def test_unknown_metric_suggests_a_near_one():
    with pytest.raises(HdrbenchError, match="did you mean 'psnr_mu'"):
        metrics.get("psnr-mu")
