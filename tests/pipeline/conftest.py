"""A small checkout of its own for every test that runs the pipeline: one paper, two tiny data sets, two methods."""

import csv
from pathlib import Path

import numpy as np
import pytest
import yaml

from hdrbench.datasets import catalog
from hdrbench.datasets.scene import Scene

PARAMS = {
    "runs": {
        "a": {"small": {"method": "usme_hdr"}, "naive": {"method": "gamma_linear"}},
        "b": {"small": {"method": "usme_hdr"}},
    },
    "task": "single_image",
    "showcase": ["a/small"],
    "profiles": {
        "embedded": {
            "summary": "tiny",
            "comparable": False,
            "data": {"a": "tiny_a", "b": "tiny_b"},
            "training": {
                "epochs": 2,
                "iterations_per_epoch": 6,
                "batch_size": 2,
                "crop": 32,
                "learning_rate": 1e-3,
                "augment": "none",
                "optimizer": "adam",
                "weight_decay": 0.0,
                "schedule": {"kind": "step", "factor": 0.5, "epochs": 1},
                "checkpoint_every": 3,
            },
            "preparation": {"flow": "dis"},
            "seed": 0,
            "viewer_scenes": 1,
            "options": {"usme_hdr": {"width": 4}},
            "objective": {"usme_hdr": {"perceptual_weights": "random", "perceptual_width_divisor": 16}},
        }
    },
}
PAPER = {
    "title": "A paper",
    "authors": "Nobody",
    "venue": "Nowhere",
    "year": 2026,
    "url": "https://doi.org/10.0000/0",
    "reference": "Nobody2026",
    "sentence": "It says nothing.",
    "roles": {"a": "set A", "b": "set B"},
    "cost_size": [100, 150],
    "timed_on": "150x100 on paper",
    "tolerances": {"psnr_mu": {"value": 0.5, "reason": "noise"}},
    "assumptions": ["None."],
    "tables": [
        {
            "id": "table1",
            "number": "Table 1",
            "title": "Everything",
            "reported": "reported/table1.csv",
            "row_headers": ["Method"],
            "groups": [
                {
                    "title": "A",
                    "train": "a",
                    "test": "a",
                    "protocol": "usme_hdr",
                    "metrics": ["psnr_mu", "musiq"],
                },
                {"title": "Costs", "train": "a", "test": "a", "costs": ["params", "seconds"]},
            ],
            "rows": [
                {"labels": ["Ours"], "run": "small"},
                {"labels": ["Other"]},
                {"labels": ["Naive"], "run": "naive", "printed": False},
            ],
        }
    ],
}
REPORTED = [
    ["Method", "A", "", "Costs", ""],
    ["", "PSNR-μ", "MUSIQ", "Params(M)", "Time(s)"],
    ["Ours", "30.10", "60.1", "3.932", "0.16"],
    ["Other", "29.00", "59.0", "1.000", "0.20"],
]


def tiny_scene(seed: int) -> Scene:
    """Make a smooth 40x48 scene with a bright spot, photographed without noise or motion."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:40, :48] / 48
    planes = [0.1 + 0.08 * np.sin(6 * rows * generator.random() + 5 * columns + k) for k in range(3)]
    spot = np.exp(-((rows - generator.random()) ** 2 + (columns - generator.random()) ** 2) * 80)
    radiance = np.clip(np.stack(planes, -1) + spot[..., None], 0, 1).astype(np.float32)
    times = (1.0, 4.0, 16.0)
    ldrs = tuple((np.clip(radiance * t, 0, 1) ** (1 / 2.2)).astype(np.float32) for t in times)
    return Scene(f"s{seed}", ldrs, times, radiance)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """Enter a temporary checkout; returns its path."""
    write_checkout(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HDRBENCH_WORK", raising=False)
    card = catalog.card("embedded_a").model_copy(update={"title": "Tiny"})
    monkeypatch.setattr(catalog, "card", lambda name: card)
    monkeypatch.setattr(catalog, "verify", lambda name: [])
    monkeypatch.setattr(catalog, "scene_names", lambda name, split: ["s1", "s2"])
    monkeypatch.setattr(catalog, "load_scene", lambda name, split, scene: tiny_scene(int(scene[1:])))
    facts = {"name": "tiny", "digest": "0" * 64, "scenes": {"train": 2, "test": 2}, "files": 0, "bytes": 0}
    monkeypatch.setattr(catalog, "fingerprint", lambda name: facts)
    return tmp_path


def write_checkout(folder: Path, paper=PAPER, params=PARAMS, reported=REPORTED) -> None:
    """Write params.yaml and one replication."""
    home = folder / "replications" / "demo"
    (home / "reported").mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text("profile: embedded\n")
    (home / "paper.yaml").write_text(yaml.safe_dump(paper, allow_unicode=True))
    (home / "params.yaml").write_text(yaml.safe_dump(params))
    with (home / "reported" / "table1.csv").open("w", newline="") as file:
        csv.writer(file).writerows(reported)
