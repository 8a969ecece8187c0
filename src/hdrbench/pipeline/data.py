"""What DVC's stages depend on instead of files: the fingerprints of data, and the digests of code."""

import json
from pathlib import Path
from typing import Any

from hdrbench import runs
from hdrbench.datasets import catalog
from hdrbench.errors import DataMissingError, unknown
from hdrbench.pipeline.digest import code_digest, data_code
from hdrbench.workspace import results, root, write_atomically


def data_file(paper: str, profile: str, role: str) -> Path:
    """File with the facts of the data set that plays a role under a profile."""
    return results(paper, profile) / "data" / f"{role}.json"


def prepare_data(paper: str, profile_name: str, role: str) -> dict[str, Any]:
    """Verify, fingerprint and prepare the data set that plays a role, and write its facts.

    Raises
    ------
    DataMissingError
        If the data set is not complete; the message begins with the first problem.
    """
    from hdrbench.pipeline.prepare import Prepared  # brings torch in, which the digests can do without

    profile = runs.profile_of(runs.load(paper), profile_name)
    if role not in profile.data:
        raise unknown(f"role of profile '{profile_name}'", role, profile.data)
    name = profile.data[role]
    problems = catalog.verify(name)
    if problems:
        more = f" (and {len(problems) - 1} more: hdrbench data verify {name})" if len(problems) > 1 else ""
        raise DataMissingError(f"data set '{name}', which plays '{role}': {problems[0]}{more}")
    facts = {"role": role, "dataset": name, **catalog.fingerprint(name), "flow": profile.flow, "code": data_code(name)}
    for split in facts["scenes"]:
        Prepared(name, split, facts["digest"], profile.flow).fill()
    write_atomically(data_file(paper, profile_name, role), json.dumps(facts, indent=1) + "\n")
    return facts


def write_code_digests(paper: str) -> Path:
    """Write ``results/<paper>/code.json``: the digest of every piece of code that a stage depends on.

    Keys are ``data``, ``cost``, ``report``, ``showcase``, and ``train`` and ``evaluate`` by role and run.
    """
    loaded = runs.load(paper)
    methods = sorted({run.method for named in loaded.runs.values() for run in named.values()})

    def by_run(module: str) -> dict[str, dict[str, str]]:
        of_method = {method: code_digest(module, f"hdrbench.methods.{method}") for method in methods}
        return {
            role: {name: of_method[run.method] for name, run in named.items()} for role, named in loaded.runs.items()
        }

    sets = {name for profile in loaded.profiles.values() for name in profile.data.values() if catalog.card(name).loader}
    digests = {
        "data": {name: data_code(name) for name in sorted(sets)},
        "train": by_run("hdrbench.pipeline.train"),
        "evaluate": by_run("hdrbench.pipeline.evaluate"),
        "cost": code_digest("hdrbench.pipeline.cost", *(f"hdrbench.methods.{method}" for method in methods)),
        "report": code_digest("hdrbench.pipeline.compare", "hdrbench.report.page"),
        "showcase": code_digest("hdrbench.report.showcase"),
    }
    path = root() / "results" / paper / "code.json"
    write_atomically(path, json.dumps(digests, indent=1) + "\n")
    return path
