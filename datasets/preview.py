"""A contact sheet of a data set: a few scenes with their exposure times, as PNG and as one self-contained page."""

import base64
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from hdrbench.datasets import catalog
from hdrbench.datasets.scene import Image, Scene
from hdrbench.datasets.survey import survey
from hdrbench.errors import HdrbenchError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 240  # of a thumbnail, in pixels


@dataclass(frozen=True)
class Preview:
    """What was written.

    Attributes
    ----------
    png, html
        The two files.
    shown
        Scenes that are shown, as ``split/scene``.
    left_out
        Scenes that cannot be used, with the reason.
    remarks
        Lines about the rest, such as splits that are missing.
    """

    png: Path
    html: Path
    shown: tuple[str, ...]
    left_out: dict[str, str]
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class _Row:
    title: str
    cells: tuple[tuple[str, Image], ...]


def preview(name: str, folder: Path, *, count: int = 6) -> Preview:
    """Write ``<folder>/<name>.png`` and ``<folder>/<name>.html``.

    Parameters
    ----------
    name
        The data set.
    folder
        Where to write; made if missing.
    count
        Largest number of scenes; they are spread evenly over each split.

    Raises
    ------
    HdrbenchError
        There is no such data set, no scene of it can be loaded, or the files cannot be written.
    DataMissingError
        The data are not on this machine.
    """
    card, found = catalog.card(name), survey(name)
    rows = _rows(name, {split: scenes for split, scenes in found.usable.items() if scenes}, count)
    left_out = {f"{split}/{scene}": line for split, lines in found.left_out.items() for scene, line in lines.items()}
    if not rows:
        first = next(iter((*left_out.values(), *found.remarks)), "it has no scenes")
        raise HdrbenchError(f"{name}: no scene can be shown: {first}")
    png, html = folder / f"{name}.png", folder / f"{name}.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        html.write_text(_page(card.title, card.licence, rows, left_out), encoding="utf-8")
        _sheet(card.title, rows).savefig(png, dpi=100)
    except OSError as error:
        raise HdrbenchError(f"{folder}: cannot be written ({error.strerror}); choose another folder") from None
    return Preview(png, html, tuple(row.title for row in rows), left_out, found.remarks)


def _rows(name: str, usable: dict[str, tuple[str, ...]], count: int) -> list[_Row]:
    picks = []
    for split, scenes in usable.items():
        share = min(max(count // len(usable), 1), len(scenes))
        picks += [(split, scenes[i]) for i in sorted({round(i) for i in np.linspace(0, len(scenes) - 1, share)})]
    return [_row(f"{split}/{scene}", catalog.load_scene(name, split, scene)) for split, scene in picks[: max(count, 1)]]


def _row(title: str, scene: Scene) -> _Row:
    height, width = scene.ldrs[0].shape[:2]
    cells = [(_caption(time), _thumbnail(image)) for time, image in zip(scene.times, scene.ldrs, strict=True)]
    if scene.hdr is not None:
        cells.append((f"reference, μ-law, 1 = {_white(scene.hdr):.3g}", _thumbnail(_compressed(scene.hdr))))
    return _Row(f"{title} ({width}x{height})", tuple(cells))


def _caption(time: float) -> str:
    """Name a relative exposure time by its factor and in stops."""
    if math.isnan(time):
        return "exposure not published"
    return f"t = {time:.4g} ({math.log2(time):+.3g} EV)" if time != 1 else "t = 1"


def _white(hdr: Image) -> float:
    """The radiance that is shown as white: 1 percent of the values may lie above."""
    return float(np.percentile(hdr, 99)) or 1.0


def _compressed(hdr: Image) -> Image:
    """Compress by the mu-law with mu = 5000, in NumPy: torch would take seconds to import for one line."""
    return (np.log1p(5000 * np.clip(hdr / np.float32(_white(hdr)), 0, 1)) / np.log1p(5000)).astype(np.float32)


def _thumbnail(image: Image) -> Image:
    height = max(round(image.shape[0] * WIDTH / image.shape[1]), 1)
    return np.clip(cv2.resize(image, (WIDTH, height), interpolation=cv2.INTER_AREA), 0, 1)


def _sheet(title: str, rows: list[_Row]) -> "Figure":
    from matplotlib.figure import Figure

    columns = max(len(row.cells) for row in rows)
    figure = Figure(figsize=(2.5 * columns, 2.3 * len(rows) + 0.5), layout="constrained")
    figure.suptitle(title, parse_math=False)
    for part, row in zip(figure.subfigures(len(rows), 1, squeeze=False)[:, 0], rows, strict=True):
        part.suptitle(row.title, fontsize=8, weight="bold", parse_math=False)
        axes = part.subplots(1, columns, squeeze=False)[0]
        for axis in axes:
            axis.set_axis_off()
        for axis, (caption, image) in zip(axes, row.cells, strict=False):
            axis.imshow(image)
            axis.set_title(caption, fontsize=7)
    return figure


def _data_uri(image: Image) -> str:
    codes = np.ascontiguousarray(np.rint(image * 255).astype(np.uint8)[..., ::-1])
    encoded = cv2.imencode(".jpg", codes, [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode("ascii")


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title><style>
body { font: 15px/1.4 system-ui, sans-serif; margin: 1.5rem; color: #222; background: #fff; }
section { display: flex; flex-wrap: wrap; gap: .5rem; } h2 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
figure { margin: 0; } figcaption { font-size: .8rem; color: #555; }
</style></head><body>
<h1>{{ title }}</h1><p>Licence: {{ licence }}</p>
{% for row in rows %}<h2>{{ row.title }}</h2><section>
{% for caption, image in row.cells %}<figure><img src="{{ uri(image) }}" alt="{{ row.title }}, {{ caption }}">
<figcaption>{{ caption }}</figcaption></figure>
{% endfor %}</section>
{% endfor %}{% if left_out %}<h2>Left out: {{ left_out | length }}</h2><ul>
{% for scene, reason in left_out.items() %}<li>{{ scene }}: {{ reason }}</li>
{% endfor %}</ul>{% endif %}
</body></html>
"""


def _page(title: str, licence: str, rows: list[_Row], left_out: dict[str, str]) -> str:
    import jinja2

    template = jinja2.Environment(autoescape=True).from_string(_PAGE)
    return template.render(title=title, licence=licence, rows=rows, left_out=left_out, uri=_data_uri)
