"""Pictures of exposure fusion: the pair, what every shown run makes of it, with its weights, and what it learnt from."""

from hdrbench import methods
from hdrbench.methods.unsupervised_fusion.gamma import KINDS, gamma_map
from hdrbench.pipeline.device import to_batch
from hdrbench.pipeline.tasks import Arrays
from hdrbench.pipeline.tasks.exposure_fusion import outputs
from hdrbench.report.pictures import Picture, Shown, to_image


def pictures(shown: list[Shown], scene: Arrays, device: str) -> dict[str, Picture]:
    """Collect a scene's pictures: results, the pair, its weights and its gamma by every definition."""
    results: dict[str, Picture] = {}
    weights: dict[str, Picture] = {}
    for item in shown:
        fused = outputs.apply(methods.get(item.run.method), item.network, scene, ["pair"], device)["pair"]
        name = item.run.name.replace("_", " ")
        results[item.run.name] = Picture(f"Fused: {name}", to_image(fused.image.clamp(0.0, 1.0)), "ldr")
        if fused.weights is not None:
            under = to_image(fused.weights[:, 0])
            label = f"Weight of the under-exposed frame: {name} (mean {under.mean():.3f}, sd {under.std():.3f})"
            weights[f"weight_{item.run.name}"] = Picture(label, under, "map")
    pair = {
        "under": Picture("Under-exposed", scene["under"], "ldr"),
        "over": Picture("Over-exposed", scene["over"], "ldr"),
    }
    frames = [to_batch(scene[name], "cpu") for name in ("under", "over")]
    gammas = {}
    for kind in KINDS:
        label = f"Gamma of the under-exposed frame: {kind.replace('_', ' ')}"
        gammas[f"gamma_{kind}"] = Picture(label, to_image(gamma_map(frames[0], frames[1], kind)), "map")
    return results | pair | weights | gammas
