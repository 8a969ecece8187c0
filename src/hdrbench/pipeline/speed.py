"""How fast runs make HDR of one image, timed in turns on one machine, so that their ratio says something on any."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from hdrbench import methods, runs, spec
from hdrbench.errors import HdrbenchError
from hdrbench.pipeline.device import best_device, timed
from hdrbench.pipeline.digest import code_digest
from hdrbench.pipeline.networks import network_of
from hdrbench.pipeline.provenance import environment, git_state, now
from hdrbench.workspace import results, root, write_atomically

ROUNDS, ENOUGH_SECONDS = 5, 20.0


def speed_file(paper: str, profile: str) -> Path:
    """Return the file of the times under a profile."""
    return results(paper, profile) / "speed.json"


def speed_code(method: str) -> str:
    """Return the digest of the code that times a method."""
    return code_digest("hdrbench.pipeline.speed", f"hdrbench.methods.{method}")


def measure(paper: str, profile: str) -> Path:
    """Time every run that the paper's `speed` names, with its weights, and write the seconds of each repetition.

    The image is noise. Each run makes a corner of it before, and its network is called once. Then all take turns, five
    times; one that has taken 20 seconds is left out of further rounds.

    Raises
    ------
    HdrbenchError
        If a run's weights are missing, or its method does not make HDR of one image.
    """
    asked = spec.load(paper).speed
    if asked is None:
        raise HdrbenchError(f"paper.yaml of '{paper}' has no 'speed', so there is nothing to time")
    device = best_device()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    image = torch.rand(1, 3, *asked.size[profile], generator=torch.Generator().manual_seed(0)).to(device)
    timers = {name: _Timer(paper, profile, name, options, image) for name, options in asked.runs.items()}
    for _ in range(ROUNDS):
        for timer in timers.values():
            if sum(timer.seconds) < ENOUGH_SECONDS:
                timer.turn()
    record = {
        "size": asked.size[profile],
        "git": git_state(root()),
        "environment": environment(device),
        "finished": now(),
        "runs": {name: timer.record() for name, timer in timers.items()},
    }
    path = speed_file(paper, profile)
    write_atomically(path, json.dumps(record, indent=1) + "\n")
    return path


class _Timer:
    """One run's network, and what it took so far."""

    def __init__(self, paper: str, profile: str, name: str, options: dict[str, Any], image: torch.Tensor) -> None:
        run = runs.resolve(paper, profile, name)
        reconstruct = methods.get(run.method).reconstruct
        if reconstruct is None:
            raise HdrbenchError(f"run '{name}': method '{run.method}' does not make HDR of one image")
        run = replace(run, options=run.options | options)
        self.options, self.code, self.device = run.options, speed_code(run.method), image.device.type
        network, times = network_of(run, self.device), torch.ones(1, 3, device=self.device)
        with torch.inference_mode():  # what is imported or chosen at the first call, as far as the image's size permits
            network(image, times)
            reconstruct(network, image[..., :16, :16], times)
        self.seconds: list[float] = []
        self.calls = 0
        network.register_forward_hook(self._count)
        self.call = partial(reconstruct, network, image, times)

    def _count(self, *_: object) -> None:
        self.calls += 1

    @torch.inference_mode()
    def turn(self) -> None:
        """Make the image once more."""
        self.seconds.append(timed(self.call, self.device)[1])

    def record(self) -> dict[str, Any]:
        return {
            "options": self.options,
            "code": self.code,
            "calls": self.calls // len(self.seconds),
            "seconds": self.seconds,
        }
