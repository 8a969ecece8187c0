"""What every replication must be, read as data."""

import csv

import pytest

from hdrbench import metrics, runs, spec, workspace
from hdrbench.report.cells import number
from hdrbench.reported import read_printed

# Where the paper's text leaves cells empty.
GAPS = {"multi_exposure_generation": ("figure6",), "expocm": ("inference_time",)}
PAPERS = workspace.papers()
SUMS = {
    "usme_hdr": {
        "table1": (234, "23451.6906"),
        "table2": (48, "843.6841"),
        "table3": (28, "586.0666"),
        "table4": (20, "372.5107"),
        "table5": (40, "777.3863"),
        "table6": (16, "299.2733"),
    },
    "unsupervised_fusion": {
        "table1": (6, "5.5243"),
        "table1_lee2018": (4, "3.8950"),
        "table1_mefb": (5, "4.7996"),
        "table2": (45, "42.7019"),
    },
    "cevr": {
        "figure2": (18, "316.2700"),
        "table1": (126, "658.8830"),
        "table2": (72, "1397.5800"),
        "table3": (36, "673.0300"),
        "table4": (4, "135.8600"),
        "table5": (4, "131.8500"),
    },
    "multi_exposure_generation": {
        "figure6": (0, "0.0000"),
        "table2": (25, "408.1941"),
        "table3": (30, "251.9419"),
        "table4": (44, "503.0059"),
        "table5": (6, "35.2976"),
        "table6": (45, "626.4748"),
        "table7": (18, "174.2667"),
        "table8": (18, "143.2806"),
        "table9": (60, "580.8026"),
    },
    "expocm": {
        "inference_time": (5, "602.2800"),
        "table1": (297, "3691.7139"),
        "table2": (18, "164.3021"),
        "table3": (24, "268.9647"),
    },
}


@pytest.mark.parametrize("paper", PAPERS)
class TestEveryPaper:
    def test_refers_to_what_exists(self, paper):
        home = workspace.replication(paper)
        spec.check(spec.load(paper), runs.load(paper), metrics.METRICS, home / "paper.yaml")
        assert f"{{{spec.load(paper).reference}," in (workspace.root() / "REFERENCES.bib").read_text()
        assert (home / "README.md").is_file()

    def test_every_table_is_transcribed_and_every_printed_cell_is_a_number(self, paper):
        home = workspace.replication(paper)
        for table in spec.load(paper).tables:
            printed = read_printed(table, home)
            for row, strings in zip(table.rows, printed.values, strict=True):
                for column, text in zip(printed.columns, strings, strict=True):
                    if row.printed and column.group.printed:
                        gap = text is None and table.id in GAPS.get(paper, ())
                        assert gap or text == "—" or number(text) is not None, (table.id, row.labels)
                    elif column.group.elsewhere is None:
                        assert text is None

    def test_every_reported_file_belongs_to_a_table(self, paper):
        home = workspace.replication(paper)
        tables = spec.load(paper).tables
        named = {home / table.reported for table in tables if table.reported}
        named |= {home / group.elsewhere.reported for table in tables for group in table.groups if group.elsewhere}
        assert named == set((home / "reported").glob("*"))

    def test_every_profile_resolves_every_run(self, paper):
        loaded = runs.load(paper)
        for profile in loaded.profiles:
            for role, named in loaded.runs.items():
                for name in named:
                    assert runs.resolve(paper, profile, f"{role}/{name}").settings()["method"]


@pytest.mark.parametrize(
    "paper", sorted(path.parent.name for path in (workspace.root() / "replications").glob("*/reported"))
)
def test_the_printed_numbers_have_not_changed(paper):
    """Sums over the printed tables, taken once from the paper's text: a digit that changes by accident changes a sum."""
    home = workspace.root() / "replications" / paper
    sums = {}
    for path in sorted((home / "reported").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            values = [float(cell) for line in csv.reader(file) for cell in line if number(cell) is not None]
        sums[path.stem] = (len(values), f"{sum(values):.4f}")
    assert sums == SUMS[paper]
