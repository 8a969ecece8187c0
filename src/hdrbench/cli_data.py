"""Commands on data sets: ``hdrbench data ...``. Heavy imports stay inside the commands."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from hdrbench.cli_types import Paper, ProfileName, Role, profile_name
from hdrbench.errors import HdrbenchError

app = typer.Typer(no_args_is_help=True, help="Data sets: list, describe, verify, show and prepare them.")

Name = Annotated[str, typer.Argument(help="A data set, as `hdrbench data list` names it.")]


@app.command("list")
def data_list() -> None:
    """List the data sets that have a card."""
    from rich.table import Table

    from hdrbench.datasets import catalog
    from hdrbench.report.terminal import show

    table = Table("name", "kind", "scenes", "what")
    for name in catalog.names():
        card = catalog.card(name)
        scenes = ", ".join(f"{split} {count if count is not None else '?'}" for split, count in card.splits.items())
        table.add_row(name, card.kind, scenes, card.title)
    show(table)


@app.command("info")
def data_info(name: Name) -> None:
    """Tell everything that is known about a data set: citation, licence, layout, splits, exposures."""
    from hdrbench.datasets.survey import info

    for title, text in info(name).items():
        print(f"{title}:\n  " + text.strip().replace("\n", "\n  "))


@app.command("verify")
def data_verify(
    name: Name,
    full: Annotated[bool, typer.Option("--full", help="Also compare the checksum of every file.")] = False,
    manifest: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False, help="With --full: the file of checksums, instead of NAME.sha256 beside the data."
        ),
    ] = None,
) -> None:
    """Check a data set's layout, counts and sizes, and say in plain words what is wrong."""
    from hdrbench.datasets import catalog
    from hdrbench.datasets.manifest import verify

    if full:
        _verify_full(name, manifest)
        return
    if manifest is not None:
        raise HdrbenchError("--manifest goes with --full; add it, or leave --manifest out")
    _refuse(name, *verify(name))
    facts = catalog.fingerprint(name)
    scenes = ", ".join(f"{count} {split}" for split, count in facts["scenes"].items())
    print(f"{name}: complete, {scenes} scenes, fingerprint {facts['digest'][:12]}")


def _verify_full(name: str, manifest: Path | None) -> None:
    from hdrbench.datasets.manifest import verify_full

    found = verify_full(name, manifest)
    _refuse(name, found.problems, found.counts)
    if found.unwritten:
        print(f"{name}: complete; the checksums of {found.files} files were computed but not kept: {found.unwritten}")
    elif found.manifest is None:
        print(f"{name}: complete; it has no files whose checksums could be kept")
    elif found.written:
        print(f"{name}: complete; the checksums of {found.files} files were written to {found.manifest}")
    else:
        print(f"{name}: complete; the checksums of {found.files} files are those in {found.manifest}")


def _refuse(name: str, problems: Sequence[str], counts: str) -> None:
    """Print all problems and exit, if there are any; say how many scenes could be used all the same."""
    if not problems:
        return
    for problem in problems[1:]:
        print(problem, file=sys.stderr)
    others = f" ({len(problems) - 1} more above)" if problems[1:] else ""
    usable = f"; usable: {counts}" if counts else ""
    raise HdrbenchError(f"data set '{name}' is not complete: {problems[0]}{others}{usable}")


@app.command("preview")
def data_preview(
    name: Name,
    out: Annotated[Path, typer.Option(help="Folder to write the contact sheets to.")] = Path(),
    count: Annotated[int, typer.Option(min=1, help="How many scenes.")] = 6,
) -> None:
    """Write a contact sheet of a few scenes with their exposure times, as PNG and HTML."""
    from hdrbench.datasets.preview import preview

    made = preview(name, out, count=count)
    for scene, reason in made.left_out.items():
        print(f"left out: {scene}: {reason}", file=sys.stderr)
    for remark in made.remarks:
        print(remark, file=sys.stderr)
    print(made.png)
    print(made.html)


@app.command("prepare")
def data_prepare(paper: Paper, role: Role, profile: ProfileName = None) -> None:
    """Verify the data set that plays a role, fingerprint it, and align its scenes."""
    from hdrbench.pipeline.data import prepare_data

    facts = prepare_data(paper, profile_name(profile), role)
    for split, about in facts["splits"].items():
        without = f", {len(about['left_out'])} left out" if about["left_out"] else ""
        print(
            f"{role}: {facts['dataset']}, {split}: {about['scenes']} scenes{without}, fingerprint {about['digest'][:12]}"
        )
        for scene, reason in about["left_out"].items():
            print(f"left out: {scene}: {reason}", file=sys.stderr)
