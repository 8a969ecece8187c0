"""Headers of all formats, against what the decoders say of the same files."""

import io
import struct

import cv2
import numpy as np
import pytest

from hdrbench.errors import ImageError
from hdrbench.imaging.headers import MOST_PIXELS, Header, guard, peek
from hdrbench.imaging.io import write_hdr, write_ldr

IMAGE = np.random.default_rng(2).random((7, 11, 3)).astype(np.float32)


@pytest.mark.parametrize(("name", "bits"), [(f"a.{end}", 8) for end in ("png", "PNG", "tif", "tiff", "jpg", "jpeg")])
def test_eight_bit(tmp_path, name, bits):
    write_ldr(tmp_path / name, IMAGE, bits=bits)
    assert peek(tmp_path / name) == Header(11, 7, 8)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bit(tmp_path, name):
    write_ldr(tmp_path / name, IMAGE, bits=16)
    assert peek(tmp_path / name) == Header(11, 7, 16)
    guard(tmp_path / name, bits=16)
    with pytest.raises(ImageError, match=r"has 16 bit, expected 8 bit; get the file as published, unconverted"):
        guard(tmp_path / name, bits=8)


@pytest.mark.parametrize("name", ["a.hdr", "a.pic", "a.exr"])
def test_radiance_maps(tmp_path, name):
    write_hdr(tmp_path / name, IMAGE)
    assert peek(tmp_path / name) == Header(11, 7, None)


@pytest.mark.parametrize("compression", [1, 5, 8])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_of_other_writers(tmp_path, compression, dtype):
    """Uncompressed, LZW as in Real-HDRV, and Deflate."""
    path = tmp_path / "a.tif"
    cv2.imwrite(str(path), (IMAGE * 255).astype(dtype), [cv2.IMWRITE_TIFF_COMPRESSION, compression])
    assert peek(path) == Header(11, 7, 8 * np.dtype(dtype).itemsize)


def test_big_endian_tiff(tmp_path):
    """As Photoshop writes: the size as SHORT, the depths elsewhere."""
    entries = [(256, 3, 1, 11 << 16), (257, 3, 1, 7 << 16), (258, 3, 3, 80)]
    body = struct.pack(">H", len(entries)) + b"".join(struct.pack(">HHII", *entry) for entry in entries)
    data = b"MM\0*" + struct.pack(">I", 8) + body
    (tmp_path / "a.tif").write_bytes(data.ljust(80, b"\0") + struct.pack(">3H", 16, 16, 16))
    assert peek(tmp_path / "a.tif") == Header(11, 7, 16)


@pytest.mark.parametrize("order", ["<", ">"])
def test_big_tiff(tmp_path, order):
    """Numbers of 64 bit; three depths of 16 bit lie in the entry itself."""
    depths = struct.pack(order + "4H", 16, 16, 16, 0)
    entries = [struct.pack(order + "HHQ", 256, 3, 1) + struct.pack(order + "HHHH", 11, 0, 0, 0)]
    entries += [struct.pack(order + "HHQQ", 257, 16, 1, 7), struct.pack(order + "HHQ", 258, 3, 3) + depths]
    head = (b"II+\0" if order == "<" else b"MM\0+") + struct.pack(order + "HHQQ", 8, 0, 16, 3)
    (tmp_path / "a.tif").write_bytes(head + b"".join(entries))
    assert peek(tmp_path / "a.tif") == Header(11, 7, 16)


def test_jpeg_with_fill_bytes(tmp_path):
    plain = cv2.imencode(".jpg", IMAGE * 255)[1].tobytes()
    at = plain.index(b"\xff\xdb")
    data = plain[:at] + b"\xff\xff" + plain[at:]
    assert peek(tmp_path / "read.jpg", data=data) == Header(11, 7, 8)


def test_jpeg_with_thumbnail(tmp_path):
    """The thumbnail in the EXIF data has a frame header of its own."""
    from PIL import Image

    small = io.BytesIO()
    Image.new("RGB", (3, 2)).save(small, "jpeg")
    picture = Image.fromarray((IMAGE * 255).astype(np.uint8))
    plain = io.BytesIO()
    picture.save(plain, "jpeg")
    segment = b"Exif\0\0" + small.getvalue()
    data = plain.getvalue()
    (tmp_path / "a.jpg").write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:])
    assert peek(tmp_path / "a.jpg") == Header(11, 7, 8)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg", "a.hdr", "a.exr"])
def test_truncation_is_survived(tmp_path, name):
    path = tmp_path / name
    (write_hdr if name[2:] in ("hdr", "exr") else write_ldr)(path, IMAGE)
    whole, data = peek(path), path.read_bytes()
    for length in (*range(64), *range(64, len(data), 13)):
        path.write_bytes(data[:length])
        assert peek(path) in (None, whole)
        guard(path)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg", "a.hdr", "a.exr", "a.gif"])
def test_noise_is_survived(tmp_path, name):
    noise = np.random.default_rng(7)
    for magic in (b"", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*", b"\xff\xd8", b"v/1\x01", b"#?RADIANCE\n\n"):
        for _ in range(20):
            (tmp_path / name).write_bytes(magic + noise.bytes(300))
            peek(tmp_path / name)


def test_limit_is_far_above_real_images_and_far_below_memory():
    assert 16384 * 8192 < MOST_PIXELS < 2**29


def test_missing_file_is_left_to_the_reader(tmp_path):
    assert peek(tmp_path / "no.png") is None
    guard(tmp_path / "no.png", bits=8)
