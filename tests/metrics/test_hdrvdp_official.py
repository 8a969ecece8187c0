"""How the official HDR-VDP is found and talked to, with a stand-in for Octave that misbehaves as it is told."""

import os
import signal
import sys

import pytest
import torch

from hdrbench.errors import HdrbenchError
from hdrbench.metrics.hdrvdp.official import (
    OfficialHdrVdp,
    close_official,
    find_official,
    hdrvdp2_official,
    hdrvdp3_official,
    official,
    official_missing,
)

VARIABLES = ("HDRBENCH_HDRVDP2", "HDRBENCH_HDRVDP3", "HDRBENCH_OCTAVE", "HDRBENCH_MATLAB")
SETTING = {"encoding": "sRGB-display", "ppd": 30.0}

# Reads the driver's requests and replies as `mode` has it; the value of "good" is test - reference at row 1, column 2,
# channel 0 of the column-major files.
STAND_IN = """
import os, re, struct, sys, time
mode, log = sys.argv[1:3]
with open(log, "a") as file:
    file.write(f"{os.getpid()}\\n")
first = sum(1 for _ in open(log)) == 1

def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()

def pixel(path, height):
    return struct.unpack_from("<d", open(path, "rb").read(), 8 * (1 + 2 * height))[0]

for line in sys.stdin:
    number, action = re.search(r"hdrbench_hdrvdp\\((\\d+), '(\\w+)'", line).groups()
    if action == "start":
        if mode == "broken start":
            print("the licence has run out", file=sys.stderr)
            sys.exit(7)
        say(f"\\nHDRBENCH {number} {'error no image package' if mode == 'no package' else 'ok'}\\n")
        continue
    files, height = re.findall(r"'([^']*\\.bin)'", line), int(re.search(r"\\[(\\d+)", line)[1])
    value = repr(pixel(files[0], height) - pixel(files[1], height))
    if mode == "noise":
        say("HDRBENCH\\nHDRBENCH banana\\nHDRBENCH 0 ok 5\\nQ = 42\\nno end of line ")
        sys.stdout.buffer.write(b"\\xff\\xfe\\n" * 5000)
    if mode == "crash once" and first:
        print("fatal: caught signal", file=sys.stderr)
        os.abort()
    if mode == "hang once" and first:
        time.sleep(600)
    while mode == "babble once" and first:
        say("la\\n" * 1000)
        time.sleep(0.001)
    if mode == "error once" and first:
        say(f"\\nHDRBENCH {number} error out of memory (in fft2, line 3)\\n")
        continue
    say(f"\\nHDRBENCH {number} ok {dict(nan='NaN', inf='-Inf', nothing='', two='1 2', words='fine').get(mode, value)}\\n")
"""


def write_code(folder, *, entry="hdrvdp", version="2.22"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{entry}.m").touch()
    (folder / "hdrvdp_version.m").write_text(f"function ver = hdrvdp_version()\n\nver = {version};\n\nend")
    return folder


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    yield
    close_official()


@pytest.fixture
def code2(tmp_path, monkeypatch):
    folder = write_code(tmp_path / "hdrvdp-2.2.2")
    monkeypatch.setenv("HDRBENCH_HDRVDP2", str(folder))
    return folder


@pytest.fixture
def stand_in(tmp_path, monkeypatch, code2):
    """Choose how the stand-in for Octave behaves; returns the file with one process id per start."""

    def choose(mode):
        script, log = tmp_path / "octave.py", tmp_path / "starts"
        script.write_text(STAND_IN)
        monkeypatch.setenv("HDRBENCH_OCTAVE", f"{sys.executable} {script} '{mode}' {log}")
        return log

    return choose


def pair(count=1, size=(3, 4, 5), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.rand(count, *size, generator=generator, dtype=torch.float64) for _ in range(2))


class TestProtocol:
    def test_one_process_serves_all_images(self, stand_in):
        log = stand_in("good")
        pred, ref = pair(5)
        expected = (ref - pred)[:, 0, 1, 2]
        assert not log.exists()
        scores = hdrvdp2_official(pred, ref, **SETTING)
        assert scores.dtype == torch.float64
        assert torch.equal(scores, expected)
        assert torch.equal(hdrvdp2_official(pred[:1], ref[:1], **SETTING), expected[:1])
        assert torch.equal(hdrvdp2_official(pred, ref, order="output,target", **SETTING), -expected)
        assert len(log.read_text().split()) == official(2).starts == 1

    def test_single_precision_is_handed_over_exactly(self, stand_in):
        stand_in("good")
        pred, ref = (image.float() for image in pair())
        assert torch.equal(hdrvdp2_official(pred, ref, **SETTING), (ref.double() - pred.double())[:, 0, 1, 2])

    def test_what_else_is_printed_does_not_matter(self, stand_in):
        stand_in("noise")
        pred, ref = pair(3)
        assert torch.equal(hdrvdp2_official(pred, ref, **SETTING), (ref - pred)[:, 0, 1, 2])

    @pytest.mark.parametrize(
        ("mode", "message"),
        [
            ("crash once", r"ended by signal 6; the last it printed: .*fatal: caught signal"),
            ("error once", r"reports: out of memory \(in fft2, line 3\)"),
        ],
    )
    def test_failure_is_named_and_the_next_image_gets_a_new_process(self, stand_in, mode, message):
        log = stand_in(mode)
        with pytest.raises(HdrbenchError, match=rf"HDR-VDP 2\.2\.2 .* 3x4x5 pair, sRGB-display, 30 ppd: .*{message}"):
            hdrvdp2_official(*pair(), **SETTING)
        pred, ref = pair(2)
        assert torch.equal(hdrvdp2_official(pred, ref, **SETTING), (ref - pred)[:, 0, 1, 2])
        assert len(log.read_text().split()) == 2

    @pytest.mark.parametrize(("mode", "said"), [("hang once", "it printed nothing"), ("babble once", ".*la | la")])
    def test_process_that_does_not_reply_is_stopped(self, stand_in, mode, said):
        log = stand_in(mode)
        pred, ref = pair()
        with OfficialHdrVdp(find_official(2), timeout_s=2.0) as vdp:
            with pytest.raises(HdrbenchError, match=f"no reply within 2 s and was stopped; {said}"):
                vdp.score(pred[0], ref[0], **SETTING)
            with pytest.raises(ProcessLookupError):
                os.kill(int(log.read_text()), 0)
            assert vdp.score(pred[0], ref[0], **SETTING) == ((pred - ref)[0, 0, 1, 2].item(),)
            assert vdp.starts == 2

    def test_process_that_ended_between_two_images_is_replaced(self, stand_in):
        log = stand_in("good")
        pred, ref = pair(2)
        hdrvdp2_official(pred, ref, **SETTING)
        os.kill(int(log.read_text()), signal.SIGKILL)
        official(2)._process._process.wait()
        assert torch.equal(hdrvdp2_official(pred, ref, **SETTING), (ref - pred)[:, 0, 1, 2])
        assert official(2).starts == 2

    @pytest.mark.parametrize(
        ("mode", "message"),
        [
            ("nan", r"expected 1 finite values, got \[nan\]"),
            ("inf", r"expected 1 finite values, got \[-inf\]"),
            ("nothing", r"expected 1 finite values, got \[\]"),
            ("two", r"expected 1 finite values, got \[1\.0, 2\.0\]"),
            ("words", "replied 'fine' where numbers were expected"),
        ],
    )
    def test_no_value_that_is_not_a_finite_number(self, stand_in, mode, message):
        stand_in(mode)
        with pytest.raises(HdrbenchError, match=message):
            hdrvdp2_official(*pair(), **SETTING)

    def test_context_ends_the_process_and_removes_its_files(self, stand_in):
        log = stand_in("good")
        with OfficialHdrVdp(find_official(2)) as vdp:
            vdp.start()
            folder = vdp._process.start()
            assert folder.is_dir()
            assert vdp.starts == 1
        assert not folder.exists()
        with pytest.raises(ProcessLookupError):
            os.kill(int(log.read_text()), 0)

    def test_interrupt_leaves_no_late_reply_behind(self, stand_in, monkeypatch):
        stand_in("good")
        pred, ref = pair(2)
        vdp = official(2)
        vdp.start()

        def interrupted():
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(vdp._process, "_reply", interrupted)
            with pytest.raises(KeyboardInterrupt):
                hdrvdp2_official(pred[:1], ref[:1], **SETTING)
        assert torch.equal(hdrvdp2_official(pred[1:], ref[1:], **SETTING), (ref - pred)[1:, 0, 1, 2])
        assert vdp.starts == 2


class TestMissing:
    def test_present(self, stand_in):
        log = stand_in("good")
        assert official_missing(2) is None
        assert official_missing(2) is None
        assert len(log.read_text().split()) == 1

    @pytest.mark.parametrize(
        ("mode", "message"),
        [
            ("no package", "reports: no image package"),
            ("broken start", "ended with exit status 7; the last it printed: the licence has run out"),
        ],
    )
    def test_octave_that_does_not_start_well(self, stand_in, mode, message):
        stand_in(mode)
        assert message in official_missing(2)
        with pytest.raises(HdrbenchError, match=message):
            hdrvdp2_official(*pair(), **SETTING)

    def test_nothing_is_started_for_a_wrong_setting(self, stand_in, monkeypatch, tmp_path, code2):
        log = stand_in("good")
        assert "HDRBENCH_HDRVDP3 is not set; download HDR-VDP 3.0.7" in official_missing(3)
        monkeypatch.setenv("HDRBENCH_HDRVDP3", str(code2))
        assert "no hdrvdp3.m" in official_missing(3)
        monkeypatch.setenv("HDRBENCH_HDRVDP2", str(tmp_path))
        assert official_missing(2).endswith(f"no hdrvdp.m; did you mean {code2}?")
        (code2 / "hdrvdp_version.m").unlink()
        monkeypatch.setenv("HDRBENCH_HDRVDP2", str(code2))
        assert "no hdrvdp_version.m" in official_missing(2)
        assert not log.exists()

    @pytest.mark.parametrize("stated", ["2.2", "2.13", "3.07"])
    def test_other_versions_are_refused(self, stand_in, code2, stated):
        log = stand_in("good")
        write_code(code2, version=stated)
        name = f"{stated.ljust(4, '0')[:3]}.{stated.ljust(4, '0')[3]}"
        assert f"holds HDR-VDP {name}, whose Q is not that of 2.2.1 and 2.2.2" in official_missing(2)
        write_code(code2, version="hdrvdp_revision()")
        assert "does not state a version" in official_missing(2)
        assert not log.exists()

    @pytest.mark.parametrize(
        ("major", "entry", "stated", "name"),
        [(2, "hdrvdp", "2.21", "2.2.1"), (2, "hdrvdp", "2.22", "2.2.2"), (3, "hdrvdp3", "3.07", "3.0.7")],
    )
    def test_version_is_read(self, stand_in, monkeypatch, tmp_path, major, entry, stated, name):
        stand_in("good")
        folder = write_code(tmp_path / "code", entry=entry, version=stated)
        monkeypatch.setenv(f"HDRBENCH_HDRVDP{major}", str(folder))
        assert official(major).code.version == name

    def test_interpreter(self, code2, monkeypatch, tmp_path):
        programs = tmp_path / "bin"
        programs.mkdir()
        monkeypatch.setenv("PATH", str(programs))
        assert "neither octave-cli, octave nor matlab" in official_missing(2)
        for program, name in (("matlab", "MATLAB"), ("octave", "GNU Octave"), ("octave-cli", "GNU Octave")):
            (programs / program).write_text("#!/bin/sh\nexit 1\n")
            (programs / program).chmod(0o755)
            found = find_official(2).interpreter
            assert (found.name, found.command[0]) == (name, str(programs / program))
            if name == "MATLAB":  # slow to start, so a listing does not
                assert official_missing(2) is None
                assert official(2).starts == 0
        monkeypatch.setenv("HDRBENCH_MATLAB", f"{programs / 'matlab'} -licmode onlinelicensing")
        assert find_official(2).interpreter.command[1:3] == ("-licmode", "onlinelicensing")
        monkeypatch.setenv("HDRBENCH_OCTAVE", "octave-cli")
        assert find_official(2).interpreter.name == "GNU Octave"
        monkeypatch.setenv("HDRBENCH_OCTAVE", str(tmp_path / "absent"))
        assert "HDRBENCH_OCTAVE names" in official_missing(2)
        (programs / "not a program").write_bytes(b"\x00\x01")
        (programs / "not a program").chmod(0o755)
        monkeypatch.setenv("HDRBENCH_OCTAVE", str(programs / "not a program"))
        assert "cannot start GNU Octave as" in official_missing(2)

    def test_change_of_folder_takes_effect(self, stand_in, monkeypatch, tmp_path):
        stand_in("good")
        before = official(2)
        before.start()
        monkeypatch.setenv("HDRBENCH_HDRVDP2", str(write_code(tmp_path / "other", version="2.21")))
        assert official(2) is not before
        assert official(2).code.version == "2.2.1"
        assert before._process._process is None

    def test_only_two_versions_exist(self):
        with pytest.raises(ValueError, match="version 2 or 3"):
            official_missing(1)


def test_bad_input_is_refused_before_anything_starts(stand_in):
    log = stand_in("good")
    pred, ref = pair(2)
    with pytest.raises(ValueError, match="one shape"):
        hdrvdp2_official(pred[:1], ref, **SETTING)
    with pytest.raises(ValueError, match="3 channels, got 1"):
        hdrvdp2_official(pred[:, :1], ref[:, :1], **SETTING)
    with pytest.raises(HdrbenchError, match="did you mean 'sRGB-display'"):
        hdrvdp2_official(pred, ref, encoding="srgb-display", ppd=30.0)
    with pytest.raises(HdrbenchError, match="colour encoding 'rgb-native'"):
        hdrvdp2_official(pred, ref, encoding="rgb-native", ppd=30.0)
    with pytest.raises(HdrbenchError, match="argument order"):
        hdrvdp2_official(pred, ref, order="reference first", **SETTING)
    for ppd in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="pixels per degree"):
            hdrvdp2_official(pred, ref, encoding="sRGB-display", ppd=ppd)
    with pytest.raises(HdrbenchError, match="HDR-VDP-3 task 'qualty'; did you mean 'quality'"):
        hdrvdp3_official(pred, ref, task="qualty", **SETTING)
    assert not log.exists()
