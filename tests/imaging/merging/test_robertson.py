import cv2
import numpy as np
import pytest
import torch

from hdrbench.imaging.merging import codes as coding
from hdrbench.imaging.merging import opencv, robertson


def test_a_gamma_curve_is_recovered_from_exposures_one_stop_apart(camera):
    times = 2.0 ** torch.arange(-6, 7, dtype=torch.float64)
    exposures = (camera.radiance[:, None] * times[:, None, None, None]).clamp(0, 1) ** (1 / 2.2)
    response = robertson.recover_response((exposures * 255).round() / 255, times)
    assert torch.equal(response[..., 128], torch.ones(2, 3, dtype=torch.float64))
    error = (response / camera.curve * camera.curve[:, 128:129]).log()[..., 20:236]
    assert error.abs().max() < 0.05


def test_merging_gives_the_radiance_back(camera):
    merged = robertson.merge(camera.stack, camera.times, camera.curve)
    assert (merged / camera.radiance).log().abs().median() < 0.01


def test_calibration_equals_opencvs_at_all_codes_that_occur(memorial):
    stack = memorial.stack[..., 200:320, 150:310]
    images = [np.ascontiguousarray(image.permute(1, 2, 0)) for image in coding.quantise(stack)[0]]
    theirs = cv2.createCalibrateRobertson().process(images, memorial.times.numpy())[:, 0].T
    ours = robertson.recover_response(stack, memorial.times)[0].numpy()
    seen = np.isfinite(theirs)
    seen[:, [0, 255]] = False
    assert seen.sum() > 700
    np.testing.assert_allclose(ours[seen], theirs[seen], rtol=1e-3)
    assert np.isfinite(ours).all()


def test_merging_equals_opencvs_where_there_is_weight(memorial):
    stack = memorial.stack[..., 200:320, 150:310]
    response = memorial.response.sort(dim=1).values
    theirs = opencv.merge_robertson(stack, memorial.times, response)
    seen = theirs > 0
    assert seen.double().mean() > 0.9
    torch.testing.assert_close(robertson.merge(stack, memorial.times, response)[seen], theirs[seen], rtol=1e-4, atol=0)


def test_weights_are_the_gaussian_times_squared_time():
    stack = torch.tensor([[0.2], [0.6]], dtype=torch.float64).view(1, 2, 1, 1, 1).expand(-1, -1, 3, -1, -1)
    merged = robertson.merge(stack, torch.tensor([0.5, 2.0]), torch.linspace(0, 1, 256).expand(3, -1))
    first, second = (coding.gaussian()[code].item() for code in (51, 153))
    expected = (first * 0.5 * 0.2 + second * 2 * 0.6) / (first * 0.25 + second * 4)
    torch.testing.assert_close(merged, torch.full_like(merged, expected))


def test_codes_that_do_not_occur_are_interpolated_and_the_ends_repeat(camera):
    even = (camera.stack * 127).round() * 2 / 255
    response = robertson.recover_response(even, camera.times)
    torch.testing.assert_close(response[..., 3:252:2], (response[..., 2:251:2] + response[..., 4:253:2]) / 2)
    assert torch.equal(response[..., 0], response[..., 1])
    assert torch.equal(response[..., 255], response[..., 254])


def test_pixels_without_any_weight_are_bounded():
    stack = torch.zeros(1, 3, 3, 1, 3)
    stack[..., 0], stack[..., 2] = 1.0, 0.5
    merged = robertson.merge(stack, torch.tensor([1.0, 2.0, 8.0]), torch.linspace(0.01, 1, 256).expand(3, -1))[0, 0, 0]
    torch.testing.assert_close(merged[:2], torch.tensor([1.0, 0.01 / 8]))


def test_the_unit_of_time_only_scales(camera):
    merged = robertson.merge(camera.stack.float(), camera.times, camera.curve)
    tiny = robertson.merge(camera.stack.float(), camera.times * 1e-20, camera.curve)
    torch.testing.assert_close(tiny * 1e-20, merged)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_black_and_saturated_stacks_cannot_be_calibrated(value):
    with pytest.raises(ValueError, match="fewer than two codes"):
        robertson.recover_response(torch.full((1, 2, 3, 8, 8), value), torch.tensor([1.0, 2.0]))
