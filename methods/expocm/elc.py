"""The exposure-guided luminance-chromaticity loss in CIELAB (Liu2026, eq. 12-15)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from hdrbench.errors import unknown
from hdrbench.imaging.color import luminance
from hdrbench.methods.expocm.masks import Masks
from hdrbench.metrics.ciede2000 import linear_to_lab


@dataclass(frozen=True)
class Elc:
    """The constants of eq. 13-15; those from `kappa_l_low` to `delta` are printed, the others are ours.

    Attributes
    ----------
    weighting
        ``False`` for the uniform loss of Table 3: both weights are their lambda everywhere.
    kappa_l_low, kappa_l_high, kappa_c_high, kappa_c_low
        3, 1, 3, 0.5.
    tau_shadow, tau_highlight, delta
        0.2, 0.8, 0.1.
    chroma_base
        Weight of chromaticity that does not depend on exposure, added in eq. 14. As printed it has none, so that nothing
        holds the colour of well-exposed pixels, although the text calls their supervision balanced; 1 would be the
        counterpart of eq. 13.
    alpha
        Exponent of the masks.
    chroma_scale
        c_0, in units of a* and b*.
    lambda_l, lambda_c
        0.01: L* from 0 to 100 counts as 0 to 1.
    epsilon
        Of the Charbonnier penalty, in units of L*; 1e-3 as is usual (Lai2017).
    white
        Linear value of the HDR image that is white in CIELAB, L* = 100.
    luma
        Whose luma Y is: ``"ldr"``, as in the masks, or ``"hdr"``, the reference's.
    """

    weighting: bool = True
    kappa_l_low: float = 3.0
    kappa_l_high: float = 1.0
    kappa_c_high: float = 3.0
    kappa_c_low: float = 0.5
    tau_shadow: float = 0.2
    tau_highlight: float = 0.8
    delta: float = 0.1
    chroma_base: float = 0.0
    alpha: float = 1.0
    chroma_scale: float = 10.0
    lambda_l: float = 0.01
    lambda_c: float = 0.01
    epsilon: float = 1e-3
    white: float = 1.0
    luma: str = "ldr"

    def __post_init__(self) -> None:
        if self.luma not in ("ldr", "hdr"):
            raise unknown("luma", self.luma, ("ldr", "hdr"))

    def weights(self, luma: Tensor, masks: Masks, chroma: Tensor) -> tuple[Tensor, Tensor]:
        """Return w_L and w_C of eq. 13 and 14 from luma, masks and the reference's chroma C*_0, all (N, 1, H, W)."""
        if not self.weighting:
            return torch.full_like(luma, self.lambda_l), torch.full_like(luma, self.lambda_c)
        over, under = masks.over.pow(self.alpha), masks.under.pow(self.alpha)
        neutral = 1.0 / (1.0 + chroma / self.chroma_scale)
        shadow = torch.sigmoid((self.tau_shadow - luma) / self.delta)
        highlight = torch.sigmoid((luma - self.tau_highlight) / self.delta)
        lightness = 1.0 + self.kappa_l_low * shadow * under + self.kappa_l_high * neutral * over
        colour = self.kappa_c_high * over * (1.0 - neutral) * highlight + self.kappa_c_low * under * (1.0 - shadow)
        return self.lambda_l * lightness, self.lambda_c * (self.chroma_base + colour)

    def loss(self, pred: Tensor, hdr: Tensor, ldr: Tensor, masks: Masks) -> Tensor:
        """Return the loss of eq. 15, a scalar, 0 at equality.

        The penalty is sqrt(x^2 + epsilon^2) - epsilon: without the constant it would not vanish, and the gradient is the
        same. Negative and too large predictions have a finite loss and gradient.

        Parameters
        ----------
        pred, hdr
            Linear, (N, 3, H, W).
        ldr
            (N, 3, H, W) in [0, 1].
        masks
            Of `ldr`.
        """
        guess, true = (linear_to_lab(image, peak=self.white) for image in (pred, hdr.detach()))
        luma = luminance((ldr if self.luma == "ldr" else hdr).float())
        chroma = true[:, 1:].square().sum(1, keepdim=True).sqrt().to(luma.dtype)
        for_lightness, for_colour = self.weights(luma, masks, chroma)
        squares = (guess - true).square()
        # Delta C* enters by its square: its own root has no derivative at equality.
        lightness, colour = (
            charbonnier(square, self.epsilon) for square in (squares[:, :1], squares[:, 1:].sum(1, True))
        )
        return ((for_lightness * lightness).mean() + (for_colour * colour).mean()).float()


def charbonnier(square: Tensor, epsilon: float) -> Tensor:
    """Return sqrt(x^2 + epsilon^2) - epsilon from x^2."""
    return (square + epsilon**2).sqrt() - epsilon
