"""The viewer in a real browser: pixels, exposures, errors, and many images."""

import re
from itertools import pairwise

import numpy as np

from hdrbench.report import encoding


def pixels(tab) -> list[int]:
    """Red values along the middle line of the viewer's canvas."""
    script = """() => {
      const copy = el('canvas', { width: ui.canvas.width, height: 1 });
      copy.getContext('2d').drawImage(ui.canvas, 0, -(ui.canvas.height >> 1));
      return [...copy.getContext('2d').getImageData(0, 0, copy.width, 1).data];
    }"""
    return tab.evaluate(script)[::4]


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
    tab.locator("#viewer").get_by_label("Scene").select_option("1")
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


def fused(tab) -> None:
    tab.locator("#viewer").get_by_label("Scene").select_option("2")
    tab.wait_for_function("() => viewer.scene === 2")
    tab.locator("#viewer").scroll_into_view_if_needed()


def test_viewer_without_hdr_pictures_has_no_idle_controls(tab):
    idle = [tab.get_by_label(name) for name in ("Tone", "Exposure in EV", "LDR at the same exposure")]
    assert all(control.is_visible() for control in idle)
    fused(tab)
    assert not any(control.is_visible() for control in idle)
    assert not tab.locator(".v-scale").is_visible()
    before = pixels(tab)
    tab.keyboard.press("]")
    assert pixels(tab) == before
    assert "ev=" not in tab.url
    assert "exposure" not in tab.locator(".v-help").inner_text()
    tab.locator("#viewer").get_by_label("Scene").select_option("0")
    tab.wait_for_function("() => viewer.scene === 0")
    assert all(control.is_visible() for control in idle)


def test_many_images_can_be_chosen_beside_the_picture(tab):
    fused(tab)
    assert tab.locator(".v-row b").all_inner_texts() == ["Fused", "Weight of the under-exposed frame"]
    buttons = tab.locator(".v-images button")
    assert buttons.count() == 22
    tab.keyboard.press("1")
    seen = [pixels(tab)]
    for _ in range(21):
        tab.keyboard.press(".")
        seen.append(pixels(tab))
    assert all(a != b for a, b in pairwise(seen))
    chosen = tab.locator('.v-images [aria-pressed="true"]')
    assert chosen.inner_text() == "variance c"
    assert tab.locator(".v-label.left").inner_text() == "Weight of the under-exposed frame: variance c"
    row, box = chosen.locator("xpath=..").bounding_box(), chosen.bounding_box()
    assert row["x"] - 1 <= box["x"]
    assert box["x"] + box["width"] <= row["x"] + row["width"] + 1
    tab.get_by_role("button", name="Image after").click()
    assert pixels(tab) == seen[0]
    tab.get_by_role("button", name="Image before").click()
    assert pixels(tab) == seen[-1]
    tab.get_by_role("button", name="Fused: gradient b").click()
    assert pixels(tab) == seen[7]
    assert tab.locator(".v-images").bounding_box()["height"] < 200
    size = tab.evaluate("() => [document.documentElement.scrollWidth, innerWidth]")
    assert size[0] <= size[1]
