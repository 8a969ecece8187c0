import copy
import json

import pytest

from hdrbench.errors import DataMissingError, HdrbenchError
from hdrbench.pipeline.cells import Measured, decimals, judge, measured_cell, ranks
from hdrbench.pipeline.compare import compare
from hdrbench.pipeline.data import data_file, of_split, prepare_data, stored_facts, write_digests
from hdrbench.pipeline.evaluate import evaluate
from hdrbench.pipeline.failures import recorded
from hdrbench.pipeline.needs import count_costs, needed
from hdrbench.pipeline.train import train
from hdrbench.protocol import Wanted
from hdrbench.runs import resolve
from hdrbench.spec import Tolerance

from .conftest import PAPER, PARAMS, REPORTED, write_checkout

LOOSE = Tolerance(value=0.3, reason="because")


@pytest.mark.parametrize(
    ("value", "reported", "better", "tolerance", "state"),
    [
        (33.384, "33.38", "higher", None, "equal"),
        (33.386, "33.38", "higher", None, "better"),
        (33.374, "33.38", "higher", None, "worse"),
        (33.60, "33.38", "higher", LOOSE, "within"),
        (33.69, "33.38", "higher", LOOSE, "better"),
        (33.07, "33.38", "higher", LOOSE, "worse"),
        (0.4, "0.9", "lower", None, "better"),
        (1.0, "0.9", "lower", None, "worse"),
        (18.2, "18", "lower", None, "equal"),
        (1.0, "0.9", None, None, "worse"),
    ],
)
def test_states(value, reported, better, tolerance, state):
    assert judge(value, reported, better, tolerance) == state


def test_a_cell_keeps_the_printed_precision_and_points_its_difference_to_the_good():
    cell = measured_cell(Measured(3.10149, 0.2, 6, True), "3.20", "lower", None, 2)
    assert (cell.text, cell.delta_text, cell.state) == ("3.10", "+0.10", "better")
    assert cell.delta_percent == pytest.approx(100 * (3.20 - 3.10149) / 3.20)
    elsewhere = measured_cell(Measured(3.1, None, None, False), "3.20", "lower", None, 2)
    assert elsewhere.state == "other_data"
    assert measured_cell(Measured(3.14159, None, None, False), None, "lower", None, 3).text == "3.142"


def test_ranks_share_ties_and_skip_gaps():
    assert ranks([1.0, None, 3.0, 3.0, 2.0], "higher") == [None, None, 1, 1, 2]
    assert ranks([1.0, None, 3.0, 2.0], "lower") == [1, None, None, 2]
    assert ranks([1.0], None) == [None]


def test_decimals_of_printed_numbers():
    assert [decimals(text) for text in ("34.40", "7", "0.9814", "1065.00")] == [2, 0, 4, 2]


def cells(tables):
    return {
        (row["labels"][0], column["label"]): cell
        for table in tables["tables"]
        for row in table["rows"]
        for column, cell in zip(table["columns"], row["cells"], strict=True)
    }


def test_a_page_is_built_from_nothing_and_then_fills(checkout, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(checkout / "no weights"))
    empty = cells(compare("demo", "embedded"))
    assert {cell["state"] for cell in empty.values()} == {"not_run", "not_implemented"}
    assert empty["Other", "PSNR-μ"]["reported"] == "29.00"

    facts = prepare_data("demo", "embedded", "a")
    for name in ("a/small", "a/naive"):
        run = resolve("demo", "embedded", name)
        train(run, of_split(facts, "train"), accelerator="cpu")
        evaluate(run, "a", of_split(facts, "test"), needed("demo", run.id, "a"))
    count_costs("demo")
    tables = compare("demo", "embedded")
    found = cells(tables)
    assert found["Ours", "Params(M)"]["state"] == "equal"
    assert found["Ours", "PSNR-μ"]["state"] == "other_data"
    assert found["Ours", "PSNR-μ"]["n"] == 2
    assert found["Ours", "Time(s)"]["state"] == "other_data"
    assert found["Naive", "PSNR-μ"]["state"] == "not_reported"
    assert found["Ours", "MUSIQ"]["state"] == "weights_missing"
    assert "musiq_koniq" in found["Ours", "MUSIQ"]["reason"]
    assert "dvc repro -sf replications/demo/dvc.yaml:evaluate_a_on_a@embedded-small" in found["Ours", "MUSIQ"]["reason"]
    assert {found["Ours", "PSNR-μ"]["rank"], found["Naive", "PSNR-μ"]["rank"]} == {1, 2}
    assert "Not a replication" in tables["verdict"]
    assert len(tables["scores"]["a/small"]["a"]["sheets"][0]["metrics"]["psnr_mu"]) == 2
    assert tables["runs"]["a/small"]["notes"][0].startswith("perceptual: random features")
    json.dumps(tables, allow_nan=False)


def test_a_metric_that_cannot_score_a_scene_fails_alone(checkout):
    facts = prepare_data("demo", "embedded", "a")
    run = resolve("demo", "embedded", "a/naive")
    wanted = [Wanted("result", "usme_hdr", ("psnr_mu", "ms_ssim_l"))]
    train(run, of_split(facts, "train"), accelerator="cpu")
    record = json.loads(evaluate(run, "a", of_split(facts, "test"), wanted).read_text())["sheets"][0]
    assert set(record["metrics"]) == {"psnr_mu"}
    assert "176" in record["failed"]["ms_ssim_l"]


def test_missing_data_and_failures_are_states(checkout, monkeypatch):
    from hdrbench.datasets import catalog

    run = resolve("demo", "embedded", "a/small")
    with pytest.raises(RuntimeError), recorded(run, "train"):
        raise RuntimeError("out of memory\nand more")
    assert cells(compare("demo", "embedded"))["Ours", "PSNR-μ"]["reason"] == "RuntimeError: out of memory"
    with recorded(run, "train"):
        pass
    assert cells(compare("demo", "embedded"))["Ours", "PSNR-μ"]["state"] == "not_run"
    monkeypatch.setattr(catalog, "verify", lambda name: ["folder Training is missing", "and more"])
    cell = cells(compare("demo", "embedded"))["Ours", "PSNR-μ"]
    assert (cell["state"], cell["reason"]) == ("data_missing", "folder Training is missing")
    with pytest.raises(DataMissingError, match=r"folder Training is missing .*hdrbench data verify tiny_a"):
        prepare_data("demo", "embedded", "a")


def test_columns_that_need_a_proprietary_tool_say_so(checkout):
    reason = "proprietary tool (substitute shown)"
    write_checkout(checkout, paper=changed(PAPER, ["tables", 0, "groups", 0, "not_computable"], reason))
    cell = cells(compare("demo", "embedded"))["Ours", "PSNR-μ"]
    assert (cell["state"], cell["reason"], cell["reported"]) == ("not_computable", reason, "30.10")
    with pytest.raises(HdrbenchError, match="ask for no metric of run 'a/small'"):
        needed("demo", "a/small", "a")


def test_damaged_facts_are_made_anew(checkout):
    facts = prepare_data("demo", "embedded", "a")
    data_file("demo", "embedded", "a").write_text('{"data":1')
    assert stored_facts("demo", "embedded", "a") is None
    assert prepare_data("demo", "embedded", "a") == facts == stored_facts("demo", "embedded", "a")


def test_other_code_that_makes_the_data_is_told(checkout, monkeypatch):
    from hdrbench.pipeline import lookup

    facts = prepare_data("demo", "embedded", "a")
    run = resolve("demo", "embedded", "a/naive")
    train(run, of_split(facts, "train"), accelerator="cpu")
    evaluate(run, "a", of_split(facts, "test"), needed("demo", run.id, "a"))
    assert cells(compare("demo", "embedded"))["Naive", "PSNR-μ"]["reason"] is None
    monkeypatch.setattr(lookup, "data_code", lambda dataset, task: "other")
    reason = cells(compare("demo", "embedded"))["Naive", "PSNR-μ"]["reason"]
    assert reason.startswith("code that makes the training data and code that makes the test data changed")


def test_scores_of_another_run_are_not_taken(checkout):
    facts = prepare_data("demo", "embedded", "a")
    run = resolve("demo", "embedded", "a/naive")
    train(run, of_split(facts, "train"), accelerator="cpu")
    file = evaluate(run, "a", of_split(facts, "test"), needed("demo", run.id, "a"))
    file.write_text(file.read_text().replace('"run": "a/naive"', '"run": "a/small"'))
    assert "holds the scores of run 'a/small'" in cells(compare("demo", "embedded"))["Naive", "PSNR-μ"]["reason"]


def test_a_method_that_refuses_a_scene_is_one_line(checkout, monkeypatch):
    from hdrbench.pipeline.tasks.single_image import outputs

    def refuse(*_):
        raise ValueError("expected light")

    facts = prepare_data("demo", "embedded", "a")
    run = resolve("demo", "embedded", "a/naive")
    train(run, of_split(facts, "train"), accelerator="cpu")
    monkeypatch.setattr(outputs, "apply", refuse)
    with pytest.raises(HdrbenchError, match="run 'a/naive', scene 's1': expected light"):
        evaluate(run, "a", of_split(facts, "test"), needed("demo", run.id, "a"))


def test_code_digests_name_every_run(checkout):
    digests = json.loads(write_digests("demo").read_text())
    assert set(digests["train"]) == set(digests["settings"]["embedded"]) == {"a", "b"}
    assert digests["train"]["a"]["small"] == digests["train"]["b"]["small"] != digests["train"]["a"]["naive"]


def changed(source, path, value):
    """Copy nested data with one place changed; None removes it."""
    result = copy.deepcopy(source)
    *parents, last = path
    place = result
    for part in parents:
        place = place[part]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return result


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["titel"], "x", "did you mean 'title'"),
        (["tables", 0, "rows", 0, "rum"], "x", "did you mean 'run'"),
        (["tables", 0, "rows", 0, "run"], "smal", "did you mean 'small'"),
        (["tables", 0, "groups", 0, "test"], "c", "unknown data set 'c'"),
        (["tables", 0, "groups", 1, "costs"], ["param", "seconds"], "did you mean 'params'"),
        (["tables", 0, "groups", 0, "metrics"], ["psnr_mu"], "3 printed columns .* but the file has 4"),
        (["tables", 0, "groups", 0, "metrics"], ["psnr_mus"], "did you mean 'psnr_mu'"),
        (["tables", 0, "groups", 0, "protocol"], "usme", "paper.yaml: .*did you mean 'usme_hdr'"),
        (["tables", 0, "id"], "../evil", "at 'tables.0.id'"),
        (["tables", 0, "rows", 2, "labels"], ["a", "b"], "needs 1 labels"),
        (["tolerances", "psnr_mu", "value"], float("nan"), "finite number"),
        (["tolerances", "psnr_mus"], {"value": 1, "reason": "x"}, "did you mean 'psnr_mu'"),
        (["roles", "c"], "set C", "names no data set for 'c'"),
        (["tables", 0, "groups", 0, "title"], "B", "column groups"),
        (["tables", 0, "rows", 1, "labels"], ["Others"], "row 2 is \\['Other'\\], but paper.yaml has \\['Others'\\]"),
        (["tables", 0, "rows", 1], None, "has 2 rows, but paper.yaml gives table1 1"),
        (["tables", 0, "reported"], "reported/no.csv", "no.csv: file not found"),
        (["year"], "soon", "at 'year': input should be a valid integer"),
        (["title"], None, "at 'title': field required"),
    ],
)
def test_a_broken_paper_is_one_line_that_says_where(checkout, path, value, message):
    write_checkout(checkout, paper=changed(PAPER, path, value))
    with pytest.raises(HdrbenchError, match=message) as caught:
        compare("demo", "embedded")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["profiles", "embedded", "training", "crops"], 3, "did you mean 'crop'"),
        (["profiles", "embedded", "data", "b"], None, "names no data set for 'b'"),
        (["profiles", "embeded"], PARAMS["profiles"]["embedded"], "did you mean 'embedded'"),
        (["runs", "a", "small", "methods"], "x", "did you mean 'method'"),
        (["showcase"], ["a/smal"], "did you mean 'a/small'"),
        (["showcase"], [], "showcase names no run"),
        (["task"], "single_images", "params.yaml: .*did you mean 'single_image'"),
        (["runs", "a", "naive", "method"], "gamma_liner", "params.yaml: run 'a/naive': .*did you mean 'gamma_linear'"),
        (["runs", "a", "naive", "objective"], {"terms": []}, "has nothing to train, so no objective"),
        (["profiles", "embedded", "options"], {"usme_hrd": {}}, "did you mean 'usme_hdr'"),
        (["profiles", "embedded", "seed"], -1, "greater than or equal to 0"),
        (["profiles", "embedded", "training", "learning_rate"], float("inf"), "finite number"),
    ],
)
def test_broken_settings_are_one_line(checkout, path, value, message):
    write_checkout(checkout, params=changed(PARAMS, path, value))
    with pytest.raises(HdrbenchError, match=message):
        compare("demo", "embedded")


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda text: text[: len(text) // 2], "cannot be read"),
        (lambda text: "[]", "not a JSON object"),
        (lambda text: "{}", "at 'run': field required"),
        (lambda text: text.replace('"s1",', ""), "one entry per image"),
    ],
)
def test_damaged_scores_are_a_state_of_their_own_cells(checkout, edit, reason):
    facts = prepare_data("demo", "embedded", "a")
    for name in ("a/small", "a/naive"):
        run = resolve("demo", "embedded", name)
        train(run, of_split(facts, "train"), accelerator="cpu")
        file = evaluate(run, "a", of_split(facts, "test"), needed("demo", run.id, "a"))
    file.write_text(edit(file.read_text()))
    (checkout / "results/demo/costs.json").write_text("[1]")
    (checkout / "results/demo/embedded/viewer").mkdir()
    (checkout / "results/demo/embedded/viewer/viewer.json").write_text('{"scenes": [{"images": [{"file": "no.png"}]}]}')
    tables = compare("demo", "embedded")
    found = cells(tables)
    assert found["Naive", "PSNR-μ"]["state"] == "failed"
    assert reason in found["Naive", "PSNR-μ"]["reason"]
    assert found["Ours", "PSNR-μ"]["state"] == "other_data"
    assert [problem.split(": ")[0].rsplit("/", 1)[1] for problem in tables["problems"]] == ["costs.json", "viewer.json"]


def test_scores_of_other_data_settings_or_options_are_not_passed_off_as_current(checkout):
    facts = prepare_data("demo", "embedded", "a")
    run = resolve("demo", "embedded", "a/naive")
    train(run, of_split(facts, "train"), accelerator="cpu")
    evaluate(run, "a", of_split(facts, "test"), needed("demo", run.id, "a"))
    count_costs("demo")
    write_checkout(checkout, params=changed(PARAMS, ["profiles", "embedded", "seed"], 1))
    assert "settings changed" in cells(compare("demo", "embedded"))["Naive", "PSNR-μ"]["reason"]
    write_checkout(checkout, params=changed(PARAMS, ["profiles", "embedded", "data", "a"], "embedded_b"))
    assert "does not play this role now" in cells(compare("demo", "embedded"))["Naive", "PSNR-μ"]["reason"]
    assert stored_facts("demo", "embedded", "a") is None
    write_checkout(checkout, params=changed(PARAMS, ["runs", "a", "small", "options"], {"width": 8}))
    assert cells(compare("demo", "embedded"))["Ours", "Params(M)"]["reason"].startswith("counted for other options")


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "has 0 lines"), ("Method,A\n,PSNR\n", "has 2 lines"), ("\ufeffa;b\n;c\nd;e\n", "separated by commas")],
)
def test_reported_files_that_are_no_tables(checkout, content, message):
    (checkout / "replications/demo/reported/table1.csv").write_text(content)
    with pytest.raises(HdrbenchError, match=message):
        compare("demo", "embedded")


def test_a_key_given_twice_is_refused(checkout):
    path = checkout / "replications/demo/paper.yaml"
    path.write_text(path.read_text() + "year: 1999\n")
    with pytest.raises(HdrbenchError, match=r"paper.yaml: .*'year' stands there twice"):
        compare("demo", "embedded")


def test_a_missing_column_is_reported_by_the_file_that_lacks_it(checkout):
    write_checkout(checkout, reported=[row[:-1] for row in REPORTED])
    with pytest.raises(HdrbenchError, match=r"table1.csv: paper.yaml gives table1 4 printed columns"):
        compare("demo", "embedded")
