"""The one training loop, for every method that has an objective.

Lightning Fabric places it on the CPU, a GPU or several. A run killed at any moment and started again goes on as if it had
not been: everything random depends on (seed, iteration), and checkpoints are atomic. On the CPU it ends with the same
weights, bit for bit; a GPU's own kernels do not add in a fixed order, so there it ends with the same up to rounding.
"""

import csv
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from hdrbench import methods
from hdrbench.errors import HdrbenchError
from hdrbench.methods import Objective
from hdrbench.pipeline import checkpoint
from hdrbench.pipeline.digest import train_code
from hdrbench.pipeline.prepare import Prepared
from hdrbench.pipeline.provenance import environment, git_state, now, peak_memory_mb
from hdrbench.pipeline.sampling import CropSampler
from hdrbench.runs import ResolvedRun, Training
from hdrbench.workspace import root, work, write_atomically

if TYPE_CHECKING:
    from lightning_fabric import Fabric

LOG_EVERY = 10
OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


def train(run: ResolvedRun, data: dict[str, Any], *, devices: int | str = "auto", accelerator: str = "auto") -> Path:
    """Train a run, or finish it where it was interrupted, and write its weights.

    Parameters
    ----------
    run
        What to train.
    data
        Facts of its training data, see `hdrbench.pipeline.data.prepare_data`.
    devices, accelerator
        As Lightning Fabric takes them.

    Returns
    -------
    Path
        The weights, with the run's provenance inside.
    """
    torch.manual_seed(run.profile.seed)
    network, method = methods.build(run.method, run.options), methods.get(run.method)
    losses, notes = make_objective(run) if method.objective is not None else (None, [])
    if method.pretrain is not None:
        notes = [*notes, *method.pretrain(network)]
    # Everything that decides the weights; a checkpoint of another identity is not resumed.
    identity = run.settings() | {
        "notes": notes,
        "data": data["digest"],
        "data_code": data["code"],
        "code": train_code(run.method, run.task),
    }
    facts: dict[str, Any] = {"identity": identity, "git": git_state(root()), "notes": notes}
    if losses is None:
        facts |= {"environment": environment("cpu"), "peak_memory_mb": peak_memory_mb("cpu"), "finished": now()}
        checkpoint.write(run.weights, checkpoint.pack(network, None), facts | {"train_seconds": 0.0, "iterations": 0})
        return run.weights
    fabric = _launch(run.profile.training, accelerator=accelerator, devices=devices)
    return _fit(run, data, network, losses, facts, fabric)


def make_objective(run: ResolvedRun) -> tuple[Objective, list[str]]:
    """Build a run's objective; an option it does not know is an `HdrbenchError`."""
    make = methods.get(run.method).objective
    assert make is not None
    try:
        return make(**run.objective)
    except TypeError as error:
        raise HdrbenchError(f"objective of '{run.method}' with {run.objective}: {error}") from error


def _launch(settings: Training, *, accelerator: str, devices: int | str) -> "Fabric":
    """Start the processes of a training run."""
    from lightning_fabric import Fabric

    try:
        fabric = Fabric(accelerator=accelerator, devices=devices, precision=settings.precision)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise HdrbenchError(
            f"cannot train on accelerator '{accelerator}' with devices '{devices}': {reason}"
        ) from error
    if settings.batch_size % fabric.world_size:
        raise HdrbenchError(f"a batch of {settings.batch_size} cannot be shared evenly by {fabric.world_size} devices")
    fabric.launch()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    return fabric


def _fit(
    run: ResolvedRun,
    data: dict[str, Any],
    network: nn.Module,
    losses: Objective,
    facts: dict[str, Any],
    fabric: "Fabric",
) -> Path:
    """Optimise `network` over the iterations that are left, and write its weights."""
    settings, identity = run.profile.training, facts["identity"]
    optimizer = OPTIMIZERS[settings.optimizer](
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    state = work() / "checkpoints" / run.paper / run.profile_name / f"{run.role}-{run.name}.safetensors"
    wrapped, stepper = fabric.setup(network, optimizer)
    # After setup, because loading puts the optimiser's tensors where the parameters are.
    start, spent = _resume(state, identity, network, optimizer)
    sampler = CropSampler(Prepared(data, "train"), settings, run.profile.seed)
    fabric.barrier()  # every process has read the checkpoint and the log before the first one writes them
    watch = _Watch(fabric, run, start)
    with watch.bar:
        for batch in sampler.batches(start, fabric.global_rank, fabric.world_size):
            torch.manual_seed(run.profile.seed * 1_000_003 + batch.iteration)
            for group in optimizer.param_groups:
                group["lr"] = settings.rate(batch.iteration)
            values = losses(wrapped, replace(batch, tensors=fabric.to_device(dict(batch.tensors))))
            stepper.zero_grad()
            fabric.backward(torch.stack(list(values.values())).sum())
            stepper.step()
            keep = (batch.iteration + 1) % settings.checkpoint_every == 0
            watch.look(batch.iteration, values, checked=keep)
            if keep and fabric.is_global_zero:
                kept = {"identity": identity, "iteration": batch.iteration + 1, "seconds": spent + watch.seconds}
                checkpoint.write(state, checkpoint.pack(network, optimizer), kept)
    if fabric.is_global_zero:
        device = str(fabric.device)
        facts |= {"iterations": settings.iterations, "train_seconds": spent + watch.seconds}
        facts |= {"environment": environment(device), "peak_memory_mb": peak_memory_mb(device), "finished": now()}
        checkpoint.write(run.weights, checkpoint.pack(network, None), facts)
        state.unlink(missing_ok=True)
    fabric.barrier()
    return run.weights


def _resume(state: Path, identity: dict, network: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[int, float]:
    """Load a checkpoint of the same run if there is one; returns the next iteration and the seconds already spent."""
    if not state.is_file():
        return 0, 0.0
    tensors, kept = checkpoint.read(state)
    if kept["identity"] != identity:
        changed = [key for key in identity if kept["identity"].get(key) != identity[key]]
        print(f"{state.name}: belongs to another {', '.join(changed)}; starting anew")
        return 0, 0.0
    checkpoint.unpack(tensors, network, optimizer)
    return kept["iteration"], kept["seconds"]


class _Watch:
    """Shows and logs the loss of a run, and stops it where it diverges."""

    def __init__(self, fabric: "Fabric", run: ResolvedRun, start: int) -> None:
        shown = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[loss]}")
        self.fabric, self.run, self.start, self.began = fabric, run, start, time.monotonic()
        self.bar = Progress(*shown, TimeRemainingColumn(), disable=not fabric.is_global_zero)
        self._task = self.bar.add_task(run.id, total=run.profile.training.iterations, completed=start, loss="")
        self._log = _Log(run.log, start) if fabric.is_global_zero else None

    @property
    def seconds(self) -> float:
        """Time since the run was started, or resumed."""
        return time.monotonic() - self.began

    def look(self, iteration: int, values: dict[str, Tensor], *, checked: bool) -> None:
        """Look at an iteration's loss terms, if it is one that is logged or that must be `checked`."""
        settings = self.run.profile.training
        due = iteration % LOG_EVERY == 0 or iteration + 1 == settings.iterations
        if not (checked or due):
            return
        means = self._mean([*values.values(), torch.stack(list(values.values())).sum()])
        if not all(map(math.isfinite, means)):
            raise HdrbenchError(f"run '{self.run.id}': the loss is {means[-1]} at iteration {iteration}: it diverged")
        if due and self._log:
            self._log.write(iteration, settings.rate(iteration), [*values, "total"], means)
        speed = (iteration + 1 - self.start) / self.seconds
        self.bar.update(self._task, completed=iteration + 1, loss=f"loss {means[-1]:.4f}, {speed:.1f} it/s")

    def _mean(self, values: list[Tensor]) -> list[float]:
        """Average scalars over all processes."""
        reduced = self.fabric.all_reduce(torch.stack(values).detach())
        assert isinstance(reduced, Tensor)
        return reduced.tolist()


class _Log:
    """Loss terms as a CSV file; rows from `start` on are dropped when a run resumes."""

    def __init__(self, path: Path, start: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        rows: list[list[str]] = []
        if start and path.is_file():
            with path.open(newline="") as file:
                kept = [row for row in csv.reader(file) if row]
            rows = kept[:1] + [row for row in kept[1:] if row[0].isdigit() and int(row[0]) < start]
        self.path, self.empty = path, not rows
        write_atomically(path, "".join(f"{','.join(row)}\n" for row in rows))

    def write(self, iteration: int, rate: float, names: list[str], values: list[float]) -> None:
        """Append one row."""
        with self.path.open("a", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            if self.empty:
                writer.writerow(["iteration", "learning_rate", *names])
                self.empty = False
            writer.writerow([iteration, f"{rate:.6g}", *(f"{value:.6g}" for value in values)])
