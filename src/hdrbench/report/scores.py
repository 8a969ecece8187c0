"""Scores of a folder of images, on the terminal and in files."""

import csv
import io
import json
import os
import sys
from pathlib import Path

from rich.table import Column, Table
from rich.text import Text

from hdrbench import metrics, protocol
from hdrbench.errors import HdrbenchError
from hdrbench.pipeline.score import Outcome, Request, as_record
from hdrbench.report.terminal import show
from hdrbench.workspace import write_atomically

DIGITS = 4


def print_scores(request: Request, outcome: Outcome) -> None:
    """Print a line per image and the means, and what could not be scored to standard error."""
    settings = protocol.get(request.protocol_name)
    table = Table(Column("image", overflow="fold"), title=f"protocol {request.protocol_name} ({settings.digest()})")
    for name in request.names:
        card = metrics.get(name)
        table.add_column(f"{card.symbol} {'↑' if card.better == 'higher' else '↓'}", justify="right", overflow="fold")
    for image, row in outcome.scores.items():
        table.add_row(Text(image), *(_text(row.get(name)) for name in request.names))
    table.add_section()
    table.add_row("mean", *(_text(outcome.mean(name)) for name in request.names))
    table.add_row("images", *(str(outcome.count(name)) for name in request.names))
    show(table)
    for note in outcome.notes:
        print(f"note: {note}", file=sys.stderr)
    for problem in outcome.problems:
        print(f"not scored: {problem}", file=sys.stderr)


def _text(value: float | None) -> str:
    return "–" if value is None else f"{value:.{DIGITS}f}"


def write_csv(path: Path, request: Request, outcome: Outcome) -> None:
    """Write a line per image, the means and how many images each is of; a value that is missing stays empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", *request.names, "protocol"])
    name = f"{request.protocol_name} {protocol.get(request.protocol_name).digest()}"
    for image, row in outcome.scores.items():
        writer.writerow([image, *(row.get(metric, "") for metric in request.names), name])
    means = (outcome.mean(metric) for metric in request.names)
    writer.writerow(["mean", *("" if mean is None else mean for mean in means), name])
    writer.writerow(["images", *(outcome.count(metric) for metric in request.names), name])
    _write(path, text.getvalue())


def write_json(path: Path, request: Request, outcome: Outcome) -> None:
    """Write scores, means, problems, and everything that decided them."""
    record = as_record(request, outcome)
    _write(path, json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def check_targets(*paths: Path | None) -> None:
    """Refuse, before anything is scored, files that cannot be written.

    Raises
    ------
    HdrbenchError
        If one is a folder, two are the same, or the folder cannot be made or written to.
    """
    given = [path.resolve() for path in paths if path is not None]
    if len(set(given)) < len(given):
        raise HdrbenchError(f"{given[0]}: is to hold two things; name two files")
    for path in given:
        if path.is_dir():
            raise HdrbenchError(f"{path}: is a folder; name a file")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HdrbenchError(f"{path}: its folder cannot be made ({error.strerror})") from error
        if not os.access(path.parent, os.W_OK):
            raise HdrbenchError(f"{path}: its folder cannot be written to")


def _write(path: Path, content: str) -> None:
    """Write whole files at once, also through links; pipes and devices are written to, not replaced."""
    if path.exists() and not path.is_file():
        path.write_text(content, encoding="utf-8")
    else:
        write_atomically(path.resolve(), content)
