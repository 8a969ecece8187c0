"""A replication's dvc.yaml, written from its paper.yaml and params.yaml.

There is one stage per training run and profile. Stages depend on digests of code and fingerprints of data, not on files,
so that a comment re-runs nothing and a changed method retrains itself alone.
"""

from pathlib import Path
from typing import Any

import yaml

from hdrbench import runs, spec
from hdrbench.datasets import catalog
from hdrbench.pipeline.needs import evaluations, shown_on
from hdrbench.runs import Profile
from hdrbench.workspace import replication, write_atomically

HEADER = """\
# Written by `hdrbench stages {paper}` from paper.yaml and params.yaml; change those, and write it again.
"""
Stage = dict[str, Any]


def stage_name(verb: str, *roles: str) -> str:
    """Name a stage: ``train_<role>``, ``evaluate_<role trained on>_on_<role tested on>``."""
    return f"{verb}_{'_on_'.join(roles)}"


def has_stage(profile: Profile, roles: tuple[str, ...]) -> bool:
    """Whether the data sets that play some roles under a profile can be had at all."""
    return all(catalog.card(profile.data[role]).kind != "card only" for role in roles)


def stages(paper: str) -> dict[str, Stage]:
    """Build every stage of a replication by name."""
    about, loaded = spec.load(paper), runs.load(paper)
    home, out = f"replications/{paper}", f"results/{paper}"
    found: dict[str, Stage] = {"code": _code(paper)}
    for role in about.roles:
        found |= _data(paper, loaded.profiles, role)
    for role, named in loaded.runs.items():
        found[stage_name("train", role)] = _stage(
            {"profile": _profiles(loaded, role), "run": list(named)},
            f"hdrbench train {paper} {role}/${{item.run}} --profile ${{item.profile}}",
            params=[
                {
                    f"{out}/digests.json": [
                        f"train.{role}.${{item.run}}",
                        f"settings.${{item.profile}}.{role}.${{item.run}}",
                    ]
                },
                *_data_facts(loaded, out, role, "train"),
            ],
            outs=[f"{out}/${{item.profile}}/weights/{role}/${{item.run}}.safetensors"],
        )
    wanted: dict[tuple[str, str], list[str]] = {}
    for train, name, test in evaluations(about):
        wanted.setdefault((train, test), []).append(name)
    for (train, test), names in wanted.items():
        weights = f"{out}/${{item.profile}}/weights/{train}/${{item.run}}.safetensors"
        found[stage_name("evaluate", train, test)] = _stage(
            {"profile": _profiles(loaded, train, test), "run": names},
            f"hdrbench evaluate {paper} {train}/${{item.run}} --on {test} --profile ${{item.profile}}",
            params=[
                {f"{out}/digests.json": [f"evaluate.{train}.${{item.run}}", f"asked.{train}.{test}.${{item.run}}"]},
                *_data_facts(loaded, out, test, "test"),
            ],
            deps=[weights],
            outs=[_kept(f"{out}/${{item.profile}}/scores/{train}/${{item.run}}/{test}.json")],
        )
    found["cost"] = _stage(
        None,
        f"hdrbench cost {paper}",
        params=[{f"{out}/digests.json": ["cost"]}, {f"{home}/params.yaml": ["runs"]}],
        outs=[_kept(f"{out}/costs.json")],
    )
    if about.speed:
        found["speed"] = _stage(
            {"profile": _profiles(loaded, *about.roles)},
            f"hdrbench speed {paper} --profile ${{item.profile}}",
            params=[{f"{out}/digests.json": ["speed"]}, {f"{home}/paper.yaml": ["speed"]}],
            deps=[f"{out}/${{item.profile}}/weights/{run}.safetensors" for run in about.speed.runs],
            outs=[_kept(f"{out}/${{item.profile}}/speed.json")],
        )
    shown = [f"{out}/${{item.profile}}/weights/{run}.safetensors" for run in loaded.showcase]
    found["showcase"] = _stage(
        {"profile": list(loaded.profiles)},
        f"hdrbench showcase {paper} --profile ${{item.profile}}",
        params=[
            {f"{out}/digests.json": ["showcase"]},
            {f"{home}/params.yaml": ["showcase", "profiles.${item.profile}.viewer_scenes"]},
            *_data_facts(loaded, out, shown_on(paper, loaded.showcase[0]), "test"),
        ],
        deps=shown,
        outs=[_kept(f"{out}/${{item.profile}}/viewer")],
    )
    found["report"] = _stage(
        {"profile": list(loaded.profiles)},
        f"hdrbench report {paper} --profile ${{item.profile}}",
        params=[{f"{out}/digests.json": ["report"]}],
        deps=[
            *(f"{home}/{name}" for name in ("paper.yaml", "params.yaml")),
            *([f"{home}/reported"] if any(table.reported for table in about.tables) else []),
            *(f"src/hdrbench/report/{name}" for name in ("assets", "templates")),
            f"{out}/costs.json",
            *([f"{out}/${{item.profile}}/speed.json"] if about.speed else []),
            f"{out}/${{item.profile}}/scores",
            f"{out}/${{item.profile}}/viewer",
        ],
        outs=[_kept(f"{out}/${{item.profile}}/{name}") for name in ("index.html", "tables.json")],
    )
    return {name: stage for name, stage in found.items() if all(stage.get("matrix", {"": [""]}).values())}


def _data_facts(loaded: runs.Replication, out: str, role: str, split: str) -> list[dict[str, list[str]]]:
    """Depend on what is known of one split, so that a changed test image trains nothing again."""
    everywhere = all(split in catalog.card(profile.data[role]).splits for profile in loaded.profiles.values())
    keys = ["dataset", "task", "preparation", "code", f"splits.{split}" if everywhere else "splits"]
    return [{f"{out}/${{item.profile}}/data/{role}.json": keys}]


def _profiles(loaded: runs.Replication, *roles: str) -> list[str]:
    return [name for name, profile in loaded.profiles.items() if has_stage(profile, roles)]


def _code(paper: str) -> Stage:
    deps = ["datasets", "methods", "metrics", "src/hdrbench"]
    deps += [f"replications/{paper}/{name}" for name in ("params.yaml", "paper.yaml")]
    return _stage(None, f"hdrbench digest {paper}", deps=deps, outs=[_kept(f"results/{paper}/digests.json")])


def _data(paper: str, profiles: dict[str, Profile], role: str) -> dict[str, Stage]:
    """Build the stages that prepare what plays a role: files outside the repository may change without DVC's seeing it."""
    found: dict[str, Stage] = {}
    for name, profile in profiles.items():
        if not has_stage(profile, (role,)):
            continue
        inside = catalog.card(profile.data[role]).kind == "synthetic"
        stage = found.setdefault(
            f"data_{role}" if inside else f"data_{role}_external",
            _stage(
                {"profile": []},
                f"hdrbench data prepare {paper} {role} --profile ${{item.profile}}",
                params=[
                    {f"results/{paper}/digests.json": ["data"]},
                    {
                        f"replications/{paper}/params.yaml": [
                            f"profiles.${{item.profile}}.data.{role}",
                            "profiles.${item.profile}.preparation",
                        ]
                    },
                ],
                outs=[{f"results/{paper}/${{item.profile}}/data/{role}.json": {"cache": False, "persist": not inside}}],
            )
            | ({"deps": ["datasets/cards"]} if inside else {"always_changed": True}),
        )
        stage["matrix"]["profile"].append(name)
    return found


def _stage(matrix: dict[str, list[str]] | None, cmd: str, **rest: list[Any]) -> Stage:
    return {"wdir": "../..", **({"matrix": matrix} if matrix else {}), "cmd": cmd, **rest}


def _kept(path: str) -> dict[str, Any]:
    """Mark an output that git keeps, not DVC's cache."""
    return {path: {"cache": False}}


class _Dumper(yaml.SafeDumper):
    """Writes what repeats again, instead of naming it."""

    def ignore_aliases(self, data: object) -> bool:
        """Never use YAML anchors."""
        return True


def text(paper: str) -> str:
    """Return the dvc.yaml of a replication."""
    style: dict[str, Any] = {"sort_keys": False, "default_flow_style": None, "width": 120, "allow_unicode": True}
    body = yaml.dump({"stages": stages(paper)}, Dumper=_Dumper, **style)
    return HEADER.format(paper=paper) + body


def write(paper: str) -> Path:
    """Write the dvc.yaml of a replication whose settings fit together."""
    from hdrbench.pipeline.checks import check_paper  # brings torch in, which the names of stages can do without

    check_paper(paper)
    path = replication(paper) / "dvc.yaml"
    write_atomically(path, text(paper))
    return path
