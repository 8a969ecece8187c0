"""Tables whose rows have a test set or a metric of their own, whose columns are runs, and methods that do not exist yet."""

import copy
import json

import pytest

from hdrbench import spec
from hdrbench.errors import HdrbenchError
from hdrbench.pipeline.cells import Measured, measured_cell
from hdrbench.pipeline.compare import compare
from hdrbench.pipeline.data import of_split, prepare_data
from hdrbench.pipeline.evaluate import evaluate
from hdrbench.pipeline.needs import evaluations, needed
from hdrbench.pipeline.stages import stages
from hdrbench.pipeline.train import train
from hdrbench.runs import resolve
from hdrbench.spec import asked

from .conftest import PAPER, write_checkout

SETS = {
    "id": "table1",
    "number": "Table 1",
    "title": "Two test sets, two protocols",
    "reported": "reported/table1.csv",
    "row_headers": ["Set", "Method"],
    "groups": [
        {
            "title": "PSNR",
            "train": "a",
            "test": "a",
            "protocol": "cevr",
            "metrics": ["psnr_display", "psnr_display sd"],
        },
        {"title": "KK", "train": "a", "test": "a", "protocol": "cevr_kim_kautz", "metrics": ["psnr_display"]},
        {
            "title": "User study",
            "train": "a",
            "test": "a",
            "metrics": ["preferred"],
            "not_computable": "people said so",
        },
    ],
    "rows": [
        {"labels": ["A", "Other"]},
        {"labels": ["A", "Naive"], "run": "naive"},
        {"labels": ["B", "Naive"], "run": "naive", "test": "b"},
    ],
}
PRINTED = [
    ["", "", "PSNR", "", "KK", "User study"],
    ["", "", "m", "σ", "m", "share"],
    ["A", "Other", "30.00", "1.00", "20.00", "32"],
    ["A", "Naive", "31.00", "2.00", "21.00", "68"],
    ["B", "Naive", "32.00", "3.00", "22.00", "50"],
]
COLUMNS = {
    "id": "table1",
    "number": "Table 1",
    "title": "Runs side by side",
    "reported": "reported/table1.csv",
    "row_headers": ["Metric"],
    "groups": [{"train": "a", "test": "a", "protocol": "usme_hdr", "runs": ["naive", None]}],
    "rows": [{"labels": ["PSNR"], "metric": "psnr_mu"}, {"labels": ["SSIM"], "metric": "ssim_mu"}],
}
DASHES = [["", "Naive", "Theirs"], ["PSNR", "—", "30.0"], ["SSIM", "0.900", "—"]]


@pytest.fixture
def results(checkout):
    """Return a function that writes a paper of one table, runs the naive method, and fills the table's cells."""

    def fill(table, reported):
        write_checkout(checkout, paper=PAPER | {"tables": [table]}, reported=reported)
        run = resolve("demo", "embedded", "a/naive")
        for number, test in enumerate(dict.fromkeys(test for *_, test in evaluations(spec.load("demo")))):
            facts = prepare_data("demo", "embedded", test)
            if not number:
                train(run, of_split(prepare_data("demo", "embedded", "a"), "train"), accelerator="cpu")
            evaluate(run, test, of_split(facts, "test"), needed("demo", run.id, test))
        return compare("demo", "embedded")["tables"][0]

    return fill


def test_rows_choose_their_test_set_and_groups_their_protocol(results):
    table = results(SETS, PRINTED)
    other, first, second = (row["cells"] for row in table["rows"])
    assert [cell["test"] for cell in (other[0], first[0], second[0])] == ["a", "a", "b"]
    assert first[0]["value"] == second[0]["value"]  # the two sets of this checkout are alike
    assert first[0]["value"] != first[2]["value"]
    assert [cell["protocol"] for cell in first] == ["cevr", "cevr", "cevr_kim_kautz", ""]
    two = json.loads(resolve("demo", "embedded", "a/naive").scores("a").read_text())["sheets"][0]["metrics"][
        "psnr_display"
    ]
    assert (
        first[1]["value"] == first[0]["sd"] == pytest.approx(abs(two[0] - two[1]) / 2)
    )  # of all scenes, not of a sample
    assert first[1]["better"] is None
    assert "evaluate_a_on_b@" in second[0]["command"]


def test_what_nobody_has_or_can_measure_says_why(results):
    other, first, _ = (row["cells"] for row in results(SETS, PRINTED)["rows"])
    assert {cell["state"] for cell in other[:3]} == {"not_implemented"}
    assert other[0]["reason"] == "Other does not exist here yet"
    assert (first[3]["state"], first[3]["reason"], first[3]["reported"]) == ("not_computable", "people said so", "68")


def test_rows_choose_their_metric_and_a_column_may_wait_for_its_method(results):
    table = results(COLUMNS, DASHES)
    psnr, ssim = (row["cells"] for row in table["rows"])
    assert [cell["metric"] for cell in psnr + ssim] == ["psnr_mu", "psnr_mu", "ssim_mu", "ssim_mu"]
    assert ssim[0]["text"] == f"{ssim[0]['value']:.3f}"
    assert psnr[0]["text"] == f"{psnr[0]['value']:.1f}"
    assert [(cell["decimals"], cell["unit"]) for cell in (psnr[0], ssim[0])] == [(1, "dB"), (3, None)]
    assert psnr[1]["reason"] == "Theirs does not exist here yet"
    assert [column["better"] for column in table["columns"]] == [None, None]
    assert len({column["id"] for column in table["columns"]}) == 2


def test_a_printed_dash_is_no_number_to_differ_from(results):
    psnr, ssim = (row["cells"] for row in results(COLUMNS, DASHES)["rows"])
    assert (psnr[0]["state"], psnr[0]["reported"], psnr[0]["delta"]) == ("not_reported", "—", None)
    assert (ssim[1]["state"], ssim[1]["reported"]) == ("not_implemented", "—")
    assert measured_cell(Measured(3.0, None, None, True), "nan", None, None, 1).state == "not_reported"


def test_one_subject_under_two_protocols_has_a_sheet_for_each(results):
    results(SETS, PRINTED)
    wanted = needed("demo", "a/naive", "a")
    assert [(sheet.protocol, sheet.metrics) for sheet in wanted] == [
        ("cevr", ("psnr_display",)),
        ("cevr_kim_kautz", ("psnr_display",)),
    ]


def test_a_run_named_by_row_and_column_is_refused(checkout):
    table = copy.deepcopy(COLUMNS)
    table["rows"][0]["run"] = "naive"
    write_checkout(checkout, paper=PAPER | {"tables": [table]}, reported=DASHES)
    with pytest.raises(HdrbenchError, match="both name a run"):
        compare("demo", "embedded")


def test_what_a_cell_asks_for():
    group = spec.Group(train="a", test="a", protocol="cevr", metrics=["hdrvdp2 sd"], subject="x")
    cell = asked(group, "hdrvdp2 sd", None, spec.Row(labels=["r"], run="n", subject="y", test="b"))
    assert cell == spec.Asked("a", "n", "b", "y", "cevr", "hdrvdp2", spread=True)


def test_a_row_may_have_a_training_set_of_its_own(checkout):
    group = {"train": "a", "test": "a", "protocol": "usme_hdr", "metrics": ["psnr_mu"]}
    rows = [{"labels": ["A"], "run": "small"}, {"labels": ["B"], "run": "small", "train": "b", "test": "b"}]
    table = SETS | {"row_headers": ["Set"], "groups": [group], "rows": rows}
    write_checkout(
        checkout, paper=PAPER | {"tables": [table]}, reported=[["Set", "PSNR"], ["A", "30.0"], ["B", "31.0"]]
    )
    assert list(evaluations(spec.load("demo"))) == [("a", "small", "a"), ("b", "small", "b")]
    cells = [row["cells"][0] for row in compare("demo", "embedded")["tables"][0]["rows"]]
    assert [cell["run"] for cell in cells] == ["a/small", "b/small"]
    assert "evaluate_b_on_b@" in cells[1]["command"]


class TestATableThatThePaperDoesNotHave:
    TABLE = SETS | {
        "reported": None,
        "row_headers": ["Choice"],
        "groups": [
            {
                "train": "a",
                "test": "a",
                "protocol": "usme_hdr",
                "metrics": ["psnr_mu", "ssim_mu"],
                "printed": False,
                "labels": ["PSNR-μ", "SSIM-μ"],
            }
        ],
        "rows": [{"labels": ["None"], "run": "naive"}, {"labels": ["Ours"], "run": "small"}],
    }

    def test_needs_no_file(self, results):
        cells = results(self.TABLE, [])["rows"][0]["cells"]
        assert [cell["state"] for cell in cells] == ["not_reported", "not_reported"]
        assert [cell["decimals"] for cell in cells] == [2, 4]
        assert not any("reported" in path for path in stages("demo")["report"]["deps"])

    def test_has_no_printed_columns(self, checkout):
        table = self.TABLE | {"groups": [self.TABLE["groups"][0] | {"printed": True, "labels": []}]}
        write_checkout(checkout, paper=PAPER | {"tables": [table]})
        with pytest.raises(HdrbenchError, match="'reported' names no file"):
            compare("demo", "embedded")
