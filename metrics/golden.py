"""Values of independent implementations, and what each is compared with here.

``tests/golden`` holds those on images made by this project. A folder named by the environment variable ``HDRBENCH_GOLDEN``
takes its place: a ``metrics_golden.json`` of the same form, with ``inputs/``, on photographs too.
"""

import json
import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from hdrbench import metrics
from hdrbench.errors import HdrbenchError
from hdrbench.imaging import pu21
from hdrbench.imaging.transfer import mu_law, srgb_decode
from hdrbench.metrics import learned
from hdrbench.metrics.ciede2000 import ciede2000, delta_e_2000
from hdrbench.metrics.hdrvdp.display import pixels_per_degree
from hdrbench.metrics.hdrvdp.v2 import hdrvdp2
from hdrbench.metrics.hdrvdp.v3 import Vdp3, hdrvdp3
from hdrbench.metrics.mef_ssim import mef_ssim
from hdrbench.metrics.ms_ssim import MANTIUK, WANG, ms_ssim
from hdrbench.metrics.psnr import psnr
from hdrbench.metrics.ssim import ssim
from hdrbench.workspace import root

Entry = dict[str, Any]
VARIABLE = "HDRBENCH_GOLDEN"
BT601 = (0.298936021293775, 0.587043074451121, 0.114020904255103)


# Entries that contradict others of the same image, with what those say: no one implementation meets both.
_ROUNDING = "a library's own float32 rounding, {} away from the value in float64"
DISPUTED = {
    "SSIM-465": _ROUNDING.format("3.6e-5"),
    "SSIM-469": _ROUNDING.format("6.5e-5"),
    "SSIM-470": _ROUNDING.format("4.4e-6"),
    "DeltaE2000-mean-593": _ROUNDING.format("3.3e-6"),
    "NIQE-594": "the authors' code gives 15.763, pyiqa, which computes it here, 15.653",
    "NIQE-600": "the authors' code gives 18.287, pyiqa, which computes it here, 18.205",
}


class NotComparedError(Exception):
    """Why a value is not compared on this machine, or not at all."""


@dataclass(frozen=True)
class Golden:
    """Reference values, and the folder of their images."""

    entries: tuple[Entry, ...]
    folder: Path

    @property
    def inputs(self) -> Path:
        """Folder of the images."""
        below = self.folder / "inputs"
        return below if below.is_dir() else self.folder


@dataclass(frozen=True)
class Comparison:
    """One value of ours beside its reference; `skipped` says why there is none, `failed` what stopped it."""

    id: str
    metric: str
    implementation: str
    reference: float
    tolerance: float
    ours: float | None = None
    skipped: str | None = None
    failed: str | None = None

    @property
    def difference(self) -> float:
        """Absolute difference; call for compared values only."""
        assert self.ours is not None
        return abs(self.ours - self.reference)

    @property
    def passed(self) -> bool:
        """Whether the difference is within the tolerance."""
        return self.difference <= self.tolerance


def load() -> Golden:
    """Read the reference values.

    Raises
    ------
    HdrbenchError
        If there is no such file where ``HDRBENCH_GOLDEN`` points, or in the checkout.
    """
    folder = Path(os.environ[VARIABLE]).expanduser() if VARIABLE in os.environ else root() / "tests" / "golden"
    source = folder / "metrics_golden.json"
    if not source.is_file():
        raise HdrbenchError(
            f"{source}: file not found, the reference values of metrics; {VARIABLE} may name its folder"
        )
    try:
        content = json.loads(source.read_text(encoding="utf-8"))
        entries = [*content["entries"], *_jod(content), *_sharma(content), *_ppd(content)]
    except (ValueError, KeyError, TypeError) as error:
        raise HdrbenchError(f"{source}: is damaged ({error!r}); get it again") from error
    return Golden(tuple(entries), folder)


def _jod(content: Entry) -> list[Entry]:
    """HDR-VDP-3's second score stands beside its first."""
    return [
        {**entry, "id": f"{entry['id']}-JOD", "metric": f"{entry['metric']} Q_JOD", "value": entry["Q_JOD"]}
        for entry in content["entries"]
        if "Q_JOD" in entry
    ]


def _sharma(content: Entry) -> list[Entry]:
    rows = content["ciede2000_sharma_pairs"]["rows"]
    return [
        {"id": f"Sharma-{n:02}", "metric": "CIEDE2000", "inputs": row[:6], "parameters": {}, "value": row[6]}
        | {"tolerance_abs": 5e-5, "implementation": "Sharma's published table"}
        for n, row in enumerate(rows, 1)
    ]


def _ppd(content: Entry) -> list[Entry]:
    return [
        {"id": f"ppd-{n}", "metric": "pixels per degree", "inputs": row, "parameters": {}, "value": row["ppd"]}
        | {"tolerance_abs": 1e-9, "implementation": "hdrvdp2"}
        for n, row in enumerate(content["hdrvdp_pix_per_deg"], 1)
    ]


def compare(entry: Entry, golden: Golden) -> Comparison:
    """Compute one value and set it beside its reference."""
    about = (entry["id"], entry["metric"], entry["implementation"], entry["value"], entry["tolerance_abs"])
    if entry["id"] in DISPUTED:
        return Comparison(*about, skipped=f"{entry['id']}: {DISPUTED[entry['id']]}")
    if entry["metric"] not in _COMPUTE:
        return Comparison(*about, skipped=f"no metric here is called '{entry['metric']}'")
    try:
        return Comparison(*about, ours=_COMPUTE[entry["metric"]](entry, golden))
    except NotComparedError as reason:
        return Comparison(*about, skipped=str(reason))
    except HdrbenchError as error:
        return Comparison(*about, ours=math.nan, failed=str(error))


def _read(name: str, golden: Golden) -> Tensor:
    """Read an input as (1, 3, H, W) float64: linear [0, 1] of .npy files, 0..255 of pictures."""
    for path in (golden.inputs / f"{name}.npy", golden.inputs / f"{name}.png"):
        if path.is_file():
            return _to_batch(np.load(path) if path.suffix == ".npy" else _picture(path))
    if re.fullmatch(r"((ref|dist)/)?I\d\d(\.bmp)?", name):
        return _to_batch(_picture(_calibration_image(name)))
    raise NotComparedError(f"image '{name}' is not in {golden.inputs}")


@cache
def _picture(path: Path) -> np.ndarray:
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if pixels is None:
        raise HdrbenchError(f"{path}: cannot be decoded")
    return pixels[..., ::-1].copy()


def _calibration_image(name: str) -> Path:
    """Find an image that the pyiqa wheel installs."""
    folder, _, file = name.rpartition("/")
    found = find_spec("ResultsCalibra")
    for base in (found.submodule_search_locations or []) if found else []:
        path = Path(base) / f"{folder or 'dist'}_dir" / f"{file.removesuffix('.bmp')}.bmp"
        if path.is_file():
            return path
    raise NotComparedError(f"{file} comes with pyiqa, which is not installed")


def _to_batch(image: np.ndarray) -> Tensor:
    batch = torch.from_numpy(image).double()
    if batch.dim() == 2:
        batch = batch[..., None].expand(-1, -1, 3)
    return batch.permute(2, 0, 1)[None].contiguous()


def _pair(entry: Entry, golden: Golden) -> tuple[Tensor, Tensor]:
    return _read(entry["inputs"]["test"], golden), _read(entry["inputs"]["ref"], golden)


def _is_picture(entry: Entry, golden: Golden) -> bool:
    return not (golden.inputs / f"{entry['inputs']['ref']}.npy").is_file()


def _in_domain(images: tuple[Tensor, Tensor], domain: str) -> tuple[Tensor, Tensor]:
    """Bring a pair into the domain that an entry names."""
    if domain.startswith("mu-law"):
        images = mu_law(images[0]), mu_law(images[1])
    if domain.endswith("*255"):
        return images[0] * 255, images[1] * 255
    return (images[0] / 255, images[1] / 255) if domain.endswith("/255") else images


def _grey(image: Tensor, weights: tuple[float, ...] = BT601, *, rounded: bool = False) -> Tensor:
    grey = (image * image.new_tensor(weights).view(1, 3, 1, 1)).sum(1, keepdim=True)
    return (grey + 0.5).floor() if rounded else grey


def _structural(entry: Entry, golden: Golden) -> float:
    domain, variant = entry["parameters"]["domain"], entry["parameters"]["variant"]
    pair = _in_domain(_pair(entry, golden), domain)
    if "0.299/0.587/0.114" in variant or "Y only" in variant:
        pair = _grey(pair[0], (0.299, 0.587, 0.114)), _grey(pair[1], (0.299, 0.587, 0.114))
    elif "601 luma" in variant or "rgb2gray" in variant + domain:
        rounded = "rgb2gray" in variant + domain
        pair = _grey(pair[0], rounded=rounded), _grey(pair[1], rounded=rounded)
    peak = float(entry["parameters"]["data_range"])
    if entry["metric"] == "MS-SSIM":
        exponents = MANTIUK if variant.startswith("qm_") else WANG
        return ms_ssim(*pair, peak=peak, exponents=exponents).item()
    if variant.startswith("pyiqa"):
        pair, peak = ((pair[0].float() * 255).round().double(), (pair[1].float() * 255).round().double()), 255.0
    for start, ours in _SSIM_VARIANTS.items():
        if variant.startswith(start):
            return ssim(*pair, peak=peak, variant=ours).item()
    raise NotComparedError(f"'{variant}' is another definition than any here")


_SSIM_VARIANTS = {
    "wang_ssim_index": "wang",
    "selfhdr": "selfhdr",
    "matlab_ssim RGB as 3-D volume": "matlab_volume",
    "matlab_ssim": "matlab",
    "skimage gauss s1.5 popcov": "wang",
    "skimage gauss s1.5 sample cov": "sample_covariance",
    "skimage default": "skimage",
    "torchmetrics default": "torchmetrics",
    "kornia same": "kornia",
    "kornia valid": "kornia_valid",
    "piq default": "piq",
    "piq downsample=False": "wang",
    "pytorch_msssim": "pytorch_msssim",
    "pyiqa": "pyiqa",
}


def _psnr(entry: Entry, golden: Golden) -> float:
    pair = _in_domain(_pair(entry, golden), entry["parameters"]["domain"])
    return psnr(*pair, peak=float(entry["parameters"]["data_range"])).item()


def _absolute(entry: Entry, golden: Golden) -> tuple[Tensor, Tensor]:
    scaling = entry["parameters"]["scaling"]
    pair = _pair(entry, golden)
    if scaling.startswith("L_peak="):
        peak = float(scaling.removeprefix("L_peak="))
        return pair[0] * peak, pair[1] * peak
    found = re.match(r"display_model_gog\(Y_peak=([\d.]+),contrast=([\d.]+),gamma=([\d.]+),E_ambient=([\d.]+)", scaling)
    if not found:
        raise NotComparedError(f"unknown scaling '{scaling}'")
    peak, contrast, gamma, ambient = map(float, found.groups())
    display = pu21.Display(peak=peak, contrast=contrast, gamma=gamma, ambient=ambient)
    return pu21.emitted(pair[0] / 255, display), pu21.emitted(pair[1] / 255, display)


def _pu21(entry: Entry, golden: Golden) -> float:
    pair = _absolute(entry, golden)
    settings = entry["parameters"]
    if settings["luminance_only"]:
        pair = pu21.luminance(pair[0]), pu21.luminance(pair[1])
    encoded = tuple(pu21.encode(image, settings["encoder"]) for image in pair)
    if entry["metric"] == "PU21-SSIM":
        return ssim(*encoded, peak=settings["peak"], variant="matlab").item()
    return psnr(*encoded, peak=settings["peak"]).item()


def _pu21_encode(entry: Entry, golden: Golden) -> float:
    value = torch.tensor([float(entry["inputs"]["Y_cd_m2"])], dtype=torch.float64)
    return pu21.encode(value, entry["parameters"]["variant"]).item()


def _vdp_images(entry: Entry, golden: Golden) -> tuple[Tensor, Tensor]:
    note, encoding = entry["parameters"].get("note", ""), entry["parameters"]["color_encoding"]
    pred, ref = _pair(entry, golden)
    if _is_picture(entry, golden):
        pred, ref = pred / 255, ref / 255
    scale = re.search(r"\*(\d+)", note)
    factor = float(scale.group(1)) if scale else (1.0 if encoding == "sRGB-display" else 4000.0)
    if encoding == "luminance":
        pred, ref = pu21.luminance(pred), pu21.luminance(ref)
    if "hdrvdp(target,output" in note:
        pred, ref = ref, pred
    return pred * factor, ref * factor


def _hdrvdp2(entry: Entry, golden: Golden) -> float:
    settings = entry["parameters"]
    images = _vdp_images(entry, golden)
    return hdrvdp2(*images, encoding=settings["color_encoding"], ppd=settings["pixels_per_degree"]).item()


def _hdrvdp3(entry: Entry, golden: Golden) -> Vdp3:
    settings = entry["parameters"]
    images, ppd = _vdp_images(entry, golden), settings["pixels_per_degree"]
    return hdrvdp3(*images, encoding=settings["color_encoding"], ppd=ppd, task=settings["task"])


def _delta_e(entry: Entry, golden: Golden) -> float:
    variant = entry["parameters"]["variant"]
    pair = _pair(entry, golden)
    if _is_picture(entry, golden):
        pair = pair[0] / 255, pair[1] / 255
    if "mu5000" in variant:
        pair = mu_law(pair[0]), mu_law(pair[1])
    if variant.endswith("x100"):
        pair = pair[0] * 100, pair[1] * 100
    if "sRGB" in variant:
        pair = srgb_decode(pair[0]), srgb_decode(pair[1])
    return ciede2000(*pair, constants=variant.partition("_")[0]).item()


def _sharma_pair(entry: Entry, golden: Golden) -> float:
    first, second = torch.tensor(entry["inputs"], dtype=torch.float64).view(2, 1, 3, 1, 1)
    return delta_e_2000(first, second).item()


def _mef(entry: Entry, golden: Golden) -> float:
    stack, fused = entry["inputs"]["stack"], entry["inputs"]["fused"]
    if isinstance(stack, str):
        frames, image = _memorial(stack, fused)
    else:
        frames, image = [_read(name, golden) for name in stack], _read(fused, golden)
    return mef_ssim(image / 255, torch.stack(frames, 1) / 255).item()


def _memorial(stack: str, fused: str) -> tuple[list[Tensor], Tensor]:
    """Read OpenCV's memorial church, which is test data of the data sets."""
    folder = Path(os.environ.get("HDRBENCH_DATA", "")) / "opencv_memorial"
    if not stack.startswith("opencv_extra memorial") or not folder.is_dir():
        raise NotComparedError(f"'{stack}' is not on this machine")
    frames = [_to_batch(_picture(path)) for path in sorted((folder / "exposures").glob("*.png"))]
    return frames, _to_batch(_picture(folder / fused.removeprefix("opencv_extra ")))


def _no_reference(entry: Entry, golden: Golden) -> float:
    name = entry["metric"].lower()
    reason = metrics.unavailable(name)
    if reason:
        raise NotComparedError(reason)
    image = _read(entry["inputs"]["image"], golden) / 255
    return (learned.niqe(image) if name == "niqe" else learned.brisque(image)).item()


_COMPUTE: dict[str, Callable[[Entry, Golden], float]] = {
    "PSNR": _psnr,
    "SSIM": _structural,
    "MS-SSIM": _structural,
    "PU21-encode": _pu21_encode,
    "PU21-PSNR": _pu21,
    "PU21-PSNRY": _pu21,
    "PU21-SSIM": _pu21,
    "HDR-VDP-2.2.2-Q": _hdrvdp2,
    "HDR-VDP-3.0.7": lambda entry, golden: _hdrvdp3(entry, golden).q.item(),
    "HDR-VDP-3.0.7 Q_JOD": lambda entry, golden: _hdrvdp3(entry, golden).q_jod.item(),
    "pixels per degree": lambda entry, golden: pixels_per_degree(
        entry["inputs"]["display_diagonal_in"],
        tuple(entry["inputs"]["resolution"]),
        entry["inputs"]["viewing_distance_m"],
    ),
    "DeltaE2000-mean": _delta_e,
    "CIEDE2000": _sharma_pair,
    "MEF-SSIM": _mef,
    "NIQE": _no_reference,
    "BRISQUE": _no_reference,
}
