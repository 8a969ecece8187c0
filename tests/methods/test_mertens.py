import pytest
import torch

from hdrbench import methods
from hdrbench.errors import HdrbenchError
from hdrbench.imaging.merging import mertens
from hdrbench.imaging.merging.pyramid import blend, depth


@pytest.mark.parametrize("count", [1, 2, 5])
def test_fusing_is_mertens_own_and_the_weights_are_those_it_used(count):
    stack = torch.rand(2, count, 3, 37, 52, generator=torch.Generator().manual_seed(0))
    fusion = methods.get("mertens").fuse(methods.build("mertens", {}), stack)
    assert torch.equal(fusion.image, mertens.fuse(stack)[0])
    assert torch.equal(blend(stack, fusion.weights[:, :, 0], depth(37, 52)).clamp(0, 1), fusion.image)


def test_there_are_no_options():
    with pytest.raises(HdrbenchError, match="contrast"):
        methods.build("mertens", {"contrast": 1.0})
