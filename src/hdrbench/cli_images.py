"""Commands on a user's own images, and on this machine's means to score them. Heavy imports stay inside the commands."""

from pathlib import Path
from typing import Annotated, Any

import typer

from hdrbench.cli_types import Alignment
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
    out: Annotated[Path, typer.Option("--out", "-o", help="Radiance map to write: .exr or .hdr.")],
    method: Annotated[str, typer.Option(help="debevec, robertson, opencv_debevec or triangle.")] = "debevec",
    times: Annotated[
        Path | None, typer.Option(help="Text file of exposure times in seconds; EXIF if left out.")
    ] = None,
    stops: Annotated[Path | None, typer.Option(help="Text file of exposures in stops (EV).")] = None,
    reciprocals: Annotated[Path | None, typer.Option(help="Text file of 1/seconds, as OpenCV's list.txt.")] = None,
    align: Alignment = "none",
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
        print(f"{path.name}: {time:g} times the shortest exposure{_moved(made.shifts, number)}")
    print(made.out)
    print(made.preview)


def fuse(
    photos: Annotated[list[Path], typer.Argument(help="The frames of one bracket, or a folder of them.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Picture to write: .png, .tif or .jpg.")],
    method: Annotated[
        str, typer.Option(help="E.g. mertens, adaptive_weights or, with --weights, unsupervised_fusion.")
    ],
    option: Annotated[
        list[str], typer.Option(help="Of the method, as NAME=VALUE, e.g. blending=pyramid of adaptive_weights.")
    ] = [],  # noqa: B006
    weights: Annotated[
        Path | None, typer.Option(help="Trained weights of a run of the method: .safetensors under results/.")
    ] = None,
    align: Alignment = "none",
) -> None:
    """Fuse a bracket of photographs into one picture; exposure times are not needed."""
    from hdrbench.pipeline.fusing import fuse_photos

    options = dict(_setting(text) for text in option)
    if len(options) < len(option):
        raise HdrbenchError("give each --option once")
    made = fuse_photos(photos, out, method=method, options=options, weights=weights, align=align)
    print("from dark to bright:")
    for number, (path, mean) in enumerate(zip(made.frames, made.means, strict=True)):
        print(f"{path.name}: mean brightness {mean:.3f}{_moved(made.shifts, number)}")
    if len(made.used) < len(made.frames):
        names = ", ".join(path.name for path in made.used)
        print(f"note: '{method}' takes {len(made.used)} frames; fused are those furthest apart in brightness: {names}")
    for what, score in made.scores.items():
        print(f"{what}: {score:.4f}" if isinstance(score, float) else f"{what}: none, {score}")
    print(made.out)


def _setting(text: str) -> tuple[str, Any]:
    """Split NAME=VALUE; the value is read as YAML, as in params.yaml."""
    import yaml

    name, equals, value = text.partition("=")
    try:
        if not (name and equals and value):
            raise ValueError
        return name, yaml.safe_load(value)
    except (ValueError, yaml.YAMLError):
        raise HdrbenchError(f"--option {text}: expected NAME=VALUE") from None


def _moved(shifts: list[tuple[int, int]] | None, number: int) -> str:
    return "" if shifts is None else f", moved by {shifts[number]}"


def reconstruct(
    photo: Annotated[Path, typer.Argument(help="One photograph: .png, .tif or .jpg.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="HDR image to write: .exr or .hdr.")],
    method: Annotated[
        str, typer.Option("--method", "-m", help="E.g. cevr, multi_exposure_generation, usme_hdr or gamma_linear.")
    ],
    weights: Annotated[
        Path | None, typer.Option(help="Trained weights of a run of the method: .safetensors under results/.")
    ] = None,
    ev: Annotated[
        str | None,
        typer.Option(
            help="Exposures to generate, in stops from the photograph: FIRST:LAST:STEP or a list. -3:3:0.5 if left out; "
            "usme_hdr and others that do not merge a stack take three, -2,0,2 if left out."
        ),
    ] = None,
    how: Annotated[
        str | None,
        typer.Option("--merge", help="Of a stack: debevec (if left out), opencv_debevec or robertson."),
    ] = None,
    stack: Annotated[
        Path | None, typer.Option(help="New folder to write the exposures to, with a list for `hdrbench merge`.")
    ] = None,
) -> None:
    """Reconstruct an HDR image from one photograph, through the exposures that a method generates of it."""
    from hdrbench.pipeline.reconstructing import reconstruct_photo

    made = reconstruct_photo(photo, out, method=method, weights=weights, evs=ev, merge=how, stack=stack)
    for value, path in made.exposures.items():
        print(f"{path}: EV {value:+g}")
    if made.listed is not None:
        print(made.listed)
    for note in made.notes:
        print(f"note: {note}")
    print(f"radiance from {made.lowest:.3g} to {made.highest:.3g}, where 1 is the saturation of the photograph")
    print(made.out)


def tonemap(
    image: Annotated[Path, typer.Argument(help="An HDR image: .exr or .hdr.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Picture to write: .png, .tif or .jpg.")],
    preset: Annotated[
        str, typer.Option(help="Operator with settings; an unknown name lists them.")
    ] = "opencv_reinhard_2.2",
    clip_negative: Annotated[
        bool, typer.Option("--clip-negative", help="Set negative values, as of wide gamuts, to 0.")
    ] = False,
) -> None:
    """Tone-map an HDR image with the settings of a paper."""
    from hdrbench.pipeline.photos import tonemap_photo

    used, clipped = tonemap_photo(image, out, preset, clip_negative=clip_negative)
    if clipped:
        print(f"note: {clipped} negative values were set to 0")
    if used.substitute_for is not None:
        print(f"note: '{preset}' stands in for {used.substitute_for}, and does not reproduce it")
    print(out)


def doctor() -> None:
    """Show what this machine has: versions, data sets, weights, Octave, HDR-VDP, GPU."""
    from hdrbench.doctor import show

    show()
