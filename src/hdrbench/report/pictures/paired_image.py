"""Pictures of HDR from one image: what goes in, and what every run makes of it, beside the reference."""

import torch

from hdrbench import methods
from hdrbench.methods import gamma_linear
from hdrbench.pipeline.device import to_batch
from hdrbench.pipeline.tasks import Arrays
from hdrbench.pipeline.tasks.paired_image import outputs
from hdrbench.report.pictures import Picture, Shown, to_image


def pictures(shown: list[Shown], scene: Arrays, device: str) -> dict[str, Picture]:
    """Collect a scene's pictures; the first run's is the result, and gamma 2.2 alone stands beside all."""
    times = torch.from_numpy(scene["times"])[None]
    found = {"input": Picture("Input", scene["ldr"], "ldr", float(scene["times"][1]))}
    for place, item in enumerate(shown):
        result = outputs.apply(methods.get(item.run.method), item.network, scene, [outputs.SUBJECT], device)
        key = f"hdr_{item.run.name}" if place else outputs.SUBJECT
        found[key] = Picture(f"HDR, {item.run.name.replace('_', ' ')}", to_image(result.hdr), "hdr")
    baseline = gamma_linear.reconstruct(torch.nn.Identity(), to_batch(scene["ldr"], "cpu"), times).hdr
    return found | {
        "baseline": Picture("Gamma 2.2 alone", to_image(baseline), "hdr"),
        "reference": Picture("Reference", scene["hdr"], "hdr"),
    }
