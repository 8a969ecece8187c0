"""Failures as a state: a stage that failed leaves one line for the page, until it succeeds."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hdrbench.errors import DataMissingError, WeightsMissingError
from hdrbench.runs import ResolvedRun
from hdrbench.workspace import work, write_atomically


def failure_file(run: ResolvedRun, stage: str) -> Path:
    """File that says why a run's stage failed, ``"train"`` or ``"evaluate-<role>"``; absent where it did not."""
    return work() / "failures" / run.paper / run.profile_name / run.role / run.name / f"{stage}.txt"


@contextmanager
def recorded(run: ResolvedRun, stage: str) -> Iterator[None]:
    """Note an exception that passes through, and let it go on; forget an earlier one on success.

    Missing data and missing weights are states of their own, not failures.
    """
    note = failure_file(run, stage)
    try:
        yield
    except (DataMissingError, WeightsMissingError):
        raise
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0]
        with suppress(OSError):  # the first error is the one to report
            write_atomically(note, f"{type(error).__name__}: {first}\n")
        raise
    note.unlink(missing_ok=True)
