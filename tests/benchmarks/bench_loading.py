"""Time readers, preparation and training batches: ``python tests/benchmarks/bench_loading.py [--batches 10000]``.

Scenes of 1500x1000 in the layout of Kalantari's set (three 16-bit TIFF files, ``exposure.txt``, an RGBE reference) are
made in a temporary folder, prepared, and cut into batches of 16 crops of 128 pixels. With ``HDRBENCH_DATA`` set, scenes
of the sets photographed from radiance maps are timed too. Nothing is asserted, because a timing is no test.

A batch must come faster than a GPU trains on one. The step assumed, 20 ms, is short for the networks here: usme_hdr does
0.325 million multiply-adds per pixel, so 3 x 2 x 0.325e6 x 16 x 128**2 = 0.51e12 operations per step forward and back
(without its losses), which in 32-bit precision take 20 ms at 25e12 operations per second.
"""

import argparse
import ctypes
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import psutil
import torch

from hdrbench.datasets import catalog
from hdrbench.datasets.exact import Dice
from hdrbench.datasets.virtual_camera import VirtualCamera, photograph
from hdrbench.errors import DataMissingError
from hdrbench.imaging.io import read_hdr, read_ldr, write_hdr, write_ldr
from hdrbench.imaging.response import gamma
from hdrbench.pipeline.prepare import Prepared
from hdrbench.pipeline.sampling import CropSampler
from hdrbench.runs import load

STEP = 0.020
BATCH, CROP = 16, 128
HEIGHT, WIDTH = 1000, 1500
SCENES, REPEATS = 3, 9


def seconds(*functions: Callable[[], object]) -> list[float]:
    """Median time of each function over `REPEATS` calls in turns, which a busy machine slows alike."""
    taken: list[list[float]] = [[] for _ in functions]
    for repeat in range(REPEATS + 1):
        for function, times in zip(functions, taken, strict=True):
            began = time.perf_counter()
            function()
            if repeat:
                times.append(time.perf_counter() - began)
    return [median(times) for times in taken]


@contextmanager
def keeping_memory() -> Iterator[None]:
    """Have the allocator of glibc keep freed memory.

    It gives back the images of one reader so that the next one pays for new pages, which is half of its time; by which
    reader is chance.
    """
    trim_threshold, mmap_max = -1, -4
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        print("  no mallopt in this C library: times may hold page faults of the other reader")
        yield
        return
    mallopt(trim_threshold, 2**30)
    mallopt(mmap_max, 0)
    yield
    mallopt(trim_threshold, 128 * 1024)
    mallopt(mmap_max, 65536)


def write_scenes(folder: Path) -> None:
    """Write scenes of smooth random radiance in the layout of the ``kalantari`` card."""
    camera = VirtualCamera((0.0, 2.0, 4.0), 16, 0.01, 0.001, None)
    for number in range(SCENES):
        coarse = np.exp2(Dice("bench", number).uniforms((63, 94, 3), -8.0, 3.0))
        light = np.maximum(cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), 0.0)
        moved = [np.roll(light, 3 * step, axis=1) for step in (-1, 0, 1)]
        scene = photograph("bench", moved, gamma(2.2), camera, Dice(number), 0.1)
        place = folder / "kalantari" / "Training" / f"{number + 1:03d}"
        for index, image in enumerate(scene.ldrs):
            write_ldr(place / f"{index}.tif", image * np.float32(65534 / 65535), bits=16)
        write_hdr(place / "HDRImg.hdr", scene.hdr if scene.hdr is not None else light)
        write_hdr(place.parents[2] / f"{number}.exr", scene.hdr if scene.hdr is not None else light)
        (place / "exposure.txt").write_text("0\n2\n4\n")


def readers(folder: Path, real: list[Path]) -> None:
    """Compare our readers, which check what they read, with imageio's, on our scenes and on real radiance maps.

    By default imageio gives 8-bit integers for radiance, which is another, cheaper job; a line says so.
    """
    os.environ["OPENCV_IO_ENABLE_OPENEXR"] = "1"
    place = folder / "kalantari" / "Training" / "001"
    print(f"\nreaders, {WIDTH}x{HEIGHT} and files of HDRBENCH_DATA, ms per file")
    for label, path, read in (
        ("RGBE", place / "HDRImg.hdr", read_hdr),
        ("EXR", folder / "0.exr", read_hdr),
        ("TIFF 16 bit", place / "0.tif", read_ldr),
        *((path.name, path, partial(read_hdr, allow_negative=True)) for path in real),
    ):
        kept = {"plugin": "opencv", "flags": cv2.IMREAD_UNCHANGED}
        for options, name in (({}, "imageio"), (kept, "imageio, OpenCV, unchanged")):
            with keeping_memory():
                print(f"  {label:26} {_compare(partial(read, path), path, options, name)}")


def _compare(ours: Callable[[], object], path: Path, options: dict[str, Any], name: str) -> str:
    try:
        from imageio import v3
    except ImportError:
        return "imageio is not installed"
    theirs = partial(v3.imread, path, **options)
    try:
        kind = theirs().dtype
    except Exception as error:
        # Whatever keeps imageio from reading the file on this machine is the answer: a plugin or library is missing.
        return f"{name} cannot read it ({type(error).__name__})"
    mine, other = seconds(ours, theirs)
    return f"hdrbench {1000 * mine:6.1f}, {name} {1000 * other:6.1f} as {kind}: {other / mine:.2f}x ours"


def preparation() -> Prepared:
    """Time aligning and fusing the TIFF scenes."""
    facts = {"dataset": "kalantari", "digest": "benchmark000", "code": "", "left_out": {}}
    prepared = Prepared(facts | {"task": "single_image", "preparation": {"flow": "dis"}}, "train")
    began = time.perf_counter()
    prepared.fill()
    taken = time.perf_counter() - began
    print(f"\npreparation from 16-bit TIFF and RGBE, {WIDTH}x{HEIGHT}: {SCENES / taken:.2f} scenes per second")
    return prepared


def photographing(count: int) -> None:
    """Time taking scenes of real radiance maps."""
    for name in ("hdri_drtmo", "hdri_vds", "hdri_kalantari"):
        try:
            names = catalog.scene_names(name, "train")[:count]
        except DataMissingError as error:
            print(f"  {name}: not timed: {error}")
            continue
        began = time.perf_counter()
        scenes = [catalog.load_scene(name, "train", scene) for scene in names]
        made = time.perf_counter() - began
        height, width, _ = scenes[0].ldrs[0].shape
        kind = f"{len(scenes[0].ldrs)} exposures of {width}x{height}"
        print(f"  {name:15} {kind:27} {len(names) / made:6.1f} scenes per second")


def batches(prepared: Prepared, folder: Path, count: int) -> None:
    """Time training batches, what a training loop waits for them, and the memory in use every tenth of them."""
    training = load("usme_hdr").profiles["paper"].training
    settings = training.model_copy(update={"epochs": 1, "iterations_per_epoch": count})
    sampler, process = CropSampler(prepared, settings, seed=0), psutil.Process()
    began = time.perf_counter()
    for number in range(BATCH):
        _direct(folder, number)
    direct = time.perf_counter() - began
    print(f"\n{count} batches of {BATCH} crops of {CROP} pixels (assumed GPU step: {1000 * STEP:.0f} ms)")
    made, waited = [], []
    for iteration in range(min(count, 200)):
        began = time.perf_counter()
        sampler.batch(iteration)
        made.append(time.perf_counter() - began)
    coming = sampler.batches(0)
    for iteration in range(count):
        began = time.perf_counter()
        next(coming)
        waited.append(time.perf_counter() - began)
        time.sleep(STEP if count <= 1000 else 0.0)
        if (iteration + 1) % max(count // 10, 1) == 0:
            print(f"  after {iteration + 1:6d}: {process.memory_info().rss / 2**20:7.1f} MiB in use")
    middle = median(made)
    print(f"  made in {1000 * middle:.1f} ms (99 % within {1000 * float(np.quantile(made, 0.99)):.1f} ms)")
    if count <= 1000:
        slow = float(np.quantile(waited[1:], 0.99))
        print(
            f"  a loop of such steps waits {1000 * median(waited[1:]):.2f} ms for one (99 % within {1000 * slow:.2f} ms)"
        )
    print(f"  reading TIFF and RGBE for every crop instead: {1000 * direct:.0f} ms")


def _direct(folder: Path, number: int) -> list[np.ndarray]:
    place = folder / "kalantari" / "Training" / f"{number % SCENES + 1:03d}"
    images = [read_ldr(path) for path in sorted(place.glob("*.tif"))]
    return [image[:CROP, :CROP] for image in (*images, read_hdr(place / "HDRImg.hdr"))]


def main() -> None:
    """Print all timings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--batches", type=int, default=200, help="training batches; 10000 shows whether memory stays flat"
    )
    parser.add_argument("--photographed", type=int, default=10, help="scenes per photographed set")
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    print(f"one thread of {os.cpu_count()} processors")
    data = Path(os.environ.get("HDRBENCH_DATA", os.devnull))
    real = sorted(data.glob("*_1k/*.hdr"))[:3] + sorted(data.glob("*/*.exr"))[:5]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["HDRBENCH_WORK"] = str(folder / "work")
        print("\nscenes photographed from radiance maps")
        photographing(asked.photographed)
        write_scenes(folder)
        os.environ["HDRBENCH_DATA"] = name
        readers(folder, real)
        batches(preparation(), folder, asked.batches)


if __name__ == "__main__":
    main()
