"""Tables from whatever exists: every printed row and column, with our number or the reason why there is none."""

from collections import Counter
from dataclasses import replace

import hdrbench
from hdrbench import metrics, protocol, spec
from hdrbench.datasets import catalog
from hdrbench.pipeline.cells import Cell, Missing, decimals, is_number, measured_cell, printed_decimals, ranks
from hdrbench.pipeline.checks import check_paper
from hdrbench.pipeline.lookup import Lookup
from hdrbench.pipeline.provenance import git_state, now
from hdrbench.pipeline.records import Json, read_viewer
from hdrbench.reported import Column, PrintedTable, read_printed
from hdrbench.spec import COSTS, Asked, Row, Table
from hdrbench.workspace import replication, root


def _table(lookup: Lookup, table: Table) -> Json:
    """Fill a table."""
    printed = read_printed(table, replication(lookup.id))
    rows = [
        [
            _cell(lookup, table, row, column, strings[index], _places(printed, strings, index))
            for index, column in enumerate(printed.columns)
        ]
        for row, strings in zip(table.rows, printed.values, strict=True)
    ]
    if not any(column.run for column in printed.columns):  # else rows are scenes or exposures, none better than another
        for index in range(len(printed.columns)):
            _rank(rows, index)
    return {
        "id": table.id,
        "number": table.number,
        "title": table.title,
        "note": table.note,
        "row_headers": table.row_headers,
        "columns": [
            _column(column, index, [cells[index] for cells in rows]) for index, column in enumerate(printed.columns)
        ],
        "rows": [
            {
                "id": f"{table.id}-{number}",
                "labels": row.labels,
                "printed": row.printed,
                "note": row.note,
                "cells": [cell.fields() for cell in cells],
            }
            for number, (row, cells) in enumerate(zip(table.rows, rows, strict=True), 1)
        ],
    }


def _rank(rows: list[list[Cell]], index: int) -> None:
    """Rank a column's cells among those that show the same."""
    alike: dict[tuple, list[list[Cell]]] = {}
    for cells in rows:
        alike.setdefault((cells[index].metric, cells[index].subject, cells[index].test), []).append(cells)
    for group in alike.values():
        if len(group) > 1:
            best = ranks([cells[index].value for cells in group], group[0][index].better)
            for cells, rank in zip(group, best, strict=True):
                cells[index] = replace(cells[index], rank=rank)


def _places(printed: PrintedTable, row: tuple[str | None, ...], index: int) -> int:
    """Decimals for a number that nobody prints: as many as the paper prints where the same is shown.

    That is in the row, where columns are runs; else in the column, or in others of its metric. Where nothing is printed, two
    of what has a unit, and four of what has none.
    """
    columns = printed.columns
    if columns[index].run:
        alike = [text for column, text in zip(columns, row, strict=True) if column.group.printed]
    else:
        like = [n for n, column in enumerate(columns) if column.group.printed and column.name == columns[index].name]
        alike = [other[n] for other in printed.values for n in (like if index not in like else [index])]
    found = [decimals(text) for text in alike if text and is_number(text)]
    if columns[index].run and not found:
        found = [decimals(text) for other in printed.values for text in other if text and is_number(text)]
    return max(found, default=2 if _unit(columns[index].name) else 4)


def _better(cell: Asked) -> str | None:
    """Tell which direction is good; a name that is no metric of ours, such as a user study's, has none."""
    if cell.spread:
        return None
    if cell.name in COSTS:
        return COSTS[cell.name][0]
    return metrics.get(cell.name).better if cell.name in metrics.METRICS else None


def _unit(name: str) -> str | None:
    if name in COSTS:
        return COSTS[name][1]
    return metrics.get(name).unit if name in metrics.METRICS else None


def _column(column: Column, index: int, cells: list[Cell]) -> Json:
    """Describe a column; of direction, unit and metric, what all its rows share."""
    group = column.group
    names = {cell.metric for cell in cells}
    name = names.pop() if len(names) == 1 else None
    return {
        "id": f"{index}.{group.train}.{group.test}.{column.run or name}",
        "group": group.title,
        "label": column.label,
        "better": cells[0].better if name else None,
        "unit": _unit(name) if name else None,
        "printed": group.printed,
        "elsewhere": group.elsewhere.source if group.elsewhere else None,
        "run": column.run,
    }


def _cell(lookup: Lookup, table: Table, row: Row, column: Column, reported: str | None, places: int) -> Cell:
    """Fill one cell."""
    asked = spec.asked(column.group, column.name, column.run, row)
    if column.group.not_computable:
        cell = Cell("not_computable", column.group.not_computable, reported)
    elif asked.run is None:
        missing = column.label if column.group.runs else row.labels[-1]
        cell = Cell("not_implemented", f"{missing} does not exist here yet", reported)
    else:
        cell = _filled(lookup, table, row, column, asked, reported, places)
    scored = asked.protocol is not None
    return replace(
        cell,
        metric=asked.name,
        subject=asked.subject if scored else None,
        protocol=asked.protocol,
        better=_better(asked),
        unit=_unit(asked.name),
        decimals=cell.decimals if cell.decimals is not None else printed_decimals(reported, places),
        test=asked.test,
    )


def _filled(
    lookup: Lookup, table: Table, row: Row, column: Column, asked: Asked, reported: str | None, places: int
) -> Cell:
    """Fill a cell of a run with our number, or with why there is none."""
    run = lookup.run(f"{asked.train}/{asked.run}")
    found = lookup.find(run, table, row, asked)
    if isinstance(found, Missing):
        cell = Cell(found.state, found.reason, reported)
    else:
        tolerance = None if asked.spread else lookup.paper.tolerances.get(asked.name)
        cell = measured_cell(found, reported, _better(asked), tolerance, places)
        if reported is not None and column.group.elsewhere:
            where = None if lookup.profile.comparable else "measured on other data"
            reason = "; ".join(filter(None, [_source(column), where, cell.reason]))
            cell = replace(cell, state="elsewhere", reason=reason)
    stage = lookup.stage(run, asked)
    return replace(cell, run=run.id, command=f"dvc repro {stage}" if stage else None)


def _source(column: Column) -> str:
    assert column.group.elsewhere is not None
    return f"printed by {column.group.elsewhere.source}"


def _roles(lookup: Lookup) -> list[Json]:
    """Say which data set plays which of the paper's, with its fingerprint and what was left out, where it is prepared."""
    found = []
    for role, stands_for in lookup.paper.roles.items():
        name = lookup.profile.data[role]
        facts = lookup.facts(role)
        splits = facts.get("splits") or {}
        kept = {
            "scenes": {split: about["scenes"] for split, about in splits.items()},
            "left_out": {split: about["left_out"] for split, about in splits.items() if about["left_out"]},
        }
        digests = dict.fromkeys(about["digest"] for about in splits.values())
        found.append(
            {"role": role, "stands_for": stands_for, "dataset": name, "title": catalog.card(name).title}
            | {
                "digest": ", ".join(digest[:12] for digest in digests) or None,
                "remarks": facts.get("remarks") or [],
                **kept,
            }
        )
    return found


def _run_records(lookup: Lookup) -> dict[str, Json]:
    """Collect the provenance of every run with scores, by run; call after the tables are filled."""
    records: dict[str, Json] = {}
    for (run_id, _), scores in lookup.scores.items():
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
    apart = counts["other_data"] + counts["not_reported"] + counts["elsewhere"]
    absent = total - judged - apart
    if comparable:
        return (
            f"{agree} of {judged} comparable cells agree with the paper, {counts['better']} are better and "
            f"{counts['worse']} worse; {absent} of {total} cells have no number here."
        )
    counted = f"of the {judged} that do not depend on data (parameters, multiply-adds), {agree} agree with it; "
    return (
        f"Not a replication: profile '{profile}' uses other data than the paper. {apart} cells hold numbers that cannot "
        f"be held against the paper's; {counted if judged else ''}{absent} of {total} cells have no number here."
    )


def compare(paper: str, profile_name: str) -> Json:
    """Build everything the page shows, as written to tables.json."""
    lookup = Lookup(paper, profile_name)
    check_paper(paper)
    tables = [_table(lookup, table) for table in lookup.paper.tables]
    counts = Counter(cell["state"] for table in tables for row in table["rows"] for cell in row["cells"])
    profile, about = lookup.profile, lookup.paper
    names = {group.protocol for table in about.tables for group in table.groups if group.protocol}
    scores: dict[str, Json] = {}
    for (run_id, test), found in lookup.scores.items():
        sheets = [
            {"subject": sheet.subject, "protocol": sheet.protocol.get("name"), "metrics": sheet.metrics}
            for sheet in found.sheets
        ]
        scores.setdefault(run_id, {})[test] = {"images": found.images, "sheets": sheets}
    viewer = lookup.optional(lambda: read_viewer(lookup.folder)) or []
    described: Json = about.model_dump(include={"title", "authors", "venue", "year", "url"})
    roles = _roles(lookup)
    return {
        "schema": 3,
        "paper": {"id": paper, **described, "abstract_line": about.sentence},
        "profile": {
            "name": profile_name,
            "summary": profile.summary,
            "comparable": profile.comparable,
            "roles": roles,
            "settings": profile.training.model_dump()
            | {"preparation": profile.preparation, "seed": profile.seed}
            | {"options": profile.options, "objective": profile.objective},
        },
        "verdict": verdict(counts, profile.comparable, profile_name),
        "counts": dict(counts),
        "tables": tables,
        "runs": _run_records(lookup),
        "scores": scores,
        "protocols": {
            name: {"hash": protocol.get(name).digest(), "fields": protocol.get(name).fields()} for name in sorted(names)
        },
        "viewer": viewer,
        "problems": list(dict.fromkeys(lookup.problems)),
        "assumptions": about.assumptions,
        "generated": {
            **git_state(root()),
            "time": now(),
            "version": hdrbench.__version__,
            "command": f"dvc repro replications/{paper}",
        },
    }
