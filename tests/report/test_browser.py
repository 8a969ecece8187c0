"""The page in a real browser: it fits, and everything on it that can be operated works."""

import numpy as np
import pytest

OVERLAPS = """() => {
  const boxes = [...document.querySelectorAll(
    '.banner, .top > *, .roles, .toolbar, .block-head > *, .controls > *, .toolbar nav a, .segmented button, .frame')]
    .filter((node) => node.offsetParent !== null || node.matches('.banner'))
    .map((node) => [node, node.getBoundingClientRect()]).filter(([, box]) => box.width && box.height);
  const found = [];
  boxes.forEach(([a, p], i) => boxes.slice(i + 1).forEach(([b, q]) => {
    const across = Math.min(p.right, q.right) - Math.max(p.left, q.left);
    const down = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
    if (a.contains(b) || b.contains(a) || across < 1.5 || down < 1) return;
    found.push(a.outerHTML.slice(0, 60) + ' over ' + b.outerHTML.slice(0, 60));
  }));
  return found;
}"""


def rows(tab, table: str) -> list[str]:
    return tab.locator(f"#{table} .grid tbody tr:visible th:first-of-type .name").all_inner_texts()


def column(tab, table: str, index: int, kind: str) -> list[float]:
    cells = tab.locator(f"#{table} .grid tbody tr:visible").all()
    texts = [row.locator("td").nth(index).locator(f".{kind}:not(.why)") for row in cells]
    return [float(text.inner_text().replace("−", "-").split()[0]) for text in texts if text.count()]


def test_nothing_overflows_or_overlaps(tab):
    size = tab.evaluate("() => [document.documentElement.scrollWidth, innerWidth]")
    assert size[0] <= size[1]
    assert tab.evaluate(OVERLAPS) == []
    tab.evaluate("() => $('#table3').scrollIntoView()")
    flag = tab.locator(".toolbar > .flag:visible, .flagline:visible").first
    assert 0 <= flag.bounding_box()["y"] < 40
    assert "not the paper’s data" in flag.inner_text()


def test_tables_scroll_in_their_own_box_with_the_first_column_in_sight(tab):
    box = tab.locator("#table1 .results")
    box.evaluate("(node) => { node.scrollLeft = 9999; node.scrollTop = 120; }")
    assert box.evaluate("(node) => node.scrollLeft") > 0
    frame, head = box.bounding_box(), tab.locator("#table1 .grid tbody tr:nth-child(5) th").bounding_box()
    assert head["x"] == pytest.approx(frame["x"], abs=1)
    corner = tab.locator("#table1 .heads .lead").bounding_box()
    assert corner["x"] == pytest.approx(frame["x"], abs=1)


@pytest.mark.parametrize("table", ["table1", "table5"])
def test_both_lines_of_headings_stay_in_sight(tab, table):
    box = tab.locator(f"#{table} .results")
    box.evaluate("(node) => { node.style.maxHeight = '14rem'; node.scrollTop = 150; }")
    assert box.evaluate("(node) => node.scrollTop") == 150
    top = box.bounding_box()["y"]
    groups = [head.bounding_box() for head in tab.locator(f"#{table} .groups th").all()]
    heads = [head.bounding_box() for head in tab.locator(f"#{table} .heads th").all()]
    assert all(head["y"] == pytest.approx(top, abs=2) for head in groups)
    below = {round(head["y"] + head["height"]) for head in groups}
    assert all(min(abs(head["y"] - edge) for edge in below) <= 2 for head in heads)


def test_sorting_steps_through_best_first_reverse_and_none(tab):
    before = rows(tab, "table3")
    head = tab.locator('#table3 th[data-column="kalantari.psnr_mu"]')
    head.locator(".sort").click()
    values = column(tab, "table3", 0, "ours")
    assert head.get_attribute("aria-sort") == "descending"
    assert values == sorted(values, reverse=True)
    assert len(values) == 7
    head.locator(".sort").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(tab, "table3", 0, "ours") == sorted(values)
    head.locator(".sort").click()
    assert head.get_attribute("aria-sort") is None
    assert rows(tab, "table3") == before


def test_sorting_follows_the_view(wide):
    wide.locator('.segmented [data-view="reported"]').click()
    wide.locator('#table3 th[data-column="kalantari.psnr_mu"] .sort').click()
    printed = column(wide, "table3", 0, "rep")
    assert printed == sorted(printed, reverse=True)
    assert len(printed) == 12
    wide.locator('.segmented [data-view="difference"]').click()
    differences = column(wide, "table3", 0, "dif")
    assert differences == sorted(differences, reverse=True)


@pytest.mark.parametrize(
    ("view", "shown"),
    [
        ("all", {"ours", "rep", "dif"}),
        ("ours", {"ours"}),
        ("reported", {"rep"}),
        ("difference", {"dif"}),
        ("percent", {"pct"}),
    ],
)
def test_each_view_shows_its_numbers(wide, view, shown):
    wide.locator(f'.segmented [data-view="{view}"]').click()
    cell = wide.locator('#table3 td[data-state="better"]')
    visible = {kind for kind in ("ours", "rep", "dif", "pct") if cell.locator(f".{kind}").is_visible()}
    assert visible == shown
    assert cell.locator(".g").is_visible()
    assert wide.locator('.segmented [aria-pressed="true"]').count() == 1


def test_filters_by_text_and_by_state(tab):
    tab.locator("#filter").fill("usme")
    assert rows(tab, "table1") == ["USME-HDR**"]
    assert tab.locator("#table4 .shown").inner_text() == "No row matches the filter."
    tab.locator("#filter").fill("")
    tab.locator("#states summary").click()
    tab.locator('#states input[value="worse"]').check()
    assert len(rows(tab, "table3")) == 1
    assert rows(tab, "table1") == []
    assert tab.locator("#table3 td.dim:visible").count() == 1
    tab.locator("#reset").click()
    assert len(rows(tab, "table3")) == 13


def test_columns_hide_with_their_group_head(tab):
    tab.locator("#table1 .columns summary").click()
    for box in tab.locator('#table1 .columns input[value^="kalantari."]').all():
        box.uncheck()
    assert tab.locator('#table1 th[data-column="kalantari.psnr_mu"]').is_hidden()
    assert tab.locator("#table1 .groups th:visible").count() == 2
    assert tab.locator("#table1 tbody tr").first.locator("td:visible").count() == 7


def test_a_view_can_be_shared_by_its_address(wide):
    wide.locator('.segmented [data-view="ours"]').click()
    wide.locator("#filter").fill("method")
    wide.locator('#table3 th[data-column="k.niqe"] .sort').click()
    wide.keyboard.press("Tab")
    address = wide.url
    wide.goto("about:blank")
    wide.goto(address)
    assert wide.locator("body").get_attribute("data-view") == "ours"
    assert wide.locator("#filter").input_value() == "method"
    assert wide.locator('#table3 th[data-column="k.niqe"]').get_attribute("aria-sort") == "ascending"


def test_popover_tells_the_provenance_on_hover_and_on_focus(tab):
    cell = tab.locator('#table1 td[data-state="other_data"]').nth(1)
    cell.hover()
    popover = tab.locator("#popover")
    popover.wait_for(state="visible")
    text = popover.inner_text()
    for part in (
        "other data",
        "USME-HDR, 6 channels",
        "0123456789ab",
        "usme_hdr ab12ab12ab12",
        "hdrbench evaluate usme_hdr",
    ):
        assert part in text
    box = popover.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= tab.viewport_size["width"]
    tab.mouse.move(2, 2)
    popover.wait_for(state="hidden")
    cell.focus()
    tab.keyboard.press("ArrowRight")
    popover.wait_for(state="visible")
    assert "SSIM-μ" in popover.inner_text()
    tab.keyboard.press("Escape")
    popover.wait_for(state="hidden")


def test_click_opens_the_scores_per_image(tab):
    tab.locator('#table1 td[data-state="other_data"]').first.click()
    dialog = tab.locator("dialog")
    names = dialog.locator("tbody th")
    assert names.all_inner_texts() == [f"scene_{i:02d}" for i in range(6)]
    assert dialog.locator("thead .chosen").inner_text() == "psnr_mu"
    dialog.locator("thead .sort").nth(1).click()
    values = [text for text in dialog.locator("tbody td:nth-child(2)").all_inner_texts() if text != "–"]
    assert [float(value) for value in values] == sorted(map(float, values))
    assert names.last.inner_text() == "scene_05"
    tab.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert tab.evaluate("() => document.activeElement.tagName") == "TD"


def test_copy_button_copies_the_export(site, wide):
    wide.context.grant_permissions(["clipboard-read", "clipboard-write"])
    wide.get_by_label("Copy Table 3 as LaTeX").click()
    wide.get_by_text("Copied").wait_for()
    copied = wide.evaluate("() => navigator.clipboard.readText()")
    assert copied == (site.parent / "table3.tex").read_text(encoding="utf-8")


def test_a_scene_cell_tells_its_image_run_and_what_was_scored(tab, sample):
    cell = tab.locator('#table5 tbody tr:nth-child(2) td[data-state="elsewhere"]').first
    cell.hover()
    popover = tab.locator("#popover")
    popover.wait_for(state="visible")
    text = popover.inner_text()
    for part in ("tower, one of 3", "pair on stack", "mef_ssim", "0.950, by Lee & Cho, 2018", "sice/mertens"):
        assert part in text
    assert "±" not in text
    cell.click()
    dialog = tab.locator("dialog")
    assert dialog.locator("h3").inner_text() == "Scores per image: run sice/mertens, test set sice, pair on stack"
    assert dialog.locator("tr.own th").all_inner_texts() == ["tower"]
    assert dialog.locator("thead .chosen").inner_text() == "mef_ssim"
    values = [float(text) for text in dialog.locator("tbody td.chosen").all_inner_texts()]
    assert values == sample.scores["mertens"]["pair_on_stack"]
    spread = dialog.locator("tfoot tr", has_text="sd").locator("td").first.inner_text()
    assert float(spread) == pytest.approx(np.std(values), abs=1e-5)


def test_an_average_cell_is_of_no_single_image(wide):
    wide.locator("#table5 tbody tr:nth-child(4) td").first.click()
    assert "Images" in wide.locator("dialog .facts").inner_text()
    assert wide.locator("dialog tr.own").count() == 0


@pytest.mark.parametrize("width", [1400, 400])
def test_without_javascript_everything_is_there(browser, site, width):
    context = browser.new_context(viewport={"width": width, "height": 900}, java_script_enabled=False)
    tab = context.new_page()
    tab.goto(site.as_uri())
    assert tab.get_by_text("reported elsewhere: Lee & Cho, 2018").first.is_visible()
    summary = tab.get_by_text("3 left out, and why")
    summary.click()
    assert tab.get_by_text("short.tif: is cut off at byte 8192").is_visible()
    assert tab.locator("#viewer-static img").last.is_visible()
    assert not tab.locator(".controls").is_visible()
    context.close()
