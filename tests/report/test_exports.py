import csv
import io
import re

import pytest

from hdrbench.report import exports


def test_csv_has_one_line_per_cell_and_keeps_printed_strings(sample):
    table = sample.tables["main"]()
    lines = list(csv.DictReader(io.StringIO(exports.to_csv(table, profile="embedded"))))
    assert len(lines) == len(table["rows"]) * len(table["columns"])
    first, cell = lines[0], table["rows"][0]["cells"][0]
    place = (first["Method"], first["group"], first["column"])
    assert place == ("HDRUNet", "Kalantari’s dataset", "PSNR-μ")
    assert (first["reported"], first["ours"], first["state"]) == (cell["reported"], "", "not_implemented")
    assert {line["profile"] for line in lines} == {"embedded"}


def test_csv_numbers_are_ours_reported_and_difference(sample):
    table = sample.tables["ablation"]()
    line = next(csv.DictReader(io.StringIO(exports.to_csv(table))))
    cell = table["rows"][0]["cells"][0]
    assert (line["ours"], line["reported"], line["difference"]) == (cell["text"], "39.32", cell["delta_text"])
    assert float(line["value"]) == cell["value"]
    assert (line["Light Map"], line["Exposure Ratio"]) == ("×", "×")


def test_csv_of_awkward_names_has_no_stray_lines(sample):
    rows = list(csv.reader(io.StringIO(exports.to_csv(sample.tables["states"]()))))
    assert len({len(row) for row in rows}) == 1
    assert "line break" in {row[2] for row in rows}


def test_markdown_is_one_rectangular_table(sample):
    text = exports.to_markdown(sample.tables["states"](), profile="embedded (not the paper's data)")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 13
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {4}
    assert "a\\|b \\& c\\_d" in text
    assert "<script>" not in text.replace("\\<script\\>", "")
    assert "Profile: embedded" in text


def test_markdown_cell_shows_three_numbers_and_the_state(sample):
    text = exports.to_markdown(sample.tables["states"]())
    assert "34.42 / 34.38 / +0.04 ≈" in text
    assert "· / 40.38 / · ·" in text


def test_latex_escapes_names(sample):
    text = exports.to_latex(sample.tables["states"](), profile="embedded_x")
    assert r"a\textbar{}b \& c\_d" in text
    assert r"100 \% \$x\textasciicircum{}2\$ \{y\} \#1 \textasciitilde{} \textbackslash{}z" in text
    assert "line break" in text
    assert r"embedded\_x" in text


@pytest.mark.parametrize("name", ["main", "states", "ablation", "scenes"])
def test_latex_rows_have_as_many_columns_as_the_tabular_says(name, sample):
    table = sample.tables[name]()
    text = exports.to_latex(table)
    width = len(re.search(r"\\begin\{tabular\}\{(\w+)\}", text)[1])
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")].splitlines()[1:]
    assert len(body) == 2 * len(table["rows"])
    assert {len(re.findall(r"(?<!\\)&", line)) + 1 for line in body} == {width}
    assert all(rule in text for rule in (r"\toprule", r"\midrule", r"\bottomrule"))


def test_latex_groups_span_their_columns(sample):
    text = exports.to_latex(sample.tables["main"]())
    assert r"\multicolumn{4}{c}{Kalantari's dataset}" in text.replace("’", "'")
    assert r"\cmidrule(lr){2-5} \cmidrule(lr){6-9} \cmidrule(lr){10-12}" in text
    assert r"PSNR-$\mu$ $\uparrow$" in text


def test_best_and_second_are_marked(sample):
    table = sample.tables["main"]()
    best, second = table["rows"][-2]["cells"][0]["text"], table["rows"][-1]["cells"][0]["text"]
    assert rf"\textbf{{{best}}}" in exports.to_latex(table)
    assert rf"\underline{{{second}}}" in exports.to_latex(table)
    assert f"**{best}** / " in exports.to_markdown(table)


def test_every_export_names_the_publication_of_numbers_from_elsewhere(sample):
    table = sample.tables["scenes"]()
    lines = list(csv.DictReader(io.StringIO(exports.to_csv(table))))
    assert [line["reported_elsewhere"] for line in lines[:6]] == ["", "", *["Lee & Cho, 2018"] * 2, "", ""]
    assert [line["subject"] for line in lines[:6:2]] == ["pair", "pair_on_stack", "stack"]
    assert {line["metric"] for line in lines} == {"mef_ssim"}
    heads = next(line for line in exports.to_markdown(table).splitlines() if line.startswith("|")).split(" | ")
    assert heads[3] == "Against the stack: Mertens (reported elsewhere: Lee \\& Cho, 2018)"
    assert heads[1] == "Against the pair: Mertens"
    assert heads[5] == "The whole stack, fused and scored on all of its exposures: Mertens (not in the paper)"
    latex = exports.to_latex(table)
    assert r"\shortstack[r]{Mertens $\uparrow$\\{\scriptsize reported elsewhere: Lee \& Cho, 2018}}" in latex
    assert latex.count("reported elsewhere") == 2
    assert latex.count("not in the paper") == 2
