"""Every command of `hdrbench`. Heavy imports stay inside the commands, so that ``--help`` answers at once."""

import io
import json
import sys
from typing import Annotated, Any

import typer

from hdrbench import cli_data, cli_images
from hdrbench.cli_types import Paper, ProfileName, RunId, profile_name
from hdrbench.errors import HdrbenchError

ABOUT = "Replications of HDR papers: train, score, and compare with every printed number."

app = typer.Typer(no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False, help=ABOUT)
app.add_typer(cli_data.app, name="data")
app.add_typer(cli_images.metrics_app, name="metrics")
for command in (
    cli_images.score,
    cli_images.merge,
    cli_images.fuse,
    cli_images.reconstruct,
    cli_images.tonemap,
    cli_images.doctor,
):
    app.command()(command)


def _data_facts(paper: str, profile: str, role: str, split: str) -> dict[str, Any]:
    """Read what `data prepare` wrote of a split; run it if that is missing, or was written for other data."""
    from hdrbench.pipeline.data import of_split, prepare_data, stored_facts

    return of_split(stored_facts(paper, profile, role) or prepare_data(paper, profile, role), split)


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

    resolved = resolve(paper, profile_name(profile), run)
    with recorded(resolved, "train"):
        from hdrbench.pipeline.train import train as start

        facts = _data_facts(paper, resolved.profile_name, resolved.role, "train")
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

    resolved = resolve(paper, profile_name(profile), run)
    test = on or resolved.role
    resolved.dataset(test)
    wanted = needed(paper, run, test)
    with recorded(resolved, f"evaluate-{test}"):
        from hdrbench.pipeline.evaluate import evaluate as start

        print(start(resolved, test, _data_facts(paper, resolved.profile_name, test, "test"), wanted))


@app.command()
def stages(paper: Paper) -> None:
    """Write a replication's dvc.yaml from its paper.yaml and params.yaml."""
    from hdrbench.pipeline.stages import write

    print(write(paper))


@app.command()
def cost(paper: Paper) -> None:
    """Count the parameters and multiply-adds of every run's network, in the paper's configuration."""
    from hdrbench.pipeline.needs import count_costs

    print(count_costs(paper))


@app.command()
def speed(paper: Paper, profile: ProfileName = None) -> None:
    """Time the runs whose speed the paper compares, side by side on this machine."""
    from hdrbench.pipeline.speed import measure

    print(measure(paper, profile_name(profile)))


@app.command()
def showcase(paper: Paper, profile: ProfileName = None) -> None:
    """Make the pictures for the page's viewer."""
    from hdrbench.pipeline.needs import shown_on
    from hdrbench.report.showcase import showcase as make
    from hdrbench.runs import load, resolve

    name = profile_name(profile)
    shown = [resolve(paper, name, run) for run in load(paper).showcase]
    test = shown_on(paper, shown[0].id)
    print(make(shown, test, _data_facts(paper, name, test, "test")))


@app.command()
def report(paper: Paper, profile: ProfileName = None) -> None:
    """Build the page from whatever results exist."""
    from hdrbench.pipeline.compare import compare
    from hdrbench.report import index, page
    from hdrbench.workspace import results, write_atomically

    name = profile_name(profile)
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
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show an arrow is no reason to stop
    try:
        app()
    except HdrbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        print(f"error: {error.filename or 'output'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(2)
