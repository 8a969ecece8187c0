"""Golden values of independent implementations, and the laws every full-reference metric must keep."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from hdrbench import metrics
from hdrbench.errors import HdrbenchError
from hdrbench.metrics.ssim import ssim

GOLDEN = Path(__file__).parents[1] / "golden"
VALUES = json.loads((GOLDEN / "full_reference.json").read_text())["values"]


def image(name):
    return torch.from_numpy(np.load(GOLDEN / f"{name}.npy")).permute(2, 0, 1)[None]


@pytest.mark.parametrize("entry", VALUES, ids=lambda e: f"{e['metric']}-{e['test']}-{e['implementation']}")
def test_golden(entry):
    value = metrics.get(entry["metric"])(image(entry["test"]), image(entry["ref"])).item()
    assert value == pytest.approx(entry["value"], abs=entry["tolerance_abs"])


@pytest.fixture(scope="module")
def pair():
    generator = torch.Generator().manual_seed(0)
    ref = torch.rand(3, 3, 24, 30, generator=generator) ** 3
    return (ref + 0.02 * torch.randn(ref.shape, generator=generator)).clamp(0, 1), ref


@pytest.mark.parametrize("name", metrics.METRICS)
class TestLaws:
    def test_identical_images_score_best(self, name, pair):
        best = metrics.get(name)(pair[1], pair[1])
        assert torch.isinf(best).all() if name.startswith("psnr") else torch.allclose(best, torch.ones_like(best))

    def test_more_noise_scores_worse(self, name, pair):
        noise = torch.randn(pair[1].shape, generator=torch.Generator().manual_seed(1))
        scores = [metrics.get(name)((pair[1] + s * noise).clamp(0, 1), pair[1]) for s in (0.003, 0.01, 0.03, 0.1)]
        sign = 1 if metrics.get(name).better == "higher" else -1
        assert (torch.stack(scores).diff(dim=0) * sign < 0).all()

    def test_one_value_per_image_whatever_its_neighbours(self, name, pair):
        together = metrics.get(name)(*pair)
        assert together.shape == (3,)
        assert together.dtype == torch.float64
        order = torch.tensor([2, 0, 1])
        torch.testing.assert_close(metrics.get(name)(pair[0][order], pair[1][order]), together[order])
        torch.testing.assert_close(metrics.get(name)(pair[0][:1], pair[1][:1]), together[:1])

    def test_bad_input_is_refused(self, name, pair):
        metric = metrics.get(name)
        with pytest.raises(ValueError, match="one shape"):
            metric(pair[0][:2], pair[1])
        broken = pair[0].clone()
        broken[0, 0, 0, 0] = float("nan")
        with pytest.raises(ValueError, match="1 values that are NaN"):
            metric(broken, pair[1])


def test_same_as_scikit_image(pair):
    pred, ref = (batch[0].permute(1, 2, 0).double().numpy() for batch in pair)
    assert metrics.get("psnr_l")(*pair)[0].item() == pytest.approx(peak_signal_noise_ratio(ref, pred, data_range=1))
    expected = structural_similarity(
        ref, pred, data_range=1, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert metrics.get("ssim_l")(*pair)[0].item() == pytest.approx(expected, abs=1e-12)


def test_ssim_needs_room_for_its_window():
    with pytest.raises(ValueError, match="11x11"):
        ssim(torch.zeros(1, 3, 10, 30), torch.zeros(1, 3, 10, 30))


def test_unknown_metric_suggests_a_near_one():
    with pytest.raises(HdrbenchError, match="did you mean 'psnr_mu'"):
        metrics.get("psnr-mu")
