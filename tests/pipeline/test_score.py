"""Scoring a folder: whatever cannot be scored is listed, and everything else is scored."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from hdrbench.cli import app
from hdrbench.errors import HdrbenchError
from hdrbench.imaging.io import write_hdr, write_ldr
from hdrbench.metrics.psnr import psnr
from hdrbench.pipeline.device import to_batch
from hdrbench.pipeline.score import Request, score_folder

SIZE = (40, 48, 3)


@pytest.fixture
def folders(tmp_path):
    generator = np.random.default_rng(0)
    for name in "abc":
        ref = generator.random(SIZE, dtype=np.float32) ** 3
        pred = np.clip(ref + 0.01 * generator.standard_normal(SIZE, dtype=np.float32), 0, 1)
        write_hdr(tmp_path / "ref" / f"{name}.exr", ref)
        write_hdr(tmp_path / "pred" / f"{name}.{'hdr' if name == 'b' else 'exr'}", pred)
    return tmp_path


def request(folder, *names, **others):
    names = names or ("psnr_mu", "ssim_l")
    return Request(folder / "pred", names, "usme_hdr", **{"ref": folder / "ref", **others})


def test_pairs_by_stem_across_formats(folders):
    outcome = score_folder(request(folders))
    assert list(outcome.scores) == ["a.exr", "b.hdr", "c.exr"]
    assert outcome.problems == outcome.notes == []
    assert outcome.mean("psnr_mu") == pytest.approx(np.mean([row["psnr_mu"] for row in outcome.scores.values()]))


def test_same_number_as_the_metric_itself(folders):
    from hdrbench.imaging.io import read_hdr

    pair = (to_batch(read_hdr(folders / kind / "a.exr"), "cpu").double() for kind in ("pred", "ref"))
    assert score_folder(request(folders, "psnr_l")).scores["a.exr"]["psnr_l"] == psnr(*pair).item()


def damage(folders, how):
    pred, ref = folders / "pred", folders / "ref"
    if how == "unmatched prediction":
        (ref / "b.exr").unlink()
    elif how == "unmatched reference":
        (pred / "b.hdr").unlink()
    elif how == "size":
        write_hdr(ref / "b.exr", np.ones((40, 40, 3), np.float32))
    elif how == "truncated":
        (pred / "b.hdr").write_bytes((pred / "b.hdr").read_bytes()[:2000])
    elif how == "no image":
        (pred / "b.hdr").unlink()
        (pred / "b.txt").write_text("scores")
    elif how == "folder":
        (pred / "more").mkdir()
    elif how == "dangling link":
        (pred / "d.exr").symlink_to(pred / "nothing.exr")
    elif how == "huge header":
        (pred / "b.hdr").write_bytes(b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 100000 +X 100000\n")
    elif how == "twice":
        write_ldr(pred / "b.png", np.ones(SIZE, np.float32))
    elif how == "codes against light":
        (pred / "b.hdr").unlink()
        write_ldr(pred / "b.png", np.ones(SIZE, np.float32))


@pytest.mark.parametrize(
    ("how", "message", "scored"),
    [
        ("unmatched prediction", "b.hdr: has no reference in", 2),
        ("unmatched reference", "b.exr: has no prediction", 2),
        ("size", "b.hdr: is 48x40, but its reference b.exr is 40x40", 2),
        ("truncated", "b.hdr", 2),
        ("no image", "b.txt: is not an image", 2),
        ("twice", "b.png: has the same name as b.hdr", 3),
        ("folder", "more: is a folder", 3),
        ("dangling link", "d.exr: is a link that leads nowhere", 3),
        ("huge header", "b.hdr: its header claims 100000x100000", 2),
        ("codes against light", "say with --ldr-as what it is", 2),
    ],
)
def test_what_cannot_be_scored_is_listed(folders, how, message, scored):
    damage(folders, how)
    outcome = score_folder(request(folders))
    assert any(message in problem for problem in outcome.problems)
    assert sum(len(row) == 2 for row in outcome.scores.values()) == scored


def test_not_finite_pixels_are_listed(folders):
    import OpenEXR

    image = np.ones(SIZE, np.float32)
    image[3, 4, 1] = np.nan
    with OpenEXR.File({"type": OpenEXR.scanlineimage}, {"RGB": image}) as file:
        file.write(str(folders / "pred" / "a.exr"))
    outcome = score_folder(request(folders))
    assert "a.exr" in outcome.problems[0]
    assert "NaN" in outcome.problems[0]
    assert outcome.scores["a.exr"] == {}


def test_missing_weights_are_named_and_the_rest_is_scored(folders, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(folders / "no weights"))
    outcome = score_folder(request(folders, "musiq", "psnr_l"))
    assert outcome.problems[0].startswith("metric musiq: ")
    assert all(set(row) == {"psnr_l"} for row in outcome.scores.values())
    assert outcome.mean("musiq") is None


def test_a_reference_above_the_peak_is_noted(folders):
    write_hdr(folders / "ref" / "a.exr", np.full(SIZE, 7.0, np.float32))
    assert "reaches 7, above the protocol's peak 1" in score_folder(request(folders)).notes[0]


def test_display_codes_are_scored_as_they_are_but_are_no_light(tmp_path):
    image = np.random.default_rng(1).random(SIZE, dtype=np.float32)
    for folder in ("pred", "ref"):
        write_ldr(tmp_path / folder / "a.png", image)
    outcome = score_folder(request(tmp_path, "ssim_l", "psnr_pu"))
    assert outcome.scores["a.png"] == {"ssim_l": 1.0}
    assert "needs linear light" in outcome.problems[0]
    assert "display codes, scored as they are" in outcome.notes[0]
    assert set(score_folder(request(tmp_path, "psnr_pu", ldr_as="srgb")).scores["a.png"]) == {"psnr_pu"}


def test_fusion_is_scored_against_a_folder_of_exposures(tmp_path):
    frames = np.random.default_rng(2).random((3, 48, 60, 3), dtype=np.float32)
    write_ldr(tmp_path / "pred" / "a.png", frames.mean(0))
    write_ldr(tmp_path / "pred" / "b.png", frames.mean(0))
    for number, frame in enumerate(frames):
        write_ldr(tmp_path / "stacks" / "a" / f"{number}.png", frame)
    outcome = score_folder(request(tmp_path, "mef_ssim", ref=None, stack=tmp_path / "stacks"))
    assert 0 < outcome.scores["a.png"]["mef_ssim"] < 1
    assert outcome.count("mef_ssim") == 1
    assert "b.png: has no exposures, expected in" in outcome.problems[0]


def test_fusion_is_scored_on_codes_whatever_they_are_elsewhere(tmp_path):
    frames = np.random.default_rng(2).random((3, 48, 60, 3), dtype=np.float32)
    write_ldr(tmp_path / "pred" / "a.png", frames.mean(0))
    write_hdr(tmp_path / "pred" / "b.exr", frames.mean(0))
    for number, frame in enumerate(frames):
        for name in "ab":
            write_ldr(tmp_path / "stacks" / name / f"{number}.png", frame)
    (tmp_path / "stacks" / "a" / "._0.png").write_bytes(b"left behind by another system")
    asked = {"ref": None, "stack": tmp_path / "stacks"}
    plain = score_folder(request(tmp_path, "mef_ssim", **asked))
    decoded = score_folder(request(tmp_path, "mef_ssim", ldr_as="srgb", **asked))
    assert plain.scores["a.png"] == decoded.scores["a.png"] != {}
    assert plain.scores["b.exr"] == {}
    assert "b.exr: fusion is scored on display codes" in plain.problems[0]


def test_whatever_a_library_raises_is_a_line(folders, monkeypatch):
    from hdrbench.pipeline import score

    def read(path, *others):
        if path.name == "b.hdr":
            raise MemoryError("cannot\nallocate")
        return original(path, *others)

    original = score._read
    monkeypatch.setattr(score, "_read", read)
    outcome = score_folder(request(folders))
    assert outcome.problems == [f"{folders / 'pred' / 'b.hdr'}: MemoryError: cannot allocate"]
    assert len(outcome.scores["c.exr"]) == 2


def test_an_interrupted_run_keeps_what_it_has(folders, monkeypatch):
    from hdrbench.pipeline import score

    def load(request, settings, path, *others):
        if path.name == "b.hdr":
            raise KeyboardInterrupt
        return original(request, settings, path, *others)

    original = score._load
    monkeypatch.setattr(score, "_load", load)
    call = ["score", "--pred", str(folders / "pred"), "--ref", str(folders / "ref"), "--metrics", "psnr_mu,psnr_mu"]
    done = CliRunner().invoke(app, [*call, "--csv", str(folders / "s.csv")])
    assert done.exit_code == 130
    assert "interrupted after 1 of 3 images" in done.output
    lines = (folders / "s.csv").read_text().splitlines()
    assert lines[0] == "image,psnr_mu,protocol"
    assert lines[1].startswith("a.exr,")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (("--csv", "{}"), "is a folder; name a file"),
        (("--csv", "{}/s", "--json", "{}/s"), "is to hold two things"),
        (("--json", "{}/ref/a.exr/s.json"), "its folder cannot be made"),
    ],
)
def test_files_that_cannot_be_written_are_refused_before_anything_is_scored(folders, files, message, monkeypatch):
    from hdrbench.pipeline import score

    monkeypatch.setattr(score, "score_folder", lambda request: pytest.fail("scored"))
    call = ["score", "--pred", str(folders / "pred"), "--ref", str(folders / "ref"), "--metrics", "psnr_mu"]
    done = CliRunner().invoke(app, [*call, *(file.format(folders) for file in files)])
    assert isinstance(done.exception, HdrbenchError)
    assert message in str(done.exception)


def test_a_pipe_is_written_to_and_stays_one(folders):
    import os
    import threading

    pipe, read = folders / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    call = ["score", "--pred", str(folders / "pred"), "--ref", str(folders / "ref"), "--metrics", "psnr_mu"]
    assert CliRunner().invoke(app, [*call, "--csv", str(pipe)]).exit_code == 0
    reader.join(10)
    assert pipe.is_fifo()
    assert read[0].startswith("image,psnr_mu,protocol")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"names": ("psnr",)}, "unknown metric 'psnr'"),
        ({"names": ()}, "no metric was asked for"),
        ({"ref": None}, "give their folder with --ref"),
        ({"names": ("mef_ssim",)}, "give their folder with --stack"),
        ({"ldr_as": "rgb"}, "expected one of linear, srgb, gamma"),
        ({"protocol_name": "usme"}, "did you mean 'usme_hdr'"),
        ({"pred": "nowhere"}, "is no folder"),
        ({"pred": "."}, "holds no images"),
    ],
)
def test_a_request_that_cannot_be_met_is_one_line(folders, change, message):
    if "pred" in change:
        change = {"pred": folders / change["pred"]}
    fields = {**vars(request(folders)), **change}
    with pytest.raises(HdrbenchError, match=message):
        score_folder(Request(**fields))


def test_command(folders):
    (folders / "ref" / "c.exr").unlink()
    files = ["--csv", str(folders / "s.csv"), "--json", str(folders / "s.json")]
    call = ["score", "--pred", str(folders / "pred"), "--ref", str(folders / "ref"), "--metrics", "psnr_mu, ssim_pu"]
    done = CliRunner().invoke(app, [*call, *files])
    assert done.exit_code == 1
    assert "mean" in done.stdout
    assert "scoring" not in done.stdout
    record = json.loads((folders / "s.json").read_text())
    assert record["protocol"]["name"] == "usme_hdr"
    assert len(record["protocol"]["hash"]) == 12
    lines = (folders / "s.csv").read_text().splitlines()
    assert lines[0] == "image,psnr_mu,ssim_pu,protocol"
    assert float(lines[1].split(",")[1]) == record["scores"]["a.exr"]["psnr_mu"]
    assert lines[3] == f"c.exr,,,usme_hdr {record['protocol']['hash']}"
    assert lines[4].startswith("mean,")
    assert lines[5].startswith("images,2,2,")


def test_identical_images_are_infinitely_good_in_json_too(folders):
    call = ["score", "--pred", str(folders / "ref"), "--ref", str(folders / "ref"), "--metrics", "psnr_mu"]
    done = CliRunner().invoke(app, [*call, "--json", str(folders / "s.json")])
    assert done.exit_code == 0
    assert json.loads((folders / "s.json").read_text())["mean"] == {"psnr_mu": "inf"}


def test_downloads_happen_only_when_allowed(folders, monkeypatch):
    import pyiqa

    from hdrbench.metrics import weights

    asked = []

    def create(name, **options):
        asked.append(name)
        raise OSError("no network here")

    monkeypatch.setattr(pyiqa, "create_metric", create)
    monkeypatch.setenv("TORCH_HOME", str(folders / "no weights"))
    call = ["score", "--pred", str(folders / "pred"), "--metrics", "musiq"]
    assert CliRunner().invoke(app, call).exit_code == 1
    assert asked == []
    monkeypatch.setattr(weights, "_downloads_allowed", False)
    done = CliRunner().invoke(app, [*call, "--allow-download"])
    weights.allow_download(False)
    assert done.exit_code == 1
    assert set(asked) == {"musiq"}
    assert "no network here" in done.output
