"""What `hdrbench doctor` finds, on machines that lack this or that."""

import dataclasses
from collections import namedtuple

import pytest
import torch

from hdrbench import doctor
from hdrbench.datasets import catalog
from hdrbench.errors import HdrbenchError
from hdrbench.metrics import weights
from hdrbench.workspace import root


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """No data, no weights, no HDR-VDP."""
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    for variable in ("HDRBENCH_DATA", "HDRBENCH_WEIGHTS", "HDRBENCH_HDRVDP2", "HDRBENCH_HDRVDP3"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path


def items(report):
    return {(section.title, item.name): item for section in report for item in section.items}


def test_a_bare_machine_says_what_is_missing_and_how_to_get_it(bare):
    found = items(doctor.report())
    assert {section for section, _ in found} == {
        "Versions",
        "Machine",
        "Data",
        "Weights",
        "Official HDR-VDP",
        "Checkout",
    }
    assert all("\n" not in item.detail and item.detail for item in found.values())
    assert found["Versions", "torch"].detail == torch.__version__.split("+")[0]
    assert found["Machine", "CPU"].state == "ok"
    assert ("Machine", "GPU 0" if torch.cuda.is_available() else "GPU") in found
    assert "HDRBENCH_DATA is not set" in found["Data", "HDRBENCH_DATA"].detail
    assert {name for section, name in found if section == "Data"} == {"HDRBENCH_DATA", *catalog.names()}
    assert found["Data", "embedded_a"].state == "ok"
    assert found["Data", "kalantari"].state == "missing"
    assert found["Data", "usme_real_world"].state == "absent"
    for file in weights.FILES:
        item = found["Weights", f"{file.folder}/{file.name}"]
        assert item.state == "missing"
        assert file.source in item.detail
        assert all(metric in item.detail for metric in file.metrics)
    for version in (2, 3):
        item = found["Official HDR-VDP", f"HDR-VDP-{version}"]
        assert item.state == "absent"
        assert f"HDRBENCH_HDRVDP{version}" in item.detail
    assert str(root()) in found["Checkout", "profile"].detail


def test_nothing_is_written(bare):
    doctor.report()
    assert list(bare.iterdir()) == []


def test_the_report_is_printed(bare, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setattr(doctor, "_versions", lambda: (doctor.Item("pyiqa", "absent", weights.PYIQA_ABSENT),))
    doctor.show()
    printed = capsys.readouterr().out
    assert all(section.title in printed for section in doctor.report())
    assert "hdrbench data verify" not in printed
    assert weights.ALEXNET.name in printed
    assert "hdrbench[iqa]" in printed


def place(folder, file, size):
    path = folder / file.folder.removeprefix("data/") / file.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\0" * size)
    return path


def test_a_file_that_was_cut_off_is_not_taken_for_weights(bare, monkeypatch):
    monkeypatch.setenv("HDRBENCH_WEIGHTS", str(bare))
    path = place(bare, weights.LPIPS_ALEX, 6_009)
    item = doctor.weight_file(weights.LPIPS_ALEX)
    assert item.state == "ok"
    assert str(path) in item.detail
    place(bare, weights.LPIPS_ALEX, 129)
    item = doctor.weight_file(weights.LPIPS_ALEX)
    assert item.state == "missing"
    assert "129 bytes instead of 6.01 kB" in item.detail


def test_a_file_that_another_one_replaces_is_not_missing(bare, monkeypatch):
    monkeypatch.setenv("HDRBENCH_DATA", str(bare))
    place(bare, weights.NIQE_AUTHORS, 8_347)
    assert doctor.weight_file(weights.NIQE_AUTHORS).state == "ok"
    assert doctor.weight_file(weights.NIQE_PYIQA).state == "absent"
    assert doctor.weight_file(weights.BRISQUE_PYIQA).state == "missing"


def test_an_incomplete_data_set_is_counted(bare, monkeypatch):
    monkeypatch.setenv("HDRBENCH_DATA", str(bare))
    assert str(bare / "kalantari") in doctor.data_set("kalantari").detail
    card = catalog.card("kalantari")
    for split, count in (("Training", 74), ("Test", 14)):
        for number in range(count):
            (bare / "kalantari" / split / f"{number:03d}").mkdir(parents=True)
    item = doctor.data_set("kalantari")
    assert item.state == "missing"
    assert f"14 test scenes, expected {card.splits['test']}" in item.detail
    (bare / "kalantari" / "Test" / "014").mkdir()
    item = doctor.data_set("kalantari")
    assert item.state == "ok"
    assert "hdrbench data verify kalantari" in item.detail


def test_an_unknown_data_set():
    with pytest.raises(HdrbenchError, match="did you mean 'kalantari'"):
        doctor.data_set("kalantary")


def test_pyiqa_is_optional(bare, monkeypatch):
    def version(name):
        raise doctor.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(doctor.metadata, "version", version)
    found = {item.name: item for item in doctor._versions()}
    assert found["pyiqa"].state == "absent"
    assert "hdrbench[iqa]" in found["pyiqa"].detail
    assert found["numpy"].state == "missing"


def test_official_code_that_is_named_and_not_there_is_missing(bare, monkeypatch):
    monkeypatch.setenv("HDRBENCH_HDRVDP2", str(bare))
    found = {item.name: item for item in doctor._hdrvdp()}
    assert found["HDR-VDP-2"].state == "missing"
    assert found["HDR-VDP-3"].state == "absent"


def test_without_an_interpreter_of_matlab_code(bare, monkeypatch):
    monkeypatch.setenv("PATH", str(bare))
    for variable in ("HDRBENCH_OCTAVE", "HDRBENCH_MATLAB"):
        monkeypatch.delenv(variable, raising=False)
    assert doctor._hdrvdp()[0].state == "absent"


def test_outside_a_checkout_the_disk_is_still_looked_at(bare, monkeypatch):
    monkeypatch.chdir(bare)
    checkout, disk = doctor._checkout()
    assert checkout.state == "absent"
    assert str(bare) in disk.detail


def test_a_copy_without_git_or_dvc(bare, monkeypatch):
    (bare / "replications").mkdir()
    (bare / "params.yaml").write_text("profile: nothing\n")
    monkeypatch.chdir(bare)
    found = {item.name: item for item in doctor._checkout()}
    assert (found["git"].state, found["dvc"].state, found["profile"].state) == ("absent", "missing", "missing")


def test_a_full_disk(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda folder: usage(10**12, 10**12, 10**8))
    assert doctor.disk(tmp_path).state == "missing"
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda folder: usage(10**12, 0, 10**12))
    assert doctor.disk(tmp_path) == doctor.Item("disk", "ok", f"1000.0 GB free at {tmp_path}")


def test_findings_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        doctor.Item("a", "ok", "b").state = "missing"
