"""Scores of a trained run on the test split of a data set: every metric for every image, at batch size 1 in float32."""

import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import track
from torch import Tensor, nn

from hdrbench import methods, metrics, protocol
from hdrbench.errors import HdrbenchError
from hdrbench.methods import Reconstruction
from hdrbench.metrics import scoring
from hdrbench.pipeline import checkpoint
from hdrbench.pipeline.digest import evaluate_code
from hdrbench.pipeline.prepare import Arrays, Prepared
from hdrbench.pipeline.provenance import environment, git_state, now, peak_memory_mb
from hdrbench.runs import ResolvedRun
from hdrbench.workspace import root, write_atomically


def load_network(run: ResolvedRun, device: str) -> tuple[nn.Module, dict]:
    """Build a run's network with its trained weights; returns it in evaluation mode, with the facts of its training."""
    tensors, facts = checkpoint.read(run.weights)
    network = methods.build(run.method, run.options)
    try:
        checkpoint.unpack(tensors, network, None)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise HdrbenchError(f"{run.weights}: does not fit run '{run.id}' ({reason}); train it again") from error
    return network.eval().to(device), facts


def best_device() -> str:
    """Return ``"cuda"`` where there is a GPU, else ``"cpu"``."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def to_batch(image: np.ndarray, device: str) -> Tensor:
    """Turn an (H, W, 3) array into a (1, 3, H, W) tensor."""
    return torch.from_numpy(image).permute(2, 0, 1)[None].contiguous().to(device)


@torch.inference_mode()
def reconstruct(network: nn.Module, method: str, scene: Arrays, device: str) -> tuple[Reconstruction, float]:
    """Reconstruct one scene from its middle exposure; returns the result and the seconds it took."""
    middle = to_batch(scene["middle"], device)
    times = torch.from_numpy(scene["times"])[None].to(device)
    _synchronise(device)
    began = time.perf_counter()
    result = methods.get(method).reconstruct(network, middle, times)
    _synchronise(device)
    return result, time.perf_counter() - began


def _synchronise(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def _add_scores(values: dict[str, list[float]], failed: dict[str, str], subject: scoring.Subject, scene: str) -> None:
    """Append each metric's score of one scene; a metric that cannot score it is given up, with the reason."""
    for metric in [name for name in values if name not in failed]:
        try:
            value = scoring.score(metric, subject).item()
        except ValueError as error:
            failed[metric] = f"scene '{scene}': {error}"
            continue
        if math.isfinite(value):
            values[metric].append(value)
        else:
            equal = " (the prediction equals the reference)" if value == metrics.get(metric).perfect else ""
            failed[metric] = f"scene '{scene}' scores {value}{equal}"


def evaluate(run: ResolvedRun, test: str, data: dict[str, Any], names: list[str], protocol_name: str) -> Path:
    """Score a run on the data set that plays the role `test`, and write the scores.

    Parameters
    ----------
    run
        A trained run.
    test
        Role of the data set whose test split is scored.
    data
        The data set's facts, with its fingerprint under ``"digest"``.
    names
        Metrics to compute.
    protocol_name
        Key of `hdrbench.protocol.PROTOCOLS`.

    Raises
    ------
    HdrbenchError
        If there are no scenes, or the network returns values that are not finite. A metric that cannot score a scene,
        because it is too small or has no reference, is recorded as failed.
    """
    device = best_device()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    network, facts = load_network(run, device)
    scenes = Prepared(run.dataset(test), "test", data["digest"], run.profile.flow)
    if not len(scenes):
        raise HdrbenchError(f"data set '{scenes.dataset}' has no scenes in split 'test'")
    images: list[str] = []
    missing = {name: reason for name in names if (reason := metrics.unavailable(name))}
    values: dict[str, list[float]] = {name: [] for name in names if name not in missing}
    failed: dict[str, str] = {}
    chosen = protocol.get(protocol_name)
    seconds, sizes = [], []
    began = time.monotonic()
    reconstruct(network, run.method, scenes[0], device)  # the first call also pays for kernel selection
    for name, scene in track(zip(scenes.names, scenes, strict=True), f"scoring {run.id} on {test}", len(scenes)):
        result, elapsed = reconstruct(network, run.method, scene, device)
        if not torch.isfinite(result.hdr).all():
            raise HdrbenchError(f"run '{run.id}' returned values that are not finite on scene '{name}'")
        reference = to_batch(scene["hdr"], device) if "hdr" in scene else None
        subject = scoring.Subject(chosen, result.hdr, reference)
        _add_scores(values, failed, subject, name)
        images.append(name)
        seconds.append(elapsed)
        sizes.append(list(scene["middle"].shape[:2]))
    record = {
        "run": run.id,
        "method": run.method,
        "options": run.options,
        "test": test,
        "dataset": run.dataset(test),
        "data": data["digest"],
        "images": images,
        "metrics": {metric: scores for metric, scores in values.items() if metric not in failed},
        "missing": missing,
        "failed": failed,
        "seconds": seconds,
        "sizes": sizes,
        "protocol": {"name": protocol_name, "hash": chosen.digest()},
        "training": facts,
        "evaluation": {
            "git": git_state(root()),
            "code": evaluate_code(run.method),
            "environment": environment(device),
            "seconds": time.monotonic() - began,
            "peak_memory_mb": peak_memory_mb(device),
            "finished": now(),
        },
    }
    write_atomically(run.scores(test), json.dumps(record, indent=1, allow_nan=False) + "\n")
    return run.scores(test)
