"""What an image file claims about itself, read from its header without decoding a pixel.

A header of a few bytes can claim a picture of terabytes, and a decoder believes it. Loaders ask here first, and also
learn the bit depth, which a decoded image no longer tells.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hdrbench.errors import ImageError
from hdrbench.imaging import containers

# Twice a panorama of 16384x8192; no data set with a card comes near.
MOST_PIXELS = 2**28


@dataclass(frozen=True)
class Header:
    """The claims of an image file.

    Attributes
    ----------
    width, height
        Size in pixels, as stored.
    bits
        Bits per channel of integer images; ``None`` for radiance maps.
    """

    width: int
    height: int
    bits: int | None


def peek(path: Path) -> Header | None:
    """Read what a PNG, TIFF, JPEG, Radiance or OpenEXR file claims.

    Returns
    -------
    Header or None
        ``None`` if the file cannot be opened or its header cannot be followed; the decoder then says what is wrong.
    """
    parser = _PARSERS.get(path.suffix.lower())
    if parser is None:
        return None
    try:
        with open(path, "rb") as file:
            return parser(file)
    except (OSError, ValueError, struct.error, containers.BrokenFileError):
        return None


def guard(path: Path, *, bits: int | None = None) -> None:
    """Refuse a file whose header claims more pixels than any real image has, or another bit depth.

    Parameters
    ----------
    path
        An image file.
    bits
        Expected bits per channel; ``None`` accepts any.

    Raises
    ------
    ImageError
        The claim is absurd, or the bit depth is another.
    """
    header = peek(path)
    if header is None:
        return
    if header.width * header.height > MOST_PIXELS:
        raise ImageError(
            f"{path}: its header claims {header.width}x{header.height}, expected at most {MOST_PIXELS} pixels; "
            f"the file is damaged or made to exhaust memory, get it again"
        )
    if bits is not None and header.bits != bits:
        raise ImageError(f"{path}: has {header.bits} bit, expected {bits} bit; get the file as published, unconverted")


def _png(file: BinaryIO) -> Header:
    head = file.read(26)
    if head[12:16] != b"IHDR":
        raise ValueError("no IHDR")
    width, height, bits = struct.unpack(">IIB", head[16:25])
    return Header(width, height, bits)


def _jpeg(file: BinaryIO) -> Header:
    if file.read(2) != b"\xff\xd8":
        raise ValueError("no start marker")
    while True:
        mark, kind, length = struct.unpack(">BBH", file.read(4))
        if mark != 0xFF:
            raise ValueError("no marker")
        # Frame headers, without the three tables whose numbers lie between theirs.
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            bits, height, width = struct.unpack(">BHH", file.read(5))
            return Header(width, height, bits)
        file.seek(length - 2, 1)


def _tiff(file: BinaryIO) -> Header:
    head = file.read(8)
    order = {b"II": "<", b"MM": ">"}[head[:2]] if head[:2] in (b"II", b"MM") else ""
    if not order or struct.unpack(order + "H", head[2:4])[0] != 42:
        raise ValueError("no classic TIFF")
    file.seek(struct.unpack(order + "I", head[4:8])[0])
    entries = [file.read(12) for _ in range(struct.unpack(order + "H", file.read(2))[0])]
    values = {}
    for entry in entries:
        tag, kind, count = struct.unpack(order + "HHI", entry[:8])
        short = struct.unpack(order + "H", entry[8:10])[0]
        place = struct.unpack(order + "I", entry[8:12])[0]
        if tag == 258 and count > 2:  # depth per channel, kept elsewhere; the channels of our images agree
            file.seek(place)
            short = struct.unpack(order + "H", file.read(2))[0]
        values[tag] = short if kind == 3 else place
    if 256 not in values or 257 not in values:
        raise ValueError("no size")
    return Header(values[256], values[257], values.get(258, 1))


def _radiance(file: BinaryIO) -> Header:
    head = containers.radiance_header(file.read(65536))
    sizes = {axis[1]: size for axis, size in (head.first, head.second)}
    return Header(sizes["X"], sizes["Y"], None)


def _exr(file: BinaryIO) -> Header:
    if file.read(4) != b"v/1\x01":
        raise ValueError("no OpenEXR magic")
    head = file.read(65536)
    at = 4
    while head[at : at + 1] not in (b"", b"\0"):
        name_end = head.index(b"\0", at)
        kind_end = head.index(b"\0", name_end + 1)
        length = struct.unpack("<i", head[kind_end + 1 : kind_end + 5])[0]
        if head[at:name_end] == b"dataWindow":
            left, top, right, bottom = struct.unpack("<4i", head[kind_end + 5 : kind_end + 21])
            return Header(right - left + 1, bottom - top + 1, None)
        at = kind_end + 5 + max(length, 0)
    raise ValueError("no data window")


_PARSERS: dict[str, Callable[[BinaryIO], Header]] = {
    ".png": _png,
    ".jpg": _jpeg,
    ".jpeg": _jpeg,
    ".tif": _tiff,
    ".tiff": _tiff,
    ".hdr": _radiance,
    ".pic": _radiance,
    ".exr": _exr,
}
