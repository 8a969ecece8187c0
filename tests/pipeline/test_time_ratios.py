"""The cost that compares a run's seconds with another's, and rows with a training set of their own."""

import copy
import json

import pytest

from hdrbench import spec
from hdrbench.errors import HdrbenchError
from hdrbench.pipeline.compare import compare
from hdrbench.pipeline.data import of_split, prepare_data
from hdrbench.pipeline.evaluate import evaluate
from hdrbench.pipeline.needs import evaluations, needed
from hdrbench.pipeline.train import train
from hdrbench.runs import resolve

from .conftest import PAPER, PARAMS, write_checkout

NAIVE = {"method": "gamma_linear"}
TABLE = {
    "id": "table1",
    "number": "Table 1",
    "title": "Scores and times",
    "reported": "reported/table1.csv",
    "row_headers": ["Method"],
    "groups": [
        {"train": "a", "test": "a", "protocol": "usme_hdr", "metrics": ["psnr_mu"]},
        {"train": "a", "test": "a", "costs": ["seconds"]},
        {"train": "a", "test": "a", "costs": ["seconds_ratio"], "relative_to": "fast"},
    ],
    "rows": [{"labels": ["Fast"], "run": "fast"}, {"labels": ["Slow"], "run": "slow"}],
}
PRINTED = [["Method", "PSNR", "Time", "Faster"], ["Fast", "30.0", "0.1", "—"], ["Slow", "30.0", "1.0", "10"]]
CHECKOUT = PARAMS | {"runs": {"a": {"fast": NAIVE, "slow": NAIVE}, "b": {"fast": NAIVE}}, "showcase": ["a/fast"]}
CHECKOUT["profiles"] = copy.deepcopy(PARAMS["profiles"])
CHECKOUT["profiles"]["embedded"] |= {"options": {}, "objective": {}}


@pytest.fixture
def fill(checkout):
    """Return a function that writes a paper of one table, scores some runs, makes them take some seconds, and compares."""

    def filled(seconds, table=TABLE, printed=PRINTED, **changed):
        write_checkout(checkout, paper=PAPER | {"tables": [table]}, params=CHECKOUT, reported=printed)
        asked = evaluations(spec.load("demo"))
        for role, name, test in asked:
            if name not in seconds:
                continue
            run = resolve("demo", "embedded", f"{role}/{name}")
            train(run, of_split(prepare_data("demo", "embedded", role), "train"), accelerator="cpu")
            facts = prepare_data("demo", "embedded", test)
            evaluate(run, test, of_split(facts, "test"), needed("demo", run.id, test))
            record = json.loads(run.scores(test).read_text())
            record |= {"seconds": seconds[name]}
            record["evaluation"]["environment"] |= changed.get(name, {})
            run.scores(test).write_text(json.dumps(record))
        return [row["cells"] for row in compare("demo", "embedded")["tables"][0]["rows"]]

    return filled


def test_medians_are_divided(fill):
    fast, slow = fill({"fast": [0.5, 0.5], "slow": [2.0, 6.0]})
    assert (slow[2]["value"], slow[2]["text"], slow[2]["reported"]) == (8.0, "8", "10")
    assert (fast[2]["value"], fast[2]["state"]) == (1.0, "not_reported")
    assert slow[2]["state"] == "other_data"
    assert slow[2]["reason"].startswith("4 s / 0.5 s of a/fast; median over 2 images of 48x40 on CPU")
    assert [cell["metric"] for cell in slow] == ["psnr_mu", "seconds", "seconds_ratio"]
    assert slow[2]["rank"] is None


def test_without_the_other_run_there_is_no_ratio(fill):
    _, slow = fill({"slow": [2.0, 6.0]})
    assert (slow[1]["value"], slow[2]["state"]) == (4.0, "not_run")
    assert slow[2]["reason"].startswith("run 'a/fast': ")


def test_times_of_different_machines_are_not_divided(fill):
    fast, slow = fill({"fast": [0.5, 0.5], "slow": [2.0, 2.0]}, slow={"device": "a faster one"})
    assert slow[2]["state"] == "not_run"
    assert "another device than a/fast; evaluate both again" in slow[2]["reason"]
    assert fast[2]["value"] == 1


def test_a_row_may_have_a_training_set_of_its_own(fill):
    table, printed = copy.deepcopy(TABLE), copy.deepcopy(PRINTED)
    table["rows"].append({"labels": ["Fast, B"], "run": "fast", "train": "b", "test": "b"})
    printed.append(["Fast, B", "31.0", "0.1", "—"])
    cells = fill({"fast": [0.5, 0.5]}, table, printed)
    assert [row[0]["run"] for row in cells] == ["a/fast", "a/slow", "b/fast"]
    assert "evaluate_b_on_b@" in cells[2][0]["command"]
    assert cells[2][2]["value"] == 1


@pytest.mark.parametrize(
    ("group", "change", "message"),
    [
        (2, {"relative_to": None}, "seconds_ratio needs relative_to"),
        (1, {"relative_to": "fast"}, "and nothing else does"),
        (2, {"relative_to": "fats"}, "did you mean 'fast'"),
    ],
)
def test_a_ratio_names_a_run_and_nothing_else_does(fill, group, change, message):
    table = copy.deepcopy(TABLE)
    table["groups"][group] |= change
    with pytest.raises(HdrbenchError, match=message):
        fill({}, table)
