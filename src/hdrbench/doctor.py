"""What this machine has and lacks: the content of ``hdrbench doctor``. Nothing is changed, read whole or downloaded."""

import os
import platform
import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

import hdrbench
from hdrbench.errors import DataMissingError, HdrbenchError
from hdrbench.metrics.weights import FILES, NEEDS, PYIQA_ABSENT, WeightFile, find, size_text, wanted

_LIBRARIES = ("torch", "torchvision", "numpy", "opencv-python", "dvc")
_LEAST_FREE = 2e9
# Published sizes are rounded to three digits; a file that is further off was cut off, or is a pointer to the real one.
_SIZE_TOLERANCE = 0.01


@dataclass(frozen=True)
class Item:
    """One finding.

    Attributes
    ----------
    name
        What was looked for.
    state
        ``"ok"``; ``"missing"``, something that is needed for a part of the benchmark and is not right; or ``"absent"``,
        something that is not there and need not be.
    detail
        One line: version, place or size, or what is wrong and what to do.
    """

    name: str
    state: Literal["ok", "missing", "absent"]
    detail: str


@dataclass(frozen=True)
class Section:
    """Findings that belong together."""

    title: str
    items: tuple[Item, ...]


def report() -> list[Section]:
    """Look at this machine; takes a few seconds.

    Returns
    -------
    list of Section
        Versions, machine, data, weights, HDR-VDP, checkout and disk.
    """
    return [
        Section("Versions", _versions()),
        Section("Machine", (_processor(), *_gpus())),
        Section("Data", _data()),
        Section("Weights", tuple(weight_file(file) for file in FILES)),
        Section("Official HDR-VDP", _hdrvdp()),
        Section("Checkout", _checkout()),
    ]


def show() -> None:
    """Print the report."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    for section in report():
        table = Table("what", "state", "detail", title=section.title, title_justify="left")
        for item in section.items:
            table.add_row(item.name, item.state, Text(item.detail))  # rich would take [iqa] for markup
        console.print(table)


def _versions() -> tuple[Item, ...]:
    own = (Item("hdrbench", "ok", hdrbench.__version__), Item("python", "ok", platform.python_version()))
    needed = (_version(name, "missing", f"{name} is not installed; install hdrbench again") for name in _LIBRARIES)
    return *own, *needed, _version("pyiqa", "absent", PYIQA_ABSENT)


def _version(name: str, otherwise: Literal["missing", "absent"], advice: str) -> Item:
    try:
        return Item(name, "ok", metadata.version(name))
    except metadata.PackageNotFoundError:
        return Item(name, otherwise, advice)


def _processor() -> Item:
    import psutil  # type: ignore[import-untyped]

    name = platform.processor() or platform.machine()
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        models = [line.split(":", 1)[1].strip() for line in listing.read_text().splitlines() if "model name" in line]
        name = models[0] if models else name
    memory = psutil.virtual_memory().total
    return Item("CPU", "ok", f"{name}, {os.cpu_count()} logical cores, {memory / 2**30:.1f} GiB of memory")


def _gpus() -> tuple[Item, ...]:
    import torch

    if not torch.cuda.is_available():
        return (Item("GPU", "absent", "no GPU that this build of torch can use; everything runs on the CPU"),)
    found = (torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count()))
    return tuple(
        Item(f"GPU {number}", "ok", f"{gpu.name}, {gpu.total_memory / 2**30:.1f} GiB, CUDA {torch.version.cuda}")
        for number, gpu in enumerate(found)
    )


def _data() -> tuple[Item, ...]:
    from hdrbench.datasets import catalog

    try:
        folder = Item("HDRBENCH_DATA", "ok", str(catalog.data_root()))
    except DataMissingError as error:
        folder = Item("HDRBENCH_DATA", "missing", str(error))
    return folder, *(data_set(name) for name in catalog.names())


def data_set(name: str) -> Item:
    """Look at one data set: whether its scenes can be listed, in their number, without reading the images.

    Raises
    ------
    HdrbenchError
        If there is no such data set.
    """
    from hdrbench.datasets import catalog

    card = catalog.card(name)
    try:
        found = {split: len(catalog.scene_names(name, split)) for split in card.splits}
        problems = catalog.verify(name) if card.kind == "synthetic" else []
    except HdrbenchError as error:
        return Item(name, "absent" if card.kind == "card only" else "missing", str(error))
    for split, expected in card.splits.items():
        if expected not in (None, found[split]):
            problems.append(f"{found[split]} {split} scenes, expected {expected}; get the rest from {card.homepage}")
    if problems:
        return Item(name, "missing", problems[0])
    scenes = ", ".join(f"{count} {split}" for split, count in found.items())
    checked = (
        "made by the project" if card.kind == "synthetic" else f"listed only; hdrbench data verify {name} reads all"
    )
    return Item(name, "ok", f"{scenes} scenes; {checked}")


def weight_file(file: WeightFile) -> Item:
    """Look for one file of weights; it is absent, not missing, where another file serves as well."""
    name, purpose = f"{file.folder}/{file.name}", f"for {', '.join(file.metrics)}; {file.licence}"
    path = find(file)
    if path is None:
        choices = [choice for needs in NEEDS.values() for choice in needs if file in choice]
        spare = all(any(find(other) for other in choice) for choice in choices)
        detail = f"not needed, another file serves {', '.join(file.metrics)}" if spare else f"{wanted(file)}; {purpose}"
        return Item(name, "absent" if spare else "missing", detail)
    size = path.stat().st_size
    if file.size is not None and abs(size - file.size) > _SIZE_TOLERANCE * file.size:
        return Item(
            name, "missing", f"{path} has {size} bytes instead of {size_text(file.size)}: get it again, {file.source}"
        )
    return Item(name, "ok", f"{path}, {size_text(size)}, {purpose}")


def _hdrvdp() -> tuple[Item, ...]:
    from hdrbench.metrics.hdrvdp.official import official_missing
    from hdrbench.metrics.hdrvdp.official_process import find_interpreter

    try:
        interpreter = find_interpreter()
        items = [Item("Octave or MATLAB", "ok", f"{interpreter.name}, {interpreter.command[0]}")]
    except HdrbenchError as error:
        items = [Item("Octave or MATLAB", "absent", str(error))]
    for version in (2, 3):
        problem, variable = official_missing(version), f"HDRBENCH_HDRVDP{version}"
        name, place = f"HDR-VDP-{version}", os.environ.get(variable)
        if problem is None:
            items.append(Item(name, "ok", str(place)))
        else:  # Who sets the variable wants the official code; without it the project's own port is used.
            items.append(Item(name, "missing" if place else "absent", problem))
    return tuple(items)


def _checkout() -> tuple[Item, ...]:
    from hdrbench.pipeline.provenance import git_state
    from hdrbench.workspace import active_profile, root

    try:
        here = root()
    except HdrbenchError as error:
        return Item("checkout", "absent", str(error)), disk(Path.cwd())
    state = git_state(here)
    if state["commit"] is None:
        git = Item("git", "absent", f"{here} is not the top of a git repository; results will name no commit")
    else:
        git = Item(
            "git", "ok", f"{state['commit'][:12]}, {'with changes' if state['dirty'] else 'unchanged'}, in {here}"
        )
    try:
        profile = Item("profile", "ok", f"{active_profile()}, from {here / 'params.yaml'}")
    except HdrbenchError as error:
        profile = Item("profile", "missing", str(error))
    return git, _dvc(here), profile, disk(here)


def _dvc(here: Path) -> Item:
    if not (here / ".dvc").is_dir():
        return Item("dvc", "missing", f"{here} has no .dvc folder; run: dvc init --no-scm")
    locks = [path for path in (here / "dvc.lock", *sorted(here.glob("replications/*/dvc.lock"))) if path.is_file()]
    names = (
        ", ".join(path.relative_to(here).as_posix() for path in locks) or "no dvc.lock: nothing has been reproduced yet"
    )
    return Item("dvc", "ok", f"{names}; dvc status says what is out of date")


def disk(folder: Path) -> Item:
    """Look at the free space of the disk that a folder is on."""
    free = shutil.disk_usage(folder).free
    detail = f"{free / 1e9:.1f} GB free at {folder}"
    if free < _LEAST_FREE:
        return Item(
            "disk", "missing", f"{detail}; free some: training states and results take up to {_LEAST_FREE / 1e9:.0f} GB"
        )
    return Item("disk", "ok", detail)
