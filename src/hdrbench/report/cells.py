"""From a table of ``tables.json`` to what its HTML shows: glyphs, ranks, column groups."""

from itertools import groupby
from typing import Any

from hdrbench.report.states import state

Json = dict[str, Any]

LINE = 11
"""Characters of a group's heading that fit over one column, at the least."""


def number(text: str | None) -> float | None:
    """Read a printed number, or None where the paper prints a dash, nothing, or words."""
    try:
        return float((text or "").replace("−", "-").replace(",", "").strip())
    except ValueError:
        return None


def signed(text: str | None) -> str | None:
    """Set a difference with a real minus sign, which is as wide as the plus."""
    return text.replace("-", "−") if text else None


def printed_ranks(table: Json, column: int) -> dict[int, int]:
    """Rank the printed numbers of one column.

    Parameters
    ----------
    table
        One table of ``tables.json``.
    column
        Index of the column.

    Returns
    -------
    dict
        Row index to 1 (best) or 2 (second), among rows that show the same; ties share a rank. What has no direction has
        none, nor has a table whose columns are runs.
    """
    about = table["columns"][column]
    if any(other["run"] for other in table["columns"]):
        return {}
    alike: dict[tuple, dict[int, float]] = {}
    for i, row in enumerate(table["rows"]):
        cell = row["cells"][column]
        value = number(cell["reported"]) if row["printed"] or about["elsewhere"] else None
        if value is not None and cell["better"]:
            key = (cell["metric"], cell["subject"], cell["test"])
            alike.setdefault(key, {})[i] = value if cell["better"] == "lower" else -value
    ranks: dict[int, int] = {}
    for values in alike.values():
        if len(values) == 1:
            continue
        order = sorted(set(values.values()))[:2]
        ranks |= {i: order.index(value) + 1 for i, value in values.items() if value in order}
    return ranks


def column_groups(table: Json) -> list[Json]:
    """Join neighbouring columns of one group: ``{"label", "span"}`` each, empty when the table has no groups."""
    runs = [(label, len(list(run))) for label, run in groupby(table["columns"], key=lambda c: c["group"])]
    return [{"label": label, "span": span} for label, span in runs] if any(label for label, _ in runs) else []


def row_state(row: Json) -> str | None:
    """Key of the state that all cells of an unmeasured row share, if they do: the row then names it once."""
    if len(row["labels"]) > 1:
        return None  # the flags of an ablation are no name to hang it on
    keys = {cell["state"] for cell in row["cells"]}
    measured = any(cell["text"] for cell in row["cells"])
    return keys.pop() if len(keys) == 1 and not measured else None


def cell_view(cell: Json, *, reported_rank: int | None) -> Json:
    """Prepare one cell for the template.

    Parameters
    ----------
    cell
        A cell of ``tables.json``.
    reported_rank
        Rank of its printed number, from :func:`printed_ranks`.
    """
    known = state(cell["state"])
    percent = cell["delta_percent"]
    return {
        "state": known,
        "title": f"{known.label}: {cell['reason']}" if cell["reason"] else known.label,
        "ours": cell["text"],
        "rank": cell["rank"],
        "reported": cell["reported"],
        "reported_rank": reported_rank,
        "delta": signed(cell["delta_text"]),
        "percent": None if percent is None else signed(f"{percent:+.1f} %"),
    }


def table_view(table: Json) -> Json:
    """Prepare one table for the template.

    Parameters
    ----------
    table
        One table of ``tables.json``.

    Raises
    ------
    HdrbenchError
        A cell has an unknown state.
    """
    ranks = [printed_ranks(table, i) for i in range(len(table["columns"]))]
    rows = []
    for i, row in enumerate(table["rows"]):
        cells = [cell_view(cell, reported_rank=ranks[j].get(i)) for j, cell in enumerate(row["cells"])]
        shared = row_state(row)
        rows.append({**row, "cells": cells, "state": state(shared) if shared else None})
    columns = [{**column, "tag": column_tag(column)} for column in table["columns"]]
    groups = column_groups(table)
    # Such headings need a second line; the sticky line below them must know.
    tall = any(len(group["label"] or "") > LINE * group["span"] for group in groups)
    return {**table, "columns": columns, "groups": groups, "tall": tall, "rows": rows, "measured": measured(table)}


def measured(table: Json) -> list[Json]:
    """List the cells that carry a measurement, for the provenance list below a table."""
    return [
        {**cell, "row": ", ".join(row["labels"]), "column": column_name(column), "spec": column}
        for row in table["rows"]
        for column, cell in zip(table["columns"], row["cells"], strict=True)
        if cell["text"]
    ]


def column_tag(column: Json) -> str | None:
    """Say of a column that the paper does not print whose numbers it is compared with, if anyone's."""
    if column["printed"]:
        return None
    return f"reported elsewhere: {column['elsewhere']}" if column["elsewhere"] else "not in the paper"


def column_name(column: Json) -> str:
    """Name a column with its group and unit, as in ``"Kalantari's dataset: PSNR-μ [dB]"``."""
    group = f"{column['group']}: " if column["group"] else ""
    unit = f" [{column['unit']}]" if column["unit"] else ""
    return f"{group}{column['label']}{unit}"
