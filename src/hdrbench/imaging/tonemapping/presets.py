"""Tone mapping operators by name, with the settings that papers used."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from hdrbench.errors import HdrbenchError, unknown
from hdrbench.imaging.tonemapping import local, opencv, toolbox
from hdrbench.imaging.tonemapping.common import highest, quotient, radiance
from hdrbench.imaging.transfer import MU
from hdrbench.imaging.transfer import mu_law as compress


def mu_law(image: Tensor, *, mu: float = MU) -> Tensor:
    """Compress radiance that is already in [0, 1] with the mu-law (Kalantari2017).

    Raises
    ------
    HdrbenchError
        If a value is above 1.
    ValueError
        On another shape than (N, 3, H, W), integers, or values that are NaN, infinite or negative.
    """
    linear = radiance(image)
    if linear.max() > 1.0:
        raise HdrbenchError(
            f"tone mapping 'mu_law' expects radiance in [0, 1], got up to {linear.max():g}; "
            "use 'mu_law_peak', which divides by the largest value first"
        )
    return compress(linear, mu).to(image.dtype)


def mu_law_peak(image: Tensor, *, mu: float = MU) -> Tensor:
    """Divide each image by its largest value, then apply the mu-law; a black image stays black.

    Raises
    ------
    ValueError
        On another shape than (N, 3, H, W), integers, or values that are NaN, infinite or negative.
    """
    linear = radiance(image)
    return compress(quotient(linear, highest(linear)), mu).to(image.dtype)


@dataclass(frozen=True)
class Preset:
    """An operator with fixed settings.

    Attributes
    ----------
    operator
        (N, 3, H, W) linear RGB to display-referred RGB in [0, 1].
    used_by
        Where these settings come from.
    settings
        Keyword arguments of `operator`; what is not listed has its default.
    substitute_for
        What this stands in for and does not reproduce, ``None`` for everything that is what its name says.
    peak
        The greatest radiance that the operator takes, ``None`` if any.
    """

    operator: Callable[..., Tensor]
    used_by: str
    settings: Mapping[str, float] = field(default_factory=dict)
    substitute_for: str | None = None
    peak: float | None = None

    def __call__(self, image: Tensor) -> Tensor:
        """Apply the operator to (N, 3, H, W) linear RGB."""
        return self.operator(image, **self.settings)


PRESETS: dict[str, Preset] = {
    "mu_law": Preset(
        mu_law, "USME-HDR, ExpoCM and the deghosting literature, radiance in [0, 1]", {"mu": MU}, peak=1.0
    ),
    "mu_law_peak": Preset(mu_law_peak, "the same for radiance of any scale", {"mu": MU}),
    "opencv_linear_2.2": Preset(opencv.linear, "OpenCV's tests", {"gamma": 2.2}),
    # These are the settings Le et al. state and pass. Their script shares one object among all images, so what it applies
    # from the second image on has an intensity between 0.37 and 1 (see `opencv`), which tends to 0.567.
    "opencv_reinhard_2.2": Preset(
        opencv.reinhard,
        "Le et al. (their 'Reinhard')",
        {"gamma": 2.2, "intensity": 0.0, "light_adapt": 0.5, "color_adapt": 0.0},
    ),
    "opencv_reinhard_1.5": Preset(
        opencv.reinhard,
        "DrTMO (Endo et al.) and its successors",
        {"gamma": 1.5, "intensity": 0.0, "light_adapt": 0.0, "color_adapt": 0.0},
    ),
    "drago": Preset(opencv.drago, "OpenCV's tests", {"gamma": 2.2, "saturation": 1.0, "bias": 0.85}),
    "toolbox_reinhard": Preset(toolbox.reinhard, "CEVR and Deep Recursive HDRI ('RH'), HDR Toolbox", {"gamma": 2.2}),
    "toolbox_reinhard_0.18": Preset(
        toolbox.reinhard, "the HDR Toolbox's own merging demo", {"alpha": 0.18, "gamma": 2.2}
    ),
    "kim_kautz": Preset(
        toolbox.kim_kautz,
        "CEVR and Deep Recursive HDRI ('KK'), HDR Toolbox",
        {"display_min": 0.3, "display_max": 300.0, "c1": 3.0, "c2": 0.5, "gamma": 2.2},
    ),
    # Le et al. call PhotomatixCL with method 'Contrast Optimizer', strength 50, lighting effects 20. What that computes is
    # not published. This operator is chosen for being local too, and its settings are not fitted to Photomatix's results.
    "photomatix_substitute": Preset(
        local.base_detail,
        "nobody: Le et al. used Photomatix itself",
        {"contrast": 50.0, "radius": 0.02, "epsilon": 0.12**2, "gamma": 2.2},
        substitute_for="Photomatix 'Contrast Optimizer' (proprietary; scores are not comparable with it)",
    ),
}


def get(name: str) -> Preset:
    """Look a preset up.

    Raises
    ------
    HdrbenchError
        If there is none of that name.
    """
    if name not in PRESETS:
        raise unknown("tone mapping preset", name, PRESETS)
    return PRESETS[name]
