"""Time the metrics against the libraries one would use instead.

``python tests/benchmarks/bench_metrics.py [--device cuda] [--batch 8] [NAME ...]`` prints seconds, the ratio to ours, and
the memory a call adds, for 1500x1000 float32 images (nine exposures of 512x340 for MEF-SSIM). Peers that are not installed
are named; ``pip install .[bench]`` brings them. Nothing is asserted, because a timing is no test.
"""

import argparse
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import psutil
import torch

from hdrbench.imaging import pu21
from hdrbench.metrics.ciede2000 import ciede2000
from hdrbench.metrics.hdrvdp.v2 import hdrvdp2
from hdrbench.metrics.hdrvdp.v3 import hdrvdp3
from hdrbench.metrics.mef_ssim import mef_ssim
from hdrbench.metrics.ms_ssim import ms_ssim
from hdrbench.metrics.psnr import psnr
from hdrbench.metrics.ssim import ssim

REPEATS = 5
SIZE = (1000, 1500)
PPD = 30.0
Call = Callable[[], object]
DEVICE, BATCH = os.environ.get("BENCH_DEVICE", "cpu"), int(os.environ.get("BENCH_BATCH", "1"))


def images(size: tuple[int, int] = SIZE) -> tuple[np.ndarray, np.ndarray]:
    """Make a noisy picture and its reference, (H, W, 3) float32 in [0, 1]: smooth, with edges and grain."""
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[: size[0], : size[1]] / 200.0
    ref = np.stack([0.4 + 0.3 * np.sin(rows * (k + 1)) * np.cos(columns) for k in range(3)], -1)
    ref[200:400, 300:700] *= 0.3
    ref = np.clip(ref + 0.05 * generator.random(ref.shape), 0, 1).astype(np.float32)
    noise = generator.standard_normal(ref.shape, dtype=np.float32)
    return np.clip(ref + 0.02 * noise, 0, 1, dtype=np.float32), ref


def batches(*arrays: np.ndarray) -> list[torch.Tensor]:
    """Turn (H, W, 3) arrays into batches of the same image, (N, 3, H, W)."""
    tensors = (torch.from_numpy(array).permute(2, 0, 1)[None] for array in arrays)
    return [tensor.expand(BATCH, -1, -1, -1).contiguous().to(DEVICE) for tensor in tensors]


def seconds(function: Call) -> float:
    """Median of `REPEATS` calls after a warm-up."""
    function()
    taken = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        function()
        if DEVICE != "cpu":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - began)
    return median(taken)


def added_mb(function: Call) -> float:
    """Most memory that one call adds, in MB: of the GPU's, or of the process as seen every millisecond."""
    if DEVICE != "cpu":
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        function()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    process, done, most = psutil.Process(), threading.Event(), [0]
    before = process.memory_info().rss

    def watch() -> None:
        while not done.wait(0.001):
            most[0] = max(most[0], process.memory_info().rss - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    function()
    done.set()
    watcher.join()
    return most[0] / 2**20


def psnr_peers(pred: np.ndarray, ref: np.ndarray) -> dict[str, Callable[[], Call]]:
    """PSNR."""
    x, y = batches(pred, ref)

    def skimage() -> Call:
        from skimage.metrics import peak_signal_noise_ratio

        return lambda: peak_signal_noise_ratio(ref, pred, data_range=1)

    def piq() -> Call:
        import piq

        return lambda: piq.psnr(x, y)

    def torchmetrics() -> Call:
        from torchmetrics.functional.image import peak_signal_noise_ratio

        return lambda: peak_signal_noise_ratio(x, y, data_range=1.0)

    return {"hdrbench": lambda: lambda: psnr(x, y), "skimage": skimage, "piq": piq, "torchmetrics": torchmetrics}


def ssim_peers(pred: np.ndarray, ref: np.ndarray) -> dict[str, Callable[[], Call]]:
    """SSIM, Gaussian window, full resolution."""
    x, y = batches(pred, ref)

    def skimage() -> Call:
        from skimage.metrics import structural_similarity

        options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        return lambda: structural_similarity(ref, pred, data_range=1, channel_axis=2, **options)

    def piq() -> Call:
        import piq

        return lambda: piq.ssim(x, y, downsample=False)

    def torchmetrics() -> Call:
        from torchmetrics.functional.image import structural_similarity_index_measure

        return lambda: structural_similarity_index_measure(x, y, data_range=1.0)

    def pytorch_msssim() -> Call:
        import pytorch_msssim

        return lambda: pytorch_msssim.ssim(x, y, data_range=1.0)

    def pyiqa() -> Call:
        from pyiqa import create_metric

        metric = create_metric("ssimc", device=DEVICE)
        return lambda: metric(x, y)

    return {
        "hdrbench": lambda: lambda: ssim(x, y),
        "skimage": skimage,
        "pyiqa": pyiqa,
        "torchmetrics": torchmetrics,
        "piq": piq,
        "pytorch_msssim": pytorch_msssim,
    }


def ms_ssim_peers(pred: np.ndarray, ref: np.ndarray) -> dict[str, Callable[[], Call]]:
    """MS-SSIM."""
    x, y = batches(pred, ref)

    def piq() -> Call:
        import piq

        return lambda: piq.multi_scale_ssim(x, y)

    def torchmetrics() -> Call:
        from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

        return lambda: multiscale_structural_similarity_index_measure(x, y, data_range=1.0)

    def pytorch_msssim() -> Call:
        import pytorch_msssim

        return lambda: pytorch_msssim.ms_ssim(x, y, data_range=1.0)

    peers = {"piq": piq, "torchmetrics": torchmetrics, "pytorch_msssim": pytorch_msssim}
    return {"hdrbench": lambda: lambda: ms_ssim(x, y), **peers}


def colour_peers(pred: np.ndarray, ref: np.ndarray) -> dict[str, Callable[[], Call]]:
    """CIEDE2000 from linear RGB."""
    x, y = batches(pred, ref)

    def skimage() -> Call:
        from skimage.color import deltaE_ciede2000, xyz2lab
        from skimage.color.colorconv import xyz_from_rgb

        return lambda: deltaE_ciede2000(xyz2lab(ref @ xyz_from_rgb.T), xyz2lab(pred @ xyz_from_rgb.T)).mean()

    def colour_science() -> Call:
        import colour

        def lab(image: np.ndarray) -> np.ndarray:
            return colour.XYZ_to_Lab(colour.RGB_to_XYZ(image, "sRGB"), colour.RGB_COLOURSPACES["sRGB"].whitepoint)

        return lambda: colour.delta_E(lab(ref), lab(pred), method="CIE 2000").mean()

    return {"hdrbench": lambda: lambda: ciede2000(x, y), "skimage": skimage, "colour": colour_science}


def pu21_peers(pred: np.ndarray, ref: np.ndarray) -> dict[str, Callable[[], Call]]:
    """PU21 encoding of one image."""
    light = batches(pred)[0] * 1000
    values = light.double().numpy()
    p1, p2, p3, p4, p5, p6, p7 = pu21.VARIANTS["banding_glare"]

    def plain_numpy() -> np.ndarray:
        powers = np.clip(values, 0.005, 1e4) ** p4
        return np.maximum(p7 * (((p1 + p2 * powers) / (1 + p3 * powers)) ** p5 - p6), 0)

    return {"hdrbench": lambda: lambda: pu21.encode(light), "numpy": lambda: plain_numpy}


def fusion_peers(pred: np.ndarray, ref: np.ndarray) -> dict[str, Callable[[], Call]]:
    """MEF-SSIM, three scales, nine exposures of 512x340."""
    picture = batches(images((340, 512))[1])[0]
    stack = torch.stack([(picture[0] * 2.0**k).clamp(0, 1) for k in range(-4, 5)])[None]
    return {"hdrbench": lambda: lambda: mef_ssim(stack.mean(1), stack)}


def vdp_peers(pred: np.ndarray, ref: np.ndarray) -> dict[str, Callable[[], Call]]:
    """HDR-VDP-2 and -3, and the official ones where they are."""
    x, y = (image * 1000 for image in batches(pred, ref))

    def official(version: int) -> Callable[[], Call]:
        def build() -> Call:
            from hdrbench.metrics.hdrvdp import official as code

            reason = code.official_missing(version)
            if reason:
                raise ImportError(reason)
            metric = code.hdrvdp2_official if version == 2 else code.hdrvdp3_official
            return lambda: metric(x, y, encoding="rgb-bt.709", ppd=PPD)

        return build

    return {
        "hdrbench 2.2.2": lambda: lambda: hdrvdp2(x, y, ppd=PPD),
        "hdrbench 2.2.2 float32": lambda: lambda: hdrvdp2(x, y, ppd=PPD, dtype=torch.float32),
        "Octave 2.2.2": official(2),
        "hdrbench 3.0.7": lambda: lambda: hdrvdp3(x, y, ppd=PPD),
        "hdrbench 3.0.7 float32": lambda: lambda: hdrvdp3(x, y, ppd=PPD, dtype=torch.float32),
        "Octave 3.0.7": official(3),
    }


FAMILIES = {
    "psnr": psnr_peers,
    "ssim": ssim_peers,
    "ms_ssim": ms_ssim_peers,
    "ciede2000": colour_peers,
    "pu21": pu21_peers,
    "mef_ssim": fusion_peers,
    "hdrvdp": vdp_peers,
}


def measure(family: str, peer: str) -> None:
    """Print the MB a first call adds, and seconds, or why there is no call: what a process of its own does for one peer."""
    try:
        call = FAMILIES[family](*images())[peer]()
        print(added_mb(call), seconds(call))
    except ImportError as error:
        print(f"not here: {error}")


def main() -> None:
    """Print a table per family."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*FAMILIES, []])
    parser.add_argument("--device", default=DEVICE)
    parser.add_argument("--batch", default=BATCH, type=int)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        measure(asked.names[0], asked.one)
        return
    environment = {**os.environ, "BENCH_DEVICE": asked.device, "BENCH_BATCH": str(asked.batch)}
    for name in asked.names or FAMILIES:
        where = f"{asked.device}, batch {asked.batch}, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}"
        print(f"\n{name}: {FAMILIES[name].__doc__} {where}")
        ours = 0.0
        for peer in FAMILIES[name](*images()):
            command = [sys.executable, __file__, "--one", peer, name]
            done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
            answer = done.stdout.strip().splitlines()[-1]  # pyiqa prints what it loads
            if answer.startswith("not here"):
                print(f"  {peer:24}{answer}")
                continue
            grown, taken = map(float, answer.split())
            if peer.startswith("hdrbench") and not peer.endswith("float32"):
                ours = taken
            print(f"  {peer:24}{taken:9.4f} s{taken / ours:8.1f}x{grown:9.0f} MB")


if __name__ == "__main__":
    main()
