"""From two linear images and a protocol to scores: what each metric of the catalogue is computed on."""

import warnings
from collections.abc import Callable
from functools import cached_property
from typing import TypeVar

import torch
from torch import Tensor

from hdrbench import metrics
from hdrbench.errors import HdrbenchError
from hdrbench.imaging import pu21
from hdrbench.imaging.tonemapping import presets
from hdrbench.imaging.transfer import gamma_encode, mu_law
from hdrbench.metrics import learned
from hdrbench.metrics.alignment import align
from hdrbench.metrics.checks import check_pair
from hdrbench.metrics.ciede2000 import ciede2000
from hdrbench.metrics.hdrvdp.display import pixels_per_degree
from hdrbench.metrics.hdrvdp.official import find_official, hdrvdp2_official, hdrvdp3_official
from hdrbench.metrics.hdrvdp.v2 import hdrvdp2
from hdrbench.metrics.hdrvdp.v3 import Vdp3, hdrvdp3
from hdrbench.metrics.mean_error import l1, mse
from hdrbench.metrics.mef_ssim import mef_ssim
from hdrbench.metrics.ms_ssim import ms_ssim
from hdrbench.metrics.psnr import psnr
from hdrbench.metrics.ssim import ssim
from hdrbench.protocol import Protocol

Images = tuple[Tensor, Tensor]
T = TypeVar("T")


class Subject:
    """What is scored: a prediction, and its reference or the stack it was fused from, seen in every domain once.

    Parameters
    ----------
    protocol
        Alignment, peaks and variants.
    pred
        (N, 3, H, W), linear.
    ref
        (N, 3, H, W), linear, or ``None`` for metrics that need none.
    fusion
        Display codes of the prediction, (N, 3, H, W), and of the exposures that it was fused from, (N, K, 3, H, W), both in
        [0, 1], or ``None``.
    coded
        The images are display codes in [0, 1], not linear light: they are shown as they are, and metrics that need light
        refuse them.
    """

    def __init__(
        self,
        protocol: Protocol,
        pred: Tensor,
        ref: Tensor | None = None,
        fusion: Images | None = None,
        *,
        coded: bool = False,
    ) -> None:
        self.protocol, self.coded = protocol, coded
        self.pred, self.ref = _crop(pred, protocol.crop), None if ref is None else _crop(ref, protocol.crop)
        self.fusion = None if fusion is None else (_crop(fusion[0], protocol.crop), _crop(fusion[1], protocol.crop))

    @cached_property
    def linear(self) -> Images:
        """Prediction and reference, aligned and normalised as the protocol says."""
        if self.ref is None:
            raise ValueError("a full-reference metric needs a reference")
        check_pair(self.pred, self.ref)
        check, unit = self.protocol, self.protocol.display_peak / self.protocol.peak
        pred, ref = align(self.pred, self.ref, check.alignment, cd_per_unit=unit), self.ref.double()
        if check.normalisation == "none":
            return pred, ref
        largest = ref.flatten(1).amax(1).view(-1, 1, 1, 1)
        if not (largest > 0).all():
            raise ValueError("a black reference cannot be normalised to its maximum")
        return pred / largest * check.peak, ref / largest * check.peak

    @property
    def light(self) -> Images:
        """The same, if they are linear light."""
        if self.coded:
            raise ValueError(
                "this metric needs linear light, but the image holds display codes; say how to linearise them"
            )
        return self.linear

    @cached_property
    def mu(self) -> Images:
        """Both in the mu-law domain, [0, 1]."""
        pred, ref = self.light
        return tuple(mu_law(image / self.protocol.peak, self.protocol.mu) for image in (pred, ref))  # type: ignore[return-value]

    @cached_property
    def absolute(self) -> Images:
        """Both in cd/m²."""
        pred, ref = self.light
        black = self.protocol.display_black
        unit = (self.protocol.display_peak - black) / self.protocol.peak
        return pred * unit + black, ref * unit + black

    @cached_property
    def pu(self) -> Images:
        """Both in PU21 values."""
        pred, ref = self.absolute
        return _encode(pred), _encode(ref)

    @cached_property
    def pu_luminance(self) -> Images:
        """PU21 values of both luminances, (N, 1, H, W)."""
        pred, ref = self.absolute
        return _encode(pu21.luminance(pred)), _encode(pu21.luminance(ref))

    def display(self, image: Tensor) -> Tensor:
        """Turn linear values into display codes in [0, 1]; codes stay as they are."""
        if self.coded:
            return image
        tone_map, light = self.protocol.tone_map, image / self.protocol.peak
        if tone_map not in ("none", "gamma", "mu_law"):
            return presets.get(tone_map)(light.clamp_min(0.0))
        clipped = light.clamp(0.0, 1.0)
        if tone_map == "mu_law":
            return mu_law(clipped, self.protocol.mu)
        return gamma_encode(clipped) if tone_map == "gamma" else clipped

    @cached_property
    def shown(self) -> Tensor:
        """The prediction alone as display codes, aligned and normalised where there is a reference to do it by."""
        if self.ref is not None:
            return self.displayed[0]
        if not self.coded and (self.protocol.alignment, self.protocol.normalisation) != ("none", "none"):
            raise ValueError("this protocol scales images by their reference, and there is none")
        return self.display(self.pred)

    @cached_property
    def displayed(self) -> Images:
        """Both as display codes; codes stay as they are, whatever the protocol does to the scale of light."""
        if self.coded:
            if self.ref is None:
                raise ValueError("a full-reference metric needs a reference")
            check_pair(self.pred, self.ref)
            return self.pred.double(), self.ref.double()
        pred, ref = self.linear
        return self.display(pred), self.display(ref)

    @cached_property
    def pictures(self) -> Images:
        """Both as the 8-bit files that would be shown."""
        pred, ref = self.displayed
        return _to_8_bit(pred), _to_8_bit(ref)

    @property
    def fused(self) -> Images:
        """Display codes of a fused image and of its stack."""
        if self.fusion is None:
            raise ValueError("a metric of fusion needs the stack of exposures")
        return self.fusion

    @property
    def ppd(self) -> float:
        """Pixels per degree of visual angle."""
        if self.protocol.ppd is not None:
            return self.protocol.ppd
        height, width = self.pred.shape[-2:]
        return pixels_per_degree(self.protocol.display_inches, (width, height), self.protocol.distance_m)

    @cached_property
    def vdp3(self) -> Vdp3:
        """Both scores of HDR-VDP-3."""
        return self.vdp(hdrvdp3)

    def vdp(self, metric: Callable[..., T], **options: str) -> T:
        """Call a version of HDR-VDP in the protocol's argument order, with light that is not negative."""
        images = self.absolute if self.protocol.vdp_encoding == "rgb-bt.709" else self.linear
        test, reference = (image.clamp_min(0.0) for image in images)
        if self.protocol.vdp_order == "reference first":
            test, reference = reference, test
        return metric(test, reference, encoding=self.protocol.vdp_encoding, ppd=self.ppd, **options)

    def official_vdp(self, metric: Callable[..., T], version: str) -> T:
        """Call the official code, if it is of the protocol's version; its functions take the test image first too."""
        found = find_official(int(version[0])).version
        if found != version:
            raise HdrbenchError(f"the protocol wants HDR-VDP {version}, but the official code here is {found}")
        return self.vdp(metric, order="output,target")


def _encode(light: Tensor) -> Tensor:
    """Encode light that a protocol has scaled to cd/m², so that a dark scene is no reason to warn of relative values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pu21.RelativeLuminanceWarning)
        return pu21.encode(light)


def _to_8_bit(image: Tensor) -> Tensor:
    return (image.double().clamp(0.0, 1.0) * 255.0).round() / 255.0


def _crop(image: Tensor, border: int) -> Tensor:
    if not border:
        return image
    if min(image.shape[-2:]) <= 2 * border:
        raise ValueError(f"the protocol crops {border} pixels from each side of an image of {tuple(image.shape[-2:])}")
    return image[..., border:-border, border:-border]


_COMPUTE: dict[str, Callable[[Subject], Tensor]] = {
    "psnr_l": lambda s: psnr(*s.linear, peak=s.protocol.peak),
    "psnr_mu": lambda s: psnr(*s.mu),
    "psnr_pu": lambda s: psnr(*s.pu, peak=pu21.PEAK),
    "psnry_pu": lambda s: psnr(*s.pu_luminance, peak=pu21.PEAK),
    "ssim_l": lambda s: ssim(*s.linear, peak=s.protocol.peak, variant=s.protocol.ssim),
    "ssim_mu": lambda s: ssim(*s.mu, variant=s.protocol.ssim),
    "ssim_pu": lambda s: ssim(*s.pu_luminance, peak=pu21.PEAK, variant="matlab"),
    "ms_ssim_l": lambda s: ms_ssim(*s.linear, peak=s.protocol.peak),
    "ms_ssim_mu": lambda s: ms_ssim(*s.mu),
    "ms_ssim_pu": lambda s: ms_ssim(*s.pu_luminance, peak=pu21.PEAK),
    "hdrvdp2": lambda s: s.vdp(hdrvdp2),
    "hdrvdp3": lambda s: s.vdp3.q,
    "hdrvdp3_jod": lambda s: s.vdp3.q_jod,
    "hdrvdp2_official": lambda s: s.official_vdp(hdrvdp2_official, s.protocol.vdp2),
    "hdrvdp3_official": lambda s: s.official_vdp(hdrvdp3_official, s.protocol.vdp3).q,
    "ciede2000": lambda s: ciede2000(*s.light, peak=s.protocol.peak),
    "mse_l": lambda s: mse(*s.linear),
    "l1_l": lambda s: l1(*s.linear),
    "psnr_display": lambda s: psnr(*s.pictures),
    "ssim_display": lambda s: ssim(*s.pictures, variant=s.protocol.ssim),
    "ms_ssim_display": lambda s: ms_ssim(*s.pictures),
    "lpips": lambda s: learned.lpips(*s.displayed, net="alex"),
    "lpips_vgg": lambda s: learned.lpips(*s.displayed, net="vgg"),
    "mef_ssim": lambda s: mef_ssim(*s.fused),
    "mef_ssim_single": lambda s: mef_ssim(*s.fused, levels=1),
    "musiq": lambda s: learned.musiq(s.shown),
    "clipiqa": lambda s: learned.clipiqa(s.shown),
    "niqe": lambda s: learned.niqe(s.shown),
    "brisque": lambda s: learned.brisque(s.shown),
}


def score(name: str, subject: Subject) -> Tensor:
    """Score a batch by one metric.

    Parameters
    ----------
    name
        Key of `hdrbench.metrics.METRICS`.
    subject
        The images, under a protocol.

    Returns
    -------
    Tensor
        (N,) float64.

    Raises
    ------
    ValueError
        If the images do not suit the metric: shapes, values that are not finite, too small, no reference.
    WeightsMissingError
        If the metric needs weights that are not here.
    """
    metrics.get(name)
    with torch.no_grad():
        return _COMPUTE[name](subject)
