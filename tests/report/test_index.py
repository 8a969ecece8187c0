import json

import pytest

from hdrbench.report import index


@pytest.fixture
def results(tmp_path, sample):
    for name in ("embedded", "paper"):
        folder = tmp_path / "usme_hdr" / name
        folder.mkdir(parents=True)
        (folder / "tables.json").write_text(json.dumps(sample.build(folder, name)), encoding="utf-8")
    return tmp_path


def test_lists_every_paper_and_profile(results):
    index.write(results)
    text = (results / "index.html").read_text(encoding="utf-8")
    assert text.count("<h2>") == 1
    assert 'href="usme_hdr/embedded/index.html"' in text
    assert 'href="usme_hdr/paper/index.html"' in text
    assert text.count('class="bar"') == 2
    assert text.count("not the paper’s data") == 1
    assert "f" * 12 in text
    assert not list(results.glob(".*"))


def test_a_broken_result_hides_no_other(results):
    (results / "cevr" / "hdri").mkdir(parents=True)
    (results / "cevr" / "hdri" / "tables.json").write_text('{"paper":', encoding="utf-8")
    index.write(results)
    text = (results / "index.html").read_text(encoding="utf-8")
    assert "cevr/hdri/tables.json cannot be read" in text
    assert 'href="usme_hdr/embedded/index.html"' in text


def test_without_results_it_says_what_to_run(tmp_path):
    index.write(tmp_path)
    assert "dvc repro replications/usme_hdr" in (tmp_path / "index.html").read_text(encoding="utf-8")
