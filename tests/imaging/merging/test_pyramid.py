import numpy as np
import pytest
import torch
from scipy.ndimage import convolve1d

from hdrbench.imaging.merging import pyramid

FILTER = np.array([1, 4, 6, 4, 1]) / 16
SIZES = [(1, 1), (1, 7), (2, 2), (2, 3), (3, 5), (5, 4), (16, 17), (33, 30)]


def reduce(image):
    """scipy's "reflect" includes the border, as MATLAB's "symmetric" does."""
    for axis in (0, 1):
        image = convolve1d(image, FILTER, axis, mode="reflect")
    return image[::2, ::2]


def expand(image, height, width):
    padded = np.pad(image, 1, mode="edge")
    spread = np.zeros([2 * side for side in padded.shape])
    spread[::2, ::2] = 4 * padded
    for axis in (0, 1):
        spread = convolve1d(spread, FILTER, axis, mode="constant")
    return spread[2 : 2 + height, 2 : 2 + width]


@pytest.mark.parametrize("gradient", [False, True], ids=["opencv", "torch"])
@pytest.mark.parametrize("size", SIZES)
def test_both_ways_of_filtering_equal_scipy(size, gradient):
    image = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    small = pyramid.reduce(image.requires_grad_(gradient)).detach()
    large = pyramid.expand(small.clone().requires_grad_(gradient), *size).detach()
    assert large.shape == image.shape
    for n, c in np.ndindex(2, 3):
        expected = reduce(image[n, c].detach().numpy())
        np.testing.assert_allclose(small[n, c].numpy(), expected, atol=1e-12)
        np.testing.assert_allclose(large[n, c].numpy(), expand(expected, *size), atol=1e-12)


@pytest.mark.parametrize("levels", [1, 3, 6])
def test_equal_weights_give_the_mean_and_one_image_itself(random_stack, levels):
    stack = random_stack(2, 4, 3, 23, 30)
    equal = torch.full((2, 4, 23, 30), 0.25, dtype=torch.float64)
    torch.testing.assert_close(pyramid.blend(stack, equal, levels), stack.mean(1))
    torch.testing.assert_close(pyramid.blend(stack[:, :1], torch.ones_like(equal[:, :1]), levels), stack[:, 0])


def test_one_level_is_a_weighted_sum(random_stack):
    stack, weights = random_stack(2, 3, 3, 9, 8), random_stack(2, 3, 1, 9, 8, seed=1)
    torch.testing.assert_close(pyramid.blend(stack, weights[:, :, 0], 1), (stack * weights).sum(1))


def test_blending_is_the_same_with_and_without_a_gradient(random_stack):
    stack, weights = random_stack(2, 3, 3, 21, 18), random_stack(2, 3, 1, 21, 18, seed=1)[:, :, 0]
    fast = pyramid.blend(stack, weights, 4)
    slow = pyramid.blend(stack.clone().requires_grad_(), weights, 4)
    torch.testing.assert_close(fast, slow.detach())
    torch.testing.assert_close(fast[1:], pyramid.blend(stack[1:], weights[1:], 4))


def test_gradients(random_stack):
    stack, weights = random_stack(1, 2, 3, 6, 5), random_stack(1, 2, 1, 6, 5, seed=1)[:, :, 0]
    inputs = (stack.clone().requires_grad_(), weights.clone().requires_grad_())
    assert torch.autograd.gradcheck(lambda images, maps: pyramid.blend(images, maps, 3), inputs)


def test_depth_is_the_binary_logarithm_of_the_shorter_side():
    assert [pyramid.depth(side, 2000) for side in (1, 2, 3, 4, 255, 256, 1000)] == [1, 1, 1, 2, 7, 8, 9]


def test_shapes_that_do_not_fit(random_stack):
    with pytest.raises(ValueError, match="levels >= 1"):
        pyramid.blend(random_stack(1, 2, 3, 8, 8), torch.ones(1, 2, 8, 8), 0)
    with pytest.raises(ValueError, match="weights"):
        pyramid.blend(random_stack(1, 2, 3, 8, 8), torch.ones(1, 2, 8, 9), 2)
