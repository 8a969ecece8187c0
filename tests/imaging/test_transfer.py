import math

import pytest
import torch

from hdrbench.imaging import color, exposure, merge, transfer

GRID = torch.linspace(0, 1, 1001, dtype=torch.float64)

PAIRS = {
    "gamma": (transfer.gamma_encode, transfer.gamma_decode),
    "mu_law": (transfer.mu_law, transfer.mu_law_inverse),
    "srgb": (transfer.srgb_encode, transfer.srgb_decode),
    "rec709": (transfer.rec709_encode, transfer.rec709_decode),
}


@pytest.mark.parametrize("name", PAIRS)
def test_curves_invert_ascend_and_keep_the_ends(name):
    encode, decode = PAIRS[name]
    coded = encode(GRID)
    # The standards' constants are rounded, so their two pieces meet within 1e-4 only.
    torch.testing.assert_close(decode(coded), GRID, rtol=0, atol=2e-4 if name in ("srgb", "rec709") else 1e-12)
    assert (coded.diff() > 0).all()
    torch.testing.assert_close(coded[[0, -1]], torch.tensor([0.0, 1.0], dtype=torch.float64))


@pytest.mark.parametrize(
    ("function", "x", "expected"),
    [
        (transfer.srgb_decode, 0.5, 0.21404114048),
        (transfer.rec709_encode, 0.5, 1.099 * 0.5**0.45 - 0.099),
        (transfer.gamma_decode, 0.5, 0.5**2.2),
        (transfer.mu_law, 0.01, math.log(51) / math.log(5001)),
    ],
)
def test_known_values(function, x, expected):
    assert function(torch.tensor(x, dtype=torch.float64)).item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("function", [transfer.gamma_decode, transfer.mu_law])
def test_odd_below_zero_with_finite_gradient(function):
    x = torch.tensor([-0.3, -1e-4, 0.0, 0.2], requires_grad=True)
    y = function(x)
    torch.testing.assert_close(function(-x), -y)
    y.sum().backward()
    assert torch.isfinite(x.grad).all()


def test_luminance_of_white_is_one_and_max_intensity_is_the_largest():
    white = torch.ones(2, 3, 4, 5)
    torch.testing.assert_close(color.luminance(white), torch.ones(2, 1, 4, 5))
    assert color.max_intensity(torch.tensor([0.1, 0.7, 0.3]).view(1, 3, 1, 1)).item() == pytest.approx(0.7)


def test_radiance_and_reexposure_invert_where_nothing_saturates():
    times = torch.tensor([1.0, 4.0])
    radiance = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) / 4
    torch.testing.assert_close(exposure.to_radiance(exposure.reexpose(radiance, times), times), radiance)
    assert exposure.reexpose(torch.ones(1, 3, 2, 2), 8.0).max() == 1


def test_times_from_stops():
    assert exposure.times_from_stops([-2, 0, 3]) == (1, 4, 32)
    with pytest.raises(ValueError, match="ascend"):
        exposure.times_from_stops([0, 2, 2])


def test_exposure_ratios_are_eq_4():
    down, up = exposure.exposure_ratios(torch.tensor([[1.0, 4.0, 16.0], [1.0, 8.0, 64.0]]))
    assert down.tolist() == [0.25, 0.125]
    assert up.tolist() == [4, 8]


def test_triangle_weights_sum_to_one_with_knots_at_0_half_1():
    weights = merge.triangle_weights(GRID.view(1, 1, 1, -1))
    torch.testing.assert_close(sum(weights), torch.ones_like(weights[0]))
    assert all(((w >= 0) & (w <= 1)).all() for w in weights)
    at = {z: [w[..., int(1000 * z)].item() for w in weights] for z in (0.0, 0.5, 1.0)}
    assert at == {0.0: [0, 0, 1], 0.5: [0, 1, 0], 1.0: [1, 0, 0]}


def ideal_stack(stops):
    generator = torch.Generator().manual_seed(1)
    radiance = torch.rand(2, 3, 16, 16, generator=generator, dtype=torch.float64) ** 4
    times = torch.tensor([exposure.times_from_stops(stops)] * 2, dtype=torch.float64)
    return [exposure.reexpose(radiance, times[:, k]) for k in range(3)], times, radiance


def test_fusing_an_ideal_stack_of_two_stops_gives_the_radiance_back():
    stack, times, radiance = ideal_stack([-2, 0, 2])
    torch.testing.assert_close(merge.fuse_exposures(*stack, times), radiance, rtol=1e-9, atol=1e-12)


def test_three_stops_lose_a_little_where_the_long_exposure_is_clipped_but_still_weighs():
    """At +3 EV the long exposure clips from a middle value of 8 ** (-1/2.2) = 0.389 on, but has weight up to 0.5."""
    stack, times, radiance = ideal_stack([-3, 0, 3])
    error = (merge.fuse_exposures(*stack, times) - radiance).abs() / radiance
    affected = (stack[1] > 8 ** (-1 / 2.2)) & (stack[1] < 0.5)
    assert error[~affected].max() < 1e-9
    assert 0.01 < error[affected].max() < 0.1
