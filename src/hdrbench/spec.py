"""A paper as data: paper.yaml maps every printed row to a run and every printed column to a score or a cost.

Where a table is the other way round, its columns are runs and its rows scenes of a test set, or what is scored.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, FiniteFloat, PositiveInt, StringConstraints

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
    "image_seconds": ("lower", "s"),
    "image_ratio": (None, "×"),
    "call_seconds": (None, "s"),
}
# Of these, what can be counted without running anything, and what is timed side by side.
COUNTS = ("macs_thop", "macs_counted", "params")
TIMES = ("image_seconds", "image_ratio", "call_seconds")

Text = Annotated[str, StringConstraints(min_length=1)]
SPREAD = " sd"
"""Follows the name of a metric whose standard deviation over images is shown instead of its mean."""


class Tolerance(Strict):
    """How far a replicated number may lie from the printed one, and why."""

    value: Annotated[FiniteFloat, Field(ge=0)]
    reason: str


class Elsewhere(Strict):
    """Numbers that another publication prints for columns that this paper has not."""

    reported: str
    source: str


class Group(Strict):
    """Neighbouring columns that share a heading, a training set, a test set, a protocol and what is scored.

    It lists metrics and costs, or the runs that are its columns, each with all metrics; without metrics, the rows name them,
    and ``null`` in place of a run is a method that does not exist here yet. A metric followed by ``sd`` is its standard
    deviation. `subject` is what is scored of a result, a name that the task gives it. Columns that the paper does not print
    carry their own labels. `not_computable` is the reason why nobody but the authors can measure the columns, such as a
    proprietary tool.
    """

    title: str | None = None
    train: str
    test: str
    protocol: str | None = None
    subject: str = "result"
    metrics: list[str] = []
    runs: list[str | None] = []
    costs: list[str] = []
    printed: bool = True
    labels: list[str] = []
    elsewhere: Elsewhere | None = None
    not_computable: Text | None = None

    @property
    def columns(self) -> list[tuple[str, str | None]]:
        """The group's columns in order: the metric or cost, and the run if it is the column's."""
        if self.runs:
            return [(name, run) for run in self.runs for name in self.metrics or [""]]
        return [(name, None) for name in (*self.metrics, *self.costs)]


class Row(Strict):
    """One row: its label, and what is behind it.

    That is a run, or, in a table whose columns are runs, perhaps a scene of the test set; `average` marks the mean over the
    scenes of the table's other rows. A row may have a training set, a test set, a subject and a metric of its own, in place of
    its columns'. Where neither row nor column names a run, the method does not exist here yet.
    """

    labels: list[str]
    run: str | None = None
    scene: str | None = None
    average: bool = False
    train: str | None = None
    test: str | None = None
    subject: Text | None = None
    metric: Text | None = None
    printed: bool = True
    note: str | None = None


@dataclass(frozen=True)
class Asked:
    """What one cell asks for: a metric or cost of a run, where it is tested, and what is scored of its result."""

    train: str
    run: str | None
    test: str
    subject: str
    protocol: str | None
    name: str
    spread: bool


def asked(group: Group, name: str, run: str | None, row: Row) -> Asked:
    """Join what a column, of `Group.columns`, and a row say."""
    name = row.metric or name
    return Asked(
        train=row.train or group.train,
        run=run if group.runs else row.run,
        test=row.test or group.test,
        subject=row.subject or group.subject,
        protocol=None if name.removesuffix(SPREAD) in COSTS else group.protocol or "",
        name=name.removesuffix(SPREAD),
        spread=name.endswith(SPREAD),
    )


class Table(Strict):
    """One table; `reported` is the file of its printed numbers, ``None`` where no column of it is printed."""

    id: Name
    number: str
    title: str
    reported: str | None = None
    row_headers: list[str]
    groups: list[Group]
    rows: list[Row]
    note: str | None = None

    @property
    def scenes(self) -> list[str]:
        """Scenes that the rows name, in order."""
        return [row.scene for row in self.rows if row.scene]


class Speed(Strict):
    """What is timed side by side: runs, role/name, each with the options that it has in the paper whatever the profile.

    `size` is the image's height and width, by profile; ratios are to the seconds of `relative_to`.
    """

    size: dict[str, tuple[PositiveInt, PositiveInt]]
    relative_to: str
    runs: dict[str, dict[str, Any]]


class Paper(Strict):
    """Everything in a paper.yaml.

    `cost_size` is the height and width of the image that multiply-adds are counted for; `timed_on` says on what image and
    machine the paper took its times.
    """

    title: str
    authors: str
    venue: str
    year: int
    url: str
    reference: str
    sentence: str
    roles: dict[str, str]
    cost_size: tuple[PositiveInt, PositiveInt]
    timed_on: str
    speed: Speed | None = None
    tolerances: dict[str, Tolerance]
    assumptions: list[str]
    tables: list[Table]


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
    if not runs.showcase:
        raise HdrbenchError("params.yaml: showcase names no run, and the page's pictures need one")
    if paper.speed:
        _check_speed(paper.speed, runs)
    ids = [table.id for table in paper.tables]
    for table in paper.tables:
        if ids.count(table.id) > 1:
            raise HdrbenchError(f"two tables are called '{table.id}'")
        for row in table.rows:
            if len(row.labels) != len(table.row_headers):
                raise HdrbenchError(f"{table.id}: row {row.labels} needs {len(table.row_headers)} labels")
            if sum(map(bool, (row.run, row.scene, row.average))) > 1:
                raise HdrbenchError(f"{table.id}: row {row.labels} is one of run, scene and average, not several")
        twice = [scene for scene in table.scenes if table.scenes.count(scene) > 1]
        if twice:
            raise HdrbenchError(f"{table.id}: two rows are of scene '{twice[0]}'")


def _check_speed(speed: Speed, runs: Replication) -> None:
    if set(speed.size) != set(runs.profiles):
        raise HdrbenchError(f"speed: size is given for {', '.join(speed.size)}; expected {', '.join(runs.profiles)}")
    if speed.relative_to not in speed.runs:
        raise HdrbenchError(f"speed: relative_to: {unknown('run', speed.relative_to, speed.runs)}")
    known = [f"{role}/{name}" for role, named in runs.runs.items() for name in named]
    for name in speed.runs:
        if name not in known:
            raise HdrbenchError(f"speed: {unknown('run', name, known)}")


def _check_group(paper: Paper, runs: Replication, metrics: Collection[str], table: Table, group: Group) -> None:
    where = f"{table.id}: '{group.title}'" if group.title else table.id
    if not group.columns:
        raise HdrbenchError(f"{where}: names neither metrics nor costs nor runs")
    named = [run for run in group.runs if run]
    if len(set(named)) < len(named):
        raise HdrbenchError(f"{where}: names a run twice")
    if group.runs and group.costs:
        raise HdrbenchError(f"{where}: columns that are runs show metrics, not {group.costs}")
    if not group.printed and len(group.labels) != len(group.columns):
        raise HdrbenchError(f"{where}: needs {len(group.columns)} labels")
    if group.printed and (group.labels or group.elsewhere):
        raise HdrbenchError(f"{where}: is printed, so its labels and numbers are in {table.reported}")
    if table.reported is None and group.printed:
        raise HdrbenchError(f"{where}: is printed, but 'reported' names no file of the numbers")
    for name in group.costs:
        if name not in COSTS:
            raise HdrbenchError(f"{where}: {unknown('cost', name, COSTS)}")
    for row in table.rows:
        _check_row(table, group, row, where)
        if row.run and group.runs:
            raise HdrbenchError(f"{where}: row {row.labels} and column '{group.runs[0]}' both name a run")
        if row.average and not table.scenes:
            raise HdrbenchError(f"{where}: row {row.labels} is the average of no scenes")
        for name, run in group.columns:
            cell = asked(group, name, run, row)
            _check_roles(paper, runs, cell, where)
            if cell.name in TIMES and cell.run and not (paper.speed and f"{cell.train}/{cell.run}" in paper.speed.runs):
                raise HdrbenchError(f"{where}: '{cell.name}' of '{cell.train}/{cell.run}', which 'speed' does not name")
            if cell.spread and cell.name in COSTS:
                raise HdrbenchError(f"{where}: '{cell.name}' is one number, which has no standard deviation")
            if cell.protocol is not None and not group.not_computable:
                if cell.name not in metrics:
                    raise HdrbenchError(f"{where}: {unknown('metric', cell.name, metrics)}")
                protocol.get(cell.protocol)


def _check_row(table: Table, group: Group, row: Row, where: str) -> None:
    """Refuse what a row has of its own where its columns say different things."""
    if row.metric and (group.metrics or group.costs):
        raise HdrbenchError(f"{where}: row {row.labels} and the columns both name a metric")
    for own, theirs in ((row.subject, {g.subject for g in table.groups}), (row.test, {g.test for g in table.groups})):
        if own and len(theirs) > 1:
            raise HdrbenchError(f"{where}: row {row.labels} has '{own}' of its own, but its columns differ in that")


def _check_roles(paper: Paper, runs: Replication, cell: Asked, where: str) -> None:
    for role in (cell.train, cell.test):
        if role not in paper.roles:
            raise HdrbenchError(f"{where}: {unknown('data set', role, paper.roles)}")
    trained = runs.runs.get(cell.train, {})
    if cell.run and cell.run not in trained:
        raise HdrbenchError(f"{where}: {unknown(f'run of {cell.train!r}', cell.run, trained)}")
