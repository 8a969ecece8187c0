"""What a paper's tables ask of its runs."""

import json
from pathlib import Path
from typing import Any

from hdrbench import protocol, runs, spec
from hdrbench.errors import HdrbenchError
from hdrbench.pipeline.digest import text_digest
from hdrbench.protocol import Wanted
from hdrbench.workspace import root, write_atomically


def needed(paper: str, run_id: str, test: str) -> dict[str, Wanted]:
    """List what the tables print of a run on a test set, by what of its result is scored.

    Raises
    ------
    HdrbenchError
        If the tables ask for nothing.
    """
    found = evaluations(spec.load(paper)).get((*run_id.split("/"), test))  # type: ignore[arg-type]
    if found is None:
        raise HdrbenchError(f"the tables of '{paper}' ask for no metric of run '{run_id}' on '{test}'")
    return found


def evaluations(paper: spec.Paper) -> dict[tuple[str, str, str], dict[str, Wanted]]:
    """List what the tables print, by (role trained on, name of the run, role tested on) and subject.

    Raises
    ------
    HdrbenchError
        If they ask for one subject under two protocols.
    """
    found: dict[tuple[str, str, str], dict[str, Wanted]] = {}
    for table in paper.tables:
        for group in table.groups:
            for name in dict.fromkeys([*group.runs, *(row.run for row in table.rows if row.run)]):
                if not group.metrics or group.not_computable:
                    continue
                subjects = found.setdefault((group.train, name, group.test), {})
                before = subjects.get(group.subject, Wanted((), str(group.protocol)))
                if before.protocol != group.protocol:
                    raise HdrbenchError(
                        f"{table.id}: '{group.subject}' of run '{group.train}/{name}' on '{group.test}' is scored under two "
                        f"protocols, {before.protocol} and {group.protocol}"
                    )
                metrics = tuple(dict.fromkeys([*before.metrics, *group.metrics]))
                subjects[group.subject] = Wanted(metrics, before.protocol)
    return found


def shown_on(paper: str, run_id: str) -> str:
    """Return the role of the data set whose scenes show a run: the first that the tables test it on."""
    tests = [test for train, name, test in evaluations(spec.load(paper)) if f"{train}/{name}" == run_id]
    if not tests:
        raise HdrbenchError(f"the tables of '{paper}' ask for no metric of run '{run_id}', so no scenes can show it")
    return tests[0]


def asked(paper: spec.Paper) -> dict[str, dict[str, dict[str, str]]]:
    """Hash `evaluations`, protocols' settings included, by role trained on, role tested on and run."""
    hashes: dict[str, dict[str, dict[str, str]]] = {}
    for (train, name, test), subjects in evaluations(paper).items():
        content: list[Any] = [
            [subject, wanted.metrics, protocol.get(wanted.protocol).fields()] for subject, wanted in subjects.items()
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
