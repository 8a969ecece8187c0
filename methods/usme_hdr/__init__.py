"""USME-HDR: single-image HDR reconstruction through two generated exposures, trained without HDR references (Wang2026).

middle LDR ─┬─ EAN (t1/t2) ── low exposure ──┐
            ├────────────────────────────────┼─ exposure-weighted fusion ── HDR
            └─ EAN (t3/t2) ── high exposure ─┘
"""

from torch import Tensor, nn

from hdrbench.imaging.merge import fuse_exposures
from hdrbench.methods import Method, Reconstruction
from hdrbench.methods.usme_hdr.losses import objective
from hdrbench.methods.usme_hdr.network import UsmeHdr


def reconstruct(network: nn.Module, middle: Tensor, times: Tensor) -> Reconstruction:
    """Generate the low and high exposure of (N, 3, H, W) LDR images, and fuse the three.

    The generated images are clipped to [0, 1], as any LDR image is.
    """
    low, high = (image.clamp(0.0, 1.0) for image in network(middle, times))
    return Reconstruction(fuse_exposures(low, middle, high, times), {"low": low, "high": high})


METHOD = Method(
    title="USME-HDR",
    reference="Wang2026",
    build=UsmeHdr,
    reconstruct=reconstruct,
    objective=objective,
)
