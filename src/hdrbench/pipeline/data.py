"""What DVC's stages depend on instead of files: the fingerprints of data, and the digests of code."""

import json
from pathlib import Path
from typing import Any

from hdrbench import runs, spec
from hdrbench.datasets import catalog
from hdrbench.datasets.survey import survey
from hdrbench.errors import DataMissingError, unknown
from hdrbench.pipeline.digest import code_digest, data_code, evaluate_code, text_digest, train_code
from hdrbench.pipeline.needs import asked
from hdrbench.workspace import results, root, write_atomically

SPLITS = ("train", "test")
"""The splits that replications use; others are for readers of the data set."""


def data_file(paper: str, profile: str, role: str) -> Path:
    """File with the facts of the data set that plays a role under a profile."""
    return results(paper, profile) / "data" / f"{role}.json"


def stored_facts(paper: str, profile_name: str, role: str) -> dict[str, Any] | None:
    """Read the facts of the data set that plays a role, or None if they are missing or no longer hold.

    They hold if the data set, its fingerprint, its preparation and the code that does it are still the same.
    """
    loaded = runs.load(paper)
    profile = runs.profile_of(loaded, profile_name)
    path = data_file(paper, profile_name, role)
    if role not in profile.data or not path.is_file():
        return None
    name = profile.data[role]
    facts = json.loads(path.read_text(encoding="utf-8"))
    if any(facts.get(key) != value for key, value in _made_for(name, loaded.task, profile).items()):
        return None
    return facts if catalog.fingerprint(name)["digest"] == facts.get("digest") else None


def _made_for(name: str, task: str, profile: runs.Profile) -> dict[str, Any]:
    return {"dataset": name, "task": task, "preparation": profile.preparation, "code": data_code(name, task)}


def prepare_data(paper: str, profile_name: str, role: str) -> dict[str, Any]:
    """Check, fingerprint and prepare the data set that plays a role, and write its facts.

    Files that have been checked by the same code are not decoded again, as long as their content is the same.

    Returns
    -------
    dict
        What `hdrbench.datasets.catalog.fingerprint` says, with ``scenes`` counting those that can be used; ``role``,
        ``dataset``, ``task``, ``preparation``, ``code``; ``left_out``, by split, the damaged scenes, each with the reason;
        and ``remarks``, what else is wrong.

    Raises
    ------
    DataMissingError
        If a split has no scene that can be used; the message begins with the first problem.
    """
    from hdrbench.pipeline.prepare import Prepared  # brings torch in, which the digests can do without

    loaded = runs.load(paper)
    profile = runs.profile_of(loaded, profile_name)
    if role not in profile.data:
        raise unknown(f"role of profile '{profile_name}'", role, profile.data)
    name = profile.data[role]
    facts = stored_facts(paper, profile_name, role) or _checked_facts(name, role, loaded.task, profile)
    for split in facts["scenes"]:
        Prepared(facts, split).fill()
    write_atomically(data_file(paper, profile_name, role), json.dumps(facts, indent=1) + "\n")
    return facts


def _checked_facts(name: str, role: str, task: str, profile: runs.Profile) -> dict[str, Any]:
    """Look at every file of a data set, and say which of its scenes can be used."""
    state = survey(name)
    used = [split for split in SPLITS if split in state.usable]
    for split in used:
        if not state.usable[split]:
            reasons = [*state.left_out[split].values(), *state.remarks, "the split is empty"]
            raise DataMissingError(
                f"data set '{name}', which plays '{role}', has no usable scene in split '{split}': {reasons[0]} "
                f"(all that is wrong: hdrbench data verify {name})"
            )
    return {
        "role": role,
        **catalog.fingerprint(name),
        **_made_for(name, task, profile),
        "scenes": {split: len(state.usable[split]) for split in used},
        "left_out": {split: state.left_out[split] for split in used if state.left_out[split]},
        "remarks": list(state.remarks),
    }


def write_digests(paper: str) -> Path:
    """Write ``results/<paper>/digests.json``: hashes of everything but data that the stages depend on.

    Keys are ``data`` (code, by data set), ``settings`` (by profile, role and run), ``train`` and ``evaluate`` (code, by
    role and run), ``asked`` (metrics and protocols, by training role, test role and run), ``cost``, ``report``,
    ``showcase``.
    """
    loaded = runs.load(paper)
    all_runs = [(role, name, run.method) for role, named in loaded.runs.items() for name, run in named.items()]
    methods = sorted({method for _, _, method in all_runs})
    train = {method: train_code(method, loaded.task) for method in methods}
    evaluate = {method: evaluate_code(method, loaded.task) for method in methods}
    sets = {name for profile in loaded.profiles.values() for name in profile.data.values()}
    modules = [f"hdrbench.pipeline.tasks.{loaded.task}", *(f"hdrbench.methods.{method}" for method in methods)]
    digests: dict[str, Any] = {
        "data": {name: data_code(name, loaded.task) for name in sorted(sets)},
        "settings": {},
        "train": {},
        "evaluate": {},
        "asked": asked(spec.load(paper)),
        "cost": text_digest([code_digest("hdrbench.pipeline.cost", *modules), spec.load(paper).cost_size]),
        "report": code_digest("hdrbench.pipeline.compare", "hdrbench.report.page"),
        "showcase": code_digest("hdrbench.report.showcase", f"hdrbench.report.pictures.{loaded.task}", *modules),
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
