"""What a paper's tables ask of its runs."""

import json
from itertools import product
from pathlib import Path
from typing import Any

from hdrbench import protocol, runs, spec
from hdrbench.errors import HdrbenchError
from hdrbench.pipeline.digest import text_digest
from hdrbench.protocol import Wanted
from hdrbench.workspace import root, write_atomically


def needed(paper: str, run_id: str, test: str) -> list[Wanted]:
    """List what the tables print of a run on a test set.

    Raises
    ------
    HdrbenchError
        If the tables ask for nothing.
    """
    found = evaluations(spec.load(paper)).get((*run_id.split("/"), test))  # type: ignore[arg-type]
    if found is None:
        raise HdrbenchError(f"the tables of '{paper}' ask for no metric of run '{run_id}' on '{test}'")
    return found


def evaluations(paper: spec.Paper) -> dict[tuple[str, str, str], list[Wanted]]:
    """List what the tables print, by (role trained on, name of the run, role tested on)."""
    found: dict[tuple[str, str, str], dict[tuple[str, str], list[str]]] = {}
    for table in paper.tables:
        for group in table.groups:
            if group.not_computable:
                continue
            for row, (name, run) in product(table.rows, group.columns):
                cell = spec.asked(group, name, run, row)
                if cell.run is None or cell.protocol is None:
                    continue
                sheets = found.setdefault((cell.train, cell.run, cell.test), {})
                names = sheets.setdefault((cell.subject, cell.protocol), [])
                if cell.name not in names:
                    names.append(cell.name)
    return {
        key: [Wanted(subject, protocol, tuple(names)) for (subject, protocol), names in sheets.items()]
        for key, sheets in found.items()
    }


def shown_on(paper: str, run_id: str) -> str:
    """Return the role of the data set whose scenes show a run: the first that the tables test it on."""
    tests = [test for train, name, test in evaluations(spec.load(paper)) if f"{train}/{name}" == run_id]
    if not tests:
        raise HdrbenchError(f"the tables of '{paper}' ask for no metric of run '{run_id}', so no scenes can show it")
    return tests[0]


def asked(paper: spec.Paper) -> dict[str, dict[str, dict[str, str]]]:
    """Hash `evaluations`, protocols' settings included, by role trained on, role tested on and run."""
    hashes: dict[str, dict[str, dict[str, str]]] = {}
    for (train, name, test), sheets in evaluations(paper).items():
        content: list[Any] = [
            [wanted.subject, wanted.metrics, protocol.get(wanted.protocol).fields()] for wanted in sheets
        ]
        hashes.setdefault(train, {}).setdefault(test, {})[name] = text_digest(content)
    return hashes


def count_costs(paper: str) -> Path:
    """Count parameters and multiply-adds of every run's network as the paper has it, and write them by run."""
    from hdrbench.pipeline.cost import cost

    loaded, size = runs.load(paper), spec.load(paper).cost_size
    counted = {
        f"{role}/{name}": {"method": run.method, "options": run.options}
        | cost(run.method, run.options, loaded.task, size)
        for role, named in loaded.runs.items()
        for name, run in named.items()
    }
    path = root() / "results" / paper / "costs.json"
    write_atomically(path, json.dumps(counted, indent=1) + "\n")
    return path
