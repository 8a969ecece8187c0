"""A realistic ``tables.json``: several tables, every cell state, awkward names, and tiny images for the viewer."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from hdrbench.report import encoding, page
from hdrbench.report.states import STATES

METRICS = [("psnr_mu", "PSNR-μ", 2), ("psnr_l", "PSNR-L", 2), ("ssim_mu", "SSIM-μ", 4), ("ssim_l", "SSIM-L", 4)]
SETS = [("kalantari", "Kalantari’s dataset"), ("realhdrv", "RealHDRV dataset")]
METHODS = ["HDRUNet", "KUNet", "CoTF", "RetinexFormer", "HDRUNet*", "CEVR", "SelfHDR (unified input)"]
ABLATION = ["×××", "××✓", "✓×✓", "×✓✓", "✓✓✓"]
AWKWARD = ["<script>alert(1)</script>", "a|b & c_d", "line\nbreak", "100 % $x^2$ {y} #1 ~ \\z"]
SHIFTS = {"equal": 0.0, "within": 0.04, "better": 1.3, "worse": -2.2, "other_data": -7.1, "not_reported": 0.5}
SHIFTS |= {"elsewhere": 0.3}
FUSED = ["mertens", *(f"{kind}_{stack}" for kind in ("adaptive", "gradient", "variance") for stack in "abc")]
SCENES = ["cafe", "tower", "balloons & co"]
SCENE_SCORES = {
    "mertens": {
        "pair": [0.9641, 0.9524, 0.9713],
        "pair_on_stack": [0.9412, 0.9305, 0.9526],
        "stack": [0.97, 0.98, 0.99],
    },
    "adaptive": {
        "pair": [0.9512, 0.9431, 0.9587],
        "pair_on_stack": [0.9321, 0.9218, 0.9433],
        "stack": [0.96, 0.95, 0.94],
    },
}
PIXEL = (5, 7)
"""Row and column of the pixel whose radiance is known exactly."""
RADIANCE = (0.02, 0.3, 0.0007)
LDR = [("input", "Input, middle exposure", 4.0), ("low", "Generated low", 1.0), ("high", "Generated high", 16.0)]


def column(name: str, label: str, group: str | None, decimals: int, **other: Any) -> dict:
    base = {"better": "higher", "unit": None, "printed": True, "protocol": "usme_hdr", "elsewhere": None, "run": None}
    base |= {"subject": "result", "metric": name.split(".")[1]}
    return {"id": name, "group": group, "label": label, "decimals": decimals, **base, **other}


def row(key: str, labels: list[str], cells: list[dict], **other: Any) -> dict:
    return {"id": key, "labels": labels, "printed": True, "note": None, "cells": cells, **other}


def cell(state: str, reported: str | None = None, **other: Any) -> dict:
    empty = dict.fromkeys(
        ["reason", "value", "text", "delta", "delta_text", "delta_percent", "rank", "sd", "n", "image"]
    )
    return {"state": state, "reported": reported, **empty, "run": None, "test": None, "command": None, **other}


def measured(state: str, reported: str | None, value: float, decimals: int, rank: int | None = None) -> dict:
    """A cell with a measurement; the differences follow from the printed string."""
    delta = None if reported is None else value - float(reported)
    command = "hdrbench evaluate usme_hdr --run kalantari/usme_6ch --test kalantari"
    made = cell(state, reported, value=value, text=f"{value:.{decimals}f}", rank=rank, sd=0.04 * value, n=6)
    made |= {"run": "kalantari/usme_6ch", "test": "kalantari", "command": command, "delta": delta}
    if reported is not None and delta is not None:
        made |= {"delta_text": f"{delta:+.{decimals}f}", "delta_percent": 100 * delta / abs(float(reported))}
    return made


def main_table() -> dict:
    units = {2: "dB", 4: None}
    columns = [column(f"{s}.{m}", label, name, d, unit=units[d]) for s, name in SETS for m, label, d in METRICS]
    for key, label, unit, printed in [
        ("macs", "MACs", "G", True),
        ("true", "MACs, true count", "G", False),
        ("params", "Params", "M", True),
    ]:
        about = {"better": "lower", "unit": unit, "printed": printed, "protocol": None}
        columns.append(column(f"cost.{key}", label, "Computational cost", 3 if key == "params" else 2, **about))
    rng = np.random.default_rng(3)
    rows = []
    for i, name in enumerate(METHODS):
        printed = [_like(spec, rng, i) if spec["printed"] else None for spec in columns]
        rows.append(row(f"m{i}", [name], [cell("not_implemented", text) for text in printed]))
    rows.append(_measured_row("usme", "USME-HDR**", columns, rng, 1) | {"note": "calibrated configuration S1"})
    naive = _measured_row("naive", "Input, gamma 2.2 alone", columns, rng, 2) | {"printed": False}
    for item in naive["cells"]:
        item.update(state="not_reported", reported=None, delta=None, delta_text=None, delta_percent=None)
    title = "Quantitative comparison on the Kalantari’s and RealHDRV datasets."
    note = "* setting (ii); ** setting (ii) with the 6-channel input."
    return _table("table1", title, ["Method"], columns, [*rows, naive]) | {"note": note}


def _table(key: str, title: str, heads: list[str], columns: list[dict], rows: list[dict]) -> dict:
    """Join a table; its cells say what their columns show, and what was scored for it."""
    about = {"id": key, "number": f"Table {key[-1]}", "title": title, "note": None}
    for line in rows:
        for spec, shown in zip(columns, line["cells"], strict=True):
            shown |= {name: spec[name] for name in ("metric", "subject", "protocol", "better", "unit", "decimals")}
            shown["test"] = shown["test"] or "kalantari"
    return about | {"row_headers": heads, "columns": columns, "rows": rows}


def _like(spec: dict, rng: np.random.Generator, place: int) -> str:
    centre, spread = {2: (36.0, 4.0), 4: (0.97, 0.02), 3: (3.0, 2.0)}[spec["decimals"]]
    return f"{centre + spread * (rng.random() - 0.5 + place / 16):.{spec['decimals']}f}"


def _measured_row(key: str, label: str, columns: list[dict], rng: np.random.Generator, rank: int) -> dict:
    cells = []
    for spec in columns:
        reported = _like(spec, rng, 9) if spec["printed"] else None
        state = "not_reported" if reported is None else "equal" if spec["id"].startswith("cost.") else "other_data"
        value = float(reported) if state == "equal" and reported else float(_like(spec, rng, 0))
        cells.append(measured(state, reported, value, spec["decimals"], rank))
    return row(key, [label], cells)


def state_table() -> dict:
    """Two columns and one row for each state, with names that try to break out of every format."""
    first = column("kalantari.psnr_mu", "MUSIQ", None, 2, protocol="</script><b>x")
    rows = []
    for i, key in enumerate(STATES):
        printed = 33.38 + i
        reported = None if key == "not_reported" else f"{printed:.2f}"
        cells = [cell(key, reported, reason="why not"), cell("not_computable", "2.7665")]
        if key in SHIFTS:
            cells[0] = measured(key, reported, printed + SHIFTS[key], 2)
        rows.append(row(f"r{i}", [AWKWARD[i] if i < len(AWKWARD) else f"Method {i}"], cells, printed=i != 5))
    columns = [first, column("k.niqe", "NIQE", None, 2, better="lower")]
    return _table("table3", "No-reference quality & <b>states</b>", ["Method"], columns, rows)


def ablation_table() -> dict:
    columns = [column(f"realhdrv.{m}", label, None, d) for m, label, d in METRICS]
    printed = ["39.32", "31.37", "0.9817", "0.9792"]
    rows = []
    for i, flags in enumerate(ABLATION):
        cells = [cell("failed", text, reason="training diverged at step 120") for text in printed]
        if i != 1:
            pairs = zip(columns, printed, strict=True)
            cells = [measured("other_data", p, float(p) * (0.85 + i / 50), c["decimals"]) for c, p in pairs]
        rows.append(row(f"a{i}", list(flags), cells))
    heads = ["Light Map", "Light Feature", "Exposure Ratio"]
    return _table("table4", "Effects of Light Map, Light Feature and exposure ratio on RealHDRV.", heads, columns, rows)


def scenes_table() -> dict:
    """Rows are scenes and columns runs: what is printed, what another publication prints, and what nobody prints."""
    about = {"metric": "mef_ssim", "protocol": "fusion"}
    groups = [
        ("Against the pair", {"subject": "pair"}),
        ("Against the stack", {"subject": "pair_on_stack", "printed": False, "elsewhere": "Lee & Cho, 2018"}),
        ("The whole stack, fused and scored on all of its exposures", {"subject": "stack", "printed": False}),
    ]
    columns, rows = [], []
    for group, other in groups:
        for run, label in (("mertens", "Mertens"), ("adaptive", "Adaptive weights, both")):
            name = f"{len(columns)}.sice.sice.mef_ssim"
            columns.append(column(name, label, group, 3, run=run, **about, **other))
    for i, label in enumerate([*SCENES, "Average"]):
        cells = []
        for spec in columns:
            own = SCENE_SCORES[spec["run"]][spec["subject"]]
            value = own[i] if i < len(SCENES) else sum(own) / len(own)
            state = "elsewhere" if spec["elsewhere"] else "other_data" if spec["printed"] else "not_reported"
            made = measured(state, None if state == "not_reported" else "0.950", value, 3)
            made |= {"n": 1, "sd": None, "image": SCENES[i]} if i < len(SCENES) else {"n": 3, "sd": 0.01}
            cells.append(
                made | {"run": f"sice/{spec['run']}", "test": "sice", "reason": f"printed by {spec['elsewhere']}"}
            )
        rows.append(row(f"s{i}", [label], cells))
    return _table("table5", "MEF-SSIM of every scene.", ["Scene"], columns, rows)


def scene_image(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    light = 0.002 + 0.9 * np.exp(-40 * ((x - 0.7) ** 2 + (y - 0.2) ** 2)) + 0.05 * (np.sin(30 * x) > 0)
    image = np.stack([light, 0.8 * light, light**1.3], axis=2).clip(0, 1)
    image[PIXEL] = RADIANCE
    return image


def fusion_scene(folder: Path) -> dict:
    """Write a scene without any HDR picture: a pair, and many results with a weight map each."""
    height, width = 48, 64
    truth = scene_image(height, width)
    names = [("under", "Under-exposed", "ldr"), ("over", "Over-exposed", "ldr")]
    names += [(run, f"Fused: {run.replace('_', ' ')}", "ldr") for run in FUSED]
    names += [(f"weight_{run}", f"Weight of the under-exposed frame: {run.replace('_', ' ')}", "map") for run in FUSED]
    images = []
    for place, (key, label, kind) in enumerate(names):
        picture = np.rint(255 * truth ** (0.3 + place / 20)).astype(np.uint8)
        images.append({"key": key, "label": label, "kind": kind, "file": _save(folder, f"fused_{key}", picture)})
    runs = ", ".join(f"sice/{run}" for run in FUSED)
    return {"scene": "cafe", "test": "sice", "run": runs, "width": width, "height": height, "images": images}


def write_viewer(folder: Path) -> list[dict]:
    """Write the planes of two scenes and return the viewer part of ``tables.json``."""
    (folder / "viewer").mkdir(parents=True, exist_ok=True)
    scenes = []
    for name, (height, width) in {"lamp": (48, 64), "window": (40, 64)}.items():
        truth = scene_image(height, width)
        hdr = {"pseudo": truth * 0.9, "result": (truth * 1.1).clip(0, 1), "reference": truth, "baseline": truth**0.9}
        hdr["result"][PIXEL] = RADIANCE
        images = []
        for key, label, time in LDR:
            picture = np.rint(255 * (truth * time).clip(0, 1) ** (1 / 2.2)).astype(np.uint8)
            file = _save(folder, f"{name}_{key}", picture)
            images.append({"key": key, "label": label, "kind": "ldr", "file": file, "exposure_time": time})
        for key, image in hdr.items():
            high, low = (_save(folder, f"{name}_{key}_{i}", p) for i, p in enumerate(encoding.encode_hdr(image)))
            images.append({"key": key, "label": key.capitalize(), "kind": "hdr", "file": high, "low_bits": low})
        file = _save(folder, f"{name}_error", encoding.error_map(hdr["result"], truth))
        images.append({"key": "error", "label": "Error map |T(result) - T(reference)|", "kind": "map", "file": file})
        about = {"scene": name, "test": "kalantari", "run": "kalantari/usme_6ch", "width": width, "height": height}
        scenes.append(about | {"images": images})
    return [*scenes, fusion_scene(folder)]


def _save(folder: Path, name: str, rgb: np.ndarray) -> str:
    cv2.imwrite(str(folder / f"viewer/{name}.png"), rgb[..., ::-1])
    return f"viewer/{name}.png"


def scored(subject: str, protocol: str, metrics: dict[str, list]) -> dict:
    """Scores of one subject under one protocol."""
    return {"subject": subject, "protocol": protocol, "metrics": metrics}


def build(folder: Path, profile: str = "embedded") -> dict:
    """Build the whole fixture, writing its images into a folder."""
    data = yaml.safe_load((Path(__file__).parent / "sample.yaml").read_text(encoding="utf-8"))
    data["profile"] |= {"name": profile, "comparable": profile == "paper"}
    data["tables"] = [main_table(), state_table(), ablation_table(), scenes_table()]
    states = [item["state"] for table in data["tables"] for line in table["rows"] for item in line["cells"]]
    data["counts"] = {key: states.count(key) for key in STATES}
    rng = np.random.default_rng(5)
    scores = {m: [*rng.normal(30, 2, 5).tolist(), None] for m, _, _ in METRICS}
    images = [f"scene_{i:02d}" for i in range(6)]
    data["scores"] = {
        "kalantari/usme_6ch": {"kalantari": {"images": images, "sheets": [scored("result", "usme_hdr", scores)]}}
    }
    for run, subjects in SCENE_SCORES.items():
        found = [
            scored(name, "fusion", {"mef_ssim": values, "niqe": [3.0, 4.0, 5.0]}) for name, values in subjects.items()
        ]
        data["scores"][f"sice/{run}"] = {"sice": {"images": SCENES, "sheets": found}}
    return data | {"viewer": write_viewer(folder)}


@pytest.fixture(scope="session")
def sample() -> SimpleNamespace:
    """The builders above, for tests in other files: under importlib mode a conftest cannot be imported."""
    tables = {"main": main_table, "states": state_table, "ablation": ablation_table}
    tables |= {"scenes": scenes_table}
    return SimpleNamespace(build=build, tables=tables, pixel=PIXEL, radiance=RADIANCE, scores=SCENE_SCORES)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def tables(folder: Path) -> dict:
    return build(folder)


@pytest.fixture(scope="module")
def browser() -> Iterator:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on the PATH")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    page.write(build(folder), folder)
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
