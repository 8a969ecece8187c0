"""Every command of `hdrbench`. Heavy imports stay inside the commands, so that ``--help`` answers at once."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from hdrbench.errors import HdrbenchError

ABOUT = "Replications of HDR papers: train, score, and compare with every printed number."

app = typer.Typer(no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False, help=ABOUT)
data_app = typer.Typer(no_args_is_help=True, help="Data sets: list, verify and prepare them.")
app.add_typer(data_app, name="data")
metrics_app = typer.Typer(no_args_is_help=True, help="Metrics: list them, and check them against reference values.")
app.add_typer(metrics_app, name="metrics")

Paper = Annotated[str, typer.Argument(help="Folder under replications/, e.g. usme_hdr.")]
RunId = Annotated[str, typer.Argument(help="Training run as role/name, e.g. kalantari/usme_6ch.")]
Role = Annotated[str, typer.Argument(help="A data set by its role in the paper, e.g. kalantari.")]
ProfileName = Annotated[
    str | None, typer.Option("--profile", help="embedded, hdri or paper; the active one if left out.")
]


def _profile(name: str | None) -> str:
    from hdrbench.workspace import active_profile, check_profile

    return active_profile() if name is None else check_profile(name)


def _allow_download(allowed: bool) -> None:
    """Let loaders of weights use the network, which they otherwise never do."""
    if allowed:
        from hdrbench.metrics import weights

        weights.allow_download()


def _data_facts(paper: str, profile: str, role: str) -> dict[str, Any]:
    """Read what `data prepare` wrote; run it if that is missing, or was written for other data."""
    from hdrbench.pipeline.data import prepare_data, stored_facts

    return stored_facts(paper, profile, role) or prepare_data(paper, profile, role)


@data_app.command("list")
def data_list() -> None:
    """List the data sets that have a card."""
    from rich.table import Table

    from hdrbench.datasets import catalog
    from hdrbench.report.terminal import show

    table = Table("name", "kind", "scenes", "what")
    for name in catalog.names():
        card = catalog.card(name)
        scenes = ", ".join(f"{split} {count if count is not None else '?'}" for split, count in card.splits.items())
        table.add_row(name, card.kind, scenes, card.title)
    show(table)


@data_app.command("verify")
def data_verify(name: Annotated[str, typer.Argument(help="A data set, as `hdrbench data list` names it.")]) -> None:
    """Check a data set's layout, counts and sizes, and say in plain words what is wrong."""
    from hdrbench.datasets import catalog

    problems = catalog.verify(name)
    for problem in problems[1:]:
        print(problem, file=sys.stderr)
    if problems:
        others = f" ({len(problems) - 1} more above)" if problems[1:] else ""
        raise HdrbenchError(f"data set '{name}' is not complete: {problems[0]}{others}")
    facts = catalog.fingerprint(name)
    scenes = ", ".join(f"{count} {split}" for split, count in facts["scenes"].items())
    print(f"{name}: complete, {scenes} scenes, fingerprint {facts['digest'][:12]}")


@data_app.command("prepare")
def data_prepare(paper: Paper, role: Role, profile: ProfileName = None) -> None:
    """Verify the data set that plays a role, fingerprint it, and align its scenes."""
    from hdrbench.pipeline.data import prepare_data

    facts = prepare_data(paper, _profile(profile), role)
    print(f"{role}: {facts['dataset']}, {facts['scenes']}, fingerprint {facts['digest'][:12]}")


@metrics_app.command("list")
def metrics_list() -> None:
    """List the metrics: direction, domain, what they need, licence, and whether they work on this machine."""
    from rich.table import Table

    from hdrbench import metrics
    from hdrbench.report.terminal import show

    table = Table("name", "symbol", "better", "domain", "needs", "checked against", "licence", "here")
    reasons = {name: metrics.unavailable(name) for name in metrics.METRICS}
    for name, card in metrics.METRICS.items():
        here = "no, see below" if reasons[name] else "yes"
        table.add_row(name, card.symbol, card.better, card.domain, card.needs, card.checked_against, card.licence, here)
    show(table)
    for name, reason in reasons.items():
        if reason:
            print(f"{name}: {reason}")


@metrics_app.command("check")
def metrics_check(
    only: Annotated[str | None, typer.Option(help="Only families whose name contains this, e.g. SSIM.")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Every value, not only the largest difference.")] = False,
) -> None:
    """Compare every metric with the values of independent implementations, on this machine."""
    from hdrbench.metrics.golden import load
    from hdrbench.report.golden import run_checks

    failed = run_checks(load(), only, verbose=verbose)
    if failed:
        raise HdrbenchError(f"{failed} values are outside their tolerance")


@app.command()
def score(
    pred: Annotated[Path, typer.Option(help="Folder of images to score: EXR, HDR, PNG, TIFF or JPEG.")],
    metrics: Annotated[str, typer.Option(help="Names from `hdrbench metrics list`, separated by commas.")],
    ref: Annotated[Path | None, typer.Option(help="Folder of references, paired by file name without ending.")] = None,
    stack: Annotated[
        Path | None, typer.Option(help="Folder with a folder of exposures per image, for MEF-SSIM.")
    ] = None,
    protocol: Annotated[
        str, typer.Option(help="Alignment, peaks and variants: the paper whose numbers to compare.")
    ] = ("usme_hdr"),
    ldr_as: Annotated[
        str | None, typer.Option(help="What 8/16-bit codes are: linear, srgb or gamma; as they are if left out.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the scores to this file.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write scores and protocol to this file.")] = None,
    allow_download: Annotated[bool, typer.Option(help="Let pyiqa and torchvision fetch missing weights.")] = False,
) -> None:
    """Score a folder of images; what cannot be scored is listed at the end, and the exit status is then 1."""
    from hdrbench.pipeline.score import Request, score_folder
    from hdrbench.report.scores import print_scores, write_csv, write_json

    _allow_download(allow_download)
    names = tuple(name.strip() for name in metrics.split(",") if name.strip())
    request = Request(pred, names, protocol, ref, stack, ldr_as)
    outcome = score_folder(request)
    print_scores(request, outcome)
    if csv is not None:
        write_csv(csv, request, outcome)
    if json_file is not None:
        write_json(json_file, request, outcome)
    if outcome.problems:
        raise typer.Exit(1)


@app.command()
def doctor() -> None:
    """Show what this machine has: versions, data sets, weights, Octave, HDR-VDP, GPU."""
    from hdrbench.doctor import show

    show()


@app.command()
def digest(paper: Paper) -> None:
    """Write the digests of code and settings that a replication's stages depend on."""
    from hdrbench.pipeline.data import write_digests

    print(write_digests(paper))


@app.command()
def train(
    paper: Paper,
    run: RunId,
    profile: ProfileName = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu or gpu.")] = "auto",
    devices: Annotated[str, typer.Option(help="auto, or how many.")] = "auto",
) -> None:
    """Train one run, or finish it where it was interrupted."""
    from hdrbench.pipeline.failures import recorded
    from hdrbench.runs import resolve

    resolved = resolve(paper, _profile(profile), run)
    with recorded(resolved, "train"):
        from hdrbench.pipeline.train import train as start

        facts = _data_facts(paper, resolved.profile_name, resolved.role)
        count = int(devices) if devices.isdigit() else devices
        print(start(resolved, facts, accelerator=accelerator, devices=count))


@app.command()
def evaluate(
    paper: Paper,
    run: RunId,
    on: Annotated[
        str | None, typer.Option(help="Role of the data set to test on; the training one if left out.")
    ] = None,
    profile: ProfileName = None,
) -> None:
    """Score a trained run on a test split, image by image."""
    from hdrbench.pipeline.failures import recorded
    from hdrbench.pipeline.needs import needed
    from hdrbench.runs import resolve

    resolved = resolve(paper, _profile(profile), run)
    test = on or resolved.role
    resolved.dataset(test)
    names, protocol = needed(paper, resolved.role, test)
    with recorded(resolved, f"evaluate-{test}"):
        from hdrbench.pipeline.evaluate import evaluate as start

        facts = _data_facts(paper, resolved.profile_name, test)
        print(start(resolved, test, facts, names, protocol))


@app.command()
def cost(paper: Paper) -> None:
    """Count the parameters and multiply-adds of every run's network, in the paper's configuration."""
    from hdrbench.pipeline.needs import count_costs

    print(count_costs(paper))


@app.command()
def showcase(paper: Paper, profile: ProfileName = None) -> None:
    """Make the pictures for the page's viewer."""
    from hdrbench.report.showcase import showcase as make
    from hdrbench.runs import load, resolve

    resolved = resolve(paper, _profile(profile), load(paper).showcase)
    print(make(resolved, _data_facts(paper, resolved.profile_name, resolved.role)))


@app.command()
def report(paper: Paper, profile: ProfileName = None) -> None:
    """Build the page from whatever results exist."""
    from hdrbench.pipeline.compare import compare
    from hdrbench.report import index, page
    from hdrbench.workspace import results, write_atomically

    name = _profile(profile)
    folder = results(paper, name)
    tables = compare(paper, name)
    write_atomically(folder / "tables.json", json.dumps(tables, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    page.write(tables, folder)
    index.write(folder.parent.parent)
    print(tables["verdict"])
    print(folder / "index.html")


@app.command("index")
def make_index() -> None:
    """List all papers' pages in results/index.html."""
    from hdrbench.report import index
    from hdrbench.workspace import root

    index.write(root() / "results")
    print(root() / "results" / "index.html")


@app.command("list")
def list_papers() -> None:
    """List the replications and their runs."""
    from hdrbench.runs import load
    from hdrbench.workspace import papers

    for paper in papers():
        runs = [f"{role}/{name}" for role, named in load(paper).runs.items() for name in named]
        print(f"{paper}: {', '.join(runs)}")


def main() -> None:
    """Run the command line; a user's mistake is one line on standard error and exit status 2."""
    try:
        app()
    except HdrbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        print(f"error: {error.filename or 'output'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(2)
