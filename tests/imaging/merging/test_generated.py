import pytest
import torch

from hdrbench.errors import HdrbenchError
from hdrbench.imaging.merging.generated import MERGES, merge_stack, pad_to_multiple, parse_evs


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-3:3:1", (-3, -2, -1, 0, 1, 2, 3)),
        ("-1:1:0.5", (-1, -0.5, 0, 0.5, 1)),
        ("0:0.3:0.1", (0, 0.1, 0.2, 0.3)),
        ("-2,0,2", (-2, 0, 2)),
        (" -1.3 , 0.7 ", (-1.3, 0.7)),
    ],
)
def test_exposure_values(text, expected):
    assert parse_evs(text) == pytest.approx(expected)


WRONG = ["", "1", "a:b:c", "1:2", "2:1:1", "1:2:0", "1:2:-1", "0:1:0.3", "0,0", "2,1", "0,nan", "0,inf", "0:inf:1"]


@pytest.mark.parametrize("text", [*WRONG, "-3:3:1e-9"])
def test_what_is_none_is_one_line(text):
    with pytest.raises(HdrbenchError, match="expected two or more that ascend"):
        parse_evs(text)


@pytest.mark.parametrize("how", MERGES)
def test_every_way_of_merging_gives_radiance_back(how):
    radiance = torch.linspace(0.02, 6.0, 64 * 64).view(1, 1, 64, 64).expand(2, 3, -1, -1)
    evs = (-3, -2, -1, 0, 1, 2, 3)
    stack = torch.stack([(radiance * 2.0**ev).clamp(0, 1) ** (1 / 2.2) for ev in evs], 1)
    merged = merge_stack(stack, evs, how)
    assert merged.shape == radiance.shape
    assert merged.div(radiance).log().abs().median() < 0.1
    torch.testing.assert_close(merge_stack(stack[:1], evs, how), merged[:1])


def test_an_unknown_way_suggests_a_near_one():
    with pytest.raises(HdrbenchError, match="did you mean 'debevec'"):
        merge_stack(torch.rand(1, 3, 3, 16, 16), (-1, 0, 1), "debevek")


@pytest.mark.parametrize(("height", "width"), [(1, 1), (8, 16), (9, 23)])
def test_padding_is_undone_by_cropping(height, width):
    image = torch.rand(2, 3, height, width)
    padded = pad_to_multiple(image, 8)
    assert padded.shape[-2] % 8 == padded.shape[-1] % 8 == 0
    assert torch.equal(padded[..., :height, :width], image)
