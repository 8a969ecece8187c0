"""Whether a replication's settings fit together: methods, their objectives and the task, before anything is run."""

from hdrbench import methods, metrics, runs, spec
from hdrbench.errors import HdrbenchError, unknown
from hdrbench.pipeline import tasks
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
    except HdrbenchError as error:
        raise HdrbenchError(f"{home / 'params.yaml'}: {error}") from None


def _check_run(name: str, run: runs.Run) -> None:
    if run.method not in methods.names():
        raise HdrbenchError(f"run '{name}': {unknown('method', run.method, methods.names())}")
    if run.objective and methods.get(run.method).objective is None:
        raise HdrbenchError(f"run '{name}': method '{run.method}' has nothing to train, so no objective; leave it out")
