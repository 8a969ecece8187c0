"""A paper as data: paper.yaml maps every printed row to a run and every printed column to a score or a cost.

The printed numbers stand in CSV files that look like the paper's tables, and stay strings.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

from hdrbench.errors import HdrbenchError, unknown
from hdrbench.runs import Replication
from hdrbench.strict import Strict, parse
from hdrbench.workspace import read_yaml, replication

COSTS = {
    "macs_thop": ("lower", "G"),
    "macs_counted": ("lower", "G"),
    "params": ("lower", "M"),
    "seconds": ("lower", "s"),
    "megapixels": (None, "Mpx"),
}
# Of these, what can be counted without running anything.
COUNTS = ("macs_thop", "macs_counted", "params")


class Tolerance(Strict):
    """How far a replicated number may lie from the printed one, and why."""

    value: float
    reason: str


class Group(Strict):
    """Neighbouring columns that share a heading, a training set, a test set and a protocol.

    It lists either metrics or costs. Columns that the paper does not print carry their own labels.
    """

    title: str | None = None
    train: str
    test: str
    protocol: str | None = None
    metrics: list[str] = []
    costs: list[str] = []
    printed: bool = True
    labels: list[str] = []


class Row(Strict):
    """One row: its label, and the run behind it; without a run its method does not exist here yet."""

    labels: list[str]
    run: str | None = None
    printed: bool = True
    note: str | None = None


class Table(Strict):
    """One printed table."""

    id: str
    number: str
    title: str
    reported: str
    row_headers: list[str]
    groups: list[Group]
    rows: list[Row]
    note: str | None = None


class Paper(Strict):
    """Everything in a paper.yaml."""

    title: str
    authors: str
    venue: str
    year: int
    url: str
    reference: str
    sentence: str
    roles: dict[str, str]
    tolerances: dict[str, Tolerance]
    assumptions: list[str]
    tables: list[Table]


@dataclass(frozen=True)
class Column:
    """One column of a table: a metric's or a cost's name, its printed label, and its group."""

    name: str
    label: str
    group: Group


@dataclass(frozen=True)
class PrintedTable:
    """A table's columns, and the printed strings of its printed rows and columns."""

    columns: tuple[Column, ...]
    values: tuple[tuple[str, ...], ...]


def load(paper: str) -> Paper:
    """Read and check a paper.yaml."""
    source = replication(paper) / "paper.yaml"
    return parse(Paper, read_yaml(source), source)


def check_runs(paper: Paper, runs: Replication, source: Path) -> None:
    """Raise `HdrbenchError` for a row or a group that names a run or a data set that params.yaml does not have."""
    for table in paper.tables:
        for group in table.groups:
            for role in (group.train, group.test):
                if role not in paper.roles:
                    raise HdrbenchError(f"{source}: {table.id}: {unknown('data set', role, paper.roles)}")
            for cost in group.costs:
                if cost not in COSTS:
                    raise HdrbenchError(f"{source}: {table.id}: {unknown('cost', cost, COSTS)}")
            for row in table.rows:
                if row.run is not None and row.run not in runs.runs.get(group.train, {}):
                    problem = unknown(f"run of '{group.train}'", row.run, runs.runs.get(group.train, {}))
                    raise HdrbenchError(f"{source}: {table.id}: {problem}")


def read_printed(table: Table, folder: Path) -> PrintedTable:
    """Read a table's CSV and check it against the table's rows and columns.

    The file has a line of group headings where the table has any, a line of labels, and one line per printed row.

    Raises
    ------
    HdrbenchError
        If a column or a row is missing, extra, or called otherwise.
    """
    source = folder / table.reported
    if not source.is_file():
        raise HdrbenchError(f"{source}: file not found, the printed numbers of {table.id}")
    with source.open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file))
    printed = [group for group in table.groups if group.printed]
    headings = 2 if any(group.title for group in printed) else 1
    head, body, lead = lines[headings - 1], lines[headings:], len(table.row_headers)
    names = [name for group in printed for name in (*group.metrics, *group.costs)]
    if len(head) - lead != len(names):
        raise HdrbenchError(
            f"{source}: paper.yaml gives {table.id} {len(names)} printed columns ({', '.join(names)}), "
            f"but the file has {len(head) - lead} ({', '.join(head[lead:])})"
        )
    titles = [cell for cell in lines[0][lead:] if cell] if headings == 2 else []
    if titles != [group.title for group in printed if group.title]:
        raise HdrbenchError(f"{source}: column groups are {titles}, but paper.yaml has {[g.title for g in printed]}")
    _check_rows(table, body, lead, source)
    return PrintedTable(_columns(table, head[lead:], source), tuple(tuple(line[lead:]) for line in body))


def _check_rows(table: Table, body: list[list[str]], lead: int, source: Path) -> None:
    """Compare row labels and lengths with paper.yaml."""
    expected = [row.labels for row in table.rows if row.printed]
    found = [line[:lead] for line in body]
    for number, (want, have) in enumerate(zip(expected, found, strict=False), 1):
        if want != have:
            raise HdrbenchError(f"{source}: row {number} is {have}, but paper.yaml has {want} there")
    if len(expected) != len(found):
        raise HdrbenchError(f"{source}: has {len(found)} rows, but paper.yaml gives {table.id} {len(expected)}")
    width = max(len(line) for line in body)
    for line in body:
        if len(line) != width:
            raise HdrbenchError(f"{source}: row {line[:lead]} has {len(line)} cells, others have {width}")


def _columns(table: Table, printed_labels: list[str], source: Path) -> tuple[Column, ...]:
    """Give every column its label: the file's for printed ones, paper.yaml's for others."""
    labels = iter(printed_labels)
    columns: list[Column] = []
    for group in table.groups:
        names = [*group.metrics, *group.costs]
        if not group.printed and len(group.labels) != len(names):
            raise HdrbenchError(
                f"{source.parent.parent / 'paper.yaml'}: {table.id}: '{group.title}' needs {len(names)} labels"
            )
        columns += [
            Column(name, next(labels) if group.printed else group.labels[index], group)
            for index, name in enumerate(names)
        ]
    return tuple(columns)
