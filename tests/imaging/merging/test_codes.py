import math

import pytest
import torch

from hdrbench.imaging.merging import adaptive, debevec, mertens, opencv, robertson
from hdrbench.imaging.merging import codes as coding

TIMES = torch.tensor([1.0, 4.0, 16.0])
LINE = torch.linspace(0.001, 1, 256).expand(3, -1)
RADIANCE = {
    "debevec": lambda stack, times: debevec.merge(stack, times, LINE),
    "debevec recover": debevec.recover_response,
    "robertson": lambda stack, times: robertson.merge(stack, times, LINE),
    "robertson recover": robertson.recover_response,
    "opencv debevec": lambda stack, times: opencv.merge_debevec(stack, times, LINE),
    "opencv robertson": lambda stack, times: opencv.merge_robertson(stack, times, LINE),
    "opencv calibrate": opencv.calibrate_debevec,
}
FUSION = {"mertens": mertens.fuse, "opencv": opencv.merge_mertens, "adaptive": adaptive.fuse}
STACKS = {
    "one image": (torch.rand(3, 3, 16, 16), "shape"),
    "grey": (torch.rand(1, 3, 1, 16, 16), "shape"),
    "nothing": (torch.rand(1, 0, 3, 16, 16), "shape"),
    "8-bit": (torch.zeros(1, 3, 3, 16, 16, dtype=torch.uint8), "float32"),
    "above 1": (torch.full((1, 3, 3, 16, 16), 1.01), "1.01"),
    "below 0": (torch.full((1, 3, 3, 16, 16), -0.5), "-0.5"),
    "NaN": (torch.full((1, 3, 3, 16, 16), math.nan), "nan"),
}
TIMES_REFUSED = {
    "descending": (TIMES.flip(0), "ascending"),
    "repeated": (torch.tensor([1.0, 4.0, 4.0]), "ascending"),
    "zero": (torch.tensor([0.0, 1.0, 2.0]), "positive"),
    "stops": (torch.tensor([-2.0, 0.0, 2.0]), "positive"),
    "infinite": (torch.tensor([1.0, 2.0, math.inf]), "positive"),
    "NaN": (torch.tensor([1.0, math.nan, 2.0]), "positive"),
    "too few": (TIMES[:2], r"\(3,\) or \(1, 3\)"),
    "other scenes": (TIMES.expand(2, 3), r"\(3,\) or \(1, 3\)"),
}


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("function", [*RADIANCE, *FUSION])
def test_malformed_stacks(function, name):
    stack, message = STACKS[name]
    with pytest.raises(ValueError, match=message):
        FUSION[function](stack) if function in FUSION else RADIANCE[function](stack, TIMES)


@pytest.mark.parametrize("name", TIMES_REFUSED)
@pytest.mark.parametrize("function", RADIANCE)
def test_malformed_times(function, name, random_stack):
    times, message = TIMES_REFUSED[name]
    with pytest.raises(ValueError, match=message):
        RADIANCE[function](random_stack(1, 3, 3, 16, 16), times)


@pytest.mark.parametrize("function", [*RADIANCE, "adaptive"])
def test_one_exposure_cannot_be_merged(function, random_stack):
    stack = random_stack(1, 1, 3, 16, 16)
    with pytest.raises(ValueError, match="at least 2 exposures, got 1"):
        FUSION[function](stack) if function in FUSION else RADIANCE[function](stack, TIMES[:1])


@pytest.mark.parametrize("merge", [debevec.merge, robertson.merge, opencv.merge_debevec, opencv.merge_robertson])
@pytest.mark.parametrize(
    ("response", "message"),
    [
        (LINE[0], "shape"),
        (LINE[:2], "shape"),
        (LINE.expand(2, 3, -1), "shape"),
        (LINE.log(), ">= 0"),
        (LINE * math.nan, "finite"),
    ],
)
def test_malformed_responses(merge, response, message, random_stack):
    with pytest.raises(ValueError, match=message):
        merge(random_stack(1, 3, 3, 8, 8), TIMES, response)


def test_times_per_scene_and_for_all(random_stack):
    stack = random_stack(2, 3, 3, 4, 4)
    assert coding.check_times(stack, TIMES).tolist() == [[1, 4, 16]] * 2
    assert coding.check_times(stack, torch.stack([TIMES, 2 * TIMES])).tolist() == [[1, 4, 16], [2, 8, 32]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_codes_of_8_and_16_bits_come_back(dtype):
    for levels in (256, 65536):
        codes = torch.arange(levels)
        assert torch.equal(coding.quantise(codes.to(dtype) / (levels - 1), levels).long(), codes)


@pytest.mark.parametrize("levels", [2, 100, 256, 1000])
def test_weighted_sum_looks_every_code_up(levels, random_stack):
    codes = coding.quantise(random_stack(2, 3, 3, 5, 7), levels)
    tables = torch.rand(2, 3, 3, levels, dtype=torch.float64)
    expected = torch.gather(tables, 3, codes.long().flatten(3)).view(codes.shape).sum(1)
    torch.testing.assert_close(coding.weighted_sum(codes, tables, torch.float64), expected)


def test_histogram_counts_everything():
    counts = coding.histogram(torch.tensor([[0, 255], [7, 7]], dtype=torch.uint8))
    assert counts.nonzero().flatten().tolist() == [0, 7, 255]
    assert counts[7] == 2


@pytest.mark.parametrize("weights", [coding.hat, coding.gaussian])
@pytest.mark.parametrize("levels", [255, 256])
def test_weights_are_symmetric_and_end_in_0(weights, levels):
    values = weights(levels)
    assert values[0] == pytest.approx(0, abs=1e-15)
    assert (values[1 : levels // 2].diff() > 0).all()
    torch.testing.assert_close(values, values.flip(0))
    assert values.max() == pytest.approx(1, abs=0.005)


def test_bands_cover_all_rows_once():
    rows = [row for band in coding.bands(torch.empty(2, 1000, 300)) for row in range(band.start, band.stop)]
    assert rows == list(range(1000))
    assert len(list(coding.bands(torch.empty(3, 10**6)))) == 3  # rows longer than a band
