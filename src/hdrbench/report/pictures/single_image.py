"""Pictures of HDR from one image: what goes in, what is generated, and what comes out, beside what it trained on."""

import torch

from hdrbench import methods
from hdrbench.methods import gamma_linear
from hdrbench.pipeline.device import to_batch
from hdrbench.pipeline.tasks import Arrays
from hdrbench.pipeline.tasks.single_image import outputs
from hdrbench.report.pictures import Picture, Shown, to_image


def pictures(shown: list[Shown], scene: Arrays, device: str) -> dict[str, Picture]:
    """Collect a scene's pictures; only the first run is shown."""
    result = outputs.apply(methods.get(shown[0].run.method), shown[0].network, scene, [outputs.SUBJECT], device)
    times = torch.from_numpy(scene["times"])[None]
    baseline = gamma_linear.reconstruct(torch.nn.Identity(), to_batch(scene["middle"], "cpu"), times).hdr
    short, middle, long = (float(time) for time in scene["times"])
    found = {"input": Picture("Input, middle exposure", scene["middle"], "ldr", middle)}
    for key, time in (("low", short), ("high", long)):
        if key in result.exposures:
            found[key] = Picture(f"Generated {key} exposure", to_image(result.exposures[key]), "ldr", time)
    found |= {
        "short": Picture("Real low exposure, aligned", scene["short"], "ldr", short),
        "long": Picture("Real high exposure, aligned", scene["long"], "ldr", long),
        "pseudo": Picture("Pseudo label", scene["pseudo"], "hdr"),
        "result": Picture("Result", to_image(result.hdr), "hdr"),
        "baseline": Picture("Gamma 2.2 alone", to_image(baseline), "hdr"),
    }
    return found | ({"reference": Picture("Reference", scene["hdr"], "hdr")} if "hdr" in scene else {})
