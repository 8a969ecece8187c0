"""Runs timed side by side, and the columns that show it."""

import copy
import dataclasses
import json

import pytest

from hdrbench import methods
from hdrbench.errors import HdrbenchError
from hdrbench.pipeline import speed
from hdrbench.pipeline.compare import compare
from hdrbench.pipeline.stages import stages

from .conftest import PAPER, PARAMS, write_checkout

DIFFUSION = {"width": 8, "multipliers": [1, 2], "blocks": 1, "attention": [], "ddpm_steps": 2}
TABLE = {
    "id": "table1",
    "number": "Table 1",
    "title": "Scores and times",
    "reported": "reported/table1.csv",
    "row_headers": ["Method"],
    "groups": [
        {"train": "a", "test": "a", "protocol": "usme_hdr", "metrics": ["psnr_mu"]},
        {"train": "a", "test": "a", "costs": ["image_seconds", "image_ratio", "call_seconds"]},
    ],
    "rows": [{"labels": ["Fast"], "run": "fast"}, {"labels": ["Slow"], "run": "slow"}],
}
PRINTED = [
    ["Method", "PSNR", "Time", "Faster", "Call"],
    ["Fast", "30.0", "0.1", "—", "0.1"],
    ["Slow", "30.0", "1.0", "10", "0.1"],
]
RUNS = {"fast": {"method": "expocm"}, "slow": {"method": "expocm", "options": {"sampler": "ddpm"}}}
CHECKOUT = PARAMS | {"runs": {"a": RUNS, "b": {"fast": {"method": "expocm"}}}, "showcase": ["a/fast"]}
CHECKOUT["profiles"] = copy.deepcopy(PARAMS["profiles"])
CHECKOUT["profiles"]["embedded"] |= {"options": {"expocm": DIFFUSION}, "objective": {}}
SPEED = {"size": {"embedded": [32, 48]}, "relative_to": "a/fast", "runs": {"a/fast": {}, "a/slow": {"ddpm_steps": 7}}}


@pytest.fixture
def paper(checkout):
    """Return a function that writes a paper whose table shows scores and times."""

    def written(**changed):
        content = PAPER | {"tables": [TABLE], "speed": SPEED | changed}
        write_checkout(checkout, paper=content, params=CHECKOUT, reported=PRINTED)

    return written


@pytest.fixture
def timed(paper, monkeypatch):
    """Write the paper and time its runs, with networks as they begin; returns what was written."""
    paper()
    monkeypatch.setattr(speed, "network_of", lambda run, device: methods.build(run.method, run.options).eval())
    return json.loads(speed.measure("demo", "embedded").read_text())


def cells():
    return [row["cells"] for row in compare("demo", "embedded")["tables"][0]["rows"]]


def test_every_call_of_the_network_counts_with_the_steps_of_the_paper(timed):
    fast, slow = timed["runs"]["a/fast"], timed["runs"]["a/slow"]
    assert (timed["size"], fast["calls"], slow["calls"]) == ([32, 48], 1, 7)
    assert len(fast["seconds"]) == len(slow["seconds"]) == speed.ROUNDS
    assert slow["options"] == {"sampler": "ddpm"} | DIFFUSION | {"ddpm_steps": 7}


def test_runs_take_turns_and_what_a_first_image_costs_is_not_timed(paper, monkeypatch):
    paper()
    monkeypatch.setattr(speed, "network_of", lambda run, device: methods.build(run.method, run.options).eval())
    real, made, before = methods.get("expocm"), [], []

    def reconstruct(network, image, times):
        made.append((network.sampler, *image.shape[-2:]))
        return real.reconstruct(network, image, times)

    def timed(call, device):
        before.append(len(made))
        return call(), 0.1

    monkeypatch.setattr(methods, "get", lambda name: dataclasses.replace(real, reconstruct=reconstruct))
    monkeypatch.setattr(speed, "timed", timed)
    speed.measure("demo", "embedded")
    assert (before[0], made[:2]) == (2, [("consistency", 16, 16), ("ddpm", 16, 16)])
    assert made[2:] == [("consistency", 32, 48), ("ddpm", 32, 48)] * speed.ROUNDS


def test_a_run_that_took_long_is_left_out_of_further_rounds(paper, monkeypatch):
    paper()
    monkeypatch.setattr(speed, "network_of", lambda run, device: methods.build(run.method, run.options).eval())
    monkeypatch.setattr(speed, "timed", lambda call, device: (call(), speed.ENOUGH_SECONDS / 2))
    runs = json.loads(speed.measure("demo", "embedded").read_text())["runs"]
    assert [len(run["seconds"]) for run in runs.values()] == [2, 2]


def test_medians_are_divided(timed):
    path = speed.speed_file("demo", "embedded")
    timed["runs"]["a/fast"]["seconds"], timed["runs"]["a/slow"]["seconds"] = [0.5, 0.1, 9.0], [3.5]
    path.write_text(json.dumps(timed))
    fast, slow = cells()
    assert [cell["value"] for cell in slow[1:]] == [3.5, 7.0, 0.5]
    assert [cell["value"] for cell in fast[1:]] == [0.5, 1.0, 0.5]
    assert (slow[2]["text"], slow[2]["reported"], slow[2]["state"]) == ("7.00", "10", "other_data")
    assert slow[2]["reason"].startswith("one measurement, 7 network calls for an image of 48x32 on CPU")
    assert fast[1]["reason"].startswith("median of 3, 1 network calls")
    assert slow[1]["command"] == "dvc repro replications/demo/dvc.yaml:speed@embedded"
    assert slow[2]["rank"] is None


def test_without_times_or_with_other_options_there_is_no_number(timed):
    path = speed.speed_file("demo", "embedded")
    timed["runs"]["a/slow"]["options"]["ddpm_steps"] = 8
    path.write_text(json.dumps(timed))
    assert cells()[1][1]["reason"].startswith("timed with other options of a/slow")
    assert cells()[0][1]["state"] == "other_data"
    path.unlink()
    assert [row[1]["state"] for row in cells()] == ["not_run", "not_run"]


def test_other_code_and_damaged_files_show(timed):
    path = speed.speed_file("demo", "embedded")
    timed["runs"]["a/slow"]["code"] = "0" * 16
    path.write_text(json.dumps(timed))
    assert cells()[1][1]["reason"].endswith("the code changed since this was measured")
    path.write_text("{}")
    assert cells()[1][1]["state"] == "not_run"
    assert any("speed.json" in problem for problem in compare("demo", "embedded")["problems"])


def test_the_stage_waits_for_the_weights_and_the_page_for_the_stage(paper):
    paper()
    found = stages("demo")
    out = "results/demo/${item.profile}"
    assert found["speed"]["deps"] == [f"{out}/weights/a/{name}.safetensors" for name in ("fast", "slow")]
    assert f"{out}/speed.json" in found["report"]["deps"]


def test_without_weights_it_says_what_is_missing(paper):
    paper()
    with pytest.raises(HdrbenchError, match=r"fast\.safetensors"):
        speed.measure("demo", "embedded")


def test_a_paper_without_speed_has_nothing_to_time(checkout):
    with pytest.raises(HdrbenchError, match="nothing to time"):
        speed.measure("demo", "embedded")
    assert "speed" not in stages("demo")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": {}}, "expected embedded"),
        ({"relative_to": "a/fats"}, "did you mean 'a/fast'"),
        ({"runs": {"a/fast": {}, "a/slwo": {}}}, "did you mean 'a/slow'"),
        ({"runs": {"a/fast": {}}}, "'image_seconds' of 'a/slow', which 'speed' does not name"),
    ],
)
def test_what_is_timed_refers_to_what_exists(paper, change, message):
    paper(**change)
    with pytest.raises(HdrbenchError, match=message):
        compare("demo", "embedded")
