"""Image quality metrics: the catalogue that names them, without importing any.

A metric is a plain function of batches in a module here, ``metric(pred, ref, *, ...) -> Tensor[N]`` in float64. To add one:
write the function, give it a card in `METRICS` and a line in `hdrbench.metrics.scoring`, and a test beside the others.
"""

from dataclasses import dataclass

from hdrbench.errors import unknown


@dataclass(frozen=True)
class Metric:
    """What a reader must know of a metric.

    Attributes
    ----------
    symbol
        As printed in tables.
    better
        ``"higher"`` or ``"lower"``.
    domain
        What the two images are turned into first: ``"linear"``, ``"mu-law"``, ``"PU21"``, ``"cd/m²"``, ``"display"``.
    perfect
        Score of an image against itself; ``None`` where there is no such comparison.
    source
        Key into REFERENCES.bib.
    checked_against
        The independent implementation whose values the tests hold.
    needs
        ``"reference"``, ``"stack"`` (the exposures that were fused) or ``"nothing"`` beside the prediction.
    unit
        Where it has one.
    licence
        Of the code that computes it.
    """

    symbol: str
    better: str
    domain: str
    perfect: float | None
    source: str
    checked_against: str
    needs: str = "reference"
    unit: str | None = None
    licence: str = "Apache-2.0"


_INFINITE = float("inf")
_WANG, _MSSSIM = "Wang's ssim_index.m, MATLAB's documented ssim(), SelfHDR, scikit-image", "Wang's msssim.m, piq"
_OFFICIAL = "the official code in GNU Octave"
_PYIQA = "PolyForm-Noncommercial-1.0.0 (pyiqa)"

METRICS: dict[str, Metric] = {
    "psnr_l": Metric("PSNR-L", "higher", "linear", _INFINITE, "Kalantari2017", "GNU Octave", unit="dB"),
    "psnr_mu": Metric("PSNR-μ", "higher", "mu-law", _INFINITE, "Kalantari2017", "GNU Octave", unit="dB"),
    "psnr_pu": Metric("PSNR-PU", "higher", "PU21", _INFINITE, "Mantiuk2021", "gfxdisp/pu21 in GNU Octave", unit="dB"),
    "psnry_pu": Metric("PSNRY-PU", "higher", "PU21", _INFINITE, "Mantiuk2021", "gfxdisp/pu21 in GNU Octave", unit="dB"),
    "ssim_l": Metric("SSIM-L", "higher", "linear", 1.0, "Wang2004", _WANG),
    "ssim_mu": Metric("SSIM-μ", "higher", "mu-law", 1.0, "Wang2004", _WANG),
    "ssim_pu": Metric("SSIM-PU", "higher", "PU21", 1.0, "Mantiuk2021", "gfxdisp/pu21 in GNU Octave"),
    "ms_ssim_l": Metric("MS-SSIM-L", "higher", "linear", 1.0, "Wang2003", _MSSSIM),
    "ms_ssim_mu": Metric("MS-SSIM-μ", "higher", "mu-law", 1.0, "Wang2003", _MSSSIM),
    "ms_ssim_pu": Metric("MS-SSIM-PU", "higher", "PU21", 1.0, "Wang2003", _MSSSIM),
    "psnr_display": Metric("PSNR (8 bit)", "higher", "display", _INFINITE, "Wang2004", "GNU Octave", unit="dB"),
    "ssim_display": Metric("SSIM (8 bit)", "higher", "display", 1.0, "Wang2004", _WANG),
    "ms_ssim_display": Metric("MS-SSIM (8 bit)", "higher", "display", 1.0, "Wang2003", _MSSSIM),
    "hdrvdp2": Metric("HDR-VDP-2 (2.2.2 Q)", "higher", "cd/m²", 100.0, "Mantiuk2011", _OFFICIAL),
    "hdrvdp3": Metric("HDR-VDP-3 (3.0.7 Q)", "higher", "cd/m²", 10.0, "Mantiuk2023", _OFFICIAL),
    "hdrvdp3_jod": Metric("HDR-VDP-3 (3.0.7 Q_JOD)", "higher", "cd/m²", 10.0, "Mantiuk2023", _OFFICIAL, unit="JOD"),
    "hdrvdp2_official": Metric(
        "HDR-VDP-2 (official)", "higher", "cd/m²", 100.0, "Mantiuk2011", "itself", licence="ISC, not bundled"
    ),
    "hdrvdp3_official": Metric(
        "HDR-VDP-3 (official Q)", "higher", "cd/m²", 10.0, "Mantiuk2023", "itself", licence="BSD-3, not bundled"
    ),
    "ciede2000": Metric("ΔE2000", "lower", "linear", 0.0, "Sharma2005", "scikit-image, colour-science, Sharma's table"),
    "mse_l": Metric("MSE-L", "lower", "linear", 0.0, "Wang2004", "NumPy"),
    "l1_l": Metric("L1-L", "lower", "linear", 0.0, "Wang2004", "NumPy"),
    "lpips": Metric("LPIPS (AlexNet)", "lower", "display", 0.0, "Zhang2018", "not checked: no weights", licence=_PYIQA),
    "lpips_vgg": Metric("LPIPS (VGG)", "lower", "display", 0.0, "Zhang2018", "not checked: no weights", licence=_PYIQA),
    "mef_ssim": Metric(
        "MEF-SSIM", "higher", "display", None, "Ma2015", "Ma's mef_ms_ssim.m in GNU Octave", needs="stack"
    ),
    "mef_ssim_single": Metric(
        "MEF-SSIM (one scale)", "higher", "display", None, "Ma2015", "Ma's mef_ssim.m in GNU Octave", needs="stack"
    ),
    "musiq": Metric(
        "MUSIQ", "higher", "display", None, "Ke2021", "not checked: no weights", needs="nothing", licence=_PYIQA
    ),
    "clipiqa": Metric(
        "CLIPIQA", "higher", "display", None, "Wang2023", "not checked: no weights", needs="nothing", licence=_PYIQA
    ),
    "niqe": Metric(
        "NIQE", "lower", "display", None, "Mittal2013", "the authors' code in Octave", needs="nothing", licence=_PYIQA
    ),
    "brisque": Metric(
        "BRISQUE",
        "lower",
        "display",
        None,
        "Mittal2012",
        "the authors' code in Octave",
        needs="nothing",
        licence=_PYIQA,
    ),
}


def get(name: str) -> Metric:
    """Return a metric's card by name, or raise an `HdrbenchError` that suggests the nearest one."""
    if name not in METRICS:
        raise unknown("metric", name, METRICS)
    return METRICS[name]


def unavailable(name: str) -> str | None:
    """Say why a metric cannot be computed on this machine, and what to do; ``None`` if it can."""
    get(name)
    if name in ("hdrvdp2_official", "hdrvdp3_official"):
        from hdrbench.metrics.hdrvdp.official import official_missing

        return official_missing(2 if name == "hdrvdp2_official" else 3)
    if METRICS[name].licence == _PYIQA:
        from hdrbench.metrics.weights import unavailable as missing

        return missing(name)
    return None
