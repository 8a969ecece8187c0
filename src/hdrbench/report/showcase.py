"""Pictures for the page's viewer: what goes into a run, what it generates, and what comes out."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hdrbench.imaging.io import write_ldr
from hdrbench.methods import gamma_linear
from hdrbench.pipeline.evaluate import best_device, load_network, reconstruct, to_batch
from hdrbench.pipeline.prepare import Arrays, Prepared
from hdrbench.report.encoding import encode_hdr, error_map
from hdrbench.runs import ResolvedRun
from hdrbench.workspace import results, write_atomically

WINDOW = (160, 208)
ERROR_RANGE = 0.25
Picture = NDArray[np.float32]


def _to_image(batch: torch.Tensor) -> Picture:
    """(1, 3, H, W) tensor to (H, W, 3) array."""
    return batch[0].permute(1, 2, 0).cpu().numpy().astype(np.float32)


def _window(image: Picture) -> Picture:
    """Cut the central window out of an image that is larger."""
    top, left = (max(0, (size - most) // 2) for size, most in zip(image.shape[:2], WINDOW, strict=True))
    return image[top : top + WINDOW[0], left : left + WINDOW[1]]


def _write_scene(folder: Path, stem: str, images: dict[str, tuple[str, Picture, float | None]]) -> list[dict[str, Any]]:
    """Write one scene's pictures; those without an exposure time are HDR. Returns their records."""
    records = []
    for key, (label, image, time) in images.items():
        record: dict[str, Any] = {"key": key, "label": label, "kind": "hdr" if time is None else "ldr"}
        record["file"] = f"viewer/{stem}_{key}.png"
        if time is None:
            high, low = encode_hdr(image)
            record["low_bits"] = f"viewer/{stem}_{key}_low.png"
            write_ldr(folder / record["low_bits"], low.astype(np.float32) / 255)
            write_ldr(folder / record["file"], high.astype(np.float32) / 255)
        else:
            record["exposure_time"] = time
            write_ldr(folder / record["file"], image)
        records.append(record)
    return records


def _pictures(network: torch.nn.Module, run: ResolvedRun, scene: Arrays, device: str) -> dict[str, Any]:
    """Collect a scene's pictures by key: label, image, exposure time (None for HDR)."""
    result, _ = reconstruct(network, run.method, scene, device)
    times = torch.from_numpy(scene["times"])[None]
    baseline = gamma_linear.reconstruct(torch.nn.Identity(), to_batch(scene["middle"], "cpu"), times).hdr
    short, middle, long = (float(time) for time in scene["times"])
    generated = {"low": ("Generated low exposure", short), "high": ("Generated high exposure", long)}
    images: dict[str, Any] = {"input": ("Input, middle exposure", scene["middle"], middle)}
    for key, (label, time) in generated.items():
        if key in result.exposures:
            images[key] = (label, _to_image(result.exposures[key]), time)
    images |= {"short": ("Real low exposure, aligned", scene["short"], short)}
    images |= {"long": ("Real high exposure, aligned", scene["long"], long)}
    images |= {"pseudo": ("Pseudo label", scene["pseudo"], None), "result": ("Result", _to_image(result.hdr), None)}
    return images | {
        "baseline": ("Gamma 2.2 alone", _to_image(baseline), None),
        "reference": ("Reference", scene["hdr"], None),
    }


def showcase(run: ResolvedRun, data: dict[str, Any]) -> Path:
    """Write the pictures of a run's first test scenes, and viewer.json that lists them.

    Parameters
    ----------
    run
        A trained run.
    data
        Facts of the data set it is tested on, with the fingerprint under ``"digest"``.
    """
    device = best_device()
    network, _ = load_network(run, device)
    scenes = Prepared(run.dataset(run.role), "test", data["digest"], run.profile.flow)
    folder = results(run.paper, run.profile_name)
    listed = []
    for index in range(min(run.profile.viewer_scenes, len(scenes))):
        stem = f"scene{index + 1}"
        images = {
            key: (label, _window(image), time)
            for key, (label, image, time) in _pictures(network, run, scenes[index], device).items()
        }
        records = _write_scene(folder, stem, images)
        colours = error_map(images["result"][1], images["reference"][1], limit=ERROR_RANGE)
        file = f"viewer/{stem}_error.png"
        write_ldr(folder / file, colours.astype(np.float32) / 255)
        label = f"Error map |T(result) - T(reference)|, 0 to {ERROR_RANGE}"
        records.append({"key": "error", "label": label, "kind": "map", "file": file})
        height, width = images["result"][1].shape[:2]
        listed.append(
            {
                "scene": scenes.names[index],
                "test": run.role,
                "run": run.id,
                "width": width,
                "height": height,
                "images": records,
            }
        )
    write_atomically(folder / "viewer" / "viewer.json", json.dumps({"scenes": listed}, indent=1) + "\n")
    return folder / "viewer"
