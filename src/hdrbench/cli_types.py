"""Arguments that several commands share."""

from typing import Annotated

import typer

Paper = Annotated[str, typer.Argument(help="Folder under replications/, e.g. usme_hdr.")]
RunId = Annotated[str, typer.Argument(help="Training run as role/name, e.g. kalantari/usme_6ch.")]
Role = Annotated[str, typer.Argument(help="A data set by its role in the paper, e.g. kalantari.")]
ProfileName = Annotated[
    str | None, typer.Option("--profile", help="embedded, hdri or paper; the active one if left out.")
]

Alignment = Annotated[str, typer.Option(help="none, shift (hand-held), or flow (things that moved).")]


def profile_name(name: str | None) -> str:
    """Return the profile that was asked for, or the active one."""
    from hdrbench.workspace import active_profile, check_profile

    return active_profile() if name is None else check_profile(name)
