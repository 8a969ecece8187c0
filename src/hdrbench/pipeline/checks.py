"""Whether a replication's settings fit together: methods, their objectives and the task, before anything is run."""

from hdrbench import methods, metrics, runs, spec
from hdrbench.errors import HdrbenchError, unknown
from hdrbench.pipeline import tasks
from hdrbench.pipeline.needs import evaluations
from hdrbench.workspace import replication


def check_paper(paper: str) -> None:
    """Check paper.yaml and params.yaml against each other, and against the methods, metrics and tasks that exist.

    Raises
    ------
    HdrbenchError
        For the first thing that refers to nothing; the message begins with the file.
    """
    home, loaded, about = replication(paper), runs.load(paper), spec.load(paper)
    spec.check(about, loaded, metrics.METRICS, home / "paper.yaml")
    try:
        known = tasks.names()
        if loaded.task not in known:
            raise unknown("task", loaded.task, known)
        for role, named in loaded.runs.items():
            for name, run in named.items():
                _check_run(f"{role}/{name}", run)
        _check_subjects(about, loaded)
    except HdrbenchError as error:
        raise HdrbenchError(f"{home / 'params.yaml'}: {error}") from None


def _check_subjects(about: spec.Paper, loaded: runs.Replication) -> None:
    """Refuse what a table scores and a run cannot have, which would otherwise show after the training."""
    task = tasks.outputs(loaded.task)
    for (train, name, _), sheets in evaluations(about).items():
        method = methods.get(loaded.runs[train][name].method)
        for profile_name, profile in loaded.profiles.items():
            for wanted in sheets:
                try:
                    task.check(wanted.subject, method, profile.preparation)
                except HdrbenchError as error:
                    raise HdrbenchError(
                        f"profile '{profile_name}', run '{train}/{name}' in paper.yaml: {error}"
                    ) from None


def _check_run(name: str, run: runs.Run) -> None:
    if run.method not in methods.names():
        raise HdrbenchError(f"run '{name}': {unknown('method', run.method, methods.names())}")
    if run.objective and methods.get(run.method).objective is None:
        raise HdrbenchError(f"run '{name}': method '{run.method}' has nothing to train, so no objective; leave it out")
