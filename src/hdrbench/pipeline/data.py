"""What DVC's stages depend on instead of files: the fingerprints of data, and the digests of code."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from hdrbench import metrics, runs, spec
from hdrbench.datasets import catalog
from hdrbench.datasets.files import VARIABLE
from hdrbench.datasets.survey import fingerprint, survey
from hdrbench.errors import DataMissingError, HdrbenchError, unknown
from hdrbench.pipeline.digest import code_digest, data_code, evaluate_code, text_digest, train_code
from hdrbench.pipeline.needs import asked
from hdrbench.pipeline.records import read_json
from hdrbench.workspace import replication, results, root, write_atomically

SPLITS = ("train", "test")
"""The splits that replications use; others are for readers of the data set."""


def data_file(paper: str, profile: str, role: str) -> Path:
    """File with the facts of the data set that plays a role under a profile."""
    return results(paper, profile) / "data" / f"{role}.json"


def stored_facts(paper: str, profile_name: str, role: str) -> dict[str, Any] | None:
    """Read the facts of the data set that plays a role, or None if they are missing, damaged, or no longer hold.

    They hold if the data set, its fingerprints, its preparation and the code that does it are still the same.
    """
    loaded = runs.load(paper)
    profile = runs.profile_of(loaded, profile_name)
    if role not in profile.data:
        return None
    try:
        facts = read_json(data_file(paper, profile_name, role)) or {}
    except HdrbenchError:
        return None  # whoever asks prepares the data again, which writes the file anew
    name = profile.data[role]
    if any(facts.get(key) != value for key, value in made_for(name, loaded.task, profile).items()):
        return None
    kept, now = facts.get("splits"), _fingerprints(name)
    same = isinstance(kept, dict) and {split: kept[split].get("digest") for split in kept} == now
    return facts if same else None


def made_for(name: str, task: str, profile: runs.Profile) -> dict[str, Any]:
    """Say what decides the prepared scenes of a data set beside its files."""
    return {"dataset": name, "task": task, "preparation": profile.preparation, "code": data_code(name, task)}


def of_split(facts: dict[str, Any], split: str) -> dict[str, Any]:
    """Return what training and evaluation are told of one split of a data set, see `prepare_data`.

    Returns
    -------
    dict
        ``dataset``, ``task``, ``preparation``, ``code``, ``digest`` of the split, and ``left_out`` by split.

    Raises
    ------
    DataMissingError
        If the data set here has no such split.
    """
    if split == "train" and split not in catalog.card(facts["dataset"]).splits:
        split = "test"  # a set to test on alone, which methods without training may be asked for
    if split not in facts["splits"]:
        raise DataMissingError(
            f"data set '{facts['dataset']}' has no split '{split}' here; hdrbench data verify {facts['dataset']} says why"
        )
    about = facts["splits"][split]
    kept = {key: facts[key] for key in ("dataset", "task", "preparation", "code")}
    return kept | {"digest": about["digest"], "left_out": {split: about["left_out"]}}


def prepare_data(paper: str, profile_name: str, role: str) -> dict[str, Any]:
    """Check, fingerprint and prepare the data set that plays a role, and write its facts.

    Files that have been checked by the same code are not decoded again, as long as their content is the same.

    Returns
    -------
    dict
        ``role``, ``dataset``, ``task``, ``preparation``, ``code``; ``remarks``, what is wrong without harm to a scene; and
        ``splits``, for each split that is here: its ``digest``, the number of usable ``scenes``, and ``left_out``, the
        damaged ones, each with the reason.

    Raises
    ------
    DataMissingError
        If no split is here, or one has no scene that can be used; the message begins with the first problem.
    """
    from hdrbench.pipeline.prepare import Prepared  # brings torch in, which the digests can do without

    loaded = runs.load(paper)
    profile = runs.profile_of(loaded, profile_name)
    if role not in profile.data:
        raise unknown(f"role of profile '{profile_name}'", role, profile.data)
    name = profile.data[role]
    facts = stored_facts(paper, profile_name, role) or {
        "role": role,
        **made_for(name, loaded.task, profile),
        **_checked(name, role),
    }
    for split in facts["splits"]:
        Prepared(of_split(facts, split), split).fill()
    write_atomically(data_file(paper, profile_name, role), json.dumps(facts, indent=1) + "\n")
    return facts


def _checked(name: str, role: str) -> dict[str, Any]:
    """Look at every file of a data set, and say which of its scenes can be used."""
    state, digests = survey(name), _fingerprints(name)
    splits: dict[str, Any] = {}
    for split, digest in digests.items():
        if not state.usable[split]:
            reasons = [*state.left_out[split].values(), *state.remarks, "the split is empty"]
            raise DataMissingError(
                f"data set '{name}', which plays '{role}', has no usable scene in split '{split}': {reasons[0]} "
                f"(all that is wrong: hdrbench data verify {name})"
            )
        left_out = {scene: _portable(reason) for scene, reason in state.left_out[split].items()}
        splits[split] = {"digest": digest, "scenes": len(state.usable[split]), "left_out": left_out}
    if not splits:
        raise DataMissingError(f"data set '{name}', which plays '{role}': {[*state.remarks, 'nothing is here'][0]}")
    return {"splits": splits, "remarks": [_portable(remark) for remark in state.remarks]}


def _fingerprints(name: str) -> dict[str, str]:
    """Fingerprint the splits that replications use, as far as they are here."""
    found = {}
    for split in SPLITS:
        if split in catalog.card(name).splits:
            with suppress(DataMissingError):  # the survey remarks on a split that is missing
                found[split] = fingerprint(name, split)["digest"]
    return found


def _portable(text: str) -> str:
    """Write paths as they are under ``HDRBENCH_DATA``, so that facts are alike on every machine."""
    folder = os.environ.get(VARIABLE)
    return text.replace(str(Path(folder).expanduser()), f"${VARIABLE}") if folder else text


def write_digests(paper: str) -> Path:
    """Write ``results/<paper>/digests.json``: hashes of everything but data that the stages depend on.

    Keys are ``data`` (code, by data set), ``settings`` (by profile, role and run), ``train`` and ``evaluate`` (code, by
    role and run), ``asked`` (metrics and protocols, by training role, test role and run), ``cost``, ``report``,
    ``showcase``, and ``speed`` where a paper compares any.
    """
    about, loaded = spec.load(paper), runs.load(paper)
    spec.check(about, loaded, metrics.METRICS, replication(paper) / "paper.yaml")
    all_runs = [(role, name, run.method) for role, named in loaded.runs.items() for name, run in named.items()]
    methods = sorted({method for _, _, method in all_runs})
    train = {method: train_code(method, loaded.task) for method in methods}
    evaluate = {method: evaluate_code(method, loaded.task) for method in methods}
    sets = {name for profile in loaded.profiles.values() for name in profile.data.values()}
    task = f"hdrbench.pipeline.tasks.{loaded.task}"
    modules = [f"{task}.inputs", *(f"hdrbench.methods.{method}" for method in methods)]
    digests: dict[str, Any] = {
        "data": {name: data_code(name, loaded.task) for name in sorted(sets)},
        "settings": {},
        "train": {},
        "evaluate": {},
        "asked": asked(about),
        "cost": text_digest([code_digest("hdrbench.pipeline.cost", *modules), about.cost_size]),
        "report": code_digest("hdrbench.pipeline.compare", "hdrbench.report.page"),
        "showcase": code_digest(
            "hdrbench.report.showcase", f"hdrbench.report.pictures.{loaded.task}", f"{task}.outputs", *modules
        ),
    }
    if about.speed:
        digests["speed"] = code_digest("hdrbench.pipeline.speed", *modules)
    for role, name, method in all_runs:
        digests["train"].setdefault(role, {})[name] = train[method]
        digests["evaluate"].setdefault(role, {})[name] = evaluate[method]
        for profile in loaded.profiles:
            settings = runs.resolve(paper, profile, f"{role}/{name}").settings()
            digests["settings"].setdefault(profile, {}).setdefault(role, {})[name] = text_digest(settings)
    path = root() / "results" / paper / "digests.json"
    write_atomically(path, json.dumps(digests, indent=1) + "\n")
    return path
