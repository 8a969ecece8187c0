"""What DVC's stages depend on instead of files: the fingerprints of data, and the digests of code."""

import json
from pathlib import Path
from typing import Any

from hdrbench import protocol, runs, spec
from hdrbench.datasets import catalog
from hdrbench.errors import DataMissingError, unknown
from hdrbench.pipeline.digest import code_digest, data_code, evaluate_code, text_digest, train_code
from hdrbench.workspace import results, root, write_atomically


def data_file(paper: str, profile: str, role: str) -> Path:
    """File with the facts of the data set that plays a role under a profile."""
    return results(paper, profile) / "data" / f"{role}.json"


def stored_facts(paper: str, profile_name: str, role: str) -> dict[str, Any] | None:
    """Read the facts of the data set that plays a role, or None if they are missing or no longer hold.

    They hold if the data set, its fingerprint, the flow and the code that prepares it are still the same.
    """
    profile = runs.profile_of(runs.load(paper), profile_name)
    path = data_file(paper, profile_name, role)
    if role not in profile.data or not path.is_file():
        return None
    name = profile.data[role]
    facts = json.loads(path.read_text(encoding="utf-8"))
    made_for = {"dataset": name, "flow": profile.flow, "code": data_code(name)}
    if any(facts.get(key) != value for key, value in made_for.items()):
        return None
    return facts if catalog.fingerprint(name)["digest"] == facts.get("digest") else None


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


def write_digests(paper: str) -> Path:
    """Write ``results/<paper>/digests.json``: hashes of everything but data that the stages depend on.

    Keys are ``data`` (code, by data set), ``settings`` (by profile, role and run), ``train`` and ``evaluate`` (code, by
    role and run), ``asked`` (metrics and protocol, by training and test role), ``cost``, ``report`` and ``showcase``.
    """
    loaded = runs.load(paper)
    all_runs = [(role, name, run.method) for role, named in loaded.runs.items() for name, run in named.items()]
    methods = sorted({method for _, _, method in all_runs})
    train = {method: train_code(method) for method in methods}
    evaluate = {method: evaluate_code(method) for method in methods}
    sets = {name for profile in loaded.profiles.values() for name in profile.data.values()}
    digests: dict[str, Any] = {
        "data": {name: data_code(name) for name in sorted(sets)},
        "settings": {},
        "train": {},
        "evaluate": {},
        "asked": asked(paper),
        "cost": code_digest("hdrbench.pipeline.cost", *(f"hdrbench.methods.{method}" for method in methods)),
        "report": code_digest("hdrbench.pipeline.compare", "hdrbench.report.page"),
        "showcase": code_digest("hdrbench.report.showcase"),
    }
    for role, name, method in all_runs:
        digests["train"].setdefault(role, {})[name] = train[method]
        digests["evaluate"].setdefault(role, {})[name] = evaluate[method]
        for profile in loaded.profiles:
            settings = runs.resolve(paper, profile, f"{role}/{name}").settings()
            digests["settings"].setdefault(profile, {}).setdefault(role, {})[name] = text_digest(settings)
    path = root() / "results" / paper / "digests.json"
    write_atomically(path, json.dumps(digests, indent=1) + "\n")
    return path


def asked(paper: str) -> dict[str, dict[str, str]]:
    """Hash which metrics the tables ask for, under which protocol, by the role trained on and the role tested on."""
    wanted: dict[str, dict[str, list[Any]]] = {}
    for table in spec.load(paper).tables:
        for group in table.groups:
            if group.metrics and group.protocol:
                listed = wanted.setdefault(group.train, {}).setdefault(group.test, [])
                listed.append([group.metrics, protocol.get(group.protocol).fields()])
    return {train: {test: text_digest(groups) for test, groups in tests.items()} for train, tests in wanted.items()}
