"""A realistic ``tables.json``: several tables, every cell state, awkward names, and tiny images for the viewer."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from hdrbench.report import encoding
from hdrbench.report.states import STATES

METRICS = [("psnr_mu", "PSNR-μ", 2), ("psnr_l", "PSNR-L", 2), ("ssim_mu", "SSIM-μ", 4), ("ssim_l", "SSIM-L", 4)]
SETS = [("kalantari", "Kalantari’s dataset"), ("realhdrv", "RealHDRV dataset")]
METHODS = ["HDRUNet", "KUNet", "CoTF", "RetinexFormer", "HDRUNet*", "CEVR", "SelfHDR (unified input)"]
ABLATION = ["×××", "××✓", "✓×✓", "×✓✓", "✓✓✓"]
AWKWARD = ["<script>alert(1)</script>", "a|b & c_d", "line\nbreak", "100 % $x^2$ {y} #1 ~ \\z"]
SHIFTS = {"equal": 0.0, "within": 0.04, "better": 1.3, "worse": -2.2, "other_data": -7.1, "not_reported": 0.5}
PIXEL = (5, 7)
"""Row and column of the pixel whose radiance is known exactly."""
RADIANCE = (0.02, 0.3, 0.0007)
LDR = [("input", "Input, middle exposure", 4.0), ("low", "Generated low", 1.0), ("high", "Generated high", 16.0)]


def column(name: str, label: str, group: str | None, decimals: int, **other: Any) -> dict:
    base = {"better": "higher", "unit": None, "printed": True, "protocol": "usme_hdr"}
    return {"id": name, "group": group, "label": label, "decimals": decimals, **base, **other}


def row(key: str, labels: list[str], cells: list[dict], **other: Any) -> dict:
    return {"id": key, "labels": labels, "printed": True, "note": None, "cells": cells, **other}


def cell(state: str, reported: str | None = None, **other: Any) -> dict:
    empty = dict.fromkeys(["reason", "value", "text", "delta", "delta_text", "delta_percent", "rank", "sd", "n"])
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
    about = {"id": key, "number": f"Table {key[-1]}", "title": title, "note": None}
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


def scene_image(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    light = 0.002 + 0.9 * np.exp(-40 * ((x - 0.7) ** 2 + (y - 0.2) ** 2)) + 0.05 * (np.sin(30 * x) > 0)
    image = np.stack([light, 0.8 * light, light**1.3], axis=2).clip(0, 1)
    image[PIXEL] = RADIANCE
    return image


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
    return scenes


def _save(folder: Path, name: str, rgb: np.ndarray) -> str:
    cv2.imwrite(str(folder / f"viewer/{name}.png"), rgb[..., ::-1])
    return f"viewer/{name}.png"


def build(folder: Path, profile: str = "embedded") -> dict:
    """Build the whole fixture, writing its images into a folder."""
    data = yaml.safe_load((Path(__file__).parent / "sample.yaml").read_text(encoding="utf-8"))
    data["profile"] |= {"name": profile, "comparable": profile == "paper"}
    data["tables"] = [main_table(), state_table(), ablation_table()]
    states = [item["state"] for table in data["tables"] for line in table["rows"] for item in line["cells"]]
    data["counts"] = {key: states.count(key) for key in STATES}
    rng = np.random.default_rng(5)
    scores = {m: [*rng.normal(30, 2, 5).tolist(), None] for m, _, _ in METRICS}
    images = [f"scene_{i:02d}" for i in range(6)]
    data["scores"] = {"kalantari/usme_6ch": {"kalantari": {"images": images, "metrics": scores}}}
    return data | {"viewer": write_viewer(folder)}


@pytest.fixture(scope="session")
def sample() -> SimpleNamespace:
    """The builders above, for tests in other files: under importlib mode a conftest cannot be imported."""
    tables = {"main": main_table, "states": state_table, "ablation": ablation_table}
    return SimpleNamespace(build=build, tables=tables, pixel=PIXEL, radiance=RADIANCE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def tables(folder: Path) -> dict:
    return build(folder)
