"""Pictures for the page's viewer, cut to a window and written as files that a browser can read."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hdrbench.imaging.io import write_ldr
from hdrbench.pipeline.device import best_device
from hdrbench.pipeline.evaluate import load_network
from hdrbench.pipeline.prepare import Prepared
from hdrbench.report.encoding import encode_hdr, error_map
from hdrbench.report.pictures import Picture, Shown
from hdrbench.runs import ResolvedRun
from hdrbench.workspace import results, write_atomically

WINDOW = (160, 208)
ERROR_RANGE = 0.25


def _window(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut the central window out of an image that is larger."""
    top, left = (max(0, (size - most) // 2) for size, most in zip(image.shape[:2], WINDOW, strict=True))
    return image[top : top + WINDOW[0], left : left + WINDOW[1]]


def _write(folder: Path, stem: str, key: str, picture: Picture) -> dict[str, Any]:
    """Write one picture; an HDR image has a second file for its lower bits. Returns its record."""
    record: dict[str, Any] = {"key": key, "label": picture.label, "kind": picture.kind}
    record["file"] = f"viewer/{stem}_{key}.png"
    image = _window(picture.image)
    if picture.kind == "hdr":
        high, low = encode_hdr(image)
        record["low_bits"] = f"viewer/{stem}_{key}_low.png"
        write_ldr(folder / record["low_bits"], (low / np.float32(255)).astype(np.float32))
        image = (high / np.float32(255)).astype(np.float32)
    elif picture.exposure_time is not None:
        record["exposure_time"] = picture.exposure_time
    write_ldr(folder / record["file"], image)
    return record


def _error(found: dict[str, Picture]) -> Picture:
    """Draw the error map of the result."""
    colours = error_map(found["result"].image, found["reference"].image, limit=ERROR_RANGE)
    label = f"Error map |T(result) - T(reference)|, 0 to {ERROR_RANGE}"
    return Picture(label, (colours / np.float32(255)).astype(np.float32), "map")


@torch.inference_mode()
def showcase(runs: list[ResolvedRun], test: str, data: dict[str, Any]) -> Path:
    """Write the pictures of the first test scenes, and viewer.json that lists them.

    Parameters
    ----------
    runs
        Trained runs of one replication and profile.
    test
        Role of the data set whose scenes are shown.
    data
        Facts of its test split, see `hdrbench.pipeline.data.of_split`.
    """
    device, first = best_device(), runs[0]
    shown = [Shown(run, load_network(run, device)[0]) for run in runs]
    make = import_module(f"hdrbench.report.pictures.{first.task}").pictures
    scenes = Prepared(data, "test")
    folder = results(first.paper, first.profile_name)
    listed = []
    for index in range(min(first.profile.viewer_scenes, len(scenes))):
        found: dict[str, Picture] = make(shown, scenes[index], device)
        if {"result", "reference"} <= found.keys():
            found["error"] = _error(found)
        height, width = _window(next(iter(found.values())).image).shape[:2]
        listed.append(
            {
                "scene": scenes.names[index],
                "test": test,
                "run": ", ".join(run.id for run in runs),
                "width": width,
                "height": height,
                "images": [_write(folder, f"scene{index + 1}", key, picture) for key, picture in found.items()],
            }
        )
    write_atomically(folder / "viewer" / "viewer.json", json.dumps({"scenes": listed}, indent=1) + "\n")
    return folder / "viewer"
