"""The driver of the official HDR-VDP in Octave, and what holds for the authors' code where the user has it."""

import dataclasses
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from hdrbench.errors import HdrbenchError
from hdrbench.metrics.hdrvdp import official as module
from hdrbench.metrics.hdrvdp.official import (
    close_official,
    hdrvdp2_official,
    hdrvdp3_official,
    official,
    official_missing,
)

VARIABLES = ("HDRBENCH_HDRVDP2", "HDRBENCH_HDRVDP3", "HDRBENCH_OCTAVE", "HDRBENCH_MATLAB")
GIVEN = {name: os.environ[name] for name in VARIABLES if name in os.environ}
SETTING = {"encoding": "sRGB-display", "ppd": 30.0}


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    yield
    close_official()


def write_code(folder, body, *, entry="hdrvdp", version="2.22"):
    folder.mkdir(parents=True, exist_ok=True)
    arguments = "test, reference, color_encoding, ppd, options"
    arguments = f"task, {arguments}" if entry == "hdrvdp3" else arguments
    (folder / f"{entry}.m").write_text(f"function res = {entry}({arguments})\n{body}\nend\n", encoding="utf-8")
    (folder / "hdrvdp_version.m").write_text(f"function ver = hdrvdp_version()\n\nver = {version};\n\nend")
    return folder


def pair(count=1, size=(3, 4, 5), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.rand(count, *size, generator=generator, dtype=torch.float64) for _ in range(2))


@pytest.fixture(scope="module")
def octave():
    command = shutil.which("octave-cli") or shutil.which("octave")
    if command is None:
        pytest.skip("GNU Octave is not installed")
    packages = ["image", "statistics"]
    check = "".join(f"pkg load {name};" for name in packages)
    if subprocess.run([command, "--norc", "--eval", check], capture_output=True, check=False).returncode:
        pytest.skip(f"GNU Octave lacks one of its packages {packages}")


@pytest.mark.usefixtures("octave")
class TestDriver:
    """The driver in Octave, with functions of our own in the place of the official ones."""

    @pytest.fixture
    def vdp2(self, tmp_path, monkeypatch):
        def write(body, name="hdrvdp"):
            monkeypatch.setenv("HDRBENCH_HDRVDP2", str(write_code(tmp_path / name, body)))

        return write

    def test_images_arrive_as_they_are(self, vdp2):
        pred, ref = pair(2, (3, 4, 5))
        vdp2("w = reshape(1:60, 4, 5, 3); res.Q = sum(vec((test - 2 * reference) .* w));")
        weights = torch.arange(1.0, 61.0, dtype=torch.float64).reshape(3, 5, 4).transpose(1, 2)
        expected = ((ref - 2 * pred) * weights).sum(dim=(1, 2, 3))
        assert hdrvdp2_official(pred, ref, **SETTING).tolist() == pytest.approx(expected.tolist(), abs=1e-10)
        vdp2(
            "res.Q = ppd + isequal([4 5], size(test)) + strcmp(color_encoding, 'luminance') + isa(test, 'double');",
            "grey",
        )
        score = hdrvdp2_official(pred[:, :1], ref[:, :1], encoding="luminance", ppd=1 / 3)
        assert score.tolist() == pytest.approx([3 + 1 / 3] * 2, abs=1e-15)

    def test_settings_of_version_3(self, tmp_path, monkeypatch):
        body = """
        options = struct(options{:});
        known = ~options.use_gpu && options.quiet && options.disable_lowvals_warning && strcmp(task, 'flicker');
        res.Q = test(1) - reference(1); res.Q_JOD = double(known) + ppd;
        """
        folder = write_code(tmp_path / "three", body, entry="hdrvdp3", version="3.07")
        monkeypatch.setenv("HDRBENCH_HDRVDP3", str(folder))
        pred, ref = pair(2)
        scores = hdrvdp3_official(pred, ref, encoding="rgb-native", ppd=30.0, task="flicker", order="output,target")
        assert torch.equal(scores.q, (pred - ref)[:, 0, 0, 0])
        assert scores.q_jod.tolist() == [31.0, 31.0]

    def test_one_process_whatever_it_prints(self, vdp2):
        noise = "fprintf('WARNING: not compiled'); warning('look out'); disp('HDRBENCH'); printf('Q = 7');"
        vdp2(f"persistent n; if isempty(n), n = 0; end, n = n + 1; {noise} res.Q = n;")
        assert hdrvdp2_official(*pair(4), **SETTING).tolist() == [1, 2, 3, 4]
        assert official(2).starts == 1

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ("error('two%clines', 10);", r"GNU Octave reports: two lines \(in hdrvdp, line 3\)"),
            ("absent_function(test);", "'absent_function' undefined"),
            ("res.P_map = test;", r"GNU Octave reports: .*\(in hdrbench_hdrvdp>score"),
            ("exit(3);", "ended with exit status 3"),
            ("res.Q = NaN;", r"expected 1 finite values, got \[nan\]"),
            ("res.Q = -Inf;", r"expected 1 finite values, got \[-inf\]"),
            ("res.Q = test(1:2);", r"expected 1 finite values, got \[0\.\d+, 0\.\d+\]"),
            ("res.Q = 1 + 2i;", "hdrvdp returned a double that is not a real number"),
            ("res.Q = 'good';", "hdrvdp returned a char that is not a real number"),
        ],
    )
    def test_failure_is_named_and_the_next_image_is_scored(self, vdp2, body, message):
        vdp2(f"if ppd == 1\n  {body}\nelse\n  res.Q = 5;\nend")
        with pytest.raises(HdrbenchError, match=message):
            hdrvdp2_official(*pair(), encoding="sRGB-display", ppd=1.0)
        assert hdrvdp2_official(*pair(), **SETTING).tolist() == [5]

    def test_damaged_code_is_named(self, vdp2):
        vdp2("res.Q = (;")
        with pytest.raises(HdrbenchError, match="GNU Octave reports: parse error"):
            hdrvdp2_official(*pair(), **SETTING)

    def test_symmetric_inverse_transform(self, vdp2):
        spectrum = "f = fft2(test(:, :, 1)); f(2, 3) = f(2, 3) + 1i;"
        pred, ref = pair(1, (3, 6, 8))
        bins = np.fft.fft2(ref[0, 0].numpy())
        bins[1, 2] += 1j
        vdp2(f"{spectrum} y = ifft2(f, 6, 8, 'symmetric'); res.Q = y(2, 5) + 1e6 * ~isreal(y);")
        assert hdrvdp2_official(pred, ref, **SETTING).item() == pytest.approx(np.fft.ifft2(bins)[1, 4].real, abs=1e-12)
        vdp2(f"{spectrum} y = ifft2(f); res.Q = imag(y(2, 5)) + 1e6 * isreal(ifft2(f, 'nonsymmetric'));", "plain")
        assert hdrvdp2_official(pred, ref, **SETTING).item() == pytest.approx(np.fft.ifft2(bins)[1, 4].imag, abs=1e-12)

    def test_odd_names_of_folders(self, vdp2):
        vdp2("res.Q = 8;", name="it's a (new) földer")
        assert hdrvdp2_official(*pair(), **SETTING).tolist() == [8]
        vdp2("res.Q = 8;", name="two\nlines")
        with pytest.raises(HdrbenchError, match="control characters"):
            hdrvdp2_official(*pair(), **SETTING)

    def test_functions_of_the_working_folder_are_not_taken(self, vdp2, tmp_path, monkeypatch):
        vdp2("res.Q = 8;")
        write_code(tmp_path / "here", "res.Q = 9;")
        monkeypatch.chdir(tmp_path / "here")
        assert hdrvdp2_official(*pair(), **SETTING).tolist() == [8]

    def test_missing_package_is_named(self, vdp2, monkeypatch):
        release = dataclasses.replace(module._RELEASES[2], packages=("image", "no_such_package"))
        monkeypatch.setitem(module._RELEASES, 2, release)
        vdp2("res.Q = 8;")
        assert "no_such_package is not installed; install it" in official_missing(2)


def contents(folder):
    return {path: hashlib.sha256(path.read_bytes()).digest() for path in folder.rglob("*") if path.is_file()}


class TestOfficialCode:
    """What holds for the authors' code, where the user has it."""

    @pytest.fixture(params=[2, 3])
    def version(self, request, monkeypatch):
        for name, value in GIVEN.items():
            monkeypatch.setenv(name, value)
        if reason := official_missing(request.param):
            pytest.skip(reason)
        return request.param

    def score(self, version, pred, ref, **knobs):
        scores = (hdrvdp2_official if version == 2 else hdrvdp3_official)(pred, ref, **SETTING, **knobs)
        return scores if version == 2 else scores.q

    def test_laws(self, version):
        folder = Path(GIVEN[f"HDRBENCH_HDRVDP{version}"])
        before = contents(folder)
        _, ref = pair(1, (3, 32, 48))
        noise = torch.randn(ref.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        preds = torch.cat([(ref + strength * noise).clamp(0, 1) for strength in (0.0, 0.01, 0.03, 0.1)])
        refs = ref.expand_as(preds)
        scores = self.score(version, preds, refs)
        assert scores[0].item() == (100 if version == 2 else 10)
        assert (scores.diff() < 0).all()
        for k in range(4):
            assert torch.equal(self.score(version, preds[k : k + 1], ref), scores[k : k + 1])
        assert torch.equal(self.score(version, refs, preds, order="output,target"), scores)
        assert official(version).starts == 1
        assert re.fullmatch(r"2\.2\.[12]|3\.0\.[67]", official(version).code.version)
        assert contents(folder) == before

    def test_image_too_small_for_its_pyramid(self, version):
        with pytest.raises(HdrbenchError, match="3x4x5 pair"):
            self.score(version, *pair())
