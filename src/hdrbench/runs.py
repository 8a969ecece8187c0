"""A replication's params.yaml: its profiles, and the training runs that its tables need."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, FiniteFloat, NonNegativeInt, PositiveInt, StringConstraints

from hdrbench.datasets import catalog
from hdrbench.errors import HdrbenchError, unknown
from hdrbench.schedule import Schedule, factor
from hdrbench.strict import Strict, parse
from hdrbench.workspace import check_profile, read_yaml, replication, results

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+$")]


class Training(Strict):
    """Length and optimiser of a training run.

    An epoch is a number of iterations, as in the code of the deghosting literature: scenes are cycled, and every
    iteration draws `batch_size` random crops. `augment` may mirror each and turn it at random: by right angles
    (``"dihedral"``), or by any angle, with a shift (``"affine"``).
    """

    epochs: PositiveInt
    iterations_per_epoch: PositiveInt
    batch_size: PositiveInt
    crop: Annotated[int, Field(ge=16)]
    augment: Literal["none", "dihedral", "affine"]
    optimizer: Literal["adam", "adamw"]
    weight_decay: Annotated[FiniteFloat, Field(ge=0)]
    learning_rate: Annotated[FiniteFloat, Field(gt=0)]
    schedule: Schedule
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    checkpoint_every: PositiveInt = 200

    @property
    def iterations(self) -> int:
        """Total number of optimiser steps."""
        return self.epochs * self.iterations_per_epoch

    def rate(self, iteration: int) -> float:
        """Learning rate at an iteration."""
        return self.learning_rate * factor(self.schedule, iteration, self.iterations_per_epoch, self.iterations)


class Run(Strict):
    """A method with its options; `objective` holds those of its training objective."""

    method: str
    options: dict[str, Any] = {}
    objective: dict[str, Any] = {}


class Profile(Strict):
    """The size of a replication: which data play the paper's sets, and how long training lasts.

    `preparation` holds the options of the task's `prepare`. `options` and `objective` are per method, and override the
    runs' own. Nothing has a default, because DVC tracks only what is written down.
    """

    summary: str
    comparable: bool
    data: dict[str, str]
    training: Training
    preparation: dict[str, Any]
    seed: NonNegativeInt
    viewer_scenes: PositiveInt
    options: dict[str, dict[str, Any]]
    objective: dict[str, dict[str, Any]]


class Replication(Strict):
    """Everything in a replication's params.yaml.

    `task` is a module of `hdrbench.pipeline.tasks`; `runs` holds the training runs by the data set (its role in the paper)
    they train on; `showcase` names the runs whose pictures the page shows, as role/name.
    """

    task: str
    profiles: dict[str, Profile]
    runs: dict[Name, dict[Name, Run]]
    showcase: list[str]


@dataclass(frozen=True)
class ResolvedRun:
    """One training run under one profile, with every setting known.

    Attributes
    ----------
    paper, profile_name, task
        Which replication, under which profile, and its task.
    role, name
        The run is called ``role/name``: the data set it trains on, by its role in the paper, and its key.
    options, objective
        Of the run, with the profile's overrides applied.
    """

    paper: str
    profile_name: str
    task: str
    role: str
    name: str
    method: str
    options: dict[str, Any]
    objective: dict[str, Any]
    profile: Profile

    @property
    def id(self) -> str:
        """The run's name in tables and commands."""
        return f"{self.role}/{self.name}"

    @property
    def weights(self) -> Path:
        """File of the trained weights."""
        return results(self.paper, self.profile_name) / "weights" / self.role / f"{self.name}.safetensors"

    @property
    def log(self) -> Path:
        """File of the loss terms over training."""
        return results(self.paper, self.profile_name) / "logs" / self.role / f"{self.name}.csv"

    def settings(self) -> dict[str, Any]:
        """Return every setting that decides the weights."""
        return {
            "task": self.task,
            "preparation": self.profile.preparation,
            "method": self.method,
            "options": self.options,
            "objective": self.objective,
            "training": self.profile.training.model_dump(exclude={"checkpoint_every"}),
            "seed": self.profile.seed,
        }

    def scores(self, test: str) -> Path:
        """File of the scores on the data set that plays the role `test`."""
        return results(self.paper, self.profile_name) / "scores" / self.role / self.name / f"{test}.json"

    def dataset(self, role: str) -> str:
        """Name of the data set that plays a role under this profile."""
        if role not in self.profile.data:
            raise unknown(f"role of profile '{self.profile_name}'", role, self.profile.data)
        return self.profile.data[role]


def load(paper: str) -> Replication:
    """Read and check a replication's params.yaml."""
    source = replication(paper) / "params.yaml"
    loaded = parse(Replication, read_yaml(source), source)
    try:
        _check_names(loaded)
    except HdrbenchError as error:
        raise HdrbenchError(f"{source}: {error}") from None
    return loaded


def _check_names(loaded: Replication) -> None:
    """Raise `HdrbenchError` for a name that refers to nothing: it would change nothing, silently."""
    known = [f"{role}/{name}" for role, named in loaded.runs.items() for name in named]
    for shown in loaded.showcase:
        if shown not in known:
            raise unknown("showcase run", shown, known)
    methods = {run.method for named in loaded.runs.values() for run in named.values()}
    for profile_name, profile in loaded.profiles.items():
        check_profile(profile_name)
        for method in (*profile.options, *profile.objective):
            if method not in methods:
                raise unknown(f"method in the options of profile '{profile_name}'", method, methods)
        for role in loaded.runs:
            if role not in profile.data:
                raise HdrbenchError(f"profile '{profile_name}' names no data set for '{role}'")
        for dataset in profile.data.values():
            catalog.card(dataset)


def profile_of(loaded: Replication, name: str) -> Profile:
    """Return a profile of a replication by name."""
    if name not in loaded.profiles:
        raise unknown("profile", name, loaded.profiles)
    return loaded.profiles[name]


def resolve(paper: str, profile: str, run_id: str) -> ResolvedRun:
    """Find a run by its ``role/name`` and apply the profile's overrides."""
    loaded = load(paper)
    known = [f"{role}/{name}" for role, runs in loaded.runs.items() for name in runs]
    if run_id not in known:
        raise unknown("run", run_id, known)
    role, name = run_id.split("/")
    run, chosen = loaded.runs[role][name], profile_of(loaded, profile)
    return ResolvedRun(
        paper=paper,
        profile_name=profile,
        task=loaded.task,
        role=role,
        name=name,
        method=run.method,
        options={**run.options, **chosen.options.get(run.method, {})},
        objective={**run.objective, **chosen.objective.get(run.method, {})},
        profile=chosen,
    )
