"""Scores of a trained run on the test split of a data set: every metric for every image, at batch size 1 in float32."""

import json
import math
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.progress import track
from torch import nn

from hdrbench import methods, metrics, protocol
from hdrbench.errors import HdrbenchError
from hdrbench.metrics import scoring
from hdrbench.pipeline import checkpoint, tasks
from hdrbench.pipeline.device import best_device, timed
from hdrbench.pipeline.digest import evaluate_code
from hdrbench.pipeline.prepare import Prepared
from hdrbench.pipeline.provenance import environment, git_state, now, peak_memory_mb
from hdrbench.protocol import Wanted
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


@dataclass
class _Sheet:
    """The scores of one subject under one protocol so far: values by metric, and why a metric has none."""

    wanted: Wanted
    missing: dict[str, str]
    values: dict[str, list[float]]
    failed: dict[str, str] = field(default_factory=dict)

    @classmethod
    def empty(cls, wanted: Wanted) -> "_Sheet":
        missing = {name: reason for name in wanted.metrics if (reason := metrics.unavailable(name))}
        return cls(wanted, missing, {name: [] for name in wanted.metrics if name not in missing})

    def add(self, subject: scoring.Subject, scene: str) -> None:
        """Append each metric's score of one scene; a metric that cannot score it is given up, with the reason."""
        for metric in [name for name in self.values if name not in self.failed]:
            try:
                value = scoring.score(metric, subject).item()
            except ValueError as error:
                self.failed[metric] = f"scene '{scene}': {error}"
                continue
            if math.isfinite(value):
                self.values[metric].append(value)
            else:
                equal = " (the prediction equals the reference)" if value == metrics.get(metric).perfect else ""
                self.failed[metric] = f"scene '{scene}' scores {value}{equal}"

    def give_up(self, reason: str) -> None:
        """Note why what this sheet is about does not exist."""
        self.failed |= {metric: reason for metric in self.values if metric not in self.failed}

    def record(self) -> dict[str, Any]:
        chosen = protocol.get(self.wanted.protocol)
        return {
            "subject": self.wanted.subject,
            "protocol": {"name": self.wanted.protocol, "hash": chosen.digest()},
            "metrics": {metric: scores for metric, scores in self.values.items() if metric not in self.failed},
            "missing": self.missing,
            "failed": self.failed,
        }


def evaluate(run: ResolvedRun, test: str, data: dict[str, Any], wanted: list[Wanted]) -> Path:
    """Score a run on the data set that plays the role `test`, and write the scores.

    Parameters
    ----------
    run
        A trained run.
    test
        Role of the data set whose test split is scored.
    data
        Facts of its test split, see `hdrbench.pipeline.data.of_split`.
    wanted
        What is scored, by what metrics and under what protocol.

    Raises
    ------
    HdrbenchError
        If there are no scenes, or the network returns values that are not finite. A metric that cannot score a scene,
        because it is too small or has no reference, is recorded as failed.
    """
    device = best_device()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    network, facts = load_network(run, device)
    scenes = Prepared(data, "test")
    if not len(scenes):
        raise HdrbenchError(f"data set '{scenes.dataset}' has no scenes in split 'test'")
    sheets = [_Sheet.empty(asked) for asked in wanted]
    began = time.monotonic()
    seconds, sizes = _score_scenes(run, network, scenes, sheets, device, f"scoring {run.id} on {test}")
    record = {
        "run": run.id,
        "method": run.method,
        "options": run.options,
        "test": test,
        "dataset": run.dataset(test),
        "data": data["digest"],
        "data_code": data["code"],
        "images": scenes.names,
        "sheets": [sheet.record() for sheet in sheets],
        "seconds": seconds,
        "sizes": sizes,
        "training": facts,
        "evaluation": {
            "git": git_state(root()),
            "code": evaluate_code(run.method, run.task),
            "environment": environment(device),
            "seconds": time.monotonic() - began,
            "peak_memory_mb": peak_memory_mb(device),
            "finished": now(),
        },
    }
    write_atomically(run.scores(test), json.dumps(record, indent=1, allow_nan=False) + "\n")
    return run.scores(test)


@torch.inference_mode()
def _score_scenes(
    run: ResolvedRun, network: nn.Module, scenes: Prepared, sheets: list[_Sheet], device: str, title: str
) -> tuple[list[float], list[tuple[int, int]]]:
    """Fill the sheets; returns for every scene the seconds its result took, and its height and width."""
    task, method = tasks.outputs(run.task), methods.get(run.method)
    subjects = list(dict.fromkeys(sheet.wanted.subject for sheet in sheets))
    seconds, sizes = [], []
    for index, name in enumerate(track(scenes.names, title)):
        scene = scenes[index]
        try:
            if index == 0:
                task.apply(method, network, scene, subjects, device)  # the first call also pays for kernel selection
            result, elapsed = timed(partial(task.apply, method, network, scene, subjects, device), device)
        except (HdrbenchError, ValueError) as error:
            raise HdrbenchError(f"run '{run.id}', scene '{name}': {error}") from error
        for sheet in sheets:
            chosen = protocol.get(sheet.wanted.protocol)
            try:
                sheet.add(task.subject(sheet.wanted.subject, result, scene, chosen, device), name)
            except (HdrbenchError, ValueError) as error:
                sheet.give_up(f"scene '{name}': {error}")
        seconds.append(elapsed)
        sizes.append(scenes.size(index))
    return seconds, sizes
