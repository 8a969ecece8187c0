"""Checksums that a user can keep, contact sheets, and names that neither can hold."""

import errno
import os
import subprocess

import cv2
import pytest
from tiny_sets import WRITERS, make
from typer.testing import CliRunner

from hdrbench import cli_data
from hdrbench.datasets import catalog, manifest
from hdrbench.datasets.preview import preview
from hdrbench.datasets.survey import fingerprint, survey
from hdrbench.errors import HdrbenchError


@pytest.fixture
def kalantari(tmp_path, monkeypatch):
    make("kalantari", tmp_path, monkeypatch)
    return tmp_path


@pytest.mark.parametrize("name", WRITERS)
def test_first_full_verification_writes_a_manifest_that_sha256sum_reads(name, tmp_path, monkeypatch):
    make(name, tmp_path, monkeypatch)
    first = manifest.verify_full(name)
    assert first.problems == ()
    assert first.written
    assert first.manifest == tmp_path / f"{name}.sha256"
    assert first.files == catalog.fingerprint(name)["files"]
    check = subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", first.manifest.name], cwd=tmp_path, check=True
    )
    assert check.returncode == 0
    second = manifest.verify_full(name)
    assert (second.problems, second.written, second.files) == ((), False, first.files)


def test_a_changed_byte_is_named(kalantari):
    manifest.verify_full("kalantari")
    path = kalantari / "kalantari/Test/Größe/HDRImg.hdr"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    assert catalog.verify("kalantari") == []
    problems = manifest.verify_full("kalantari").problems
    assert len(problems) == 1
    assert problems[0].startswith(f"{path}: its content changed, SHA-256 ")
    assert "get it again from http" in problems[0]


def test_new_and_lost_files_are_named(kalantari):
    written = manifest.verify_full("kalantari").manifest
    before = written.read_bytes()
    (kalantari / "kalantari/Training/002").rename(kalantari / "kalantari/Training/003")
    problems = manifest.verify_full("kalantari").problems
    assert sum("is recorded in kalantari.sha256 but missing" in line for line in problems) == 5
    assert sum("003" in line and "is not recorded in kalantari.sha256" in line for line in problems) == 5
    assert written.read_bytes() == before


def test_damaged_data_are_not_recorded(kalantari):
    (kalantari / "kalantari/Training/001/HDRImg.hdr").write_bytes(b"")
    found = manifest.verify_full("kalantari")
    assert (len(found.problems), found.manifest, found.written) == (1, None, False)
    assert not manifest.manifest_path("kalantari").exists()


def test_missing_reference_after_recording(kalantari):
    manifest.verify_full("kalantari")
    (kalantari / "kalantari/Training/001/HDRImg.hdr").unlink()
    problems = manifest.verify_full("kalantari").problems
    assert len(problems) == 2
    assert ": the reference is missing" in problems[0]
    assert "is recorded in kalantari.sha256 but missing" in problems[1]


def test_damaged_manifest(kalantari):
    (kalantari / "kalantari.sha256").write_text("nonsense\n")
    with pytest.raises(HdrbenchError, match=r"kalantari\.sha256: line 1 is not '<sha256>  <path>'; delete the file"):
        manifest.verify_full("kalantari")


def test_manifest_elsewhere(kalantari):
    elsewhere = kalantari / "away" / "sums"
    with pytest.raises(HdrbenchError, match=r"sums: there is no folder .*away; make it, or name another file"):
        manifest.verify_full("kalantari", elsewhere)
    elsewhere.parent.mkdir()
    first = manifest.verify_full("kalantari", elsewhere)
    assert (first.problems, first.manifest, first.written) == ((), elsewhere, True)
    assert not manifest.manifest_path("kalantari").exists()
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", str(elsewhere)], cwd=kalantari, check=True)
    (kalantari / "kalantari/Training/001/exposure.txt").write_text("0\n2\n4\n")
    second = manifest.verify_full("kalantari", elsewhere)
    assert [line.split(": ")[1][:15] for line in second.problems] == ["its content cha"]


def read_only(monkeypatch):
    def refuse(old, new):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(new))

    monkeypatch.setattr(os, "replace", refuse)


def test_read_only_data_are_checked_all_the_same(kalantari, monkeypatch):
    """Whoever runs the tests as root may write to any folder, so the system call is made to fail."""
    read_only(monkeypatch)
    found = manifest.verify_full("kalantari")
    assert (found.problems, found.manifest, found.written) == ((), None, False)
    assert found.files == catalog.fingerprint("kalantari")["files"]
    path = manifest.manifest_path("kalantari")
    assert found.unwritten.startswith(f"{path}: cannot be written (Read-only file system); name a file elsewhere with")
    assert sorted(each.name for each in kalantari.iterdir()) == ["kalantari"]


def test_verify_command(kalantari, monkeypatch):
    """What it prints, on one line each, and how it exits."""

    def run(*options):
        done = CliRunner().invoke(cli_data.app, ["verify", "kalantari", *options])
        return done.exit_code, done.stdout, done.exception

    assert run() == (0, run()[1], None)
    assert run()[1].startswith("kalantari: complete, 2 train, 2 test scenes, fingerprint ")
    assert str(run("--manifest", "x")[2]) == "--manifest goes with --full; add it, or leave --manifest out"
    with monkeypatch.context() as patch:
        read_only(patch)
        code, out, _ = run("--full")
    assert code == 0
    assert out.count("\n") == 1
    assert out.startswith("kalantari: complete; the checksums of 20 files were computed but not kept: ")
    code, out, _ = run("--full", "--manifest", str(kalantari / "sums"))
    assert (code, out) == (0, f"kalantari: complete; the checksums of 20 files were written to {kalantari / 'sums'}\n")
    (kalantari / "kalantari/Training/001/HDRImg.hdr").write_bytes(b"")
    error = run("--full")[2]
    assert isinstance(error, HdrbenchError)
    assert str(error).startswith(f"data set 'kalantari' is not complete: {kalantari}/kalantari/Training/001/HDRImg.hdr")
    assert str(error).endswith("; usable: train 1 of 2, test 2 of 2")


@pytest.mark.parametrize("name", ["embedded_a", "usme_real_world"])
def test_sets_without_files(name, tmp_path, monkeypatch):
    monkeypatch.setenv("HDRBENCH_DATA", str(tmp_path))
    found = manifest.verify_full(name)
    assert found.files == 0
    assert manifest.checksums(catalog.card(name)) == {}
    assert list(found.problems) == catalog.verify(name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["kalantari", "sice", "hdreye", "folder_of_photos"])
def test_preview(name, tmp_path, monkeypatch):
    make(name, tmp_path, monkeypatch)
    found = preview(name, tmp_path / "sheets", count=3)
    assert cv2.imread(str(found.png)).std() > 5
    page = found.html.read_text(encoding="utf-8")
    frames = sum(len(catalog.load_scene(name, *title.split(" (")[0].split("/", 1)).ldrs) for title in found.shown)
    references = sum(
        catalog.load_scene(name, *title.split(" (")[0].split("/", 1)).hdr is not None for title in found.shown
    )
    assert page.count("data:image/jpeg;base64,") == frames + references > 0
    assert "http" not in page.replace(catalog.card(name).licence, "")
    assert found.left_out == {}


def test_preview_names_exposure_times(kalantari):
    page = preview("kalantari", kalantari / "sheets", count=4).html.read_text(encoding="utf-8")
    assert page.count("<figcaption>t = 16 (+4 EV)</figcaption>") == 4
    assert "Größe" in page


def test_preview_counts_what_is_left_out(kalantari):
    (kalantari / "kalantari/Training/001/262A2616.tif").write_bytes(b"")
    found = preview("kalantari", kalantari / "sheets", count=4)
    assert list(found.left_out) == ["train/001"]
    page = found.html.read_text(encoding="utf-8")
    assert "Left out: 1" in page
    assert "is empty (0 bytes)" in page


def test_preview_escapes_names(tmp_path, monkeypatch):
    make("folder_of_brackets", tmp_path, monkeypatch)
    (tmp_path / "brackets/my café #1").rename(tmp_path / "brackets/<b>$x$ & y")
    page = preview("folder_of_brackets", tmp_path / "sheets").html.read_text(encoding="utf-8")
    assert "<b>" not in page
    assert "&lt;b&gt;$x$ &amp; y" in page


def test_preview_of_nothing_usable(kalantari):
    for path in kalantari.rglob("262A2616.tif"):
        path.write_bytes(b"")
    with pytest.raises(HdrbenchError, match=r"kalantari: no scene can be shown: .*is empty"):
        preview("kalantari", kalantari / "sheets")


LATIN_1 = b"Gr\xf6\xdfe"


def rename(old, new):
    """Rename within a folder, to a name in bytes; some file systems hold none but UTF-8."""
    try:
        os.rename(old, os.fsencode(old.parent) + b"/" + new)
    except OSError as error:
        pytest.skip(f"this file system refuses names that are not UTF-8 ({error.strerror})")


@pytest.mark.parametrize(
    ("name", "split", "old", "new", "usable"),
    [
        ("kalantari", "test", "kalantari/Test/Größe", LATIN_1, 1),
        ("ntire2021_hdr", "train", "ntire2021_hdr/training/000000", LATIN_1, 0),
        ("hdr_real", "test", "hdr_real/R_CVPR2020_testing/1", LATIN_1, 1),
        ("santos2020_pairs", "test", "santos2020_pairs/0001.png", LATIN_1 + b".png", 0),
        ("folder_of_photos", "test", "photos/in town", LATIN_1, 1),
        ("folder_of_maps", "test", "maps/night.hdr", LATIN_1 + b".hdr", 1),
    ],
)
def test_name_that_is_not_utf8(name, split, old, new, usable, tmp_path, monkeypatch):
    card = make(name, tmp_path, monkeypatch)
    assert manifest.verify_full(name).written
    rename(tmp_path / old, new)
    found = survey(name)
    shown = str((tmp_path / old).parent / "Gr\\xf6\\xdfe")
    (line,) = [text for text in found.remarks if text.startswith(shown)]
    assert line.endswith(": its name is not UTF-8, so it is left out; rename it")
    assert len(found.usable[split]) == usable
    for text in (*found.problems, *catalog.scene_names(name, split), *manifest.verify_full(name).problems):
        text.encode("utf-8")
    for each in card.splits:
        assert len(fingerprint(name, each)["digest"]) == 64
    catalog.fingerprint(name)
    if any(found.usable.values()):
        assert preview(name, tmp_path / "out").remarks == found.remarks


def test_frame_whose_name_is_not_utf8_costs_its_scene(tmp_path, monkeypatch):
    make("sice", tmp_path, monkeypatch)
    folder = tmp_path / "sice/Dataset_Part1/1"
    rename(folder / "7.JPG", LATIN_1 + b".JPG")
    found = survey("sice")
    assert found.left_out["train"]["1"].startswith(f"{folder}/Gr\\xf6\\xdfe.JPG: its name is not UTF-8")
    assert found.counts() == "train 1 of 2, test 1 of 1"
    with pytest.raises(HdrbenchError, match="is not UTF-8"):
        catalog.load_scene("sice", "train", "1")


def test_preview_shows_usable_scenes_of_the_splits_that_are_there(kalantari):
    (kalantari / "kalantari/Training/001/262A2616.tif").write_bytes(b"")
    (kalantari / "kalantari/Test").rename(kalantari / "away")
    made = preview("kalantari", kalantari / "out")
    assert made.shown == ("train/002 (16x12)",)
    assert set(made.left_out) == {"train/001"}
    assert "Test is missing" in made.remarks[0]
