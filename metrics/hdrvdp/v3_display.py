"""HDR-VDP-3, before the eye: from pixel values to the light of a display, and from that light to cone and rod signals.

The 3x3 matrices are integrals over 360..780 nm of measured spectra, which are data of the HDR-VDP 3.0.7 release: the
emission of a display's primaries (an Acer BM320 LED LCD set to sRGB, an OLED phone; D65 for images of luminance only)
against the CIE 1931 observer, and against the Smith-Pokorny cones and the CIE scotopic curve, through the lens of an
observer of 24 years (Pokorny1987).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from hdrbench.errors import unknown
from hdrbench.imaging.transfer import srgb_decode

Matrix = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Display:
    """A display's primaries.

    Attributes
    ----------
    to_receptors
        Signals of the L cones, M cones and rods (rows) to unit drive of each primary (columns); the rows L and M sum
        to 1, so that white of 1 cd/m² gives L + M = 1.
    from_xyz
        Drives of the primaries that show a CIE XYZ colour.
    """

    to_receptors: Matrix
    from_xyz: Matrix = ()


_LED = Display(
    to_receptors=(
        (0.1582537045824601, 0.44757061515764274, 0.041869609863841487),
        (0.032168422093857098, 0.28144253906536038, 0.038695109236838117),
        (0.037953919505998988, 0.6257346224708813, 0.36617348374792008),
    ),
    from_xyz=(
        (3.5961952552070984, -1.7017410717039312, -0.55256087538859577),
        (-0.9685238845974663, 1.843700713972779, 0.041633903383183783),
        (0.051974113372663208, -0.18013341731052612, 1.0457117670834393),
    ),
)
_OLED = Display(
    to_receptors=(
        (0.18388347127450441, 0.41198390214115826, 0.051566730410851504),
        (0.029570622147099886, 0.27579687296102273, 0.04719840106536323),
        (0.008674173459540834, 0.53380069611879311, 0.44435015480532702),
    ),
    from_xyz=(
        (2.6470786073354562, -0.96382445091728919, -0.43035490212186178),
        (-0.85107257232719169, 1.7708682148358341, 0.022637781897447605),
        (0.033422878311082677, -0.078540057901766366, 0.86891758003307129),
    ),
)
_DAYLIGHT = Display(to_receptors=((0.65293140835027819,), (0.34706859164972181,), (1.0171300679539299,)))

# ITU-R BT.709 and BT.2020 to CIE XYZ, to the four digits the release has.
_XYZ_FROM_709 = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
_XYZ_FROM_2020 = ((0.6370, 0.1446, 0.1689), (0.2627, 0.6780, 0.0593), (0.0, 0.0281, 1.0610))
_XYZ = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@dataclass(frozen=True)
class Encoding:
    """What the values of an image mean.

    Attributes
    ----------
    display
        Whose primaries show the image.
    to_xyz
        Matrix of the colour space; ``None`` if the values are drives of the primaries already.
    channels
        1 or 3.
    curve
        ``"linear"`` for absolute values in cd/m², ``"sRGB"`` or ``"gamma 2.2"`` for codes in [0, 1] on a display that
        gives 1 to 100 cd/m².
    """

    display: Display
    to_xyz: Matrix | None = None
    channels: int = 3
    curve: str = "linear"


ENCODINGS = {
    "sRGB-display": Encoding(_LED, _XYZ_FROM_709, curve="sRGB"),
    "rgb-bt.709": Encoding(_LED, _XYZ_FROM_709),
    "rgb-native": Encoding(_LED),
    "rgb-bt.2020": Encoding(_OLED, _XYZ_FROM_2020),
    "XYZ": Encoding(_OLED, _XYZ),
    "luminance": Encoding(_DAYLIGHT, channels=1),
    "luma-display": Encoding(_DAYLIGHT, channels=1, curve="gamma 2.2"),
}
GAMUT_FLOOR = 1e-6  # cd/m², to which colours outside the display's gamut are raised
BLACK, PEAK = 1.0, 100.0  # cd/m², of the displays that show codes


def get_encoding(name: str, channels: int) -> Encoding:
    """Return an encoding by the name HDR-VDP-3 gives it, for images of so many channels.

    Raises
    ------
    HdrbenchError
        If there is no encoding of that name.
    ValueError
        If its images have another number of channels.
    """
    if name not in ENCODINGS:
        raise unknown("HDR-VDP-3 encoding", name, ENCODINGS)
    encoding = ENCODINGS[name]
    if channels != encoding.channels:
        raise ValueError(
            f"encoding '{name}' is of images of {encoding.channels} channel(s), got {channels}; choose another encoding"
        )
    return encoding


def show(images: Tensor, encoding: Encoding) -> list[Tensor]:
    """Turn pixel values (N, C, H, W) into cd/m² of each of the display's primaries: C images (N, H, W).

    Raises
    ------
    ValueError
        On negative luma codes, which have no power.
    """
    if encoding.curve == "sRGB":
        images = (PEAK - BLACK) * srgb_decode(images) + BLACK
    elif encoding.curve == "gamma 2.2":
        if images.min() < 0:
            raise ValueError(f"luma codes must not be negative, got {images.min().item():g}; clip the images first")
        images = (PEAK - BLACK) * images**2.2 + BLACK
    if encoding.to_xyz is None:
        return list(images.unbind(1))
    to_native = np.array(encoding.display.from_xyz) @ np.array(encoding.to_xyz)
    return [primary.clamp_min(GAMUT_FLOOR) for primary in mix(images.unbind(1), to_native.tolist())]


def mix(channels: Sequence[Tensor], matrix: Sequence[Sequence[float]]) -> list[Tensor]:
    """Apply a matrix to channels, each an image of its own, which is several times as fast as a product of tensors."""
    mixed = []
    for row in matrix:
        total = row[0] * channels[0]
        for weight, channel in zip(row[1:], channels[1:], strict=True):
            total.add_(channel, alpha=weight)
        mixed.append(total)
    return mixed
