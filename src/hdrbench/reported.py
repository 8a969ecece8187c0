"""The printed numbers: CSV files that look like the paper's tables. They stay strings."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hdrbench.errors import HdrbenchError
from hdrbench.spec import Group, Table


@dataclass(frozen=True)
class Column:
    """One column of a table: the metric or cost as its group lists it, its printed label, its group, and perhaps its run."""

    name: str
    label: str
    group: Group
    run: str | None


@dataclass(frozen=True)
class PrintedTable:
    """A table's columns, and the numbers of all its rows and columns, ``None`` where nothing is printed."""

    columns: tuple[Column, ...]
    values: tuple[tuple[str | None, ...], ...]


def read_printed(table: Table, folder: Path) -> PrintedTable:
    """Read a table's CSV and check it against the table's rows and columns.

    The file has a line of group headings where the table has any, a line of labels, and one line per printed row. A table
    that the paper does not have has no file. Numbers from elsewhere have a file of their own for each group, with a line of
    labels and one line per row; cells may be empty.

    Raises
    ------
    HdrbenchError
        If a column or a row is missing, extra, or called otherwise.
    """
    lines = _read_reported(table, folder, table.reported) if table.reported else []
    lead = len(table.row_headers)
    labels, numbers = iter(lines[0][lead:] if lines else []), zip(*(line[lead:] for line in lines[1:]), strict=True)
    columns: list[Column] = []
    values: list[list[str | None]] = []
    for group in table.groups:
        if group.printed:
            own = [next(labels) for _ in group.columns]
            values += [_spread(table, next(numbers)) for _ in group.columns]
        else:
            own = group.labels
            values += _elsewhere(table, group, folder)
        columns += [Column(name, label, group, run) for (name, run), label in zip(group.columns, own, strict=True)]
    return PrintedTable(tuple(columns), tuple(zip(*values, strict=True)))


def _read_reported(table: Table, folder: Path, name: str) -> list[list[str]]:
    """Read a table's file: its line of labels, and those of the printed rows."""
    source, lead = folder / name, len(table.row_headers)
    lines = _read(source, table.id)
    printed = [group for group in table.groups if group.printed]
    headings = 2 if any(group.title for group in printed) else 1
    if len(lines) <= headings:
        raise HdrbenchError(
            f"{source}: has {len(lines)} lines; expected {headings} of headings, and one per printed row"
        )
    head = lines[headings - 1]
    names = [run or name or "another method" for group in printed for name, run in group.columns]
    if len(head) - lead != len(names):
        raise HdrbenchError(
            f"{source}: paper.yaml gives {table.id} {len(names)} printed columns ({', '.join(names)}), "
            f"but the file has {len(head) - lead} ({', '.join(head[lead:])}); columns are separated by commas"
        )
    titles = [cell for cell in lines[0][lead:] if cell] if headings == 2 else []
    if titles != [group.title for group in printed if group.title]:
        raise HdrbenchError(f"{source}: column groups are {titles}, but paper.yaml has {[g.title for g in printed]}")
    expected = [row.labels for row in table.rows if row.printed]
    _check_rows(expected, lines[headings:], lead, source, table.id)
    return lines[headings - 1 :]


def _spread(table: Table, printed: Iterable[str]) -> list[str | None]:
    """Put the numbers of the printed rows at their places among all rows."""
    strings = iter(printed)
    return [(next(strings) or None) if row.printed else None for row in table.rows]


def _elsewhere(table: Table, group: Group, folder: Path) -> list[list[str | None]]:
    """Read what another publication prints for a group's columns, if anything."""
    if group.elsewhere is None:
        return [[None] * len(table.rows) for _ in group.columns]
    source, lead = folder / group.elsewhere.reported, len(table.row_headers)
    head, *body = _read(source, table.id) or [[]]
    if head[lead:] != group.labels:
        raise HdrbenchError(f"{source}: columns are {head[lead:]}, but paper.yaml has {group.labels} there")
    _check_rows([row.labels for row in table.rows], body, lead, source, table.id)
    return [[cell or None for cell in column] for column in zip(*(line[lead:] for line in body), strict=True)]


def _read(source: Path, table: str) -> list[list[str]]:
    if not source.is_file():
        raise HdrbenchError(f"{source}: file not found, the printed numbers of {table}")
    try:
        with source.open(encoding="utf-8-sig", newline="") as file:
            return [line for line in csv.reader(file) if any(line)]
    except (OSError, UnicodeDecodeError) as error:
        raise HdrbenchError(f"{source}: cannot be read as UTF-8 text ({error})") from error


def _check_rows(expected: list[list[str]], body: list[list[str]], lead: int, source: Path, table: str) -> None:
    """Compare row labels and lengths with paper.yaml."""
    found = [line[:lead] for line in body]
    for number, (want, have) in enumerate(zip(expected, found, strict=False), 1):
        if want != have:
            raise HdrbenchError(f"{source}: row {number} is {have}, but paper.yaml has {want} there")
    if len(expected) != len(found):
        raise HdrbenchError(f"{source}: has {len(found)} rows, but paper.yaml gives {table} {len(expected)}")
    width = max(len(line) for line in body)
    for line in body:
        if len(line) != width:
            raise HdrbenchError(f"{source}: row {line[:lead]} has {len(line)} cells, others have {width}")
