import cv2
import numpy as np
import pytest
import torch

from hdrbench.imaging.merging import codes as coding
from hdrbench.imaging.merging import debevec, opencv

VERSION = tuple(int(part) for part in cv2.__version__.split(".")[:2])
TRIANGLE = torch.minimum(torch.arange(1.0, 257), torch.arange(256.0, 0, -1))  # OpenCV's weights before 4.12


def test_a_gamma_curve_is_recovered(camera):
    response = debevec.recover_response(camera.stack, camera.times)
    assert response.shape == (2, 3, 256)
    error = (response.log() - camera.curve.log())[..., 20:236]
    assert (error - error.mean(-1, keepdim=True)).abs().max() < 0.05
    assert (response.diff(dim=-1) > 0).all()


def test_channels_are_balanced_at_code_127(camera):
    tinted = camera.stack.clone()
    tinted[:, :, 0] = ((tinted[:, :, 0] ** 2.2 * 0.5) ** (1 / 2.2) * 255).round() / 255
    middle = debevec.recover_response(tinted, camera.times)[..., 127]
    torch.testing.assert_close(middle, middle[:, :1].expand(-1, 3))


def test_recovering_does_not_depend_on_the_unit_of_time_or_the_place_of_pixels(camera):
    response = debevec.recover_response(camera.stack, camera.times)
    torch.testing.assert_close(debevec.recover_response(camera.stack, camera.times * 1e-3), response)
    torch.testing.assert_close(debevec.recover_response(camera.stack.flip(-1, -2).mT, camera.times), response)


def test_solver_equals_least_squares_on_the_whole_system(camera):
    """Equation 3 with all unknowns, radiances of the samples included."""
    codes, times, smoothness = debevec.sample_codes(camera.stack[:1], 40)[0, 0], camera.times, 7.0
    weight, rows, values = coding.hat().numpy(), [], []
    for sample, exposures in enumerate(codes.tolist()):
        for code, time in zip(exposures, times.tolist(), strict=True):
            row = np.zeros(256 + len(codes))
            row[code], row[256 + sample] = weight[code], -weight[code]
            rows.append(row)
            values.append(weight[code] * np.log(time))
    for code in range(1, 255):
        row = np.zeros(256 + len(codes))
        row[code - 1 : code + 2] = smoothness * weight[code] * np.array([1, -2, 1])
        rows.append(row)
    anchor = np.zeros(256 + len(codes))
    anchor[128] = 1
    rows.append(anchor)
    values += [0.0] * (len(rows) - len(values))
    expected = np.linalg.lstsq(np.array(rows), np.array(values), rcond=None)[0][:256]
    found = debevec.solve_response(codes, times, smoothness=smoothness)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-8)


def test_own_solver_with_opencvs_samples_meets_opencvs_test(memorial):
    """Their reference, their tolerance of 25 %; the grid, the weights and the smoothness are theirs, too."""
    codes = coding.quantise(memorial.stack)[0]
    height, width = codes.shape[-2:]
    columns = int((70 * width / height) ** 0.5)
    right, down = width // columns, height // (70 // columns)
    grid = codes[:, :, down // 2 :: down, right // 2 :: right].flatten(2).permute(1, 2, 0).long()
    curves = [debevec.solve_response(one, memorial.times, smoothness=10.0, weights=TRIANGLE).exp() for one in grid]
    response = torch.stack(curves)
    assert ((response - memorial.calibrated).abs() / response).max() < 0.25


def test_own_response_of_memorial_resembles_opencvs(memorial):
    """Up to a factor per channel, which OpenCV does not balance."""
    own = debevec.recover_response(memorial.stack, memorial.times)[0]
    ratio = (own.log() - memorial.calibrated.log())[:, 20:236]
    assert (own.diff(dim=-1) > 0).all()
    assert (ratio - ratio.mean(-1, keepdim=True)).abs().mean() < 0.2


def test_own_merge_equals_opencvs_on_grey(memorial):
    """Where all channels are equal, OpenCV's mean of their weights makes no difference."""
    grey = memorial.stack[:, :, 1:2].expand(-1, -1, 3, -1, -1)
    response = memorial.response[1:2].expand(3, -1)
    weights = TRIANGLE if VERSION < (4, 12) else coding.hat()
    own = debevec.merge(grey, memorial.times, response, weights=weights, one_sided=False, offset=0.0)
    torch.testing.assert_close(own, opencv.merge_debevec(grey, memorial.times, response), rtol=1e-5, atol=0)


def test_own_merge_is_near_the_published_one(memorial):
    """OpenCV shares one weight among the channels, so the maps differ where these are unequally exposed."""
    own = debevec.merge(memorial.stack, memorial.times, memorial.response)[0]
    seen = memorial.merged > 0
    ratio = (own[seen] / memorial.merged[seen]).log()
    assert ratio.abs().median() < 0.03
    assert np.corrcoef(own[seen].log(), memorial.merged[seen].log())[0, 1] > 0.999


def test_merging_gives_the_radiance_back(camera):
    merged = debevec.merge(camera.stack, camera.times, camera.curve)
    error = (merged / camera.radiance).log().abs()
    assert error.median() < 0.01
    assert error.max() < 0.2


def test_16_bits_need_a_response_of_as_many_codes(camera):
    exposures = (camera.radiance[:, None] * camera.times[:, None, None, None]).clamp(0, 1) ** (1 / 2.2)
    stack = (exposures * 65535).round() / 65535
    curves = [(torch.linspace(0, 1, levels) ** 2.2).expand(3, -1) for levels in (256, 65536)]
    coarse, fine = (
        (debevec.merge(stack, camera.times, c, offset=0.0) / camera.radiance).log().abs().median() for c in curves
    )
    assert fine < 0.1 * coarse


def test_weighted_mean_of_logarithms():
    stack = torch.tensor([[0.2, 0.6], [0.4, 0.8]], dtype=torch.float64).view(1, 2, 1, 1, 2).expand(-1, -1, 3, -1, -1)
    line = torch.linspace(0, 1, 256).expand(3, -1)
    merged = debevec.merge(stack, torch.tensor([1.0, 2.0]), line, one_sided=False, offset=0.0)[0, 0, 0]
    first = (0.4 * np.log(0.2) + 0.8 * np.log(0.4 / 2)) / 1.2
    second = (0.8 * np.log(0.6) + 0.4 * np.log(0.8 / 2)) / 1.2
    np.testing.assert_allclose(merged.numpy(), np.exp([first, second]), rtol=1e-6)


def test_one_sided_weights_trust_the_ends_only_where_they_are_clipped():
    times, line = torch.tensor([1.0, 2.0]), torch.linspace(0.01, 1, 256, dtype=torch.float64).expand(3, -1)
    codes = torch.tensor([[51, 229, 128], [102, 255, 153]], dtype=torch.float64)
    stack = (codes / 255).view(1, 2, 1, 1, 3).expand(-1, -1, 3, -1, -1)
    with_ends, without = (debevec.merge(stack, times, line, one_sided=flag)[0, 0, 0] for flag in (True, False))
    assert torch.equal(with_ends, without)  # 229 / 255 is below 0.9
    codes[0, 1] = 240
    stack = (codes / 255).view(1, 2, 1, 1, 3).expand(-1, -1, 3, -1, -1)
    merged = debevec.merge(stack, times, line)[0, 0, 0]
    ramp, hat = 51 / 255, 102 / 127.5
    expected = (ramp * line[0, 51].log() + hat * (line[0, 102] / 2).log()) / (ramp + hat)
    torch.testing.assert_close(merged[0].log(), expected, rtol=0, atol=1e-3)  # for the offset


def test_pixels_without_any_weight_are_bounded():
    times, line = torch.tensor([1.0, 2.0, 8.0]), torch.linspace(0.01, 1, 256).expand(3, -1)
    stack = torch.zeros(1, 3, 3, 1, 4)
    stack[..., 0], stack[..., 2] = 1.0, 0.5
    stack[:, :, 1:, 0, 3], stack[:, :, 0, 0, 3] = 0.5, 1.0  # red alone is saturated
    merged = debevec.merge(stack, times, line, one_sided=False)[0, :, 0]
    torch.testing.assert_close(merged[:, 0], torch.full((3,), 1.0))  # saturated: at least 1 / shortest
    torch.testing.assert_close(merged[:, 1], torch.full((3,), 0.01 / 8))  # black: at most 0.01 / longest
    torch.testing.assert_close(merged[:, 3], torch.stack([line[0, 255], line[0, 128], line[0, 128]]))
    assert debevec.merge(stack, times, line).isfinite().all()
    assert debevec.merge(stack, times, line * 0).isfinite().all()


def test_batches_and_times_per_scene(camera):
    times = torch.stack([camera.times, camera.times / 10])
    merged = debevec.merge(camera.stack, times, camera.curve)
    for n in range(2):
        torch.testing.assert_close(
            merged[n : n + 1], debevec.merge(camera.stack[n : n + 1], times[n], camera.curve, offset=debevec.OFFSET)
        )
    torch.testing.assert_close(
        debevec.recover_response(camera.stack, times)[1:], debevec.recover_response(camera.stack[1:], camera.times)
    )


@pytest.mark.parametrize("value", [0.0, 1.0, 0.5])
def test_a_stack_without_change_cannot_be_calibrated(value):
    stack = torch.full((1, 3, 3, 8, 8), value)
    with pytest.raises(ValueError, match="no sample changes"):
        debevec.recover_response(stack, torch.tensor([1.0, 2.0, 4.0]))


def test_settings_that_leave_the_response_or_the_mean_open(camera):
    with pytest.raises(ValueError, match="smoothness above 0"):
        debevec.recover_response(camera.stack, camera.times, smoothness=0.0)
    for weights in (torch.ones(255), -torch.ones(256)):
        with pytest.raises(ValueError, match="256 weights"):
            debevec.merge(camera.stack, camera.times, camera.curve, weights=weights)
