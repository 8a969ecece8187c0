"""Optical-flow alignment of differently exposed frames.

The two frames are first brought to one exposure, the longer of the two, so that the flow sees equal brightness (Zhang2024,
SelfHDR). Arrays are (H, W, 3) float32 RGB in [0, 1], as OpenCV wants them.
"""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hdrbench.errors import WeightsMissingError, unknown
from hdrbench.imaging.transfer import GAMMA

Array = NDArray[np.float32]
RAFT_FILE = "raft_large_C_T_SKHT_V2-ff5fadd5.pth"


def equalise(ldr: Array, time: float, target: float, gamma: float = GAMMA) -> Array:
    """Predict how `ldr`, taken with exposure `time`, would look at `target`: linearise, scale, saturate, code."""
    return np.clip(ldr**gamma * (target / time), 0.0, 1.0).astype(np.float32) ** np.float32(1.0 / gamma)


def dis_flow(reference: Array, moving: Array) -> Array:
    """Dense inverse search flow of OpenCV (Kroeger2016), medium preset.

    Returns
    -------
    array
        (H, W, 2) displacement in pixels (x, y) from each pixel of `reference` to its match in `moving`.
    """
    grey = [cv2.cvtColor(np.rint(255 * image).astype(np.uint8), cv2.COLOR_RGB2GRAY) for image in (reference, moving)]
    return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(grey[0], grey[1], None)  # type: ignore[call-overload]


def raft_flow(reference: Array, moving: Array) -> Array:
    """RAFT flow (Teed2020) with torchvision's large model; same result type as `dis_flow`.

    Raises
    ------
    WeightsMissingError
        If the weights are not in torch's hub cache. Nothing is downloaded.
    """
    import torch
    from torchvision.models.optical_flow import raft_large

    weights = Path(torch.hub.get_dir()) / "checkpoints" / RAFT_FILE
    if not weights.is_file():
        raise WeightsMissingError(
            f"{weights}: RAFT weights (21 MB) not found; get them from torchvision, or use flow 'dis'"
        )
    model = raft_large(weights=None)
    model.load_state_dict(torch.load(weights, weights_only=True))
    height, width = reference.shape[:2]
    border = ((0, -height % 8), (0, -width % 8), (0, 0))
    pair = [
        torch.from_numpy(np.pad(2 * image - 1, border, mode="edge")).permute(2, 0, 1)[None]
        for image in (reference, moving)
    ]
    with torch.inference_mode():
        flow = model.eval()(*pair)[-1]
    return flow[0, :, :height, :width].permute(1, 2, 0).contiguous().numpy()


FLOWS: dict[str, Callable[[Array, Array], Array]] = {"dis": dis_flow, "raft": raft_flow}


def warp(image: Array, flow: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Backward-warp `image` along `flow` with cubic interpolation.

    Returns
    -------
    tuple
        The warped image, clipped to [0, 1], and an (H, W) mask of pixels whose source lies inside the frame.
    """
    height, width = flow.shape[:2]
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    x, y = columns + flow[..., 0], rows + flow[..., 1]
    warped = cv2.remap(image, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return np.clip(warped, 0.0, 1.0), inside


def align(neighbour: Array, reference: Array, time: float, reference_time: float, *, flow: str = "dis") -> Array:
    """Warp `neighbour` onto `reference`.

    Pixels whose source lies outside the neighbour are filled with the reference, re-exposed to the neighbour's time.

    Parameters
    ----------
    neighbour, reference
        LDR images of one size.
    time, reference_time
        Their exposure times.
    flow
        A key of `FLOWS`.
    """
    if flow not in FLOWS:
        raise unknown("optical flow", flow, FLOWS)
    longer = max(time, reference_time)
    motion = FLOWS[flow](equalise(reference, reference_time, longer), equalise(neighbour, time, longer))
    warped, inside = warp(neighbour, motion)
    return np.where(inside[..., None], warped, equalise(reference, reference_time, time))
