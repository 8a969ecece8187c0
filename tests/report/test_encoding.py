import numpy as np
import pytest

from hdrbench.report import encoding


def test_round_trip_stays_within_half_a_code():
    image = np.concatenate([np.linspace(0, 1, 30_000), np.logspace(-6, 0, 30_000)]).reshape(100, 200, 3)
    error = np.abs(encoding.decode_hdr(*encoding.encode_hdr(image)) - image)
    step = np.log1p(encoding.MU) / encoding.LEVELS  # of the logarithm, between two codes
    assert np.all(error <= (image + 1 / encoding.MU) * np.expm1(step / 2) * 1.0001)


def test_all_codes_survive():
    codes = np.arange(encoding.LEVELS + 1)
    linear = np.expm1(codes / encoding.LEVELS * np.log1p(encoding.MU)) / encoding.MU
    high, low = encoding.encode_hdr(linear.reshape(-1, 1, 1).repeat(3, axis=2))
    np.testing.assert_array_equal(high[:, 0, 0].astype(int) * 16 + (low[:, 0, 0] >> 4), codes)


def test_high_plane_is_the_mu_law_picture():
    image = np.full((2, 3, 3), 0.25)
    high, low = encoding.encode_hdr(image)
    assert high.dtype == low.dtype == np.uint8
    assert high[0, 0, 0] == int(4095 * np.log(1 + 5000 * 0.25) / np.log(5001) + 0.5) >> 4


@pytest.mark.parametrize(("value", "code"), [(-1.0, 0), (7.0, 4095), (np.nan, 0), (np.inf, 4095)])
def test_values_outside_the_range_are_clipped(value, code):
    high, low = encoding.encode_hdr(np.full((1, 1, 3), value))
    assert int(high[0, 0, 0]) * 16 + (int(low[0, 0, 0]) >> 4) == code


def test_error_map_runs_from_dark_to_bright_and_saturates():
    reference = np.zeros((1, 3, 3))
    result = np.zeros((1, 3, 3))
    result[0, 1], result[0, 2] = 5e-5, 1.0
    picture = encoding.error_map(result, reference, limit=0.1)
    lightness = picture.astype(int).sum(axis=2)[0]
    assert picture.shape == (1, 3, 3)
    assert lightness[0] < lightness[1] < lightness[2]
    np.testing.assert_array_equal(picture[0, 2], encoding.colormap()[-1])
