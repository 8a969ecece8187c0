"""Failures as a state: a run that failed leaves one line for the page, until it succeeds."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hdrbench.runs import ResolvedRun
from hdrbench.workspace import work, write_atomically


def failure_file(run: ResolvedRun) -> Path:
    """File that says why a run's training or evaluation failed; absent where it did not."""
    return work() / "failures" / run.paper / run.profile_name / run.role / f"{run.name}.txt"


@contextmanager
def recorded(run: ResolvedRun) -> Iterator[None]:
    """Note an exception that passes through, and let it go on; forget an earlier one on success."""
    try:
        yield
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        write_atomically(failure_file(run), f"{type(error).__name__}: {lines[0]}\n")
        raise
    failure_file(run).unlink(missing_ok=True)
