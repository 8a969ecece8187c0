"""Image quality metrics, and the catalogue that names them.

A metric is a plain function of batches, ``metric(pred, ref, *, ...) -> Tensor[N]``, in float64. Its domain is a function
of its own, applied to both images first, so that PSNR-mu is ``psnr(mu_law(pred), mu_law(ref))``. To add one: write the
function in a module here, give it an entry in `METRICS`, and a test beside the others.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from hdrbench.errors import unknown
from hdrbench.imaging.transfer import mu_law
from hdrbench.metrics.psnr import psnr
from hdrbench.metrics.ssim import ssim


def linear(image: Tensor) -> Tensor:
    """Return the image as it is: the linear domain."""
    return image


@dataclass(frozen=True)
class Metric:
    """What a reader must know of a metric, and how to compute it.

    Attributes
    ----------
    symbol
        As printed in tables.
    better
        ``"higher"`` or ``"lower"``.
    needs
        ``"reference"``, ``"stack"`` or ``"nothing"``.
    domain
        Applied to both images before `function`.
    function
        ``(pred, ref) -> Tensor[N]`` for (N, 3, H, W) batches.
    checked_against
        The independent implementation whose values the tests hold.
    """

    symbol: str
    better: str
    needs: str
    domain: Callable[[Tensor], Tensor]
    function: Callable[[Tensor, Tensor], Tensor]
    checked_against: str

    def __call__(self, pred: Tensor, ref: Tensor) -> Tensor:
        """Score linear images in [0, 1], (N, 3, H, W) each; returns float64 (N,)."""
        return self.function(self.domain(pred.double()), self.domain(ref.double()))


METRICS: dict[str, Metric] = {
    "psnr_mu": Metric("PSNR-μ", "higher", "reference", mu_law, psnr, "GNU Octave"),
    "psnr_l": Metric("PSNR-L", "higher", "reference", linear, psnr, "GNU Octave"),
    "ssim_mu": Metric("SSIM-μ", "higher", "reference", mu_law, ssim, "Wang's ssim_index.m, SelfHDR, scikit-image"),
    "ssim_l": Metric("SSIM-L", "higher", "reference", linear, ssim, "Wang's ssim_index.m, SelfHDR, scikit-image"),
}


def get(name: str) -> Metric:
    """Return a metric by name, or raise an `HdrbenchError` that suggests the nearest one."""
    if name not in METRICS:
        raise unknown("metric", name, METRICS)
    return METRICS[name]
