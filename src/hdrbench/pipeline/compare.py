"""Tables from whatever exists: every printed row and column, with our number or the reason why there is none."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from statistics import fmean, median, pstdev
from typing import TypeVar

import hdrbench
from hdrbench import metrics, protocol, spec
from hdrbench import runs as settings
from hdrbench.datasets import catalog
from hdrbench.errors import HdrbenchError
from hdrbench.pipeline.cells import Cell, Measured, Missing, decimals, measured_cell, ranks
from hdrbench.pipeline.data import data_file
from hdrbench.pipeline.digest import evaluate_code, train_code
from hdrbench.pipeline.failures import failure_file
from hdrbench.pipeline.provenance import git_state, now
from hdrbench.pipeline.records import Json, Scores, read_json, read_scores, read_viewer
from hdrbench.runs import ResolvedRun
from hdrbench.spec import COSTS, COUNTS, Column, Group, Row, Table
from hdrbench.workspace import replication, results, root

T = TypeVar("T")


class Comparison:
    """Builds a paper's tables under one profile."""

    def __init__(self, paper: str, profile_name: str) -> None:
        self.id, self.profile_name = paper, profile_name
        self.paper, self.runs = spec.load(paper), settings.load(paper)
        self.profile = settings.profile_of(self.runs, profile_name)
        self.folder = results(paper, profile_name)
        spec.check(self.paper, self.runs, metrics.METRICS, replication(paper) / "paper.yaml")
        self.problems: list[str] = []
        self.costs: Json = self.optional(lambda: read_json(self.folder.parent / "costs.json")) or {}
        self.scores: dict[tuple[str, str], Scores] = {}
        self.verified: dict[str, list[str]] = {}
        self.resolved: dict[str, ResolvedRun] = {}
        self.data: dict[str, Json] = {}

    def optional(self, read: Callable[[], T | None]) -> T | None:
        """Read something the page can do without; what is wrong with it becomes a line on the page."""
        try:
            return read()
        except HdrbenchError as error:
            self.problems.append(str(error))
            return None

    def tables(self) -> list[Json]:
        """Return every table, with its cells."""
        return [self._table(table) for table in self.paper.tables]

    def _table(self, table: Table) -> Json:
        printed = spec.read_printed(table, replication(self.id))
        rows: list[tuple[Row, list[Cell]]] = []
        values = iter(printed.values)
        for row in table.rows:
            strings = iter(next(values)) if row.printed else None
            cells = []
            for column in printed.columns:
                reported = next(strings) if strings and column.group.printed else None
                cells.append(self._cell(row, column, reported, self._places(printed, column)))
            rows.append((row, cells))
        for index, column in enumerate(printed.columns):
            places = ranks([cells[index].value for _, cells in rows], self._better(column.name))
            for (_, cells), rank in zip(rows, places, strict=True):
                cells[index] = replace(cells[index], rank=rank)
        return {
            "id": table.id,
            "number": table.number,
            "title": table.title,
            "note": table.note,
            "row_headers": table.row_headers,
            "columns": [
                self._column(column, index, self._places(printed, column))
                for index, column in enumerate(printed.columns)
            ],
            "rows": [
                {
                    "id": f"{table.id}-{number}",
                    "labels": row.labels,
                    "printed": row.printed,
                    "note": row.note,
                    "cells": [cell.fields() for cell in cells],
                }
                for number, (row, cells) in enumerate(rows, 1)
            ],
        }

    def _places(self, printed: spec.PrintedTable, column: Column) -> int:
        """Decimals for numbers that the paper does not print: as many as the column's printed ones."""
        if not column.group.printed:
            return 2
        index = [c for c in printed.columns if c.group.printed].index(column)
        return max(decimals(row[index]) for row in printed.values)

    def _better(self, name: str) -> str | None:
        if name in COSTS:
            return COSTS[name][0]
        return metrics.get(name).better

    def _column(self, column: Column, index: int, places: int) -> Json:
        group = column.group
        unit = COSTS[column.name][1] if column.name in COSTS else metrics.get(column.name).unit
        return {
            "id": f"{index}.{group.train}.{group.test}.{column.name}",
            "group": group.title,
            "label": column.label,
            "better": self._better(column.name),
            "unit": unit,
            "printed": group.printed,
            "protocol": group.protocol,
            "decimals": places,
        }

    def _cell(self, row: Row, column: Column, reported: str | None, places: int) -> Cell:
        """Fill one cell."""
        if row.run is None:
            return Cell("not_implemented", f"{row.labels[0]} does not exist here yet", reported)
        run = self._run(f"{column.group.train}/{row.run}")
        found = self._cost(run, column) if column.name in COSTS else self._score(run, column)
        better, tolerance = self._better(column.name), self.paper.tolerances.get(column.name)
        if isinstance(found, Missing):
            cell = Cell(found.state, found.reason, reported)
        else:
            cell = measured_cell(found, reported, better, tolerance, places)
        return replace(cell, run=run.id, test=column.group.test, command=self._command(run, column))

    def _run(self, run_id: str) -> ResolvedRun:
        """Resolve a run, once."""
        if run_id not in self.resolved:
            self.resolved[run_id] = settings.resolve(self.id, self.profile_name, run_id)
        return self.resolved[run_id]

    def _command(self, run: ResolvedRun, column: Column) -> str | None:
        """Command that rebuilds this cell, where there is a stage for it."""
        stage = self._stage(run, column)
        return f"dvc repro {stage}" if stage else None

    def _stage(self, run: ResolvedRun, column: Column) -> str | None:
        """Stage that makes a cell's number, where there is one."""
        file, test = f"replications/{self.id}/dvc.yaml", column.group.test
        if column.name in COUNTS:
            return f"{file}:cost"
        if test == run.role:
            return f"{file}:evaluate_{run.role}@{self.profile_name}-{run.name}"
        if test not in self.runs.runs:
            return f"{file}:on_{test}@{self.profile_name}-{run.name}" if self.profile_name != "paper" else None
        crossed = run.name in self.runs.cross.get(run.role, [])
        return f"{file}:cross_{run.role}@{self.profile_name}-{run.name}" if crossed else None

    def _cost(self, run: ResolvedRun, column: Column) -> Measured | Missing:
        """Look a cost up; counts belong to the paper's network, time to this profile's."""
        if column.name not in COUNTS:
            return self._time(run, column)
        counted = self.costs.get(run.id)
        asked = self.runs.runs[run.role][run.name]
        if not isinstance(counted, dict) or column.name not in counted:
            return Missing("not_run", "not counted yet")
        if (counted.get("method"), counted.get("options")) != (asked.method, asked.options):
            return Missing("not_run", f"counted for other options; run hdrbench cost {self.id}")
        if not counted["params"]:
            return Missing("not_computable", "there is no network to count")
        return Measured(counted[column.name], None, None, True, "counted on the paper's configuration at 1500x1000")

    def _time(self, run: ResolvedRun, column: Column) -> Measured | Missing:
        """Median inference time of the scored images, and their size."""
        scores = self._read_scores(run, column.group)
        if isinstance(scores, Missing):
            return scores
        sizes = {f"{width}x{height}" for height, width in scores.sizes}
        device, count = scores.evaluation.environment.device, len(scores.seconds)
        reason = f"median over {count} images of {', '.join(sorted(sizes))} on {device}; printed: 1500x1000 on RTX 3090"
        pixels = median(height * width / 1e6 for height, width in scores.sizes)
        return Measured(median(scores.seconds) if column.name == "seconds" else pixels, None, count, False, reason)

    def _score(self, run: ResolvedRun, column: Column) -> Measured | Missing:
        """Mean and standard deviation of a metric over the test images."""
        scores = self._read_scores(run, column.group)
        if isinstance(scores, Missing):
            return scores
        wanted = protocol.get(str(column.group.protocol)).digest()
        if scores.protocol.get("hash") == wanted and column.name in scores.missing:
            again = f"dvc repro -sf {stage}" if (stage := self._stage(run, column)) else "evaluate again"
            return Missing("weights_missing", f"{scores.missing[column.name]}; then: {again}")
        if scores.protocol.get("hash") == wanted and column.name in scores.failed:
            return Missing("failed", scores.failed[column.name])
        if scores.protocol.get("hash") != wanted or column.name not in scores.metrics:
            return Missing("not_run", "scored under another protocol or without this metric; evaluate again")
        values = scores.metrics[column.name]
        spread = pstdev(values) if len(values) > 1 else None
        outdated = self._outdated(run, scores, column.group)
        return Measured(fmean(values), spread, len(values), self.profile.comparable, outdated)

    def _outdated(self, run: ResolvedRun, scores: Scores, group: Group) -> str | None:
        """Say so if the number was made by other code, settings or data than there are now."""
        made = scores.training.identity
        now_and_then = {
            "training code": (train_code(run.method), made.get("code")),
            "scoring code": (evaluate_code(run.method), scores.evaluation.code),
            "settings": (run.settings(), {key: made.get(key) for key in run.settings()}),
            "training data": (self._facts(group.train).get("digest", made.get("data")), made.get("data")),
            "test data": (self._facts(group.test).get("digest", scores.data), scores.data),
        }
        changed = [name for name, (here, there) in now_and_then.items() if here != there]
        return f"{' and '.join(changed)} changed since this was measured" if changed else None

    def _read_scores(self, run: ResolvedRun, group: Group) -> Scores | Missing:
        """Read a run's scores, or find out why there are none; a failure hides what was measured before it."""
        for stage in ("train", f"evaluate-{group.test}"):
            failure = failure_file(run, stage)
            if failure.is_file():
                return Missing("failed", failure.read_text(encoding="utf-8").strip())
        key = (run.id, group.test)
        if key not in self.scores:
            try:
                found = read_scores(run.scores(group.test))
            except HdrbenchError as error:
                return Missing("failed", str(error))
            if found is None:
                return self._why_missing(run, group)
            if found.dataset != run.dataset(group.test):
                return Missing(
                    "not_run", f"the scores here are of '{found.dataset}', which does not play this role now"
                )
            self.scores[key] = found
        return self.scores[key]

    def _why_missing(self, run: ResolvedRun, group: Group) -> Missing:
        for role in dict.fromkeys((group.train, group.test)):
            if self._facts(role):
                continue
            name = run.dataset(role)
            if name not in self.verified:
                self.verified[name] = catalog.verify(name)
            if self.verified[name]:
                return Missing("data_missing", self.verified[name][0])
        return Missing("not_run", "no scores yet")

    def _facts(self, role: str) -> Json:
        """Facts of the data set that plays a role, empty where it is not prepared or another one plays it now."""
        if role not in self.data:
            facts = self.optional(lambda: read_json(data_file(self.id, self.profile_name, role))) or {}
            self.data[role] = facts if facts.get("dataset") == self.profile.data[role] else {}
        return self.data[role]

    def roles(self) -> list[Json]:
        """Say which data set plays which of the paper's, with its fingerprint where it has one."""
        found = []
        for role, stands_for in self.paper.roles.items():
            name = self.profile.data[role]
            facts = self._facts(role)
            title = catalog.card(name).title
            found.append(
                {"role": role, "stands_for": stands_for, "dataset": name, "title": title}
                | {"digest": facts.get("digest"), "scenes": facts.get("scenes") or {}}
            )
        return found

    def run_records(self) -> dict[str, Json]:
        """Collect the provenance of every run with scores, by run; call after `tables`."""
        records: dict[str, Json] = {}
        for (run_id, _), scores in self.scores.items():
            training, evaluation, identity = scores.training, scores.evaluation, scores.training.identity
            records[run_id] = {
                "label": run_id,
                "method": scores.method,
                "options": scores.options | identity.get("objective", {}),
                "commit": evaluation.git.commit,
                "dirty": evaluation.git.dirty or training.git.dirty,
                "code": identity.get("code"),
                "data": identity.get("data"),
                "seed": identity.get("seed"),
                "device": training.environment.device,
                "torch": training.environment.torch,
                "cuda": training.environment.cuda,
                "precision": identity.get("training", {}).get("precision"),
                "iterations": training.iterations,
                "train_seconds": training.train_seconds,
                "evaluate_seconds": evaluation.seconds,
                "peak_memory_mb": training.peak_memory_mb,
                "notes": [*training.notes, f"trained at commit {str(training.git.commit)[:12]}"],
                "finished": evaluation.finished,
            }
        return records


def verdict(counts: Counter[str], comparable: bool, profile: str) -> str:
    """Sum the page up in one sentence."""
    total = sum(counts.values())
    agree = counts["equal"] + counts["within"]
    judged = agree + counts["better"] + counts["worse"]
    apart = counts["other_data"] + counts["not_reported"]
    absent = total - judged - apart
    if comparable:
        return (
            f"{agree} of {judged} comparable cells agree with the paper, {counts['better']} are better and "
            f"{counts['worse']} worse; {absent} of {total} cells have no number here."
        )
    return (
        f"Not a replication: profile '{profile}' uses other data than the paper. {apart} cells hold numbers that cannot "
        f"be held against the paper's; of the {judged} that do not depend on data (parameters, multiply-adds), {agree} "
        f"agree with it; {absent} of {total} cells have no number here."
    )


def compare(paper: str, profile_name: str) -> Json:
    """Build everything the page shows, as written to tables.json."""
    work_on = Comparison(paper, profile_name)
    tables = work_on.tables()
    counts = Counter(cell["state"] for table in tables for row in table["rows"] for cell in row["cells"])
    profile, about = work_on.profile, work_on.paper
    names = {group.protocol for table in about.tables for group in table.groups if group.protocol}
    scores: dict[str, Json] = {}
    for (run_id, test), found in work_on.scores.items():
        scores.setdefault(run_id, {})[test] = {"images": found.images, "metrics": found.metrics}
    viewer = work_on.optional(lambda: read_viewer(work_on.folder)) or []
    described: Json = about.model_dump(include={"title", "authors", "venue", "year", "url"})
    return {
        "schema": 1,
        "paper": {"id": paper, **described, "abstract_line": about.sentence},
        "profile": {
            "name": profile_name,
            "summary": profile.summary,
            "comparable": profile.comparable,
            "roles": work_on.roles(),
            "settings": profile.training.model_dump() | {"flow": profile.flow, "seed": profile.seed} | profile.options,
        },
        "verdict": verdict(counts, profile.comparable, profile_name),
        "counts": dict(counts),
        "tables": tables,
        "runs": work_on.run_records(),
        "scores": scores,
        "protocols": {
            name: {"hash": protocol.get(name).digest(), "fields": protocol.get(name).fields()} for name in sorted(names)
        },
        "viewer": viewer,
        "problems": list(dict.fromkeys(work_on.problems)),
        "assumptions": about.assumptions,
        "generated": {
            **git_state(root()),
            "time": now(),
            "version": hdrbench.__version__,
            "command": f"dvc repro replications/{paper}",
        },
    }
