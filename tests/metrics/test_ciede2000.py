"""CIEDE2000 against the paper's table, scikit-image, and the laws of a colour difference."""

import numpy as np
import pytest
import torch
from skimage.color import deltaE_ciede2000, xyz2lab

from hdrbench.errors import HdrbenchError
from hdrbench.metrics.ciede2000 import BLOCK, CONSTANTS, ciede2000, delta_e_2000, linear_to_lab

# Pairs of the table in Sharma2005 that tell the mean of two hues, its sides of 180 degrees and grey apart.
SHARMA = (
    (50.0, 2.6772, -79.7751, 50.0, 0.0, -82.7485, 2.0425),
    (50.0, 0.0, 0.0, 50.0, -1.0, 2.0, 2.3669),
    (50.0, 2.49, -0.001, 50.0, -2.49, 0.0009, 7.1792),
    (50.0, 2.49, -0.001, 50.0, -2.49, 0.0010, 7.1792),
    (50.0, 2.49, -0.001, 50.0, -2.49, 0.0011, 7.2195),
    (50.0, -0.001, 2.49, 50.0, 0.001, -2.49, 4.8045),
    (50.0, -0.001, 2.49, 50.0, 0.0011, -2.49, 4.7461),
    (50.0, 2.5, 0.0, 73.0, 25.0, -18.0, 27.1492),
    (50.0, 2.5, 0.0, 56.0, -27.0, -3.0, 31.9030),
)


def uniform(*shape, seed=0, low=0.0, high=1.0):
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("row", SHARMA)
@pytest.mark.parametrize("gradient", [False, True], ids=["arrays", "tensors"])
def test_published_pairs_either_way_round(row, gradient):
    first, second = (torch.tensor(row[i : i + 3], dtype=torch.float64).view(3, 1, 1) for i in (0, 3))
    first.requires_grad_(gradient)
    assert delta_e_2000(first, second).item() == pytest.approx(row[6], abs=5e-5)
    assert delta_e_2000(second, first).item() == pytest.approx(row[6], abs=5e-5)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 60.0])
def test_same_as_scikit_image_in_all_hues(scale):
    lab = scale * uniform(2, 3, 150, 150, low=-1.0)
    expected = deltaE_ciede2000(*lab.movedim(1, -1).numpy())
    assert 2 * BLOCK > lab[0, 0].numel() > BLOCK
    np.testing.assert_allclose(delta_e_2000(*lab).numpy(), expected, atol=1e-11 * scale, rtol=1e-11)


@pytest.mark.parametrize("peak", [1.0, 0.01, 100.0])
def test_lab_same_as_scikit_image(peak):
    image = peak * uniform(2, 3, 5, 7, low=-0.1, high=1.5) ** 3
    matrix = np.array(CONSTANTS["skimage"].matrix)
    expected = xyz2lab((image / peak).movedim(1, -1).numpy() @ matrix.T)
    np.testing.assert_allclose(linear_to_lab(image, peak=peak).movedim(1, -1).numpy(), expected, atol=1e-11)


def test_white_of_each_library_is_neutral():
    white = torch.ones(3, 1, 1)
    for name, constants in CONSTANTS.items():
        red_green_blue = np.linalg.solve(np.array(constants.matrix), np.array(constants.white))
        lab = linear_to_lab(torch.from_numpy(red_green_blue).view(3, 1, 1), constants=name)
        np.testing.assert_allclose(lab.flatten().numpy(), [100.0, 0.0, 0.0], atol=1e-9)
        np.testing.assert_allclose(linear_to_lab(white, constants=name).flatten().numpy(), [100.0, 0.0, 0.0], atol=0.02)


def test_image_score_is_the_mean_difference():
    pred, ref = uniform(2, 3, 20, 30), uniform(2, 3, 20, 30, seed=1)
    expected = delta_e_2000(linear_to_lab(pred), linear_to_lab(ref)).mean((1, 2))
    torch.testing.assert_close(ciede2000(pred, ref), expected, rtol=1e-13, atol=0)


def test_laws():
    pred, ref = uniform(3, 3, 130, 140), uniform(3, 3, 130, 140, seed=1)
    together = ciede2000(pred, ref)
    assert together.shape == (3,)
    assert together.dtype == torch.float64
    assert (ciede2000(ref, ref) == 0).all()
    torch.testing.assert_close(ciede2000(ref, pred), together)
    for i in range(3):
        assert ciede2000(pred[i : i + 1], ref[i : i + 1]).item() == together[i].item()
    noise = uniform(3, 3, 130, 140, seed=2, low=-1.0)
    scores = torch.stack([ciede2000(ref + s * noise, ref) for s in (0.001, 0.01, 0.1)])
    assert (scores.diff(dim=0) > 0).all()
    torch.testing.assert_close(ciede2000(7 * pred, 7 * ref, peak=7.0), together)


def test_single_precision_input_loses_nothing():
    pred, ref = uniform(1, 3, 20, 30).float(), uniform(1, 3, 20, 30, seed=1).float()
    assert ciede2000(pred, ref).item() == ciede2000(pred.double(), ref.double()).item()


def test_tensors_and_arrays_agree():
    pred, ref = uniform(2, 3, 40, 50, low=-0.1), uniform(2, 3, 40, 50, seed=1)
    expected = ciede2000(pred, ref)
    torch.testing.assert_close(ciede2000(pred.requires_grad_(), ref).detach(), expected, rtol=1e-12, atol=0)


def test_extreme_values_stay_finite():
    for value in (0.0, 1e-300, 1e30, 1e300):
        pred = torch.full((1, 3, 2, 2), value, dtype=torch.float64)
        pred[:, 1] *= 0.5
        assert torch.isfinite(ciede2000(pred, torch.zeros_like(pred))).all()


def test_gradient():
    pred, ref = uniform(1, 3, 2, 3, low=0.05).requires_grad_(), uniform(1, 3, 2, 3, seed=1, low=0.05).requires_grad_()
    assert torch.autograd.gradcheck(ciede2000, (pred, ref))
    lab1 = uniform(3, 4, 4, low=-50, high=50).requires_grad_()
    lab2 = uniform(3, 4, 4, seed=1, low=-50, high=50).requires_grad_()
    assert torch.autograd.gradcheck(delta_e_2000, (lab1, lab2))


def test_no_gradient_is_nan_at_equality_black_or_grey():
    colour = torch.tensor([0.2, 0.5, 0.7], dtype=torch.float64).view(1, 3, 1, 1)
    for one in (colour, torch.zeros_like(colour), torch.full_like(colour, 0.5)):
        for other in (colour, torch.zeros_like(colour)):
            pred = one.clone().requires_grad_()
            ciede2000(pred, other).sum().backward()
            assert torch.isfinite(pred.grad).all()
            assert torch.equal(one, other) == bool((pred.grad == 0).all())
    grey = torch.tensor([50.0, 0.0, 0.0], dtype=torch.float64).view(3, 1, 1).requires_grad_()
    delta_e_2000(grey, torch.tensor([40.0, 3.0, 4.0], dtype=torch.float64).view(3, 1, 1)).sum().backward()
    assert torch.isfinite(grey.grad).all()


def test_bad_input_is_refused():
    image = uniform(1, 3, 4, 4)
    with pytest.raises(ValueError, match="three channels"):
        ciede2000(image[:, :1], image[:, :1])
    with pytest.raises(ValueError, match="one shape"):
        delta_e_2000(image, image[..., :3])
    with pytest.raises(ValueError, match="NaN"):
        ciede2000(image * float("nan"), image)
    with pytest.raises(ValueError, match="positive"):
        ciede2000(image, image, peak=0.0)
    with pytest.raises(HdrbenchError, match="did you mean 'skimage'"):
        ciede2000(image, image, constants="scimage")
