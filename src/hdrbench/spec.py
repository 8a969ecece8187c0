"""A paper as data: paper.yaml maps every printed row to a run and every printed column to a score or a cost.

The printed numbers stand in CSV files that look like the paper's tables, and stay strings.
"""

import csv
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from hdrbench import protocol
from hdrbench.errors import HdrbenchError, unknown
from hdrbench.runs import Name, Replication
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

    It lists metrics or costs. Columns that the paper does not print carry their own labels.
    """

    title: str | None = None
    train: str
    test: str
    protocol: str | None = None
    metrics: list[str] = []
    costs: list[str] = []
    printed: bool = True
    labels: list[str] = []

    @property
    def columns(self) -> list[str]:
        """Names of the group's columns, in order."""
        return [*self.metrics, *self.costs]


class Row(Strict):
    """One row: its label, and the run behind it; without a run its method does not exist here yet."""

    labels: list[str]
    run: str | None = None
    printed: bool = True
    note: str | None = None


class Table(Strict):
    """One printed table."""

    id: Name
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


def check(paper: Paper, runs: Replication, metrics: Collection[str], source: Path) -> None:
    """Raise `HdrbenchError` for anything in a paper.yaml that refers to nothing, or to two things.

    Parameters
    ----------
    paper, runs
        The paper, and the params.yaml beside it.
    metrics
        Names of the metrics that exist.
    source
        The paper.yaml, for the message.
    """
    try:
        _check_paper(paper, runs, metrics)
        for table in paper.tables:
            for group in table.groups:
                _check_group(paper, runs, metrics, table, group)
    except HdrbenchError as error:
        raise HdrbenchError(f"{source}: {error}") from None


def _check_paper(paper: Paper, runs: Replication, metrics: Collection[str]) -> None:
    for name in paper.tolerances:
        if name not in metrics and name not in COSTS:
            raise HdrbenchError(f"tolerances: {unknown('metric or cost', name, [*metrics, *COSTS])}")
    for profile_name, profile in runs.profiles.items():
        missing = [role for role in paper.roles if role not in profile.data]
        if missing:
            raise HdrbenchError(f"profile '{profile_name}' in params.yaml names no data set for '{missing[0]}'")
    ids = [table.id for table in paper.tables]
    for table in paper.tables:
        if ids.count(table.id) > 1:
            raise HdrbenchError(f"two tables are called '{table.id}'")
        for row in table.rows:
            if len(row.labels) != len(table.row_headers):
                raise HdrbenchError(f"{table.id}: row {row.labels} needs {len(table.row_headers)} labels")


def _check_group(paper: Paper, runs: Replication, metrics: Collection[str], table: Table, group: Group) -> None:
    for role in (group.train, group.test):
        if role not in paper.roles:
            raise HdrbenchError(f"{table.id}: {unknown('data set', role, paper.roles)}")
    for kind, names, known in (("metric", group.metrics, metrics), ("cost", group.costs, COSTS)):
        for name in names:
            if name not in known:
                raise HdrbenchError(f"{table.id}: {unknown(kind, name, known)}")
    if group.metrics:
        protocol.get(str(group.protocol))
    if not group.printed and len(group.labels) != len(group.columns):
        raise HdrbenchError(f"{table.id}: '{group.title}' needs {len(group.columns)} labels")
    trained = runs.runs.get(group.train, {})
    for row in table.rows:
        if row.run is not None and row.run not in trained:
            raise HdrbenchError(f"{table.id}: {unknown(f'run of {group.train!r}', row.run, trained)}")


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
    try:
        with source.open(encoding="utf-8-sig", newline="") as file:
            lines = [line for line in csv.reader(file) if any(line)]
    except (OSError, UnicodeDecodeError) as error:
        raise HdrbenchError(f"{source}: cannot be read as UTF-8 text ({error})") from error
    printed = [group for group in table.groups if group.printed]
    headings = 2 if any(group.title for group in printed) else 1
    if len(lines) <= headings:
        raise HdrbenchError(
            f"{source}: has {len(lines)} lines; expected {headings} of headings, and one per printed row"
        )
    head, body, lead = lines[headings - 1], lines[headings:], len(table.row_headers)
    names = [name for group in printed for name in group.columns]
    if len(head) - lead != len(names):
        raise HdrbenchError(
            f"{source}: paper.yaml gives {table.id} {len(names)} printed columns ({', '.join(names)}), "
            f"but the file has {len(head) - lead} ({', '.join(head[lead:])}); columns are separated by commas"
        )
    titles = [cell for cell in lines[0][lead:] if cell] if headings == 2 else []
    if titles != [group.title for group in printed if group.title]:
        raise HdrbenchError(f"{source}: column groups are {titles}, but paper.yaml has {[g.title for g in printed]}")
    _check_rows(table, body, lead, source)
    return PrintedTable(_columns(table, head[lead:]), tuple(tuple(line[lead:]) for line in body))


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


def _columns(table: Table, printed_labels: list[str]) -> tuple[Column, ...]:
    """Give every column its label: the file's for printed ones, paper.yaml's for others."""
    labels = iter(printed_labels)
    columns: list[Column] = []
    for group in table.groups:
        own = iter(group.labels)
        columns += [Column(name, next(labels if group.printed else own), group) for name in group.columns]
    return tuple(columns)
