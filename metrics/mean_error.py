"""Mean errors, for those who want them beside the metrics."""

from torch import Tensor

from hdrbench.metrics.checks import check_pair


def mse(pred: Tensor, ref: Tensor) -> Tensor:
    """Mean squared error over all samples of each image.

    Parameters
    ----------
    pred, ref
        (N, C, H, W), in one domain and unit.

    Returns
    -------
    Tensor
        (N,) float64, in the square of that unit.

    Raises
    ------
    ValueError
        On unequal shapes or values that are not finite.
    """
    check_pair(pred, ref)
    return (pred.double() - ref.double()).square().mean(dim=(1, 2, 3))


def l1(pred: Tensor, ref: Tensor) -> Tensor:
    """Mean absolute error over all samples of each image; see `mse`."""
    check_pair(pred, ref)
    return (pred.double() - ref.double()).abs().mean(dim=(1, 2, 3))
