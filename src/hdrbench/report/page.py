"""The page of one paper under one profile: one HTML file that needs no network, nor JavaScript to be complete."""

import base64
from pathlib import Path
from typing import Any

from hdrbench.errors import HdrbenchError
from hdrbench.report import encoding, exports, template
from hdrbench.report.cells import table_view
from hdrbench.report.states import STATES, tally
from hdrbench.workspace import write_atomically

Json = dict[str, Any]

SCHEMA = 3
_FORMATS = {"csv": exports.to_csv, "md": exports.to_markdown, "tex": exports.to_latex}
_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}


def render(tables: Json, folder: Path) -> str:
    """Build the page.

    Parameters
    ----------
    tables
        The content of ``tables.json``.
    folder
        Where the image files named in ``tables["viewer"]`` are.

    Returns
    -------
    str
        HTML with style, scripts, data and images inside.

    Raises
    ------
    HdrbenchError
        Another schema, an unknown cell state, or an image that is not there.
    """
    if tables.get("schema") != SCHEMA:
        got = tables.get("schema")
        raise HdrbenchError(f"tables.json: expected schema {SCHEMA}, got {got!r}; run the compare stage again")
    html = template.environment().get_template("page.html.j2")
    return html.render(
        paper=tables["paper"],
        link=_web(tables["paper"]["url"]),
        profile=tables["profile"],
        foreign=foreign(tables["profile"]),
        verdict=tables["verdict"],
        tally=tally(tables["counts"]),
        tables=[table_view(table) for table in tables["tables"]],
        runs=tables["runs"],
        protocols=tables["protocols"],
        elsewhere=any(column["elsewhere"] for table in tables["tables"] for column in table["columns"]),
        scenes=[_scene(scene, folder) for scene in tables["viewer"]],
        tonal=any(image["kind"] == "hdr" for scene in tables["viewer"] for image in scene["images"]),
        assumptions=tables["assumptions"],
        generated=tables["generated"],
        problems=tables["problems"],
        states=STATES.values(),
        blob=template.json_blob(_blob(tables)),
    )


def write(tables: Json, folder: Path) -> None:
    """Write ``index.html`` and one ``.csv``, ``.md`` and ``.tex`` per table into a folder, each file atomically.

    Parameters
    ----------
    tables
        The content of ``tables.json``.
    folder
        Where ``tables.json`` and its images are.
    """
    html = render(tables, folder)
    for table, texts in _exports(tables).items():
        for suffix, text in texts.items():
            write_atomically(folder / f"{table}.{suffix}", text)
    write_atomically(folder / "index.html", html)


def foreign(profile: Json) -> bool:
    """Whether the numbers of a profile were measured on other data than the paper's."""
    return profile["name"] != "paper" or not profile["comparable"]


def _exports(tables: Json) -> dict[str, dict[str, str]]:
    profile = tables["profile"]
    about = profile["name"] + (" (not the paper's data)" if foreign(profile) else "")
    return {
        table["id"]: {suffix: convert(table, profile=about) for suffix, convert in _FORMATS.items()}
        for table in tables["tables"]
    }


def _web(url: str | None) -> str | None:
    """Let only web addresses become links: a ``javascript:`` URL in a paper.yaml must not."""
    return url if url and url.startswith(("https://", "http://")) else None


def _scene(scene: Json, folder: Path) -> Json:
    return {**scene, "images": [_image(image, folder) for image in scene["images"]]}


def _image(image: Json, folder: Path) -> Json:
    low = image.get("low_bits")
    if image["kind"] == "hdr" and not low:
        raise HdrbenchError(f"viewer image '{image['file']}': an HDR image needs its 'low_bits' plane")
    return {**image, "source": _inline(folder / image["file"]), "low": _inline(folder / low) if low else None}


def _inline(path: Path) -> str:
    try:
        content = base64.b64encode(path.read_bytes()).decode("ascii")
    except OSError as error:
        raise HdrbenchError(f"{path}: the viewer needs this image, but it cannot be read ({error.strerror})") from error
    if path.suffix.lower() not in _TYPES:
        raise HdrbenchError(f"{path}: expected one of {', '.join(_TYPES)}")
    return f"data:{_TYPES[path.suffix.lower()]};base64,{content}"


def _blob(tables: Json) -> Json:
    """Gather what the scripts need; pictures are read from the page's own ``<img>`` elements."""
    keep = ("key", "label", "kind", "exposure_time")
    return {
        "states": {key: vars(known) for key, known in STATES.items()},
        "foreign": foreign(tables["profile"]),
        **{key: tables[key] for key in ("profile", "tables", "runs", "scores", "protocols")},
        "exports": _exports(tables),
        "viewer": [
            {**scene, "images": [{key: image.get(key) for key in keep} for image in scene["images"]]}
            for scene in tables["viewer"]
        ],
        "mu": encoding.MU,
        "levels": encoding.LEVELS,
        "colormap": encoding.colormap().tobytes().hex() if tables["viewer"] else "",
    }
