"""Displays of HDR-VDP: how many pixels a degree holds, and from pixel values to light in cd/m².

The receptors' matrices, and those of HDR-VDP-3 from CIE XYZ, are integrals over 360..780 nm of measured spectra, which are
data of the releases 2.2.2 and 3.0.7: the emission of a display's primaries (D65 for images of luminance only) against the
CIE 1931 observer, and against the Smith-Pokorny cones and the CIE scotopic curve, in HDR-VDP-3 through the lens of an
observer of 24 years (Pokorny1987).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hdrbench.errors import unknown
from hdrbench.imaging.transfer import srgb_decode

MM_PER_INCH = 25.4
BLACK, PEAK = 1.0, 100.0  # cd/m², of the displays that show codes
GAMUT_FLOOR = 1e-6  # cd/m², to which HDR-VDP-3 raises colours outside the display's gamut
CHANGE = 0.001  # relative difference of a primary above which a pixel counts as changed

Matrix = tuple[tuple[float, ...], ...]


def _product(a: Matrix, b: Matrix) -> Matrix:
    return tuple(tuple(row) for row in (np.array(a) @ np.array(b)).tolist())


# Signals of the L cones, M cones and rods (rows) to unit drive of each primary (columns). In HDR-VDP-3 the rows L and M sum to
# 1, so that white of 1 cd/m² gives L + M = 1.
_LCD_2 = (  # with fluorescent backlight
    (0.19899612033792871, 0.40476260703812544, 0.054390619255321161),
    (0.041005860407588933, 0.25492330644134564, 0.050012248959300676),
    (0.014377368621119191, 0.48092084108413191, 0.45427589566935994),
)
_DAYLIGHT_2 = ((0.60184715224469898,), (0.31670829557916946,), (0.90467065459950324,))
_LED = (  # an Acer BM320 LED LCD, set to sRGB
    (0.1582537045824601, 0.44757061515764274, 0.041869609863841487),
    (0.032168422093857098, 0.28144253906536038, 0.038695109236838117),
    (0.037953919505998988, 0.6257346224708813, 0.36617348374792008),
)
_OLED = (  # a phone's
    (0.18388347127450441, 0.41198390214115826, 0.051566730410851504),
    (0.029570622147099886, 0.27579687296102273, 0.04719840106536323),
    (0.008674173459540834, 0.53380069611879311, 0.44435015480532702),
)
_DAYLIGHT = ((0.65293140835027819,), (0.34706859164972181,), (1.0171300679539299,))
# Drives of the primaries that show a CIE XYZ colour.
_LED_FROM_XYZ = (
    (3.5961952552070984, -1.7017410717039312, -0.55256087538859577),
    (-0.9685238845974663, 1.843700713972779, 0.041633903383183783),
    (0.051974113372663208, -0.18013341731052612, 1.0457117670834393),
)
_OLED_FROM_XYZ = (
    (2.6470786073354562, -0.96382445091728919, -0.43035490212186178),
    (-0.85107257232719169, 1.7708682148358341, 0.022637781897447605),
    (0.033422878311082677, -0.078540057901766366, 0.86891758003307129),
)
# ITU-R BT.709 and BT.2020 from and to CIE XYZ, to the digits the releases have.
_709_FROM_XYZ = ((3.240708, -1.537259, -0.498570), (-0.969257, 1.875995, 0.041555), (0.055636, -0.203996, 1.057069))
_XYZ_FROM_709 = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
_XYZ_FROM_2020 = ((0.6370, 0.1446, 0.1689), (0.2627, 0.6780, 0.0593), (0.0, 0.0281, 1.0610))
_LED_FROM_709 = _product(_LED_FROM_XYZ, _XYZ_FROM_709)


@dataclass(frozen=True)
class Encoding:
    """What the values of an image mean, and the display that shows them.

    Attributes
    ----------
    to_receptors
        Signals of the L cones, M cones and rods (rows) to unit drive of each of the display's 3 primaries or 1 white.
    to_primaries
        From the colour space to drives of the primaries; ``None`` if the values are drives already.
    curve
        ``"linear"`` for absolute values in cd/m², ``"sRGB"`` or ``"gamma 2.2"`` for codes in [0, 1] on a display that
        gives 1 to 100 cd/m².
    floor
        Drives to which those that leave the gamut through `to_primaries` are raised.
    """

    to_receptors: Matrix
    to_primaries: Matrix | None = None
    curve: str = "linear"
    floor: float = GAMUT_FLOOR

    @property
    def channels(self) -> int:
        """1 or 3."""
        return len(self.to_receptors[0])


# By the major version of HDR-VDP and the name it gives the encoding.
ENCODINGS = {
    2: {
        "luminance": Encoding(_DAYLIGHT_2),
        "luma-display": Encoding(_DAYLIGHT_2, curve="gamma 2.2"),
        "sRGB-display": Encoding(_LCD_2, curve="sRGB"),
        "rgb-bt.709": Encoding(_LCD_2),
        "XYZ": Encoding(_LCD_2, _709_FROM_XYZ, floor=-math.inf),
    },
    3: {
        "luminance": Encoding(_DAYLIGHT),
        "luma-display": Encoding(_DAYLIGHT, curve="gamma 2.2"),
        "sRGB-display": Encoding(_LED, _LED_FROM_709, curve="sRGB"),
        "rgb-bt.709": Encoding(_LED, _LED_FROM_709),
        "XYZ": Encoding(_OLED, _OLED_FROM_XYZ),
        "rgb-native": Encoding(_LED),
        "rgb-bt.2020": Encoding(_OLED, _product(_OLED_FROM_XYZ, _XYZ_FROM_2020)),
    },
}
CHANNELS = {
    version: {name: encoding.channels for name, encoding in encodings.items()}
    for version, encodings in ENCODINGS.items()
}


def get_encoding(version: int, name: str, channels: int) -> Encoding:
    """Return an encoding by the name HDR-VDP-2 or -3 gives it, for images of so many channels.

    Raises
    ------
    HdrbenchError
        If there is no encoding of that name.
    ValueError
        If its images have another number of channels.
    """
    if name not in ENCODINGS[version]:
        raise unknown(f"HDR-VDP-{version} encoding", name, ENCODINGS[version])
    encoding = ENCODINGS[version][name]
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
    primaries = list(images.unbind(1))
    if encoding.to_primaries is None:
        return primaries
    return [primary.clamp_min(encoding.floor) for primary in mix(primaries, encoding.to_primaries)]


def changed(light: Sequence[Tensor]) -> Tensor:
    """Tell which pixels of an image and its reference differ, (2, H, W) of each primary: (H, W).

    As in the releases, a primary that is negative in the reference never differs.
    """
    return torch.stack([(image - reference).abs() / reference > CHANGE for image, reference in light]).any(0)


def mix(channels: Sequence[Tensor], matrix: Sequence[Sequence[float]]) -> list[Tensor]:
    """Apply a matrix to channels, each an image of its own, which is several times as fast as a product of tensors."""
    mixed = []
    for row in matrix:
        total = row[0] * channels[0]
        for weight, channel in zip(row[1:], channels[1:], strict=True):
            total.add_(channel, alpha=weight)
        mixed.append(total)
    return mixed


def pixels_per_degree(diagonal_inches: float, resolution: tuple[int, int], distance_m: float) -> float:
    """Return how many pixels of a display fill one degree of the visual field.

    The mean over the height of the screen, seen from its centre, as HDR-VDP and the papers that cite it compute it. Papers
    that give the size of the image as the resolution get another value for every size of image.

    Parameters
    ----------
    diagonal_inches
        Diagonal of the screen.
    resolution
        Width and height in pixels; the pixels are square.
    distance_m
        Viewing distance in metres.

    Raises
    ------
    ValueError
        If any of them is not positive.
    """
    width, height = resolution
    if not all(0 < value < math.inf for value in (diagonal_inches, width, height, distance_m)):
        raise ValueError(
            "expected a positive diagonal, width, height and distance, "
            f"got {diagonal_inches} inches, {width}x{height} pixels, {distance_m} m"
        )
    height_m = diagonal_inches * MM_PER_INCH / 1000.0 * height / math.hypot(width, height)
    return height / math.degrees(2.0 * math.atan(0.5 * height_m / distance_m))
