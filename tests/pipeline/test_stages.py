"""The dvc.yaml of every replication, and of a demo with a set that cannot be had."""

import pytest
import yaml

from hdrbench import runs, spec, workspace
from hdrbench.datasets import catalog
from hdrbench.pipeline import stages
from hdrbench.pipeline.needs import evaluations

PAPERS = workspace.papers()


@pytest.mark.parametrize("paper", PAPERS)
class TestEveryPaper:
    def test_the_file_is_what_the_settings_ask_for(self, paper):
        written = (workspace.replication(paper) / "dvc.yaml").read_text(encoding="utf-8")
        assert written == stages.text(paper), f"run `hdrbench stages {paper}`"

    def test_every_run_is_trained_and_every_score_has_a_stage(self, paper):
        found = stages.stages(paper)
        for role, named in runs.load(paper).runs.items():
            assert found[f"train_{role}"]["matrix"]["run"] == list(named)
        for train, name, test in evaluations(spec.load(paper)):
            assert name in found[f"evaluate_{train}_on_{test}"]["matrix"]["run"]

    def test_the_root_builds_its_page(self, paper):
        root = yaml.safe_load((workspace.root() / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
        page = f"results/{paper}/${{profile}}/index.html"
        for name in (f"replications/{paper}", f"replications/{paper}/"):
            assert page in root[name]["deps"]


def test_only_files_outside_the_repository_are_looked_at_every_time(checkout, monkeypatch):
    assert "always_changed" not in stages.stages("demo")["data_a"]
    outside = catalog.card("tiny_a").model_copy(update={"kind": "brackets"})
    monkeypatch.setattr(catalog, "card", lambda name: outside)
    found = stages.stages("demo")
    assert "data_a" not in found
    assert found["data_a_external"]["always_changed"] is True


def test_a_set_that_cannot_be_had_has_no_stages(checkout, monkeypatch):
    usual = catalog.card("tiny_a")
    cards = {"tiny_a": usual, "tiny_b": usual.model_copy(update={"kind": "card only"})}
    monkeypatch.setattr(catalog, "card", lambda name: cards[name])
    found = stages.stages("demo")
    assert "data_b" not in found
    assert "train_b" not in found
    assert found["evaluate_a_on_a"]["matrix"]["profile"] == ["embedded"]
