import pytest
import torch

from hdrbench.imaging.merging import opencv

TIMES = torch.tensor([1.0, 4.0, 16.0])


def test_mertens_gives_the_published_image(memorial):
    fused = opencv.merge_mertens(memorial.stack, exposedness=0.0)[0]
    assert ((fused * 255).round().int() - memorial.fused.int()).abs().max() <= 1


def test_calibration_gives_the_published_response(memorial):
    """Within OpenCV's own tolerance."""
    response = opencv.calibrate_debevec(memorial.stack, memorial.times)[0]
    assert ((response - memorial.calibrated).abs() / response).max() < 0.25


def test_debevec_gives_the_published_radiance(memorial, tonemapped):
    """Within OpenCV's own tolerance."""
    merged = opencv.merge_debevec(memorial.stack, memorial.times, memorial.response)[0]
    assert abs(tonemapped(merged) - tonemapped(memorial.merged)).max() < 0.01


def test_channels_and_scenes_stay_in_order(random_stack):
    """A response of its own for each channel, and times of its own for each scene."""
    stack = random_stack(2, 3, 1, 40, 40, dtype=torch.float32).expand(-1, -1, 3, -1, -1)
    line = torch.linspace(0.01, 1, 256)
    response = torch.stack([line, 2 * line, 4 * line])
    times = torch.stack([TIMES, 10 * TIMES])
    for merge in (opencv.merge_debevec, opencv.merge_robertson):
        merged = merge(stack, times, response)
        torch.testing.assert_close(merged[:, 1] / merged[:, 0], torch.full((2, 40, 40), 2.0))
        torch.testing.assert_close(merged[:, 2] / merged[:, 0], torch.full((2, 40, 40), 4.0))
        torch.testing.assert_close(merged[1:] * 10, merge(stack[1:], TIMES, response))
    red = torch.zeros(1, 1, 3, 20, 20)
    red[:, :, 0] = 1.0
    torch.testing.assert_close(opencv.merge_mertens(red), red[:, 0])


def test_calibration_keeps_channels_in_order(camera):
    tinted = camera.stack.clone()
    tinted[:, :, 0] = (tinted[:, :, 0] ** 2 * 255).round() / 255
    response = opencv.calibrate_debevec(tinted, camera.times)
    slopes = (response[..., 200] / response[..., 60]).log()
    assert (slopes[:, 0] < 0.7 * slopes[:, 1]).all()
    torch.testing.assert_close(slopes[:, 1], slopes[:, 2], rtol=0.1, atol=0)


def test_what_opencv_cannot_take(random_stack):
    with pytest.raises(ValueError, match="256 codes"):
        opencv.merge_debevec(random_stack(1, 3, 3, 8, 8), TIMES, torch.ones(3, 1024))
    with pytest.raises(ValueError, match="grid of 70 samples, got 4x4"):
        opencv.calibrate_debevec(random_stack(1, 3, 3, 4, 4), TIMES)
