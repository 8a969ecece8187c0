"""Tables whose columns are runs and whose rows are scenes, numbers from elsewhere, and damaged scenes."""

import copy
import csv
import json

import pytest

from hdrbench.datasets.judging import Survey
from hdrbench.errors import DataMissingError, HdrbenchError
from hdrbench.pipeline import data as data_module
from hdrbench.pipeline.compare import compare
from hdrbench.pipeline.data import of_split, prepare_data, stored_facts
from hdrbench.pipeline.evaluate import evaluate
from hdrbench.pipeline.needs import needed
from hdrbench.pipeline.prepare import Prepared
from hdrbench.pipeline.train import train
from hdrbench.runs import resolve

from .conftest import PAPER, write_checkout

GROUP = {"train": "a", "test": "a", "protocol": "usme_hdr", "metrics": ["psnr_mu"]}
TABLE = {
    "id": "table1",
    "number": "Table 1",
    "title": "Scene by scene",
    "reported": "reported/table1.csv",
    "row_headers": ["Scene"],
    "groups": [
        GROUP | {"runs": ["naive"]},
        GROUP
        | {
            "title": "by others",
            "runs": ["naive"],
            "printed": False,
            "labels": ["Theirs"],
            "elsewhere": {"reported": "reported/others.csv", "source": "Others 2020"},
        },
        GROUP | {"title": "spread", "metrics": ["psnr_mu sd"], "runs": ["naive"], "printed": False, "labels": ["sd"]},
    ],
    "rows": [
        {"labels": ["Castle"], "scene": "Castle"},
        {"labels": ["s1"], "scene": "s1"},
        {"labels": ["Mean"], "average": True},
        {"labels": ["All"], "printed": False},
    ],
}
REPORTED = [["Scene", "Naive"], ["Castle", "20.0"], ["s1", "21.0"], ["Mean", "20.5"]]
OTHERS = [["Scene", "Theirs"], ["Castle", "30.25"], ["s1", ""], ["Mean", ""], ["All", ""]]


def write(folder, table=TABLE, others=OTHERS):
    write_checkout(folder, paper=PAPER | {"tables": [table]}, reported=REPORTED)
    with (folder / "replications/demo/reported/others.csv").open("w", newline="") as file:
        csv.writer(file).writerows(others)


@pytest.fixture
def scored(checkout):
    """A checkout whose naive run is scored; returns the PSNR of s1 and s2."""
    write(checkout)
    facts = prepare_data("demo", "embedded", "a")
    run = resolve("demo", "embedded", "a/naive")
    train(run, of_split(facts, "train"), accelerator="cpu")
    return json.loads(evaluate(run, "a", of_split(facts, "test"), needed("demo", run.id, "a")).read_text())["sheets"][
        0
    ]["metrics"]["psnr_mu"]


def column(tables, index):
    return [row["cells"][index] for row in tables["tables"][0]["rows"]]


def test_rows_are_scenes_and_others_stand_in_for_the_papers(scored):
    castle, named, mean, everything = column(compare("demo", "embedded"), 0)
    assert castle["value"] == named["value"] == scored[0]
    assert "scene 's1' stands in for 'Castle'" in castle["reason"]
    assert named["reason"] is None
    assert (castle["n"], castle["sd"], castle["reported"], castle["state"]) == (1, None, "20.0", "other_data")
    assert mean["value"] == scored[0]
    assert everything["value"] == pytest.approx(sum(scored) / 2)
    assert everything["state"] == "not_reported"
    assert castle["rank"] is None
    assert mean["reason"] == "over the scenes that stand in for the paper's"


def test_numbers_from_elsewhere_are_called_so(scored):
    tables = compare("demo", "embedded")
    castle, named, *_ = column(tables, 1)
    assert (castle["state"], castle["reported"]) == ("elsewhere", "30.25")
    assert castle["reason"].startswith("printed by Others 2020; measured on other data")
    assert castle["text"] == f"{scored[0]:.2f}"
    assert named["state"] == "not_reported"
    assert tables["tables"][0]["columns"][1]["elsewhere"] == "Others 2020"
    assert "4 cells hold numbers" not in tables["verdict"]


def test_standard_deviations_need_two_images(scored):
    castle, *_, everything = column(compare("demo", "embedded"), 2)
    assert castle["state"] == "not_computable"
    assert everything["value"] == pytest.approx(abs(scored[0] - scored[1]) / 2)


def test_under_comparable_data_nothing_stands_in(scored, checkout):
    file = checkout / "replications/demo/params.yaml"
    file.write_text(file.read_text().replace("comparable: false", "comparable: true"))
    castle, named, mean, everything = column(compare("demo", "embedded"), 0)
    assert castle["state"] == mean["state"] == "not_computable"
    assert "no scene of the name 'Castle'" in castle["reason"]
    assert named["value"] == scored[0]
    assert everything["value"] is not None


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("groups", 0, "runs"), ["naiv"], "did you mean 'naive'"),
        (("groups", 0, "metrics"), ["psnr_mu", "ssim_mu"], "gives table1 2 printed columns"),
        (("groups", 0, "metrics"), [], "unknown metric ''"),
        (("groups", 0, "costs"), ["params"], "columns that are runs show metrics"),
        (("rows", 0, "metric"), "ssim_mu", "both name a metric"),
        (("rows", 0, "metric"), "", "at least 1 character"),
        (("groups", 0, "metrics"), ["params sd"], "has no standard deviation"),
        (("groups", 0, "runs"), ["naive", "naive"], "names a run twice"),
        (("rows", 0, "test"), "c", "unknown data set 'c'"),
        (("rows", 0, "run"), "naive", "both name a run|one of run, scene and average"),
        (("rows", 0, "average"), True, "one of run, scene and average"),
        (("rows", 1, "scene"), "Castle", "two rows are of scene 'Castle'"),
        (("groups", 0, "labels"), ["x"], "its labels and numbers are in"),
        (("groups", 1, "labels"), ["Their"], "columns are \\['Theirs'\\], but paper.yaml has \\['Their'\\]"),
    ],
)
def test_tables_that_do_not_fit_are_one_line(checkout, path, value, message):
    table = copy.deepcopy(TABLE)
    *parents, last = path
    place = table
    for part in parents:
        place = place[part]
    place[last] = value
    write(checkout, table)
    with pytest.raises(HdrbenchError, match=message):
        compare("demo", "embedded")


def damaged(usable, left_out, remarks=()):
    return lambda name: Survey(usable, left_out, tuple(remarks), ())


def test_a_damaged_scene_is_left_out_and_counted(checkout, monkeypatch):
    state = damaged(
        {"train": ("s1",), "test": ("s1", "s2")},
        {"train": {"s2": "s2/1.tif: truncated"}, "test": {}},
        ["extra.txt: unexpected"],
    )
    monkeypatch.setattr(data_module, "survey", state)
    facts = prepare_data("demo", "embedded", "a")
    assert {split: about["scenes"] for split, about in facts["splits"].items()} == {"train": 1, "test": 2}
    assert Prepared(of_split(facts, "train"), "train").names == ["s1"]
    assert Prepared(of_split(facts, "test"), "test").names == ["s1", "s2"]
    assert stored_facts("demo", "embedded", "a") == facts
    role = compare("demo", "embedded")["profile"]["roles"][0]
    assert role["scenes"] == {"train": 1, "test": 2}
    assert role["left_out"] == {"train": {"s2": "s2/1.tif: truncated"}}
    assert role["remarks"] == ["extra.txt: unexpected"]


def test_a_test_image_that_changes_trains_nothing_again(checkout, monkeypatch):
    before = prepare_data("demo", "embedded", "a")
    monkeypatch.setattr(data_module, "fingerprint", lambda name, split: {"digest": split * 16})
    after = prepare_data("demo", "embedded", "a")
    assert after["splits"]["train"]["digest"] == "train" * 16
    monkeypatch.setattr(
        data_module, "fingerprint", lambda name, split: {"digest": ("x" if split == "test" else split) * 16}
    )
    changed = prepare_data("demo", "embedded", "a")
    assert changed["splits"]["train"] == after["splits"]["train"]
    assert changed["splits"]["test"] != after["splits"]["test"] != before["splits"]["test"]


def test_a_set_without_its_training_part_can_be_tested_on(checkout, monkeypatch):
    def only_test(name, split):
        if split == "train":
            raise DataMissingError("folder Training is missing")
        return {"digest": "t" * 64}

    monkeypatch.setattr(data_module, "fingerprint", only_test)
    facts = prepare_data("demo", "embedded", "a")
    assert list(facts["splits"]) == ["test"]
    assert of_split(facts, "test")["digest"] == "t" * 64
    with pytest.raises(DataMissingError, match="has no split 'train' here"):
        of_split(facts, "train")


def test_a_split_without_any_usable_scene_is_missing_data(checkout, monkeypatch):
    state = damaged({"train": (), "test": ("s1",)}, {"train": {"s1": "s1/1.tif: truncated"}, "test": {}})
    monkeypatch.setattr(data_module, "survey", state)
    with pytest.raises(DataMissingError, match=r"no usable scene in split 'train': s1/1.tif: truncated"):
        prepare_data("demo", "embedded", "a")
