"""The house: floors, import names, packaging, lock file and pipelines."""

import ast
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from hdrbench import workspace
from hdrbench.pipeline import digest

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("metrics", "methods", "datasets", "replications")
# A floor may use those below it. `runs`, `spec`, `protocol`, `strict`, `workspace` and `errors` are data, read everywhere.
FLOORS = {"imaging": 0, "metrics": 1, "datasets": 1, "methods": 2, "pipeline": 3, "report": 4, "cli": 5, "doctor": 5}


def modules():
    for package in ("src/hdrbench", *PACKAGES):
        yield from sorted((REPOSITORY / package).rglob("*.py"))


def floor_of(module: str) -> int | None:
    parts = module.split(".")
    return FLOORS.get(parts[1]) if len(parts) > 1 and parts[0] == "hdrbench" else None


def dotted(path: Path) -> str:
    parts = list(path.relative_to(REPOSITORY).with_suffix("").parts)
    return ".".join(parts[1:] if parts[0] == "src" else ["hdrbench", *parts])


@pytest.mark.parametrize("path", list(modules()), ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_nothing_imports_upward(path):
    here = floor_of(dotted(path))
    imports = digest._imports(ast.parse(path.read_text(encoding="utf-8")))
    if here is None:
        here = 5 if path.name.startswith("cli") else 0
        imports = {
            name for name in imports if floor_of(name) not in (1, 2)
        }  # specifications may name metrics and methods
    upward = sorted(name for name in imports if (floor_of(name) or 0) > here)
    assert not upward, f"{path.relative_to(REPOSITORY)} is on floor {here} but imports {upward}"


def test_replications_hold_no_code():
    assert not list((REPOSITORY / "replications").rglob("*.py"))


def test_files_are_short():
    lengths = {p: len(p.read_text(encoding="utf-8").splitlines()) for p in modules()}
    assert sorted(lengths.values())[len(lengths) // 2] <= 150
    assert {str(p): n for p, n in lengths.items() if n > 400} == {}


def test_every_work_that_is_cited_is_in_the_references():
    known = set(re.findall(r"^@\w+\{(\w+),", (REPOSITORY / "REFERENCES.bib").read_text(encoding="utf-8"), re.M))
    formulas = {"CIEDE2000", "DeltaE2000"}
    for path in modules():
        cited = set(re.findall(r"\b[A-Z][A-Za-z]+(?:19|20)\d\d\b", path.read_text(encoding="utf-8")))
        assert cited - formulas <= known, path


def test_datasets_at_the_root_is_hugging_faces():
    pytest.importorskip("pyiqa", reason="the iqa extra is not installed")
    code = (
        "import datasets, pyiqa; from datasets import load_dataset; "
        "assert 'site-packages' in datasets.__file__, datasets.__file__; "
        "import hdrbench.datasets.catalog as ours; assert 'embedded_a' in ours.names()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not (REPOSITORY / "datasets" / "__init__.py").exists()


def expected_in_wheel() -> set[str]:
    kept = (".py", ".yaml", ".csv", ".md", ".css", ".js", ".j2", ".m", ".typed")
    names = set()
    for package in PACKAGES:
        names |= {
            f"hdrbench/{p.relative_to(REPOSITORY)}" for p in (REPOSITORY / package).rglob("*") if p.suffix in kept
        }
    engine = REPOSITORY / "src" / "hdrbench"
    for path in engine.rglob("*"):
        relative = path.relative_to(engine)
        if relative.parts[0] not in PACKAGES and (path.suffix in kept or path.name == "py.typed"):
            names.add(f"hdrbench/{relative}")
    return names


def test_wheel_holds_the_whole_tree(tmp_path):
    """Built from the source distribution, so that both are complete."""
    source = tmp_path / "checkout"
    ignored = shutil.ignore_patterns(
        ".venv", ".git", ".work", ".dvc", "results", "__pycache__", "*.egg-info", ".*_cache"
    )
    shutil.copytree(REPOSITORY, source, symlinks=True, ignore=ignored)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path / "dist"), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(next((tmp_path / "dist").glob("*.whl"))) as wheel:
        inside = {name for name in wheel.namelist() if name.startswith("hdrbench/")}
    assert inside == expected_in_wheel()


def test_a_checkout_without_links_still_imports(tmp_path):
    """Windows without developer mode leaves text files in place of the links."""
    for package in PACKAGES:
        shutil.copytree(REPOSITORY / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    engine = tmp_path / "src" / "hdrbench"
    shutil.copytree(
        REPOSITORY / "src" / "hdrbench", engine, symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
    )
    for package in PACKAGES:
        (engine / package).unlink()
        (engine / package).write_text(f"../../{package}")
    code = "import hdrbench.methods, hdrbench.metrics.psnr, hdrbench.datasets.scene as s; print(s.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd="/", env={"PYTHONPATH": str(tmp_path / "src")}, capture_output=True, text=True
    )
    assert done.stdout.startswith(str(tmp_path)), done.stderr


def test_lock_file_has_hashes_and_no_hosts():
    lock = (REPOSITORY / "requirements.lock").read_text()
    assert "://" not in lock
    entries = re.findall(r"^([a-z0-9._-]+)==.*\\\n    --hash=sha256:", lock, re.MULTILINE)
    assert len(entries) == len(re.findall(r"^[a-z0-9]", lock, re.MULTILINE))
    assert {"torch", "dvc", "pyiqa", "pytest"} <= set(entries)


def test_help_imports_nothing_heavy():
    code = (
        "import sys, hdrbench.cli; print([m for m in ('torch', 'cv2', 'numpy', 'pandas', 'yaml') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def dvc_files():
    return sorted(
        path for path in REPOSITORY.rglob("dvc.yaml") if ".venv" not in path.parts and "src" not in path.parts
    )


@pytest.mark.parametrize("path", dvc_files(), ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_every_dvc_file_parses_and_has_stages(path):
    """DVC skips a broken file without a word, so its own reader is asked for each."""
    pytest.importorskip("dvc.repo")
    from dvc.repo import Repo

    with Repo(str(REPOSITORY)) as repository:
        stages = list(repository.stage.collect(str(path)))
    assert stages
    declared = yaml.safe_load(path.read_text())["stages"]
    assert {stage.name.split("@")[0] for stage in stages} == set(declared)


def test_every_paper_has_both_spellings_of_its_stage():
    stages = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"]
    for paper in workspace.papers():
        assert stages[f"replications/{paper}"] == stages[f"replications/{paper}/"]
