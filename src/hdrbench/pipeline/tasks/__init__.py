"""Tasks: what goes into a method and what comes out of it, so that the engine can treat all papers alike.

A module here is one task. It has

``prepare(scene, split, **options) -> Arrays``
    What is kept of a scene, made once. Images are (..., H, W, 3) float32; arrays of less than three dimensions are no images.
    The options are the profile's ``preparation``.
``CROPPED``
    Names of the images that a training batch holds, as crops of one place; everything that is no image comes along.
``apply(method, network, scene, device) -> result``
    The method's result for one scene, the part that is timed. The scene is one that `prepare` made.
``subjects(result, scene, protocol, device) -> dict``
    What is scored of the result, by the name that a table's columns use: see `hdrbench.metrics.scoring.Subject`.
``example(height, width) -> tuple``
    Inputs of the network's forward pass for an image of that size, to count its cost.
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
    return sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))


def get(name: str) -> ModuleType:
    """Import a task by name, or raise an `HdrbenchError` that suggests the nearest one."""
    if name not in names():
        raise unknown("task", name, names())
    return import_module(f"hdrbench.pipeline.tasks.{name}")
