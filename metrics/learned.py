"""Learned and no-reference metrics, computed by pyiqa: LPIPS, MUSIQ, CLIPIQA, NIQE, BRISQUE.

pyiqa is optional (``hdrbench[iqa]``) and for non-commercial use only. All images are display-referred, in [0, 1]: the
caller tone-maps and clips. Images are scored one at a time, so that no score depends on the others of a batch.
Networks run in float32, which is what their weights are.
"""

import contextlib
import pickle
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Literal

import torch
from scipy.io.matlab import MatReadError
from torch import Tensor

from hdrbench.errors import HdrbenchError, WeightsMissingError
from hdrbench.metrics.checks import check_pair
from hdrbench.metrics.weights import PYIQA_ABSENT, downloads_allowed, require
from hdrbench.metrics.weights import missing as missing

_PYIQA_NAMES = {"lpips_vgg": "lpips-vgg"}
# Below these sides a pooling layer, or a window at the half scale, finds nothing to work on.
_SMALLEST = {"lpips": 31, "lpips_vgg": 16, "musiq": 32, "clipiqa": 32, "niqe": 96, "brisque": 14}
_NIQE_BLOCK = 96
_BRISQUE_FEATURES = 36
# What torch, SciPy and pyiqa raise on reading a file that is cut off or holds something else.
_BROKEN = (OSError, EOFError, LookupError, ValueError, RuntimeError, TypeError, pickle.UnpicklingError, MatReadError)


def lpips(pred: Tensor, ref: Tensor, *, net: Literal["alex", "vgg"] = "alex") -> Tensor:
    """Learned perceptual image patch similarity (Zhang2018), version 0.1; differentiable.

    Parameters
    ----------
    pred, ref
        (N, 3, H, W) in [0, 1], display-referred, at least 31 pixels on each side (16 for VGG).
    net
        The backbone, AlexNet or VGG16.

    Returns
    -------
    Tensor
        (N,) float64, 0 for identical images.

    Raises
    ------
    ValueError
        On unequal shapes, values that are not finite or outside [0, 1], or images that are too small.
    HdrbenchError
        If pyiqa is not installed, or a file of weights cannot be read.
    WeightsMissingError
        If a file of weights is missing.
    """
    check_pair(pred, ref)
    if net not in ("alex", "vgg"):
        raise ValueError(f"expected net 'alex' or 'vgg', got {net!r}")
    metric = "lpips" if net == "alex" else "lpips_vgg"
    _check(metric, pred=pred, ref=ref)
    return _each(metric, _network(metric, str(pred.device)), pred, ref)


def musiq(image: Tensor) -> Tensor:
    """Multi-scale image quality transformer (Ke2021), trained on KonIQ-10k; about 0 to 100, higher is better.

    Parameters
    ----------
    image
        (N, 3, H, W) in [0, 1], display-referred, at least 32 pixels on each side.

    Returns
    -------
    Tensor
        (N,) float64.

    Raises
    ------
    ValueError, HdrbenchError, WeightsMissingError
        As for `lpips`.
    """
    _check("musiq", image=image)
    return _each("musiq", _network("musiq", str(image.device)), image)


def clipiqa(image: Tensor) -> Tensor:
    """CLIP-IQA (Wang2023) with the backbone RN50 and pyiqa's five pairs of prompts; 0 to 1, higher is better.

    Parameters
    ----------
    image
        (N, 3, H, W) in [0, 1], display-referred, at least 32 pixels on each side.

    Returns
    -------
    Tensor
        (N,) float64.

    Raises
    ------
    ValueError, HdrbenchError, WeightsMissingError
        As for `lpips`.
    """
    _check("clipiqa", image=image)
    return _each("clipiqa", _network("clipiqa", str(image.device)), image)


def niqe(image: Tensor) -> Tensor:
    """Natural image quality evaluator (Mittal2013) of the 8-bit luma, with the authors' model; lower is better.

    Computed on the CPU whatever the device, so that a score does not depend on it; not differentiable. Strongly
    distorted images are ill-conditioned: implementations differ by several per cent on them.

    Parameters
    ----------
    image
        (N, 3, H, W) in [0, 1], display-referred, with room for two blocks of 96x96 pixels.

    Returns
    -------
    Tensor
        (N,) float64, on the device of `image`.

    Raises
    ------
    ValueError
        As for `lpips`; also if an image has no texture to judge.
    HdrbenchError, WeightsMissingError
        As for `lpips`.
    """
    _check("niqe", image=image)
    height, width = image.shape[-2:]
    if (height // _NIQE_BLOCK) * (width // _NIQE_BLOCK) < 2:
        raise ValueError(f"niqe needs room for two blocks of 96x96 pixels, got an image of {height}x{width}")
    network = _network("niqe", "cpu")
    return _each("niqe", lambda luma: network(luma / 255.0), _luma("niqe", image)).to(image.device)


def brisque(image: Tensor) -> Tensor:
    """Blind referenceless image spatial quality evaluator (Mittal2012), with the authors' model; lower is better.

    Computed on the CPU whatever the device, so that a score does not depend on it; not differentiable. Flat areas are
    ill-conditioned: implementations differ by several units on images that have many.

    Parameters
    ----------
    image
        (N, 3, H, W) in [0, 1], display-referred, at least 14 pixels on each side.

    Returns
    -------
    Tensor
        (N,) float64, on the device of `image`; about 0 to 100, and beyond either end.

    Raises
    ------
    ValueError, HdrbenchError, WeightsMissingError
        As for `niqe`.
    """
    _check("brisque", image=image)
    model = _brisque_model(_files("brisque")[0])
    scores = _each("brisque", lambda luma: model(_brisque_features(luma)), _luma("brisque", image))
    return scores.to(image.device)


def _check(metric: str, **images: Tensor) -> None:
    """Raise `ValueError` unless all are finite (N, 3, H, W) batches in [0, 1], large enough for the metric."""
    for name, image in images.items():
        if image.dim() != 4 or image.shape[0] == 0 or image.shape[1] != 3:
            raise ValueError(f"{metric} expects {name} as (N, 3, H, W) with N > 0, got {tuple(image.shape)}")
        if not image.is_floating_point():
            raise ValueError(f"{metric} expects floating-point images, but {name} is {image.dtype}")
        if min(image.shape[-2:]) < _SMALLEST[metric]:
            side, size = _SMALLEST[metric], tuple(image.shape[-2:])
            raise ValueError(f"{metric} needs images of at least {side}x{side} pixels, got {size}")
        if not torch.isfinite(image).all():
            raise ValueError(f"{name} holds {int((~torch.isfinite(image)).sum())} values that are NaN or infinite")
        low, high = (float(value) for value in torch.aminmax(image.detach()))
        if low < 0 or high > 1:
            raise ValueError(
                f"{metric} expects display-referred values in [0, 1], but {name} reaches from {low:.4g} to {high:.4g}; "
                "tone-map it (mu_law or gamma_encode of hdrbench.imaging.transfer) and clip it first"
            )


def _each(metric: str, score: Callable[..., Tensor], *batches: Tensor) -> Tensor:
    """Score image by image; raise `ValueError` where there is no finite score."""
    values = []
    for number in range(len(batches[0])):
        problem = f"{metric} has no score for image {number} of the batch; is it almost flat?"
        try:
            value = score(*(batch[number : number + 1] for batch in batches))
        except (AssertionError, torch.linalg.LinAlgError) as error:
            raise ValueError(problem) from error
        if not torch.isfinite(value).all():
            raise ValueError(problem)
        values.append(value.reshape(()).double())
    return torch.stack(values)


def _luma(metric: str, image: Tensor) -> Tensor:
    """Return the luma on the CPU, (N, 1, H, W) float64 holding the whole numbers 0 to 255; flat images are refused.

    pyiqa's own conversion is a product of matrices in float32. Where the sum ends in exactly .5 its rounding follows the
    processor, and NIQE with it, by up to 0.02. Here it is that of fused multiply-adds, red first, on every machine.
    """
    red, green, blue = image.detach().cpu().float().double().unbind(1)
    weights = torch.tensor([0.299, 0.587, 0.114]).double()
    total = (red * weights[0]).float()
    for channel, weight in ((green, weights[1]), (blue, weights[2])):
        total = (channel * weight + total.double()).float()
    luma = (total * 255.0).round().double()
    flat = (luma.flatten(1).amax(1) == luma.flatten(1).amin(1)).nonzero().flatten().tolist()
    if flat:
        raise ValueError(f"{metric} judges texture, but the images {flat} of the batch have one grey level only")
    return luma[:, None]


def _files(metric: str) -> tuple[Path, ...]:
    """Return the files of a metric, after pyiqa has downloaded what is missing, if that is allowed."""
    lacking = missing(metric)
    if lacking and downloads_allowed() and PYIQA_ABSENT not in lacking:
        try:
            _create(metric)
        except OSError as error:
            raise WeightsMissingError(f"{metric}: the download failed ({error}); {'; '.join(lacking)}") from error
    return require(metric)


def _create(metric: str, **options: str) -> torch.nn.Module:
    """Let pyiqa make a metric on the CPU; what it prints goes to standard error."""
    with contextlib.redirect_stdout(sys.stderr), _pkg_resources():
        from pyiqa import create_metric

        return create_metric(_PYIQA_NAMES.get(metric, metric), device="cpu", **options).net


@contextlib.contextmanager
def _pkg_resources() -> Iterator[None]:
    """Offer openai-clip, for CLIPIQA, the module it imports `packaging` from, which setuptools 82 dropped."""
    if find_spec("pkg_resources"):
        yield
        return
    import packaging.version

    stand_in = ModuleType("pkg_resources")
    vars(stand_in)["packaging"] = packaging
    sys.modules["pkg_resources"] = stand_in
    try:
        yield
    finally:
        del sys.modules["pkg_resources"]


@cache
def _network(metric: str, device: str) -> Callable[..., Tensor]:
    """Load a network once per process and device; the result takes batches in [0, 1]."""
    files = _files(metric)
    with _reading(metric, files):
        network = _load(metric, files).requires_grad_(False)
    network.to(device)

    def score(*images: Tensor) -> Tensor:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
            return network(*(image.float() for image in images))

    return score


def _load(metric: str, files: tuple[Path, ...]) -> torch.nn.Module:
    if metric == "clipiqa":
        return _create(metric, backbone=str(files[0]))
    if metric not in ("lpips", "lpips_vgg"):
        return _create(metric, pretrained_model_path=str(files[0]))
    _check_heads(files[0])
    with _hub(files[1].parent.parent):
        return _create(metric, pretrained_model_path=str(files[0]))


@contextlib.contextmanager
def _reading(metric: str, files: tuple[Path, ...]) -> Iterator[None]:
    """Turn what a damaged or wrong file raises into an `HdrbenchError`."""
    try:
        yield
    except _BROKEN as error:
        names, why = ", ".join(map(str, files)), " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise HdrbenchError(f"{metric}: cannot use the weights {names}; get them again ({why})") from error


@contextlib.contextmanager
def _hub(folder: Path) -> Iterator[None]:
    """Let torchvision, which takes no path, look for its backbones in another folder."""
    before = torch.hub._hub_dir
    torch.hub.set_dir(folder)
    try:
        yield
    finally:
        torch.hub._hub_dir = before


def _check_heads(path: Path) -> None:
    """Raise `KeyError` unless the file holds all five heads of LPIPS; pyiqa would leave the others random."""
    heads = torch.load(path, map_location="cpu", weights_only=True)
    lacking = [key for key in (f"lin{i}.model.1.weight" for i in range(5)) if key not in heads]
    if lacking:
        raise KeyError(f"{path.name} has no {lacking[0]}")


@dataclass(frozen=True)
class _SupportVectors:
    """An epsilon support vector regression with a radial kernel: (M,) coefficients, (M, 36) vectors."""

    coefficients: Tensor
    vectors: Tensor
    gamma: float = 0.05
    rho: float = -153.591

    def __call__(self, features: Tensor) -> Tensor:
        """Predict from (1, 36); in float64, since 774 terms of up to 1024 nearly cancel."""
        distances = (self.vectors - features).square().sum(1)
        return self.coefficients @ torch.exp(-self.gamma * distances) - self.rho


@cache
def _brisque_model(path: Path) -> _SupportVectors:
    """Read the authors' model, or pyiqa's copy of it."""
    with _reading("brisque", (path,)):
        if path.suffix == ".txt":
            return _libsvm(path.read_text())
        coefficients, vectors = torch.load(path, map_location="cpu", weights_only=True)
        return _SupportVectors(coefficients.double().flatten(), vectors.double())


def _libsvm(text: str) -> _SupportVectors:
    """Parse the text of libsvm: a header, then a coefficient and ``index:value`` pairs on each line."""
    head, found, body = text.partition("\nSV\n")
    header = dict(line.split(maxsplit=1) for line in head.splitlines())
    if not found or (header["svm_type"], header["kernel_type"]) != ("epsilon_svr", "rbf"):
        raise ValueError("expected a libsvm model of type epsilon_svr with an rbf kernel")
    rows = [line.split() for line in body.splitlines() if line.strip()]
    if len(rows) != int(header["total_sv"]):
        raise ValueError(f"expected {header['total_sv']} support vectors, got {len(rows)}")
    vectors = torch.zeros(len(rows), _BRISQUE_FEATURES, dtype=torch.float64)
    for vector, row in zip(vectors, rows, strict=True):
        for pair in row[1:]:
            index, value = pair.split(":")
            vector[int(index) - 1] = float(value)
    coefficients = torch.tensor([float(row[0]) for row in rows], dtype=torch.float64)
    return _SupportVectors(coefficients, vectors, float(header["gamma"]), float(header["rho"]))


def _brisque_features(luma: Tensor) -> Tensor:
    """Compute BRISQUE's features at two scales with pyiqa, scaled as the authors do; (1, 1, H, W) to (1, 36) float64.

    In float32, as pyiqa's published values are: rounding decides the sign of what should be zero in flat areas.
    """
    from pyiqa.archs.brisque_arch import imresize, natural_scene_statistics, scale_features

    fine = luma.float()
    scales = (fine, imresize(fine, scale=0.5, antialiasing=True))
    return scale_features(torch.cat([natural_scene_statistics(scale) for scale in scales], dim=-1).double())
