"""Strict reading of YAML into models: an unknown key is an error that names the nearest known one."""

from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from hdrbench.errors import HdrbenchError, unknown


class Strict(BaseModel):
    """Base of all models read from YAML: frozen, and without room for unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


M = TypeVar("M", bound=Strict)


def parse(model: type[M], content: Any, source: Path) -> M:
    """Validate `content` against `model`.

    Raises
    ------
    HdrbenchError
        One line: file, place, and what is wrong there.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        problem = error.errors()[0]
        place = [str(part) for part in problem["loc"]]
        where = ".".join(place)
        if problem["type"] == "extra_forbidden":
            known = _keys_at(model, place[:-1])
            detail = unknown("key", place[-1], known) if known else f"unknown key '{place[-1]}'"
            raise HdrbenchError(f"{source}: at '{where}': {detail}") from None
        message = problem["msg"][0].lower() + problem["msg"][1:]
        given = "" if problem["type"] == "missing" else f", got {problem['input']!r}"
        raise HdrbenchError(f"{source}: at '{where}': {message}{given}") from None


def _keys_at(model: Any, place: list[str]) -> list[str]:
    """Names of the fields of the model that stands at a validation error's place."""
    for part in place:
        if isinstance(model, type) and issubclass(model, BaseModel):
            field = model.model_fields.get(part)
            model = field.annotation if field else None
        else:
            model = next((arg for arg in reversed(get_args(model)) if arg is not type(None)), None)
        if isinstance(model, UnionType):
            model = next((arg for arg in get_args(model) if arg is not type(None)), None)
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []
