"""Tasks: what goes into a method and what comes out of it, so that the engine can treat all papers alike.

A folder here is one task, of two modules: what training looks at, and what scoring does besides, so that a changed metric
trains nothing again.

``inputs``
    ``prepare(scene, split, **options) -> Arrays``
        What is kept of a scene, made once. Images are (..., H, W, 3) float32; arrays of less than three dimensions are no
        images. The options are the profile's ``preparation``.
    ``CROPPED``
        Names of the images that a training batch holds, as crops of one place; everything that is no image comes along.
    ``example(height, width) -> tuple``
        Inputs of the network's forward pass for an image of that size, to count its cost.
``outputs``
    ``check(name, method, preparation)``
        Raises `HdrbenchError` for a subject that a method cannot have under a profile's preparation, before anything is run.
    ``apply(method, network, scene, subjects, device) -> result``
        The method's result for one scene that `prepare` made, as far as some subjects need it; the part that is timed.
    ``subject(name, result, scene, protocol, device) -> Subject``
        What is scored of the result, by the name that a table uses: see `hdrbench.metrics.scoring.Subject`. An
        `HdrbenchError` says why this result has none.
"""

from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from hdrbench.errors import unknown

Arrays = dict[str, NDArray[np.float32]]


def names() -> list[str]:
    """List the tasks without importing any."""
    return sorted(path.parent.name for path in Path(__file__).parent.glob("*/__init__.py"))


def inputs(name: str) -> ModuleType:
    """Import the inputs of a task by name, or raise an `HdrbenchError` that suggests the nearest one."""
    return _part(name, "inputs")


def outputs(name: str) -> ModuleType:
    """Import the outputs of a task by name, or raise an `HdrbenchError` that suggests the nearest one."""
    return _part(name, "outputs")


def _part(name: str, part: str) -> ModuleType:
    if name not in names():
        raise unknown("task", name, names())
    return import_module(f"hdrbench.pipeline.tasks.{name}.{part}")
