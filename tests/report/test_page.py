import html
import json
import re
from html.parser import HTMLParser

import pytest

from hdrbench.errors import HdrbenchError
from hdrbench.report import cells, page, template
from hdrbench.report.states import STATES

VOID = {"meta", "link", "img", "input", "br", "hr"}


class Elements(HTMLParser):
    """Collects (tag, attributes) and checks that elements nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture
def text(tables, folder):
    return page.render(tables, folder)


def blob(text: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1])


def test_elements_nest_and_ids_are_unique(text):
    elements = Elements(text)
    assert elements.open == []
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_nothing_is_loaded_from_elsewhere(text):
    elements = Elements(text)
    assert all(attributes["src"].startswith("data:") for _, attributes in elements.found if "src" in attributes)
    assert all(attributes["href"].startswith("data:") for attributes in elements.all("link"))
    assert not any("src" in attributes for attributes in elements.all("script"))
    links = [attributes["href"] for attributes in elements.all("a")]
    assert [link for link in links if ":" in link] == ["https://doi.org/10.1631/ENG.ITEE.2025.0116"]
    assert not re.search(r"@import|url\(", text)


def test_all_three_numbers_of_every_cell_are_in_the_html(text, tables):
    words = "".join(Elements(text).words)
    rows = [row for table in tables["tables"] for row in table["rows"]]
    bodies = re.findall(r"<tr data-row=.*?</tr>", text, re.DOTALL)
    assert len(bodies) == len(rows)
    for row, body in zip(rows, bodies, strict=True):
        for cell, made in zip(row["cells"], re.findall(r"<td.*?</td>", body, re.DOTALL), strict=True):
            for number in (cell["text"], cell["reported"], cells.signed(cell["delta_text"])):
                assert number is None or f">{number}<" in made
    about = (tables["verdict"], tables["generated"]["command"], tables["profile"]["summary"])
    listed = (*tables["assumptions"], *tables["problems"], "perceptual: random features")
    assert all(expected in words for expected in (*about, *listed))


def test_rebuild_commands_and_spread_need_no_script(text):
    words = "".join(Elements(text).words)
    assert "hdrbench evaluate usme_hdr --run kalantari/usme_6ch --test kalantari" in words
    assert re.search(r"\d ± \d", words)


def test_every_state_has_its_glyph_in_a_cell_and_in_the_legend(text):
    for key, known in STATES.items():
        assert f'data-state="{key}"' in text
        assert html.escape(known.explanation, quote=False).replace("'", "&#39;") in text
        assert f'aria-label="{known.label}">{known.glyph}<' in text


def test_difference_on_other_data_has_no_verdict_colour(text):
    assert re.findall(r'data-state="other_data" class="([^"]*)"', text)[0] == "s-other"


def test_images_are_shown_without_script(text, tables):
    images = Elements(text).all("img")
    assert len(images) == sum(len(scene["images"]) for scene in tables["viewer"])
    assert all(image["alt"] for image in images)
    assert sum("data-low" in image for image in images) == 8


def test_other_profiles_are_impossible_to_overlook(text, folder, sample):
    assert len(re.findall("not the paper’s data", text, re.IGNORECASE)) >= 4
    assert 'class="banner"' in text
    assert re.search(r'@top-right \{ content: "PROFILE[^"]*embedded', text)
    paper = page.render(sample.build(folder, "paper"), folder)
    assert "not the paper’s data" not in "".join(Elements(paper).words).lower()
    assert 'class="banner same"' in paper


def test_names_cannot_break_out(text):
    assert "<script>alert(1)" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert text.count("</script>") == len(Elements(text).all("script"))
    assert blob(text)["tables"][1]["rows"][0]["labels"] == ["<script>alert(1)</script>"]


def test_javascript_addresses_do_not_become_links(tables, folder):
    tables["paper"]["url"] = "javascript:alert(1)"
    assert not [link for link in Elements(page.render(tables, folder)).all("a") if "javascript" in link["href"]]


def test_missing_numbers_become_null(tables, folder):
    tables["tables"][0]["rows"][0]["cells"][0]["sd"] = float("nan")
    assert blob(page.render(tables, folder))["tables"][0]["rows"][0]["cells"][0]["sd"] is None


def test_tables_name_their_headers(text, tables):
    elements = Elements(text)
    assert all(attributes.get("scope") in {"row", "col", "colgroup"} for attributes in elements.all("th"))
    assert len(elements.all("caption")) == len(tables["tables"])


def ranked(strings, better, elsewhere=None):
    """Rank printed strings, of which the last is in a row that the paper does not print."""
    cell = {"better": better, "metric": "m", "subject": "result", "test": "a"}
    rows = [{"printed": True, "cells": [cell | {"reported": text}]} for text in strings]
    rows[-1]["printed"] = False
    return {"columns": [{"elsewhere": elsewhere, "run": None}], "rows": rows}


def test_printed_ranks_follow_the_direction_and_share_ties():
    strings = ["1.5", "2.5", "−", "1.5", None, "1,000", "0.1"]
    assert cells.printed_ranks(ranked(strings, "lower"), 0) == {0: 1, 3: 1, 1: 2}
    assert cells.printed_ranks(ranked(strings, "higher"), 0) == {5: 1, 1: 2}
    assert cells.printed_ranks(ranked(strings, "lower", "Lee2018"), 0) == {6: 1, 0: 2, 3: 2}
    assert cells.printed_ranks(ranked(strings, None), 0) == {}


@pytest.mark.parametrize("what", ["metric", "subject", "test"])
def test_printed_ranks_compare_only_what_is_alike(what):
    table = ranked(["1", "2", "3", "4", "5"], "higher")
    for row in table["rows"][:2]:
        row["cells"][0][what] = "other"
    assert cells.printed_ranks(table, 0) == {0: 2, 1: 1, 2: 2, 3: 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.update(schema=1), "expected schema 3, got 1"),
        (
            lambda t: t["tables"][0]["rows"][0]["cells"][0].update(state="equa"),
            "state 'equa'; did you mean 'equal'",
        ),
        (lambda t: t["viewer"][0]["images"][0].update(file="viewer/none.png"), "none.png.*cannot be read"),
        (lambda t: t["viewer"][0]["images"][3].pop("low_bits"), "needs its 'low_bits' plane"),
        (lambda t: t["viewer"][0]["images"][0].update(file="tables.json"), "cannot be read|expected one of"),
    ],
)
def test_wrong_input_is_one_clear_error(tables, folder, change, message):
    change(tables)
    with pytest.raises(HdrbenchError, match=message):
        page.render(tables, folder)


def test_pages_without_images_or_runs_are_whole(tables, folder):
    tables.update(viewer=[], runs={}, scores={}, protocols={}, assumptions=[], counts={})
    text = page.render(tables, folder)
    assert 'id="viewer"' not in text
    assert Elements(text).open == []


def test_write_leaves_the_page_and_the_exports_and_nothing_else(tables, folder):
    page.write(tables, folder)
    names = sorted(path.name for path in folder.iterdir())
    expected = [
        f"{table}.{suffix}" for table in ("table1", "table3", "table4", "table5") for suffix in ("csv", "md", "tex")
    ]
    assert names == sorted([*expected, "index.html", "viewer"])
    exports = blob((folder / "index.html").read_text(encoding="utf-8"))["exports"]
    assert (folder / "table1.csv").read_text(encoding="utf-8") == exports["table1"]["csv"]


def test_failed_render_keeps_the_old_page(tables, folder):
    page.write(tables, folder)
    before = (folder / "index.html").read_text(encoding="utf-8")
    tables["viewer"][0]["images"][0]["file"] = "gone.png"
    with pytest.raises(HdrbenchError):
        page.write(tables, folder)
    assert (folder / "index.html").read_text(encoding="utf-8") == before


def test_columns_of_another_publication_name_it(text, tables):
    heads = re.findall(r'<th scope="col" data-column="([^"]*)"[^>]*>(.*?)</th>', text, re.DOTALL)
    tags = {name: re.findall(r'class="tag">([^<]*)<', head) for name, head in heads}
    for table in tables["tables"]:
        for column in table["columns"]:
            lee = "reported elsewhere: Lee &amp; Cho, 2018"
            expected = [] if column["printed"] else [lee if column["elsewhere"] else "not in the paper"]
            assert tags[column["id"]] == expected
    assert "0.950<small> elsewhere</small>" in text
    assert "marks columns whose lower numbers another publication prints" in text


def test_a_page_without_other_publications_does_not_speak_of_them(tables, folder):
    tables["tables"] = tables["tables"][:1]
    words = "".join(Elements(page.render(tables, folder)).words)
    assert "whose lower numbers" not in words
    assert "reported elsewhere:" not in words


def test_scenes_are_not_ranked_against_each_other(sample):
    table = sample.tables["scenes"]()
    assert cells.printed_ranks(table, 0) == {}
    assert not any(cell["reported_rank"] for row in cells.table_view(table)["rows"] for cell in row["cells"])
    methods = sample.tables["main"]()
    assert sorted(cells.printed_ranks(methods, 0).values()) == [1, 2]


def test_what_was_scored_is_listed_where_it_is_not_the_result(text):
    lists = dict(re.findall(r'aria-label="Measured cells of (Table \d)">(.*?)</table>', text, re.DOTALL))
    assert '<th scope="col">Scored</th>' in lists["Table 5"]
    assert "<td>pair on stack</td>" in lists["Table 5"]
    assert "Scored" not in lists["Table 1"]


def roles(text: str) -> list[str]:
    return re.findall(r"<tr.*?</tr>", text.split('id="roles-title"')[1].split("</section>")[0], re.DOTALL)[1:]


def test_scenes_left_out_are_counted_with_their_reasons(text):
    whole, damaged, why = roles(text)
    assert "24 train, 6 test</td>" in whole
    words = "".join(Elements(damaged).words)
    assert "22 train (2 left out), 5 test (1 left out)" in words
    assert "<summary>3 left out, and why</summary>" in why
    assert "<li>train: <b>scene &lt;7&gt;</b>: exposure.txt: not found</li>" in why
    assert "<li>test: <b>scene_01</b>: long.tif: 64x48, others 64x64</li>" in why
    assert "<summary>1 remark</summary><ul><li>readme.txt: belongs to &lt;no&gt; scene</li></ul>" in why


def test_nothing_left_out_leaves_no_trace(tables, folder):
    tables["profile"]["roles"][1].update(left_out={}, remarks=[], scenes={}, digest=None)
    lines = roles(page.render(tables, folder))
    assert len(lines) == 2
    assert "left out" not in "".join(lines)
    assert "<td>–</td>" in lines[1]


def test_nested_settings_read_well(text):
    words = " ".join(
        " ".join(Elements(text.split('aria-labelledby="settings-title">')[1].split("</table>")[0]).words).split()
    )
    assert "schedule kind step factor 0.5 epochs 2 preparation pair outermost longest side none" in words
    assert "terms sp, se sizes low 1" in words
    assert template.plain({"terms": ["sp", "se"], "sizes": {"low": 1}}) == "terms = (sp, se), sizes = (low = 1)"


def test_pages_without_hdr_pictures_speak_of_no_exposure_slider(text, tables, folder):
    assert "exposure slider" in text
    tables["viewer"] = tables["viewer"][2:]
    alone = page.render(tables, folder)
    assert "exposure slider" not in alone
    assert "runs sice/mertens, sice/adaptive_a" in alone
