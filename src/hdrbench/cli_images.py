"""Commands on a user's own images, and on this machine's means to score them. Heavy imports stay inside the commands."""

from pathlib import Path
from typing import Annotated

import typer

from hdrbench.errors import HdrbenchError

metrics_app = typer.Typer(no_args_is_help=True, help="Metrics: list them, and check them against reference values.")


def _allow_download(allowed: bool) -> None:
    """Let loaders of weights use the network, which they otherwise never do."""
    if allowed:
        from hdrbench.metrics import weights

        weights.allow_download()


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


def score(
    pred: Annotated[Path, typer.Option(help="Folder of images to score: EXR, HDR, PNG, TIFF or JPEG.")],
    metrics: Annotated[str, typer.Option(help="Names from `hdrbench metrics list`, separated by commas.")],
    ref: Annotated[Path | None, typer.Option(help="Folder of references, paired by file name without ending.")] = None,
    stack: Annotated[
        Path | None, typer.Option(help="Folder with a folder of exposures per image, for MEF-SSIM.")
    ] = None,
    protocol: Annotated[
        str, typer.Option(help="Alignment, peaks and variants: the paper whose numbers to compare.")
    ] = "usme_hdr",
    ldr_as: Annotated[
        str | None, typer.Option(help="What 8/16-bit codes are: linear, srgb or gamma; as they are if left out.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the scores to this file.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write scores and protocol to this file.")] = None,
    allow_download: Annotated[bool, typer.Option(help="Let pyiqa and torchvision fetch missing weights.")] = False,
) -> None:
    """Score a folder of images; what cannot be scored is listed at the end, and the exit status is then 1."""
    from hdrbench.pipeline.score import Request, score_folder
    from hdrbench.report.scores import check_targets, print_scores, write_csv, write_json

    _allow_download(allow_download)
    names = tuple(dict.fromkeys(name.strip() for name in metrics.split(",") if name.strip()))
    request = Request(pred, names, protocol, ref, stack, ldr_as)
    check_targets(csv, json_file)
    outcome = score_folder(request)
    if csv is not None:
        write_csv(csv, request, outcome)
    if json_file is not None:
        write_json(json_file, request, outcome)
    print_scores(request, outcome)
    if outcome.problems:
        raise typer.Exit(130 if outcome.interrupted else 1)


def merge(
    photos: Annotated[list[Path], typer.Argument(help="The frames of one bracket, or a folder of them.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Radiance map to write: .exr or .hdr (a picture if fused).")],
    method: Annotated[
        str, typer.Option(help="debevec, robertson, opencv_debevec, triangle; or a fusion: mertens, adaptive.")
    ] = "debevec",
    times: Annotated[
        Path | None, typer.Option(help="Text file of exposure times in seconds; EXIF if left out.")
    ] = None,
    stops: Annotated[Path | None, typer.Option(help="Text file of exposures in stops (EV).")] = None,
    reciprocals: Annotated[Path | None, typer.Option(help="Text file of 1/seconds, as OpenCV's list.txt.")] = None,
    align: Annotated[str, typer.Option(help="none, shift (hand-held), or flow (things that moved).")] = "none",
    preview: Annotated[str, typer.Option(help="Tone map of the picture beside it.")] = "toolbox_reinhard_0.18",
) -> None:
    """Merge a bracket of photographs into an HDR image, with a tone-mapped picture beside it."""
    from hdrbench.imaging.stack import ExposureList
    from hdrbench.pipeline.photos import merge_photos

    given = {"seconds": times, "stops": stops, "reciprocals": reciprocals}
    lists = [ExposureList(path, unit) for unit, path in given.items() if path is not None]
    if len(lists) > 1:
        raise HdrbenchError("give one of --times, --stops and --reciprocals")
    listed = lists[0] if lists else None
    made = merge_photos(photos, out, method=method, listed=listed, align=align, preset=preview)
    for number, (path, time) in enumerate(zip(made.bracket.paths, made.bracket.times, strict=True)):
        moved = f", moved by {made.shifts[number]}" if made.shifts is not None else ""
        print(f"{path.name}: {time:g} times the shortest exposure{moved}")
    print(made.out)
    if made.preview is not None:
        print(made.preview)


def tonemap(
    image: Annotated[Path, typer.Argument(help="An HDR image: .exr or .hdr.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Picture to write: .png, .tif or .jpg.")],
    preset: Annotated[
        str, typer.Option(help="Operator with settings; an unknown name lists them.")
    ] = "opencv_reinhard_2.2",
) -> None:
    """Tone-map an HDR image with the settings of a paper."""
    from hdrbench.pipeline.photos import tonemap_photo

    used = tonemap_photo(image, out, preset)
    if used.substitute_for is not None:
        print(f"note: '{preset}' stands in for {used.substitute_for}, and does not reproduce it")
    print(out)


def doctor() -> None:
    """Show what this machine has: versions, data sets, weights, Octave, HDR-VDP, GPU."""
    from hdrbench.doctor import show

    show()
