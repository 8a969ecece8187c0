"""A table as CSV, Markdown and LaTeX: ours, reported, difference."""

import csv
import io
import re
from typing import Any

from hdrbench.report.cells import column_groups, column_name, column_tag
from hdrbench.report.states import state

Json = dict[str, Any]

_COLUMN_FIELDS = ["group", "column", "reported_elsewhere", "metric", "subject", "protocol", "unit", "better"]
_CELL_FIELDS = ["ours", "value", "reported", "difference", "difference_percent", "state", "sd", "n", "run", "command"]
_TEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_TEX |= {char: "\\" + char for char in "&%$#_{}"}
_TEX |= {"μ": r"$\mu$", "Δ": r"$\Delta$", "×": r"$\times$", "✓": r"$\checkmark$", "−": "$-$", "±": r"$\pm$"}
_TEX |= {"–": "--", "—": "---", "’": "'", "≈": r"$\approx$", "↑": r"$\uparrow$", "↓": r"$\downarrow$"}
_TEX |= {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}


def to_csv(table: Json, *, profile: str = "") -> str:
    """Write one line per cell (long form), ready for ``pandas.read_csv(...).pivot(...)``.

    Parameters
    ----------
    table
        One table of ``tables.json``.
    profile
        What the numbers were measured on; a column of every line, so that a line cannot lose it.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["table", "profile", *table["row_headers"], *_COLUMN_FIELDS, *_CELL_FIELDS])
    for row in table["rows"]:
        for column, cell in zip(table["columns"], row["cells"], strict=True):
            place = [table["id"], profile, *map(_line, row["labels"])]
            about = [_line(column[key]) for key in ("group", "label", "elsewhere")]
            about += [_line(cell[key]) for key in ("metric", "subject", "protocol", "unit", "better")]
            numbers = [cell[key] for key in ("text", "value", "reported", "delta_text", "delta_percent")]
            rest = [cell[key] for key in ("state", "sd", "n", "run", "command")]
            writer.writerow([*place, *about, *numbers, *rest])
    return out.getvalue()


def to_markdown(table: Json, *, profile: str = "") -> str:
    """Write a GitHub-flavoured Markdown table; each cell is ``ours / reported / difference`` and its state's glyph.

    Parameters
    ----------
    table
        One table of ``tables.json``.
    profile
        What the numbers were measured on, stated above the table.
    """
    heads = [_md(name) for name in [*table["row_headers"], *map(_tagged, table["columns"])]]
    align = ["---"] * len(table["row_headers"]) + ["--:"] * len(table["columns"])
    lines = [f"**{_md(table['number'])}.** {_md(table['title'])}", ""]
    lines += [f"Profile: {_md(profile)}.", ""] if profile else []
    lines += [_md_row(heads), _md_row(align)]
    lines += [_md_row([*map(_md, row["labels"]), *map(_md_cell, row["cells"])]) for row in table["rows"]]
    used = {cell["state"]: state(cell["state"]) for row in table["rows"] for cell in row["cells"]}
    legend = ", ".join(f"{known.glyph} {known.label}" for known in used.values())
    return "\n".join([*lines, "", f"Each cell: ours / reported / difference (positive is better). {legend}.", ""])


def to_latex(table: Json, *, profile: str = "") -> str:
    """Write a ``table`` environment with booktabs rules; each cell is ours, and small below it reported and difference.

    Parameters
    ----------
    table
        One table of ``tables.json``.
    profile
        What the numbers were measured on, stated in the caption.
    """
    lead, width = len(table["row_headers"]), len(table["columns"])
    caption = f"{_tex(table['number'])}: {_tex(table['title'])}. Each cell: ours, below it reported and difference."
    caption += f" Profile: {_tex(profile)}." if profile else ""
    lines = [r"% \usepackage{amssymb,booktabs}", r"\begin{table}", r"\centering", rf"\caption{{{caption}}}"]
    lines += [rf"\begin{{tabular}}{{{'l' * lead}{'r' * width}}}", r"\toprule", *_tex_groups(table)]
    lines += [_tex_row([*map(_tex, table["row_headers"]), *map(_tex_head, table["columns"])]), r"\midrule"]
    for row in table["rows"]:
        lines.append(_tex_row([*map(_tex, row["labels"]), *map(_tex_ours, row["cells"])]))
        lines.append(_tex_row([""] * lead + [_tex_printed(cell) for cell in row["cells"]]))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def _line(text: str | None) -> str:
    return re.sub(r"\s+", " ", text or "").strip()


def _tagged(column: Json) -> str:
    tag = column_tag(column)
    return column_name(column) + (f" ({tag})" if tag else "")


def _md(text: str | None) -> str:
    return re.sub(r"([\\|*_`<>\[\]&~])", r"\\\1", _line(text))


def _md_row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _md_cell(cell: Json) -> str:
    ours = _md(cell["text"])
    ours = {1: f"**{ours}**", 2: f"<u>{ours}</u>"}.get(cell["rank"], ours) if ours else "·"
    parts = [ours, _md(cell["reported"]) or "·", _md(cell["delta_text"]) or "·"]
    return f"{' / '.join(parts)} {state(cell['state']).glyph}"


def _tex(text: str | None) -> str:
    return "".join(_TEX.get(char, char) for char in _line(text))


def _tex_head(column: Json) -> str:
    arrow = {"higher": " ↑", "lower": " ↓", None: ""}[column["better"]]
    name, tag = _tex(column["label"] + arrow), _tex(column_tag(column))
    return rf"\shortstack[r]{{{name}\\{{\scriptsize {tag}}}}}" if tag else name


def _tex_row(cells: Any) -> str:
    return " & ".join(cells) + r" \\"


def _tex_groups(table: Json) -> list[str]:
    groups = column_groups(table)
    if not groups:
        return []
    heads, rules, start = [""] * len(table["row_headers"]), [], len(table["row_headers"]) + 1
    for group in groups:
        heads.append(rf"\multicolumn{{{group['span']}}}{{c}}{{{_tex(group['label'])}}}")
        if group["label"]:
            rules.append(rf"\cmidrule(lr){{{start}-{start + group['span'] - 1}}}")
        start += group["span"]
    return [_tex_row(heads), " ".join(rules)]


def _tex_ours(cell: Json) -> str:
    ours = _tex(cell["text"])
    return {1: rf"\textbf{{{ours}}}", 2: rf"\underline{{{ours}}}"}.get(cell["rank"], ours) if ours else "--"


def _tex_printed(cell: Json) -> str:
    parts = [_tex(cell["reported"]), _tex(cell["delta_text"])]
    text = " / ".join(part for part in parts if part)
    return rf"{{\scriptsize {text}}}" if text else ""
