"""Structural checks of image files, made before a decoder sees them.

Decoders disagree about broken files: some raise, some print a warning and return a picture whose lower half is grey.
These checks walk the container itself, so that an incomplete file is always refused, and refused in the same words.
"""

import struct
import zlib
from dataclasses import dataclass

import numpy as np

_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
# The chunks that decide the pixels. Others (colour profiles, text, previews) only make a decoder print warnings.
_PNG_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_EXR_MAGIC = b"v/1\x01"
_EXR_DEEP, _EXR_MULTIPART = 0x800, 0x1000
# Rows per chunk by the number of the compression; newer ones are left to the decoder.
_EXR_ROWS = {0: 1, 1: 1, 2: 1, 3: 16, 4: 32, 5: 16, 6: 32, 7: 32, 8: 32, 9: 256}


class BrokenFileError(Exception):
    """What is wrong with the bytes, without the file's name (the caller knows it)."""


@dataclass(frozen=True)
class RadianceHeader:
    """The header of a Radiance picture.

    Attributes
    ----------
    first, second
        The resolution line: axes such as ``"-Y"`` and ``"+X"`` with their lengths, slowest first.
    payload
        Offset of the first byte after the header.
    """

    first: tuple[str, int]
    second: tuple[str, int]
    payload: int


@dataclass(frozen=True)
class ExrPart:
    """The header of one part of an OpenEXR file.

    Attributes
    ----------
    width, height
        Size of the data window in pixels.
    channels
        Horizontal and vertical sampling of each channel by name; (1, 1) has a sample at every pixel.
    deep
        Whether pixels hold lists of samples.
    """

    width: int
    height: int
    channels: dict[str, tuple[int, int]]
    deep: bool


def png_pixels(data: bytes) -> bytes:
    """Walk the chunks of a PNG file with their checksums, and drop those that do not decide the pixels.

    Returns
    -------
    bytes
        A PNG file of the same pixels.

    Raises
    ------
    BrokenFileError
        No PNG signature, a chunk that ends after the file does, a wrong checksum, or no end chunk.
    """
    if not data.startswith(_PNG_MAGIC):
        raise BrokenFileError("it does not begin with the PNG signature")
    at, kept = len(_PNG_MAGIC), [_PNG_MAGIC]
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        end = at + 8 + length
        if end + 4 > len(data):
            raise BrokenFileError(f"truncated: chunk {kind!r} needs {end + 4} bytes, the file has {len(data)}")
        if zlib.crc32(data[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            raise BrokenFileError(f"corrupt: wrong checksum in chunk {kind!r} at byte {at}")
        if kind in _PNG_CHUNKS:
            kept.append(data[at : end + 4])
        if kind == b"IEND":
            return b"".join(kept)
        at = end + 4
    raise BrokenFileError(f"truncated: no end chunk in {len(data)} bytes")


def check_jpeg(data: bytes) -> None:
    """Walk the segments of a JPEG file up to the end-of-image marker.

    Segments are skipped by their lengths, so that the end marker of an embedded thumbnail is not taken for the
    picture's own.

    Raises
    ------
    BrokenFileError
        No start marker, or the file ends before the end-of-image marker.
    """
    if not data.startswith(b"\xff\xd8"):
        raise BrokenFileError("it does not begin with the JPEG start marker")
    at = 2
    while 0 <= at < len(data) - 1:
        marker = data[at + 1] if data[at] == 0xFF else 0
        if marker == 0xD9:
            return
        if marker in (0x00, 0xFF) or 0xD0 <= marker <= 0xD7:
            # Entropy-coded data: stuffed bytes and restart markers belong to it, the next 0xFF may not.
            at = data.find(b"\xff", at + 1)
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    raise BrokenFileError(f"truncated: no end-of-image marker in {len(data)} bytes")


def check_tiff(data: bytes) -> None:
    """Check the signature and that the first directory lies inside the file (the decoder checks the strips).

    Raises
    ------
    BrokenFileError
        No TIFF signature, or the directory's place is beyond the end of the file.
    """
    if not data.startswith(_TIFF_MAGICS):
        raise BrokenFileError("it does not begin with a TIFF signature")
    place = data[8:16] if b"+" in data[2:4] else data[4:8]
    offset = int.from_bytes(place, "little" if data.startswith(b"II") else "big")
    if offset + 2 > len(data):
        raise BrokenFileError(f"truncated: the directory is at byte {offset}, the file has {len(data)}")


def radiance_header(data: bytes) -> RadianceHeader:
    """Parse the header of a Radiance picture (``.hdr``, ``.pic``).

    ``#?RADIANCE``, ``#?RGBE`` and any other ``#?`` line are accepted, on any line of the header: some writers put a
    ``VIEW=`` line before it.

    Raises
    ------
    BrokenFileError
        No ``#?`` line, pixels that are not RGBE, or a resolution line that cannot be read.
    """
    blank = data.find(b"\n\n")
    if blank < 0:
        raise BrokenFileError("no blank line ends the Radiance header (truncated, or line ends changed to CR LF?)")
    head, start = data[:blank], blank + 2
    lines = head.decode("latin-1").split("\n")
    if not any(line.startswith("#?") for line in lines):
        raise BrokenFileError("the header has no '#?RADIANCE' or '#?RGBE' line")
    formats = [line.partition("=")[2].strip() for line in lines if line.startswith("FORMAT=")]
    if any(value != "32-bit_rle_rgbe" for value in formats):
        raise BrokenFileError(f"pixel format '{formats[-1]}'; only 32-bit_rle_rgbe is read (convert with ra_xyze -r)")
    end = data.find(b"\n", start)
    words = data[start : max(end, start)].decode("latin-1").split()
    axes, sizes = words[0::2], words[1::2]
    numbers = [int(size) for size in sizes if size.isascii() and size.isdigit() and len(size) < 20]
    if len(words) != 4 or len(numbers) != 2 or 0 in numbers or {axis[1:] for axis in axes} != {"X", "Y"}:
        raise BrokenFileError(f"resolution line '{' '.join(words)}'; expected one like '-Y 512 +X 1024'")
    if any(axis[0] not in "+-" for axis in axes):
        raise BrokenFileError(f"resolution line '{' '.join(words)}'; expected one like '-Y 512 +X 1024'")
    return RadianceHeader((axes[0], numbers[0]), (axes[1], numbers[1]), end + 1)


def exr_parts(data: bytes) -> list[ExrPart]:
    """Parse the headers of an OpenEXR file.

    Raises
    ------
    BrokenFileError
        No OpenEXR signature, or a header that cannot be followed.
    """
    return _exr_headers(data)[0]


def check_exr(data: bytes) -> None:
    """Check that all chunks of pixels are in an OpenEXR file, if it has one part without levels of detail.

    Raises
    ------
    BrokenFileError
        As `exr_parts`, or a chunk is missing or not where it should be.
    """
    _, attributes, table = _exr_headers(data)
    if attributes is None:
        return
    try:
        count, rows = _exr_chunks(attributes)
    except (KeyError, ValueError, struct.error):
        raise BrokenFileError("corrupt: its header does not tell how the pixels are stored") from None
    if not count:
        return
    if table + 8 * count > len(data):
        raise BrokenFileError(f"truncated: the table of its {count} chunks needs {table + 8 * count} bytes")
    # A chunk of rows begins with its first row and its length, a tile with four coordinates and its length.
    leader = 8 if rows else 20
    starts = np.frombuffer(data, "<u8", count, table)
    if starts.min() < table + 8 * count or starts.max() > len(data) - leader:
        raise BrokenFileError(f"truncated or corrupt: one of its {count} chunks is missing from {len(data)} bytes")
    places = starts.astype(np.int64)
    leaders = np.frombuffer(data, np.uint8)[places[:, None] + np.arange(leader)].view("<i4").astype(np.int64)
    if (leaders[:, -1] < 0).any() or (places + leader + leaders[:, -1] > len(data)).any():
        raise BrokenFileError(f"truncated or corrupt: one of its {count} chunks ends beyond {len(data)} bytes")
    top = struct.unpack("<4i", attributes[b"dataWindow"])[1]
    if rows and (leaders[:, 0] != top + rows * np.arange(count)).any():
        raise BrokenFileError("corrupt: a chunk is not that of its row")


def _exr_headers(data: bytes) -> tuple[list[ExrPart], dict[bytes, bytes] | None, int]:
    """Parse all headers; also the attributes of the only part, if it has flat pixels, and where the headers end."""
    if not data.startswith(_EXR_MAGIC):
        raise BrokenFileError("it does not begin with the OpenEXR signature")
    flags, at = int.from_bytes(data[4:8], "little"), 8
    parts = []
    try:
        attributes, at = _exr_attributes(data, at)
        while attributes:
            parts.append(_exr_part(attributes, flags))
            if not flags & _EXR_MULTIPART:
                return parts, None if parts[0].deep else attributes, at
            attributes, at = _exr_attributes(data, at)
    except (KeyError, ValueError, struct.error):
        raise BrokenFileError(f"truncated or corrupt: its header cannot be followed beyond byte {at}") from None
    if not parts:
        raise BrokenFileError("corrupt: it has no part")
    return parts, None, at


def _exr_attributes(data: bytes, at: int) -> tuple[dict[bytes, bytes], int]:
    """Read names and values up to the zero byte that ends a header; the second value is the place after it."""
    attributes = {}
    while data[at] if at < len(data) else 1:
        name_end = data.index(b"\0", at)
        kind_end = data.index(b"\0", name_end + 1)
        (length,) = struct.unpack_from("<i", data, kind_end + 1)
        if length < 0:
            raise ValueError
        attributes[data[at:name_end]] = data[kind_end + 5 : kind_end + 5 + length]
        at = kind_end + 5 + length
    return attributes, at + 1


def _exr_part(attributes: dict[bytes, bytes], flags: int) -> ExrPart:
    left, top, right, bottom = struct.unpack("<4i", attributes[b"dataWindow"])
    if right < left or bottom < top:
        raise ValueError
    channels, listed, at = {}, attributes[b"channels"], 0
    while listed[at : at + 1] != b"\0":
        end = listed.index(b"\0", at)
        channels[listed[at:end].decode("latin-1")] = struct.unpack_from("<2i", listed, end + 9)
        at = end + 17
    deep = bool(flags & _EXR_DEEP) and attributes.get(b"type", b"deep").startswith(b"deep")
    return ExrPart(right - left + 1, bottom - top + 1, channels, deep)


def _exr_chunks(attributes: dict[bytes, bytes]) -> tuple[int, int]:
    """Count the chunks of a part and the rows in each, 0 for tiles; no chunks where levels or codecs are not known."""
    left, top, right, bottom = struct.unpack("<4i", attributes[b"dataWindow"])
    if b"tiles" not in attributes:
        (compression,) = struct.unpack("B", attributes[b"compression"])
        rows = _EXR_ROWS.get(compression, 0)
        return (-(-(bottom - top + 1) // rows), rows) if rows else (0, 0)
    width, height, mode = struct.unpack("<IIB", attributes[b"tiles"])
    if not (width and height):
        raise ValueError
    several_levels = mode & 15
    return (0, 0) if several_levels else (-(-(right - left + 1) // width) * -(-(bottom - top + 1) // height), 0)
