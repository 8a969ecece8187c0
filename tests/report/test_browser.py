"""The page in a real browser: it fits, and everything on it that can be operated works."""

import re
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from hdrbench.report import encoding, page

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on the PATH")

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


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory, sample) -> Path:
    folder = tmp_path_factory.mktemp("site")
    page.write(sample.build(folder), folder)
    return folder / "index.html"


@pytest.fixture(params=[1400, 400])
def tab(request, browser, site) -> Iterator:
    """An open page; closing it fails the test if anything was written to the console."""
    yield from open_tab(browser, site, request.param)


@pytest.fixture
def wide(browser, site) -> Iterator:
    yield from open_tab(browser, site, 1400)


def open_tab(browser, site: Path, width: int) -> Iterator:
    context = browser.new_context(viewport={"width": width, "height": 900}, reduced_motion="reduce")
    tab = context.new_page()
    said: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: None if request.url.startswith(("file:", "data:")) else said.append(request.url))
    tab.set_default_timeout(8000)
    tab.goto(site.as_uri())
    tab.wait_for_selector("#viewer-app[data-ready]")
    yield tab
    context.close()
    assert said == []


def rows(tab, table: str) -> list[str]:
    return tab.locator(f"#{table} .grid tbody tr:visible th:first-of-type .name").all_inner_texts()


def column(tab, table: str, index: int, kind: str) -> list[float]:
    cells = tab.locator(f"#{table} .grid tbody tr:visible").all()
    texts = [row.locator("td").nth(index).locator(f".{kind}:not(.why)") for row in cells]
    return [float(text.inner_text().replace("−", "-").split()[0]) for text in texts if text.count()]


def pixels(tab) -> list[int]:
    """Red values along the middle line of the viewer's canvas."""
    script = """() => {
      const copy = el('canvas', { width: ui.canvas.width, height: 1 });
      copy.getContext('2d').drawImage(ui.canvas, 0, -(ui.canvas.height >> 1));
      return [...copy.getContext('2d').getImageData(0, 0, copy.width, 1).data];
    }"""
    return tab.evaluate(script)[::4]


def test_nothing_overflows_or_overlaps(tab):
    size = tab.evaluate("() => [document.documentElement.scrollWidth, innerWidth]")
    assert size[0] <= size[1]
    assert tab.evaluate(OVERLAPS) == []
    tab.evaluate("() => scrollTo(0, 2000)")
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


def test_sorting_steps_through_best_first_reverse_and_none(tab):
    before = rows(tab, "table3")
    head = tab.locator('#table3 th[data-column="kalantari.psnr_mu"]')
    head.locator(".sort").click()
    values = column(tab, "table3", 0, "ours")
    assert head.get_attribute("aria-sort") == "descending"
    assert values == sorted(values, reverse=True)
    assert len(values) == 6
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
    assert len(printed) == 11
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
    assert len(rows(tab, "table3")) == 12


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


def test_viewer_decodes_pixels_and_exposes_them(tab, sample):
    tab.locator("#viewer").scroll_into_view_if_needed()
    y, x = sample.pixel
    box = tab.evaluate(
        "() => { const { scale, left, top } = placement(); return [scale, left, top, devicePixelRatio]; }"
    )
    place = [(origin + (pixel + 0.5) * box[0]) / box[3] for origin, pixel in ((box[1], x), (box[2], y))]
    tab.locator(".v-stage canvas").hover(position={"x": place[0], "y": place[1]})
    text = tab.locator(".v-read").inner_text()
    assert text.startswith(f"x {x}  y {y}")
    read = [float(value) for value in re.search(r"linear (\S+) (\S+) (\S+)", text).groups()]
    np.testing.assert_allclose(read, sample.radiance, rtol=2e-3, atol=3e-7)
    script = "([x, y]) => { const i = viewer.images[viewer.shown]; return [0, 1, 2].map((c) => LINEAR[i.codes[%s]]); }"
    exact = tab.evaluate(script % "3 * (y * i.width + x) + c", [x, y])
    planes = encoding.encode_hdr(np.array(sample.radiance).reshape(1, 1, 3))
    np.testing.assert_allclose(exact, encoding.decode_hdr(*planes)[0, 0], rtol=1e-12)
    before = pixels(tab)
    tab.get_by_label("Exposure in EV").fill("3")
    assert tab.locator(".v-bar output").inner_text() == "+3.0 EV"
    assert np.mean(pixels(tab)) > np.mean(before)
    script = "([x, y]) => [...viewer.images[viewer.shown].canvas.getContext('2d').getImageData(x, y, 1, 1).data]"
    shown = tab.evaluate(script, [x, y])
    np.testing.assert_allclose(shown[:3], 255 * np.clip(np.array(sample.radiance) * 8, 0, 1) ** (1 / 2.2), atol=1)


def test_viewer_switches_images_by_buttons_and_keys_at_one_place(tab):
    tab.locator("#viewer").scroll_into_view_if_needed()
    tab.locator(".v-stage canvas").click()
    tab.mouse.wheel(0, -600)
    tab.wait_for_function("() => viewer.zoom > 1")
    place = tab.evaluate("() => [viewer.zoom, viewer.x, viewer.y]")
    seen = []
    for key in "1567":
        tab.keyboard.press(key)
        seen.append(pixels(tab))
    assert all(a != b for a, b in pairwise(seen))
    assert tab.evaluate("() => [viewer.zoom, viewer.x, viewer.y]") == place
    tab.get_by_role("button", name="Reference").click()
    assert tab.locator(".v-label.left").inner_text() == "Reference"
    assert pixels(tab) == seen[2]
    tab.keyboard.press("0")
    assert tab.evaluate("() => viewer.zoom") == 1


def test_viewer_compares_maps_errors_and_equalises_exposures(tab):
    tab.locator("#viewer").scroll_into_view_if_needed()
    tab.keyboard.press("5")
    alone = pixels(tab)
    tab.get_by_label("Compare with").select_option("input")
    halves = pixels(tab)
    middle = len(halves) // 2
    assert halves[: middle - 3] == alone[: middle - 3]
    assert halves[middle + 3 :] != alone[middle + 3 :]
    tab.get_by_label("Place of the dividing line").fill("1000")
    assert pixels(tab)[: len(alone) - 4] == alone[:-4]
    tab.get_by_label("Compare with").select_option("")
    tab.keyboard.press("8")
    assert tab.locator(".v-scale").is_visible()
    dark = pixels(tab)
    tab.get_by_label("Full scale of the error map").select_option("0.02")
    assert sum(pixels(tab)) > sum(dark)
    tab.keyboard.press("1")
    as_it_is = pixels(tab)
    tab.get_by_label("LDR at the same exposure").check()
    assert pixels(tab) != as_it_is
    tab.get_by_label("Scene").select_option("1")
    tab.wait_for_function("() => viewer.scene === 1")


def test_viewer_images_match_the_prepared_error_map(wide):
    """The map that is recomputed in the browser equals the one that Python wrote, at the same scale."""
    script = """() => {
      const element = document.querySelector('img[data-key=error]');
      const copy = el('canvas', { width: element.naturalWidth, height: element.naturalHeight });
      copy.getContext('2d').drawImage(element, 0, 0);
      const own = el('canvas', { width: copy.width, height: copy.height });
      paintError(own, viewer.subject, viewer.reference, 0.1);
      return [copy, own].map((c) => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]);
    }"""
    prepared, recomputed = wide.evaluate(script)
    assert np.abs(np.subtract(prepared, recomputed)).max() <= 4
