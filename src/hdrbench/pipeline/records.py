"""Reading what the stages wrote, as it may also be damaged, edited, or left over from other settings."""

import json
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field, FiniteFloat, PositiveInt, model_validator

from hdrbench.errors import HdrbenchError
from hdrbench.strict import Strict, parse

Json = dict[str, Any]


class Record(Strict):
    """Base of what a stage writes: known keys are checked, further ones are kept out of the way."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Git(Record):
    """State of the checkout."""

    commit: str | None
    dirty: bool


class Environment(Record):
    """Machine and libraries."""

    device: str
    torch: str
    cuda: str | None


class Training(Record):
    """How the weights came about; `identity` holds every setting, and the digests of code and data."""

    identity: Json
    git: Git
    notes: list[str]
    environment: Environment
    iterations: int
    train_seconds: FiniteFloat
    peak_memory_mb: FiniteFloat


class Evaluation(Record):
    """How the scores came about."""

    git: Git
    code: str
    environment: Environment
    seconds: FiniteFloat
    finished: str


class Sheet(Record):
    """Scores of one subject under one protocol, image by image, by metric; and why a metric has none."""

    subject: str
    protocol: dict[str, str]
    metrics: dict[str, list[FiniteFloat]]
    missing: dict[str, str]
    failed: dict[str, str]


class Scores(Record):
    """Scores of one run on one test set."""

    run: str
    method: str
    options: Json
    dataset: str
    data: str
    data_code: str
    images: list[str]
    sheets: list[Sheet]
    seconds: list[FiniteFloat]
    sizes: list[tuple[int, int]]
    training: Training
    evaluation: Evaluation

    @model_validator(mode="after")
    def one_value_per_image(self) -> "Scores":
        """Refuse lists of unequal length, and empty ones."""
        lists: list[list] = [self.images, self.seconds, self.sizes]
        lists += [values for sheet in self.sheets for values in sheet.metrics.values()]
        lengths = {len(values) for values in lists}
        if len(lengths) != 1 or lengths == {0}:
            raise ValueError("every list must have one entry per image")
        return self


class Timed(Record):
    """Seconds of one run for one image, repetition by repetition, and the network calls that each of them took."""

    options: Json
    code: str
    calls: PositiveInt
    seconds: list[FiniteFloat] = Field(min_length=1)


class Speed(Record):
    """Times of runs, taken in turns on one machine, on an image of a height and width."""

    size: tuple[PositiveInt, PositiveInt]
    environment: Environment
    runs: dict[str, Timed]


def read_json(path: Path) -> Json | None:
    """Read a JSON object of our own, or None if there is no such file.

    Raises
    ------
    HdrbenchError
        If it is something else.
    """
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise HdrbenchError(f"{path}: cannot be read ({error}); delete it and run its stage again") from error
    if not isinstance(content, dict):
        raise HdrbenchError(f"{path}: is not a JSON object; delete it and run its stage again")
    return content


def read_scores(path: Path) -> Scores | None:
    """Read a score file and check it, or return None if there is none."""
    content = read_json(path)
    return None if content is None else parse(Scores, content, path)


def read_speed(path: Path) -> Speed | None:
    """Read a file of times and check it, or return None if there is none."""
    content = read_json(path)
    return None if content is None else parse(Speed, content, path)


def read_viewer(folder: Path) -> list[Json]:
    """Read which pictures the viewer has, and check that they are there.

    Raises
    ------
    HdrbenchError
        If the list is damaged, or names a picture that is missing or lies elsewhere.
    """
    source = folder / "viewer" / "viewer.json"
    try:
        scenes = (read_json(source) or {"scenes": []})["scenes"]
        files = [
            image[key] for scene in scenes for image in scene["images"] for key in ("file", "low_bits") if key in image
        ]
        complete = all({"scene", "test", "run", "width", "height"} <= scene.keys() for scene in scenes)
    except (AttributeError, KeyError, TypeError) as error:
        raise HdrbenchError(f"{source}: damaged ({error!r}); run the showcase stage again") from error
    here = folder.resolve()
    for file in files:
        if not complete or not (folder / file).is_file() or not (folder / file).resolve().is_relative_to(here):
            raise HdrbenchError(f"{source}: names '{file}', which is not there; run the showcase stage again")
    return scenes
