import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


def hdrbench(*arguments, cwd=REPOSITORY):
    command = [sys.executable, "-c", "from hdrbench.cli import main; main()", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("report", "usme-hdr"), "did you mean 'usme_hdr'"),
        (("report", "usme_hdr", "--profile", "hdr"), "did you mean 'hdri'"),
        (("train", "usme_hdr", "kalantari/usme_6chs"), "did you mean 'kalantari/usme_6ch'"),
        (("data", "verify", "kalantary"), "did you mean 'kalantari'"),
        (("data", "verify", "usme_real_world"), "is not complete"),
        (
            ("reconstruct", "none.jpg", "-o", "x.exr", "-m", "usme_hdr", "--ev", "-3:3:0.5"),
            "three with 0 in the middle",
        ),
        (("reconstruct", "none.jpg", "-o", "x.exr", "-m", "gamma_linear"), "none.jpg: no such file"),
    ],
)
def test_mistakes_are_one_line_and_exit_status_2(arguments, message):
    done = hdrbench(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr + done.stdout


def test_outside_a_checkout_it_says_so(tmp_path):
    done = hdrbench("report", "usme_hdr", cwd=tmp_path)
    assert done.returncode == 2
    assert "not inside an hdrbench checkout" in done.stderr


def test_lists():
    assert "usme_hdr: kalantari/usme_6ch" in hdrbench("list").stdout
    assert "embedded_a" in hdrbench("data", "list").stdout


def test_verify_of_a_complete_set_says_so():
    done = hdrbench("data", "verify", "embedded_a")
    assert done.returncode == 0
    assert "complete, 24 train, 6 test scenes" in done.stdout
