"""Checksums of a data set, which a user can keep: one file, ``<HDRBENCH_DATA>/<name>.sha256`` unless said otherwise.

The file is what ``sha256sum`` writes, with paths relative to ``HDRBENCH_DATA``, so ``sha256sum -c`` there checks it
without us. It covers exactly the files that a loader reads.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hdrbench.datasets import catalog, files, hdri
from hdrbench.datasets.survey import loader_of, survey
from hdrbench.errors import DataMissingError, HdrbenchError

if TYPE_CHECKING:
    from hdrbench.datasets.catalog import Card


WITHOUT_FILES = ("synthetic", "card only")


@dataclass(frozen=True)
class Full:
    """What a full verification found.

    Attributes
    ----------
    problems
        One line each; empty if all is well.
    counts
        How many scenes of each split are usable, in one line; empty where the data are not on this machine.
    manifest
        The manifest; ``None`` where the data set has no files, was not fit to be recorded, or could not be.
    written
        Whether the manifest was written now, because there was none.
    files
        Number of files whose checksums were compared or computed.
    unwritten
        Why the manifest could not be written and what to do, in one line; empty if that is not so.
    """

    problems: tuple[str, ...]
    counts: str
    manifest: Path | None
    written: bool
    files: int
    unwritten: str = ""


def manifest_path(name: str) -> Path:
    """Return where the manifest of a data set lies, or would lie.

    Raises
    ------
    DataMissingError
        ``HDRBENCH_DATA`` is not set, or names no folder.
    """
    return files.data_root() / f"{name}.sha256"


def verify_full(name: str, manifest: Path | None = None) -> Full:
    """Verify layout, counts and images, then compare every file's checksum with the manifest.

    Where there is no manifest and nothing is wrong, it is written. It is never changed afterwards: delete it to record
    the data set as it is now.

    Parameters
    ----------
    name
        The data set.
    manifest
        The manifest; by default `manifest_path`.

    Raises
    ------
    HdrbenchError
        There is no such data set, or its card or manifest is wrong, or the folder of `manifest` does not exist.
    """
    if manifest is not None and not manifest.parent.is_dir():
        raise HdrbenchError(f"{manifest}: there is no folder {manifest.parent}; make it, or name another file")
    card = catalog.card(name)
    problems, counts = verify(name)
    if card.kind in WITHOUT_FILES:
        return Full(problems, counts, None, False, 0)
    path = manifest_path(name) if manifest is None else manifest
    if path.exists():
        recorded = read_manifest(path)
        return Full((*problems, *_compare(card, path, recorded)), counts, path, False, len(recorded))
    if problems:
        return Full(problems, counts, None, False, 0)
    sums = checksums(card)
    try:
        _write(path, sums)
    except OSError as error:
        fix = "name a file elsewhere with --manifest, or make the folder writable"
        return Full((), counts, None, False, len(sums), f"{path}: cannot be written ({error.strerror}); {fix}")
    return Full((), counts, path, True, len(sums))


def verify(name: str) -> tuple[tuple[str, ...], str]:
    """Check a data set once: what is wrong, line by line, and how many scenes of each split are usable.

    Raises
    ------
    HdrbenchError
        There is no such data set, or its card is wrong.
    """
    try:
        found = survey(name)
    except DataMissingError:
        return tuple(catalog.verify(name)), ""
    return found.problems, found.counts()


def checksums(card: "Card") -> dict[str, str]:
    """Compute the SHA-256 of every file that is read, by path relative to ``HDRBENCH_DATA``."""
    root = files.data_root()
    found = sorted({path.relative_to(root).as_posix(): path for path in _paths(card)}.items())
    return {relative: _sha256(path) for relative, path in found}


def _paths(card: "Card") -> list[Path]:
    """List the files that are read: scene by scene, or where scenes are made from maps, ``sources`` or the maps."""
    if card.kind in WITHOUT_FILES:
        return []
    loader = loader_of(card)
    if hasattr(loader, "used"):
        return [
            p for split in card.splits for s in loader.scene_names(card, split) for p in loader.used(card, split, s)
        ]
    if hasattr(loader, "sources"):
        return loader.sources(card)
    return [path for split in card.splits for path in hdri.maps(card, split)]


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_manifest(path: Path) -> dict[str, str]:
    """Read a manifest: SHA-256 by path.

    Raises
    ------
    HdrbenchError
        It is not text in UTF-8, or a line is not what ``sha256sum`` writes.
    """
    found: dict[str, str] = {}
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise HdrbenchError(f"{path}: is not text in UTF-8; delete the file to write it anew") from None
    for number, line in enumerate(text.splitlines(), start=1):
        digest, mark, relative = line.partition("  ")
        if not mark or len(digest) != 64 or not relative:
            raise HdrbenchError(f"{path}: line {number} is not '<sha256>  <path>'; delete the file to write it anew")
        found[relative] = digest
    return found


def _write(path: Path, sums: dict[str, str]) -> None:
    for relative in sums:
        if "\n" in relative or "\\" in relative:
            raise HdrbenchError(f"{relative!r}: such a name cannot stand in a manifest; rename the file")
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text("".join(f"{digest}  {relative}\n" for relative, digest in sums.items()), encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _compare(card: "Card", path: Path, recorded: dict[str, str]) -> list[str]:
    root, problems = files.data_root(), []
    for relative, digest in recorded.items():
        if not (root / relative).is_file():
            problems.append(f"{root / relative}: is recorded in {path.name} but missing; get it from {card.homepage}")
        elif (now := _sha256(root / relative)) != digest:
            problems.append(
                f"{root / relative}: its content changed, SHA-256 {now[:12]}, recorded {digest[:12]}; "
                f"get it again from {card.homepage}, or delete {path} if the change is meant"
            )
    try:
        new = {p.relative_to(root).as_posix() for p in _paths(card)} - recorded.keys()
    except HdrbenchError:  # the verification before has named what is missing
        new = set()
    return problems + [
        f"{root / name}: is not recorded in {path.name}; delete {path} if it belongs" for name in sorted(new)
    ]
