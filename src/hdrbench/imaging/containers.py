"""Structural checks of image files, made before a decoder sees them.

Decoders disagree about broken files: some raise, some print a warning and return a picture whose lower half is grey.
These checks walk the container itself, so that an incomplete file is always refused, and refused in the same words.
"""

import zlib
from dataclasses import dataclass

_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


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


def check_png(data: bytes) -> None:
    """Walk the chunks of a PNG file with their checksums.

    Raises
    ------
    BrokenFileError
        No PNG signature, a chunk that ends after the file does, a wrong checksum, or no end chunk.
    """
    if not data.startswith(_PNG_MAGIC):
        raise BrokenFileError("it does not begin with the PNG signature")
    at = len(_PNG_MAGIC)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        end = at + 8 + length
        if end + 4 > len(data):
            raise BrokenFileError(f"truncated: chunk {kind!r} needs {end + 4} bytes, the file has {len(data)}")
        if zlib.crc32(data[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            raise BrokenFileError(f"corrupt: wrong checksum in chunk {kind!r} at byte {at}")
        if kind == b"IEND":
            return
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
    head, blank, _ = data.partition(b"\n\n")
    if not blank:
        raise BrokenFileError("no blank line ends the Radiance header (truncated, or line ends changed to CR LF?)")
    lines = head.decode("latin-1").split("\n")
    if not any(line.startswith("#?") for line in lines):
        raise BrokenFileError("the header has no '#?RADIANCE' or '#?RGBE' line")
    formats = [line.partition("=")[2].strip() for line in lines if line.startswith("FORMAT=")]
    if any(value != "32-bit_rle_rgbe" for value in formats):
        raise BrokenFileError(f"pixel format '{formats[-1]}'; only 32-bit_rle_rgbe is read (convert with ra_xyze -r)")
    start = len(head) + 2
    end = data.find(b"\n", start)
    words = data[start : max(end, start)].decode("latin-1").split()
    axes, sizes = words[0::2], words[1::2]
    if len(words) != 4 or {axis[1:] for axis in axes} != {"X", "Y"} or not all(size.isdigit() for size in sizes):
        raise BrokenFileError(f"resolution line '{' '.join(words)}'; expected one like '-Y 512 +X 1024'")
    if any(axis[0] not in "+-" for axis in axes) or "0" in sizes:
        raise BrokenFileError(f"resolution line '{' '.join(words)}'; expected one like '-Y 512 +X 1024'")
    return RadianceHeader((axes[0], int(sizes[0])), (axes[1], int(sizes[1])), end + 1)
