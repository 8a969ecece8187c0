"""Scores of a folder of images, on the terminal and in files."""

import csv
import io
import json
import sys
from pathlib import Path

from rich.table import Table

from hdrbench import metrics, protocol
from hdrbench.pipeline.score import Outcome, Request, as_record
from hdrbench.report.terminal import show
from hdrbench.workspace import write_atomically

DIGITS = 4


def print_scores(request: Request, outcome: Outcome) -> None:
    """Print a line per image and the means, and what could not be scored to standard error."""
    settings = protocol.get(request.protocol_name)
    table = Table("image", title=f"protocol {request.protocol_name} ({settings.digest()})")
    for name in request.names:
        card = metrics.get(name)
        table.add_column(f"{card.symbol} {'↑' if card.better == 'higher' else '↓'}", justify="right", overflow="fold")
    for image, row in outcome.scores.items():
        table.add_row(image, *(_text(row.get(name)) for name in request.names))
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
    """Write a line per image and one of means, in full precision; a value that is missing stays empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", *request.names, "protocol"])
    name = f"{request.protocol_name} {protocol.get(request.protocol_name).digest()}"
    for image, row in outcome.scores.items():
        writer.writerow([image, *(row.get(metric, "") for metric in request.names), name])
    means = (outcome.mean(metric) for metric in request.names)
    writer.writerow(["mean", *("" if mean is None else mean for mean in means), name])
    write_atomically(path, text.getvalue())


def write_json(path: Path, request: Request, outcome: Outcome) -> None:
    """Write scores, means, problems, and everything that decided them."""
    record = as_record(request, outcome)
    write_atomically(path, json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
