import pytest

from hdrbench.errors import HdrbenchError
from hdrbench.pipeline import digest
from hdrbench.pipeline.digest import closure

# Without its cache, because these tests change the files.
code_digest = digest.code_digest.__wrapped__

SOURCE = '''"""What it is."""

def double(x):
    """Say what it does."""
    return 2 * x
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Two modules of which the first imports the second; returns a function that rewrites one of them."""
    files = {"hdrbench.one": tmp_path / "one.py", "hdrbench.two": tmp_path / "two.py"}
    files["hdrbench.one"].write_text("def f():\n    from hdrbench.two import double\n    return double(1)\n")
    files["hdrbench.two"].write_text(SOURCE)
    monkeypatch.setattr(digest, "_source", files.get)
    return lambda name, text: files[name].write_text(text)


@pytest.mark.parametrize(
    "same",
    [
        SOURCE.replace("What it is.", "Something else."),
        SOURCE.replace("Say what", "Tell what"),
        SOURCE.replace("return", "# a comment\n    return"),
        SOURCE.replace("2 * x", "(2\n        * x)"),
    ],
)
def test_comments_docstrings_and_layout_do_not_count(package, same):
    before = code_digest("hdrbench.one")
    package("hdrbench.two", same)
    assert code_digest("hdrbench.one") == before


def test_what_an_imported_module_does_counts(package):
    before = code_digest("hdrbench.one")
    package("hdrbench.two", SOURCE.replace("2 * x", "3 * x"))
    assert code_digest("hdrbench.one") != before


def test_training_one_method_does_not_depend_on_another():
    modules = closure("hdrbench.pipeline.train", "hdrbench.methods.gamma_linear")
    assert "hdrbench.methods.gamma_linear" in modules
    assert "hdrbench.imaging.exposure" in modules
    assert not [
        name
        for name in modules
        if name.startswith(("hdrbench.methods.usme_hdr", "hdrbench.metrics", "hdrbench.report"))
    ]


def test_an_unknown_module_is_an_error():
    with pytest.raises(HdrbenchError, match=r"no module 'hdrbench\.nothing'"):
        code_digest("hdrbench.nothing")
