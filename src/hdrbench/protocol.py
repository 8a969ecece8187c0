"""Evaluation protocols: everything beside the network that decides a score, as named and hashed objects.

Two scores of different protocols are not comparable, so every score carries its protocol's name and hash. Every field is
acted upon by `hdrbench.metrics.scoring`; `source` alone is for the reader.
"""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, replace

from hdrbench.errors import HdrbenchError, unknown

CHOICES = {
    "alignment": ("none", "median", "max", "crf"),
    "normalisation": ("none", "reference maximum"),
    "ssim": ("selfhdr", "wang", "matlab", "matlab_volume", "sample_covariance", "piq"),
    "vdp_encoding": ("sRGB-display", "rgb-bt.709"),
    "vdp_order": ("reference first", "prediction first"),
    "vdp2": ("2.2.2",),
    "vdp3": ("3.0.7",),
    "tone_map": (
        "none",
        "gamma",
        "mu_law",
        "opencv_reinhard_2.2",
        "opencv_reinhard_1.5",
        "toolbox_reinhard",
        "kim_kautz",
        "photomatix_substitute",
    ),
}


@dataclass(frozen=True)
class Protocol:
    """How a prediction is compared with its reference.

    Attributes
    ----------
    source
        Where the settings come from, and which of them are assumptions.
    alignment
        How the prediction's scale is fitted to the reference's, see `hdrbench.metrics.alignment`.
    normalisation
        ``"reference maximum"`` divides both images by the reference's largest value afterwards.
    crop
        Pixels left out along each border.
    peak
        Largest value of the linear domain after that; the range of PSNR-L, SSIM-L and MS-SSIM-L, and 1 of the mu-law.
    mu
        Constant of the mu-law domain.
    ssim
        SSIM variant of the linear and mu-law domains, a key of `hdrbench.metrics.ssim.VARIANTS`.
    display_peak, display_black
        cd/m² that `peak` and 0 stand for in the PU21 domain, and in HDR-VDP with the encoding ``rgb-bt.709``.
    vdp2, vdp3
        Versions of HDR-VDP, which differ in what their score means.
    vdp_encoding
        What HDR-VDP takes the linear values for: ``rgb-bt.709`` (cd/m², by `display_peak` and `display_black`), or
        ``sRGB-display`` (fed unscaled, as if they were display codes; what several published evaluations do). Negative
        values count as 0: no display emits less, and the files of published evaluations hold none.
    vdp_order
        Which image is the first argument of HDR-VDP, the one that is tested.
    ppd
        Pixels per degree of HDR-VDP; ``None`` derives them from the next two and the image's own size.
    display_inches, distance_m
        Diagonal of the display, and viewing distance.
    tone_map
        How a linear image becomes display-referred for LPIPS and the no-reference metrics: ``"gamma"`` (2.2) and
        ``"none"`` after clipping to [0, `peak`], or a key of `hdrbench.imaging.tonemapping.presets.PRESETS`, of which
        ``"mu_law"`` clips likewise.
    """

    source: str
    alignment: str = "none"
    normalisation: str = "none"
    crop: int = 0
    peak: float = 1.0
    mu: float = 5000.0
    ssim: str = "selfhdr"
    display_peak: float = 1000.0
    display_black: float = 0.0
    vdp2: str = "2.2.2"
    vdp3: str = "3.0.7"
    vdp_encoding: str = "rgb-bt.709"
    vdp_order: str = "prediction first"
    ppd: float | None = None
    display_inches: float = 24.0
    distance_m: float = 0.5
    tone_map: str = "mu_law"

    def __post_init__(self) -> None:
        for field, known in CHOICES.items():
            if getattr(self, field) not in known:
                raise unknown(field.replace("_", " "), getattr(self, field), known)
        positive = [self.peak, self.mu, self.display_peak, self.display_inches, self.distance_m]
        if self.ppd is not None:
            positive.append(self.ppd)
        if not all(0 < value < math.inf for value in positive):
            raise HdrbenchError(f"protocol: peaks, mu, sizes and distances must be positive and finite, got {self}")
        if not 0 <= self.display_black < self.display_peak:
            raise HdrbenchError(
                f"protocol: display_black must lie in [0, {self.display_peak}), got {self.display_black}"
            )
        if not isinstance(self.crop, int) or self.crop < 0:
            raise HdrbenchError(f"protocol: crop must be a whole number of pixels, got {self.crop}")

    def fields(self) -> dict[str, object]:
        """Return the settings as a plain mapping."""
        return asdict(self)

    def digest(self) -> str:
        """Return a short hash over all settings; the words of `source` do not count."""
        settings = {key: value for key, value in self.fields().items() if key != "source"}
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Wanted:
    """Metrics to compute of a subject, by the name that the task gives it, and the name of the protocol to do it under."""

    subject: str
    protocol: str
    metrics: tuple[str, ...]


PROTOCOLS: dict[str, Protocol] = {
    "usme_hdr": Protocol(
        "SelfHDR's published evaluation, on which the paper builds: nothing aligned, references in [0, 1], linear values "
        "handed to HDR-VDP-2 as sRGB codes, target first. Assumed: mu-law before the no-reference metrics.",
        vdp_encoding="sRGB-display",
        vdp_order="reference first",
    ),
    "unsupervised_fusion": Protocol(
        "Display-referred 8-bit stacks; MEF-SSIM as its authors published it.", ssim="wang", tone_map="none"
    ),
    "multi_exposure_generation": Protocol(
        "PSNR and SSIM of the piq library and OpenCV's Reinhard operator, as in the authors' code. Assumed, not published: "
        "scale of HDR images (medians equal, then the reference's maximum is 1) and all of HDR-VDP-2's settings.",
        alignment="median",
        normalisation="reference maximum",
        ssim="piq",
        tone_map="opencv_reinhard_2.2",
    ),
    "expocm": Protocol(
        "30 pixels per degree as printed. Assumed, not published: the reference's maximum is 1 and stands for 1000 cd/m2, "
        "nothing aligned, Wang's SSIM, mu-law before LPIPS.",
        normalisation="reference maximum",
        ssim="wang",
        ppd=30.0,
    ),
    "cevr": Protocol(
        "24 inches, 0.5 m and a black of 0.0025 of the peak as printed, Reinhard's operator of the HDR Toolbox; SSIM of the "
        "pytorch_msssim library, which is Wang's. Assumed, not published: scale of HDR images (medians equal, then the "
        "reference's maximum is 1), which stands for 1000 cd/m2.",
        alignment="median",
        normalisation="reference maximum",
        ssim="wang",
        display_black=2.5,
        tone_map="toolbox_reinhard",
    ),
}
PROTOCOLS["cevr_kim_kautz"] = replace(PROTOCOLS["cevr"], tone_map="kim_kautz")
_LE = PROTOCOLS["multi_exposure_generation"]
PROTOCOLS["multi_exposure_generation_hdr"] = replace(_LE, tone_map="none")
PROTOCOLS["multi_exposure_generation_local"] = replace(
    _LE, tone_map="photomatix_substitute", source=f"{_LE.source} A local operator stands in for Photomatix's."
)


def get(name: str) -> Protocol:
    """Return a protocol by name, or raise an `HdrbenchError` that suggests the nearest one."""
    if name not in PROTOCOLS:
        raise unknown("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]
