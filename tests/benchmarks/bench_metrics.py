"""Time the metrics against the library one would use instead: ``python tests/benchmarks/bench_metrics.py``.

Prints seconds per 1500x1000 image pair and the ratio; nothing is asserted, because a timing is no test.
"""

import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from hdrbench.metrics.psnr import psnr
from hdrbench.metrics.ssim import ssim

REPEATS = 5


def seconds(function: Callable[[], object]) -> float:
    """Median of `REPEATS` calls after a warm-up."""
    function()
    taken = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        function()
        taken.append(time.perf_counter() - began)
    return median(taken)


def main() -> None:
    """Print one line per metric."""
    generator = np.random.default_rng(0)
    ref = generator.random((1000, 1500, 3))
    pred = np.clip(ref + 0.01 * generator.standard_normal(ref.shape), 0, 1)
    batches = [torch.from_numpy(image).permute(2, 0, 1)[None].contiguous() for image in (pred, ref)]
    gaussian = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    pairs = {
        "psnr": (lambda: psnr(*batches), lambda: peak_signal_noise_ratio(ref, pred, data_range=1)),
        "ssim": (
            lambda: ssim(*batches),
            lambda: structural_similarity(ref, pred, data_range=1, channel_axis=2, **gaussian),
        ),
    }
    print(f"{'metric':8}{'hdrbench':>10}{'skimage':>10}{'ratio':>8}   ({torch.get_num_threads()} threads, float64)")
    for name, (ours, theirs) in pairs.items():
        mine, other = seconds(ours), seconds(theirs)
        print(f"{name:8}{mine:10.4f}{other:10.4f}{other / mine:8.1f}")


if __name__ == "__main__":
    main()
