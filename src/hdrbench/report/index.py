"""The list of papers: one line per paper and profile that has results."""

import json
from pathlib import Path
from typing import Any

from hdrbench.errors import HdrbenchError
from hdrbench.report import template
from hdrbench.report.page import foreign
from hdrbench.report.states import tally
from hdrbench.workspace import write_atomically

Json = dict[str, Any]


def entry(tables: Json, link: str) -> Json:
    """Extract the line of one page.

    Parameters
    ----------
    tables
        The content of a ``tables.json``.
    link
        Address of its page, relative to the index.
    """
    return {
        "paper": tables["paper"],
        "profile": tables["profile"],
        "verdict": tables["verdict"],
        "counts": tables["counts"],
        "generated": tables["generated"],
        "link": link,
    }


def render(entries: list[Json]) -> str:
    """Build the index page.

    Parameters
    ----------
    entries
        Lines from :func:`entry`; or ``{"link", "problem"}`` for results that cannot be read.
    """
    lines = [line if "problem" in line else _view(line) for line in entries]
    groups: dict[str, list[Json]] = {}
    for line in lines:
        groups.setdefault(line["link"].split("/")[0], []).append(line)
    return template.environment().get_template("index.html.j2").render(groups=groups)


def write(results: Path) -> None:
    """Write ``results/index.html`` from every ``results/<paper>/<profile>/tables.json``.

    Parameters
    ----------
    results
        The folder ``results``. A file that cannot be read becomes a line that says so and hides no other.
    """
    found = sorted(results.glob("*/*/tables.json"))
    write_atomically(results / "index.html", render([_read(path, results) for path in found]))


def _read(path: Path, results: Path) -> Json:
    link = path.parent.relative_to(results).as_posix() + "/index.html"
    try:
        line = entry(json.loads(path.read_text(encoding="utf-8")), link)
        _view(line)
        return line
    except (OSError, ValueError, KeyError, TypeError, AttributeError, HdrbenchError) as error:
        name = path.relative_to(results).as_posix()
        return {"link": link, "problem": f"{name} cannot be read ({error}); run its compare stage again"}


def _view(line: Json) -> Json:
    return {**line, "foreign": foreign(line["profile"]), "tally": tally(line["counts"])}
