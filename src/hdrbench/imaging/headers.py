"""What an image file claims about itself, read from its header without decoding a pixel.

A header of a few bytes can claim a picture of terabytes, and a decoder believes it. The readers of `io` ask here first;
loaders also learn the bit depth, which a decoded image no longer tells.
"""

import io
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


def peek(path: Path, *, data: bytes | None = None) -> Header | None:
    """Read what a PNG, TIFF, JPEG, Radiance or OpenEXR file claims.

    Parameters
    ----------
    path
        An image file.
    data
        Its bytes, if they have been read.

    Returns
    -------
    Header or None
        ``None`` if the file cannot be opened or its header cannot be followed; the decoder then says what is wrong.
    """
    parser = _PARSERS.get(path.suffix.lower())
    if parser is None:
        return None
    try:
        with open(path, "rb") if data is None else io.BytesIO(data) as file:
            return parser(file)
    except (OSError, ValueError, OverflowError, struct.error, containers.BrokenFileError):
        return None


def guard(path: Path, *, bits: int | None = None, data: bytes | None = None) -> None:
    """Refuse a file whose header claims more pixels than any real image has, or another bit depth.

    Parameters
    ----------
    path
        An image file.
    bits
        Expected bits per channel; ``None`` accepts any.
    data
        Its bytes, if they have been read.

    Raises
    ------
    ImageError
        The claim is absurd, or the bit depth is another.
    """
    header = peek(path, data=data)
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
        mark, kind = struct.unpack(">BB", file.read(2))
        if mark != 0xFF:
            raise ValueError("no marker")
        while kind == 0xFF:  # fill bytes
            (kind,) = struct.unpack("B", file.read(1))
        (length,) = struct.unpack(">H", file.read(2))
        # Frame headers, without the three tables whose numbers lie between theirs.
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            bits, height, width = struct.unpack(">BHH", file.read(5))
            return Header(width, height, bits)
        file.seek(length - 2, 1)


def _tiff(file: BinaryIO) -> Header:
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2], "")
    version = struct.unpack(order + "H", head[2:4])[0] if order else 0
    if version not in (42, 43):
        raise ValueError("no TIFF")
    # BigTIFF has wider numbers. Its place of the directory comes later.
    number, counter, at = ("I", "H", 4) if version == 42 else ("Q", "Q", 8)
    wide = struct.calcsize("<" + number)
    file.seek(struct.unpack_from(order + number, head, at)[0])
    (count,) = struct.unpack(order + counter, file.read(struct.calcsize("<" + counter)))
    entry = struct.Struct(f"{order}HH{number}{wide}s")
    entries = file.read(entry.size * min(count, 65535))
    if len(entries) != entry.size * count:
        raise ValueError("truncated")
    values = {}
    for tag, kind, length, value in entry.iter_unpack(entries):
        form = order + {3: "H", 16: "Q"}.get(kind, "I")
        if tag == 258 and 2 * length > wide:  # depth per channel, kept elsewhere; the channels of our images agree
            file.seek(struct.unpack(order + number, value)[0])
            value = file.read(wide)
        if tag in (256, 257, 258):
            (values[tag],) = struct.unpack_from(form, value)
    if 256 not in values or 257 not in values:
        raise ValueError("no size")
    return Header(values[256], values[257], values.get(258, 1))


def _radiance(file: BinaryIO) -> Header:
    head = containers.radiance_header(file.read())
    sizes = {axis[1]: size for axis, size in (head.first, head.second)}
    return Header(sizes["X"], sizes["Y"], None)


def _exr(file: BinaryIO) -> Header:
    part = max(containers.exr_parts(file.read()), key=lambda part: part.width * part.height)
    return Header(part.width, part.height, None)


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
