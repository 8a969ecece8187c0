"""Evaluation protocols: everything beside the network that decides a score, as named and hashed objects.

Two scores of different protocols are not comparable, so every score carries its protocol's name and hash.
"""

import hashlib
import json
from dataclasses import asdict, dataclass

from hdrbench.errors import unknown


@dataclass(frozen=True)
class Protocol:
    """How a prediction is compared with its reference.

    Attributes
    ----------
    alignment
        Scaling of the prediction before it is scored: ``"none"``.
    peak
        Largest value of the linear domain, the `peak` of PSNR and SSIM.
    clipping
        What is clipped before scoring.
    mu
        Constant of the mu-law domain.
    crop
        Region that is scored.
    ssim
        SSIM variant.
    batch
        Images per network call.
    """

    alignment: str
    peak: float
    clipping: str
    mu: float
    crop: str
    ssim: str
    batch: int

    def fields(self) -> dict[str, object]:
        """Return the settings as a plain mapping."""
        return asdict(self)

    def digest(self) -> str:
        """Return a short hash over all settings."""
        return hashlib.sha256(json.dumps(self.fields(), sort_keys=True).encode()).hexdigest()[:12]


PROTOCOLS: dict[str, Protocol] = {
    # SelfHDR's evaluation, on which the USME-HDR paper builds.
    "selfhdr": Protocol(
        alignment="none",
        peak=1.0,
        clipping="none for PSNR; SSIM clips to [0, 1]",
        mu=5000.0,
        crop="whole image",
        ssim="11x11 Gaussian, sigma 1.5, valid region, mean over RGB, not rounded",
        batch=1,
    ),
}


def get(name: str) -> Protocol:
    """Return a protocol by name, or raise an `HdrbenchError` that suggests the nearest one."""
    if name not in PROTOCOLS:
        raise unknown("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]
