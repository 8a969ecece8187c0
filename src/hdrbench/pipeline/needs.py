"""What a paper's tables ask of its runs."""

import json
from pathlib import Path

from hdrbench import runs, spec
from hdrbench.errors import HdrbenchError
from hdrbench.workspace import root, write_atomically


def needed(paper: str, train: str, test: str) -> tuple[list[str], str]:
    """List the metrics that the tables print for runs trained on one data set and tested on another, and their protocol.

    Raises
    ------
    HdrbenchError
        If the tables ask for nothing, or for two protocols.
    """
    groups = [
        group
        for table in spec.load(paper).tables
        for group in table.groups
        if (group.train, group.test) == (train, test) and group.metrics
    ]
    names = dict.fromkeys(name for group in groups for name in group.metrics)
    protocols = {group.protocol for group in groups if group.protocol}
    if not names or len(protocols) != 1:
        raise HdrbenchError(
            f"the tables of '{paper}' name {len(names)} metrics and {len(protocols)} protocols for {train} -> {test}"
        )
    return list(names), protocols.pop()


def count_costs(paper: str) -> Path:
    """Count parameters and multiply-adds of every run's network as the paper has it, and write them by run."""
    from hdrbench.pipeline.cost import cost

    counted = {
        f"{role}/{name}": {"method": run.method, "options": run.options, **cost(run.method, run.options)}
        for role, named in runs.load(paper).runs.items()
        for name, run in named.items()
    }
    path = root() / "results" / paper / "costs.json"
    write_atomically(path, json.dumps(counted, indent=1) + "\n")
    return path
