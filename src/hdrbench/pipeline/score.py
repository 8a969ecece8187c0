"""Scores of a folder of images, whoever made them: pairs by file name, every metric for every image."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

import hdrbench
from hdrbench import metrics, protocol
from hdrbench.errors import HdrbenchError, WeightsMissingError
from hdrbench.imaging import headers
from hdrbench.imaging.io import HDR_SUFFIXES, LDR_SUFFIXES, read_hdr, read_ldr
from hdrbench.imaging.transfer import gamma_decode, srgb_decode
from hdrbench.metrics import scoring
from hdrbench.pipeline.device import best_device, to_batch
from hdrbench.pipeline.provenance import environment, now

CODES = {"linear": lambda codes: codes, "srgb": srgb_decode, "gamma": gamma_decode}


@dataclass(frozen=True)
class Request:
    """What is to be scored, and how.

    Attributes
    ----------
    pred
        Folder of images.
    names
        Metrics.
    protocol_name
        Key of `hdrbench.protocol.PROTOCOLS`.
    ref
        Folder of references with the same file stems.
    stack
        Folder with one folder per prediction, called by its stem, that holds the exposures it was fused from.
    ldr_as
        What the codes of PNG, TIFF and JPEG files are taken for: ``"linear"``, ``"srgb"``, ``"gamma"`` (2.2), or ``None``
        if nothing was said, when they are scored as they are, but not against radiance maps.
    """

    pred: Path
    names: tuple[str, ...]
    protocol_name: str
    ref: Path | None = None
    stack: Path | None = None
    ldr_as: str | None = None


@dataclass
class Outcome:
    """Scores by image and metric, one line for everything that could not be scored, and one for what may surprise."""

    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    interrupted: bool = False

    def count(self, name: str) -> int:
        """How many images a metric has a score of."""
        return sum(name in row for row in self.scores.values())

    def mean(self, name: str) -> float | None:
        """Mean of a metric over the images that have it, ``None`` if none has."""
        values = [row[name] for row in self.scores.values() if name in row]
        return sum(values) / len(values) if values else None


def score_folder(request: Request) -> Outcome:
    """Score every image of a folder; what cannot be scored is listed, and everything else is scored.

    Raises
    ------
    HdrbenchError
        If a metric, the protocol or a folder does not exist, or a folder that a metric needs was not given.
    """
    settings = protocol.get(request.protocol_name)
    _check(request)
    outcome = Outcome()
    here = []
    for name in request.names:
        reason = metrics.unavailable(name)
        if reason:
            outcome.problems.append(f"metric {name}: {reason}")
        else:
            here.append(name)
    paths = dict(_images(request.pred, outcome))
    references = dict(_images(request.ref, outcome)) if request.ref else {}
    if request.ref:
        outcome.problems += [f"{references[stem]}: has no prediction" for stem in references if stem not in paths]
    done = 0
    try:
        for stem, path in track(sorted(paths.items()), "scoring", len(paths), console=Console(stderr=True)):
            _score_image(request, settings, here, path, references.get(stem), outcome)
            done += 1
    except KeyboardInterrupt:
        outcome.problems.append(f"interrupted after {done} of {len(paths)} images")
        outcome.interrupted = True
    return outcome


def _score_image(
    request: Request, settings: protocol.Protocol, names: list[str], path: Path, other: Path | None, outcome: Outcome
) -> None:
    """Score one image; whatever goes wrong with it, or with one metric, is a line, and the others go on."""
    row = outcome.scores[path.name] = {}
    try:
        subject = _load(request, settings, path, other, outcome)
    except Exception as error:
        outcome.problems.append(_told(error, path))
        return
    has = {"reference": subject.ref is not None, "stack": subject.fusion is not None, "nothing": True}
    for name in names:
        if not has[metrics.get(name).needs]:
            continue
        try:
            value = scoring.score(name, subject).item()
        except Exception as error:
            line = f"metric {name}: {error}" if isinstance(error, WeightsMissingError) else f"{path}: {name}: {error}"
            if line not in outcome.problems:
                outcome.problems.append(line)
            continue
        if math.isnan(value):
            outcome.problems.append(f"{path}: {name} is not a number")
        else:
            row[name] = value


def _told(error: Exception, path: Path) -> str:
    """Say what is wrong with a file; errors of our own begin with its path, a library's do not."""
    if isinstance(error, HdrbenchError):
        return str(error)
    return f"{path}: {type(error).__name__}: {' '.join(str(error).split())}"


def _check(request: Request) -> None:
    if not request.names:
        raise HdrbenchError("no metric was asked for; `hdrbench metrics list` names them")
    needs = {name: metrics.get(name).needs for name in request.names}
    for name, need in needs.items():
        if need == "reference" and request.ref is None:
            raise HdrbenchError(f"metric '{name}' compares with a reference; give their folder with --ref")
        if need == "stack" and request.stack is None:
            raise HdrbenchError(f"metric '{name}' needs the exposures that were fused; give their folder with --stack")
    if request.ldr_as is not None and request.ldr_as not in CODES:
        raise HdrbenchError(f"--ldr-as is '{request.ldr_as}', expected one of {', '.join(CODES)}")
    for folder in (request.pred, request.ref, request.stack):
        if folder is not None and not folder.is_dir():
            raise HdrbenchError(f"{folder}: is no folder")
    kinds = (*HDR_SUFFIXES, *LDR_SUFFIXES)
    if not any(path.suffix.lower() in kinds and not path.is_dir() for path in request.pred.iterdir()):
        raise HdrbenchError(f"{request.pred}: holds no images ({', '.join((*HDR_SUFFIXES, *LDR_SUFFIXES))})")


def _images(folder: Path, outcome: Outcome) -> Iterator[tuple[str, Path]]:
    """List a folder's images by stem; files that are no images, and all but the first of one stem, are problems."""
    taken: dict[str, Path] = {}
    for path in sorted(path for path in folder.iterdir() if not path.name.startswith(".")):
        if path.is_dir():
            outcome.problems.append(f"{path}: is a folder; only the images of {folder} itself are scored")
        elif not path.is_file():
            outcome.problems.append(f"{path}: is a link that leads nowhere, or no ordinary file")
        elif path.suffix.lower() not in (*HDR_SUFFIXES, *LDR_SUFFIXES):
            outcome.problems.append(f"{path}: is not an image of a kind that is read here")
        elif path.stem in taken:
            outcome.problems.append(f"{path}: has the same name as {taken[path.stem].name}, which was scored")
        else:
            taken[path.stem] = path
            yield path.stem, path


def _load(
    request: Request, settings: protocol.Protocol, path: Path, other: Path | None, outcome: Outcome
) -> scoring.Subject:
    """Read an image and what it is compared with; a reference or stack that cannot be used is a line in the outcome."""
    device = best_device()
    pred = _read(path, request.ldr_as)
    ref = fusion = None
    if request.ref is not None:
        try:
            ref = _reference(request, path, pred, other)
        except Exception as error:
            outcome.problems.append(_told(error, other or path))
    if request.stack is not None:
        try:
            fusion = _read_fusion(request.stack / path.stem, path)
        except Exception as error:
            outcome.problems.append(_told(error, request.stack / path.stem))
    coded = _is_ldr(path) and request.ldr_as is None
    _note_surprises(outcome, path, settings, pred, ref, coded=coded)
    batches = to_batch(pred, device), None if ref is None else to_batch(ref, device)
    moved = None if fusion is None else (fusion[0].to(device), fusion[1].to(device))
    return scoring.Subject(settings, *batches, moved, coded=coded)


def _note_surprises(
    outcome: Outcome,
    path: Path,
    settings: protocol.Protocol,
    pred: np.ndarray,
    ref: np.ndarray | None,
    *,
    coded: bool,
) -> None:
    if coded:
        outcome.notes.append(
            f"{path.name}: display codes, scored as they are; the linear domain is then that of the codes"
        )
    elif settings.normalisation == "none":
        for what, image in (("its reference", ref), ("it", pred)):
            if image is not None and image.max() > settings.peak:
                text = f"{what} reaches {image.max():g}, above the protocol's peak {settings.peak:g}"
                outcome.notes.append(f"{path.name}: {text}")


def _reference(request: Request, path: Path, pred: np.ndarray, other: Path | None) -> np.ndarray:
    if other is None:
        raise HdrbenchError(f"{path}: has no reference in {request.ref}")
    if _is_ldr(path) != _is_ldr(other) and request.ldr_as is None:
        raise HdrbenchError(f"{path}: one of it and {other.name} is display-referred; say with --ldr-as what it is")
    ref = _read(other, request.ldr_as)
    if pred.shape != ref.shape:
        raise HdrbenchError(f"{path}: is {_size(pred)}, but its reference {other.name} is {_size(ref)}")
    return ref


def _read_fusion(folder: Path, path: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Read the codes of a fused picture and of its exposures, whatever they are taken for elsewhere."""
    if not _is_ldr(path):
        raise HdrbenchError(f"{path}: fusion is scored on display codes, but this is a radiance map; give a picture")
    if not folder.is_dir():
        raise HdrbenchError(f"{path}: has no exposures, expected in {folder}")
    fused = _read(path, None)
    files = sorted(file for file in folder.iterdir() if _is_ldr(file) and file.is_file() and file.name[0] != ".")
    frames = [_read(file, None) for file in files]
    if len(frames) < 2:
        raise HdrbenchError(f"{folder}: holds {len(frames)} exposures, expected at least 2")
    for file, frame in zip(files, frames, strict=True):
        if frame.shape != fused.shape:
            raise HdrbenchError(f"{file}: is {_size(frame)}, but the fused image is {_size(fused)}")
    return to_batch(fused, "cpu"), torch.cat([to_batch(frame, "cpu") for frame in frames])[None]


def _read(path: Path, ldr_as: str | None) -> np.ndarray:
    headers.guard(path)
    if not _is_ldr(path):
        return read_hdr(path)
    codes = read_ldr(path)
    return codes if ldr_as is None else CODES[ldr_as](torch.from_numpy(codes)).numpy()


def _is_ldr(path: Path) -> bool:
    return path.suffix.lower() in LDR_SUFFIXES


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"


def as_record(request: Request, outcome: Outcome) -> dict[str, Any]:
    """Put an outcome together with everything that decided it, for a JSON file; infinite scores become ``"inf"``."""
    settings = protocol.get(request.protocol_name)

    def plain(value: float | None) -> float | str | None:
        return value if value is None or math.isfinite(value) else str(value)

    return {
        "pred": str(request.pred),
        "ref": None if request.ref is None else str(request.ref),
        "stack": None if request.stack is None else str(request.stack),
        "ldr_as": request.ldr_as,
        "protocol": {"name": request.protocol_name, "hash": settings.digest(), "fields": settings.fields()},
        "scores": {image: {n: plain(v) for n, v in row.items()} for image, row in outcome.scores.items()},
        "mean": {name: plain(outcome.mean(name)) for name in request.names},
        "images": {name: outcome.count(name) for name in request.names},
        "problems": outcome.problems,
        "notes": outcome.notes,
        "hdrbench": hdrbench.__version__,
        "environment": environment(best_device()),
        "finished": now(),
    }
