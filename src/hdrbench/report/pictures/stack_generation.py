"""Pictures of stack generation: the exposures and HDR images that runs make of one image, beside the real ones."""

import numpy as np
import torch
from torch import Tensor

from hdrbench import methods
from hdrbench.imaging.merging.generated import MERGES, merge_stack
from hdrbench.pipeline.device import to_batch
from hdrbench.pipeline.tasks import Arrays
from hdrbench.pipeline.tasks.stack_generation import outputs
from hdrbench.pipeline.tasks.stack_generation.inputs import exposure_values
from hdrbench.report.pictures import Picture, Shown, to_image


def pictures(shown: list[Shown], scene: Arrays, device: str) -> dict[str, Picture]:
    """Collect a scene's pictures: of the first run every exposure a stop apart, of the others the outermost two."""
    values, times = exposure_values(scene["times"]), scene["times"]
    middle = len(values) // 2
    stops = [k for k, ev in enumerate(values) if abs(ev - round(ev)) < outputs.NEAR and k != middle]
    how = next(name for name in MERGES if name in scene)
    evs = [float(ev) for ev in range(round(values[0]), round(values[-1]) + 1)]
    found = {"input": Picture("Input, EV 0", scene["stack"][middle], "ldr", float(times[middle]))}
    for place, item in enumerate(shown):
        chosen = stops if place == 0 else [stops[0], stops[-1]]
        names = {k: f"ev{round(values[k]):+d}" for k in chosen}
        method, run = methods.get(item.run.method), item.run.name.replace("_", " ")
        result = outputs.apply(method, item.network, scene, [f"ev{ev:+g}" for ev in evs], device)
        for k, name in names.items():
            image = to_image(result.exposures[float(round(values[k]))])
            found[f"{item.run.name}_{name}"] = Picture(f"{name.upper()}, {run}", image, "ldr", float(times[k]))
        stack = torch.stack([result.exposures[ev] for ev in evs], 1)
        key = f"hdr_{item.run.name}" if place else "result"
        found[key] = Picture(f"HDR, {run}", _radiance(merge_stack(stack, evs, how), times), "hdr")
    for k in stops:
        name = f"ev{round(values[k]):+d}"
        found[f"real_{name}"] = Picture(f"{name.upper()}, real", scene["stack"][k], "ldr", float(times[k]))
    reference = to_batch(scene[how], "cpu")
    return found | {"reference": Picture("HDR, merged from the real exposures", _radiance(reference, times), "hdr")}


def _radiance(merged: Tensor, times: np.ndarray) -> np.ndarray:
    """Scale a merge, 1 = saturation of the input, to 1 = saturation of the shortest exposure."""
    return to_image(merged) / times[len(times) // 2]
