"""Odd, damaged and hostile image files: what the readers make of them, and what they print."""

import io as streams
import os
import struct
import threading
import zlib

import cv2
import numpy as np
import OpenEXR
import pytest
from PIL import Image

from hdrbench.errors import ImageError
from hdrbench.imaging import io
from hdrbench.imaging.headers import MOST_PIXELS

RNG = np.random.default_rng(7)
HEIGHT, WIDTH = 45, 61
CODES8 = RNG.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
RADIANCE = (2.0 ** RNG.uniform(-8, 8, (HEIGHT, WIDTH, 3))).astype(np.float32)


def read(path):
    return (io.read_hdr if path.suffix in io.HDR_SUFFIXES else io.read_ldr)(path)


def png_bytes(width, height, pixels, *, extra=b""):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    profile = chunk(b"iCCP", b"a\0\0" + zlib.compress(extra)) if extra else b""
    return b"\x89PNG\r\n\x1a\n" + head + profile + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def exr_bytes(channels, samplings=None, *, size=(HEIGHT, WIDTH)):
    """Write float channels without compression; `samplings` are horizontal and vertical steps by name."""
    (height, width), samplings = size, samplings or {}

    def attribute(name, kind, value):
        return b"\0".join((name, kind, struct.pack("<i", len(value)) + value))

    listed = b"".join(
        name.encode() + struct.pack("<xiB3xii", 2, 0, *samplings.get(name, (1, 1))) for name in sorted(channels)
    )
    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    head = b"v/1\x01\2\0\0\0" + attribute(b"channels", b"chlist", listed + b"\0")
    head += attribute(b"compression", b"compression", b"\0") + attribute(b"dataWindow", b"box2i", window)
    head += attribute(b"displayWindow", b"box2i", window) + attribute(b"lineOrder", b"lineOrder", b"\0")
    head += attribute(b"pixelAspectRatio", b"float", struct.pack("<f", 1)) + attribute(
        b"screenWindowCenter", b"v2f", bytes(8)
    )
    head += attribute(b"screenWindowWidth", b"float", struct.pack("<f", 1)) + b"\0"
    rows = []
    for y in range(height):
        steps = {name: samplings.get(name, (1, 1))[1] for name in sorted(channels)}
        row = b"".join(channels[name][y // step].tobytes() for name, step in steps.items() if y % step == 0)
        rows.append(struct.pack("<ii", y, len(row)) + row)
    starts = np.cumsum([len(head) + 8 * height, *map(len, rows[:-1])])
    return head + starts.astype("<u8").tobytes() + b"".join(rows)


def planes():
    return {name: RADIANCE[..., index] for index, name in enumerate("RGB")}


def absurd(name: str) -> bytes:
    """A small file that claims 60000 x 60000 pixels."""
    side = 60000
    if name == "a.png":
        return png_bytes(side, side, zlib.compress(b"0" * 100))
    if name == "a.jpg":
        plain = cv2.imencode(".jpg", CODES8)[1].tobytes()
        return plain.replace(struct.pack(">HH", HEIGHT, WIDTH), struct.pack(">HH", side, side), 1)
    if name == "a.tif":
        entries = [(256, 3, 1, side), (257, 3, 1, side), (258, 3, 1, 8)]
        return b"II*\0" + struct.pack("<IH", 8, 3) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    if name == "big.tif":
        entries = [(256, 4, 1, side), (257, 16, 1, side), (258, 3, 1, 8)]
        head = b"II+\0" + struct.pack("<HHQQ", 8, 0, 16, 3)
        return head + b"".join(struct.pack("<HHQQ", *entry) for entry in entries)
    if name == "a.hdr":
        return f"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y {side} +X {side}\n".encode() + b"0" * 100
    window = struct.pack("<4i", 0, 0, WIDTH - 1, HEIGHT - 1)
    return exr_bytes(planes()).replace(window, struct.pack("<4i", 0, 0, side - 1, side - 1))


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "big.tif", "a.hdr", "a.exr"])
def test_absurd_sizes_are_refused_before_decoding(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(absurd(name))
    with pytest.raises(ImageError, match=rf"^{path}: its header claims 60000x60000, expected at most {MOST_PIXELS} "):
        read(path)


@pytest.mark.parametrize("name", ["wide.hdr", "wide.png"])
def test_what_opencv_refuses_is_an_image_error(tmp_path, name):
    """Its limits, of 2**20 pixels on a side among others, raise errors of its own."""
    path, width = tmp_path / name, 2_000_000
    if path.suffix == ".png":
        path.write_bytes(png_bytes(width, 1, zlib.compress(bytes(1 + 3 * width))))
    else:
        path.write_bytes(f"#?RGBE\nFORMAT=32-bit_rle_rgbe\n\n-Y 1 +X {width}\n".encode() + bytes(4 * width))
    with pytest.raises(ImageError, match=rf"^{path}: cannot be decoded \(.*\); copy it again$"):
        read(path)


def radiance_reference(data: bytes) -> np.ndarray:
    """Decode as Ward (1991) describes the format, byte by byte; mantissas are not rounded up by one half."""
    _, _, rest = data.partition(b"\n\n")
    line, _, body = rest.partition(b"\n")
    height, width = int(line.split()[1]), int(line.split()[3])
    at, codes = 0, np.zeros((height, 4, width), np.uint8)
    for y in range(height):
        if not 8 <= width < 32768:
            codes[y] = np.frombuffer(body, np.uint8, 4 * width, at).reshape(width, 4).T
            at += 4 * width
            continue
        assert body[at : at + 4] == b"\2\2" + struct.pack(">H", width)
        at += 4
        line_of = []
        while len(line_of) < 4 * width:
            count = body[at]
            run = count > 128
            line_of += [body[at + 1]] * (count - 128) if run else body[at + 1 : at + 1 + count]
            at += 2 if run else 1 + count
        codes[y] = np.array(line_of, np.uint8).reshape(4, width)
    exponents = codes[:, 3].astype(int)
    scales = np.where(exponents > 0, 2.0 ** (exponents - 136), 0.0)
    return (codes[:, :3] * scales[:, None]).transpose(0, 2, 1).astype(np.float32)


@pytest.mark.parametrize("width", [5, 8, WIDTH, 300])
def test_radiance_is_decoded_as_its_author_describes(tmp_path, width):
    image = (2.0 ** RNG.uniform(-120, 120, (9, width, 3))).astype(np.float32)
    image[3:6, width // 3 :] = 0.25  # runs
    image[6] = 0
    path = tmp_path / "a.hdr"
    io.write_hdr(path, image)
    np.testing.assert_array_equal(io.read_hdr(path), radiance_reference(path.read_bytes()))


@pytest.mark.parametrize(
    "name", ["a file.hdr", "Bäume 木.hdr", "latin\udce9.hdr", "latin\udce9.exr", "latin\udce9.png"]
)
def test_names(tmp_path, name):
    path = tmp_path / name
    plain = tmp_path / f"plain{path.suffix}"
    write = io.write_ldr if path.suffix == ".png" else io.write_hdr
    write(plain, RADIANCE / RADIANCE.max())
    os.rename(plain, path)
    assert read(path).shape == (HEIGHT, WIDTH, 3)


def test_every_half_precision_number(tmp_path):
    halves = np.arange(0x7C00, dtype=np.uint16).view(np.float16).reshape(64, -1)
    OpenEXR.File({"type": OpenEXR.scanlineimage}, dict.fromkeys("RGB", halves)).write(str(tmp_path / "a.exr"))
    np.testing.assert_array_equal(io.read_hdr(tmp_path / "a.exr"), np.dstack([halves.astype(np.float32)] * 3))


def test_sub_sampled_exr(tmp_path):
    path = tmp_path / "a.exr"
    path.write_bytes(exr_bytes(planes()))
    np.testing.assert_array_equal(io.read_hdr(path), RADIANCE)
    half = np.ascontiguousarray(RADIANCE[::2, ::2, 1])
    path.write_bytes(exr_bytes({**planes(), "G": half}, {"G": (2, 2)}))
    with pytest.raises(ImageError, match=rf"^{path}: channel G is sub-sampled 2x2, expected a sample at every pixel"):
        io.read_hdr(path)
    even, window = RADIANCE[:44, :60], (44, 60)
    full = {name: np.ascontiguousarray(even[..., index]) for index, name in enumerate("RGB")}
    path.write_bytes(exr_bytes({**full, "A": np.ascontiguousarray(even[::2, ::2, 0])}, {"A": (2, 2)}, size=window))
    np.testing.assert_array_equal(io.read_hdr(path), even)


def test_deep_exr(tmp_path):
    samples = np.empty((4, 6), dtype=object)
    for place in np.ndindex(samples.shape):
        samples[place] = np.ones(2, np.float32)
    header = {"type": OpenEXR.deepscanline, "compression": OpenEXR.ZIPS_COMPRESSION}
    OpenEXR.File(header, dict.fromkeys("RGB", samples)).write(str(tmp_path / "a.exr"))
    with pytest.raises(ImageError, match=r"a\.exr: expected channels R, G, B, got a deep image with channels B, G, R"):
        io.read_hdr(tmp_path / "a.exr")


@pytest.mark.parametrize("kind", ["scanlineimage", "tiledimage"])
def test_damaged_chunks_of_exr(tmp_path, kind):
    """Whatever the table of chunks and their beginnings say, they are followed only inside the file."""
    header = {"type": getattr(OpenEXR, kind), "compression": OpenEXR.ZIP_COMPRESSION}
    if kind == "tiledimage":
        header["tiles"] = OpenEXR.TileDescription()
    OpenEXR.File(header, {"RGB": RADIANCE}).write(str(tmp_path / "a.exr"))
    whole = (tmp_path / "a.exr").read_bytes()
    np.testing.assert_array_equal(io.read_hdr(tmp_path / "a.exr"), RADIANCE)
    chunks = -(-HEIGHT // 16) if kind == "scanlineimage" else -(-HEIGHT // 32) * -(-WIDTH // 32)
    start = (
        next(at for at in range(len(whole)) if whole[at : at + 8] == struct.pack("<Q", at + 8 * chunks)) + 8 * chunks
    )
    table = start - 8 * chunks
    length_at = start + (4 if kind == "scanlineimage" else 16)
    for at, value in ((table, 0), (table, 2**64 - 3), (table, len(whole) - 5), (length_at, 2**31 - 1), (length_at, -1)):
        packed = struct.pack("<Q", value) if at == table else struct.pack("<i", value)
        (tmp_path / "b.exr").write_bytes(whole[:at] + packed + whole[at + len(packed) :])
        with pytest.raises(ImageError, match=r"b\.exr: truncated or corrupt: one of its \d chunks"):
            io.read_hdr(tmp_path / "b.exr")


@pytest.fixture
def another_thread():
    """A thread that lives as long as the test."""
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    yield
    done.set()
    thread.join()


def odd_jpeg() -> bytes:
    """Bytes between two segments, of which libjpeg warns on standard error."""
    plain = cv2.imencode(".jpg", CODES8)[1].tobytes()
    return plain[:20] + b"odd" + plain[20:]


@pytest.mark.usefixtures("another_thread")
def test_sound_but_odd_files_print_nothing(tmp_path, capfd):
    pixels = zlib.compress(b"".join(b"\0" + row.tobytes() for row in CODES8))
    odd = png_bytes(WIDTH, HEIGHT, pixels, extra=b"no profile")
    (tmp_path / "a.png").write_bytes(odd)
    cv2.imdecode(np.frombuffer(odd, np.uint8), cv2.IMREAD_UNCHANGED)
    assert "iCCP" in capfd.readouterr().err, "OpenCV must be told nothing of the profile, or this test tests nothing"
    np.testing.assert_array_equal(io.read_ldr(tmp_path / "a.png"), (CODES8 / 255).astype(np.float32))
    cv2.imdecode(np.frombuffer(odd_jpeg(), np.uint8), cv2.IMREAD_UNCHANGED)
    assert "extraneous bytes" in capfd.readouterr().err
    (tmp_path / "a.jpg").write_bytes(odd_jpeg())
    (tmp_path / "b.jpg").write_bytes(odd_jpeg().replace(b"odd", b""))
    np.testing.assert_array_equal(read(tmp_path / "a.jpg"), read(tmp_path / "b.jpg"))
    assert capfd.readouterr() == ("", "")


def test_pillow_and_opencv_decode_one_jpeg(tmp_path):
    for sampling in (0x111111, 0x211111, 0x221111):
        cv2.imwrite(str(tmp_path / "a.jpg"), CODES8, [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling])
        by_opencv = cv2.imread(str(tmp_path / "a.jpg"), cv2.IMREAD_UNCHANGED)[..., ::-1]
        np.testing.assert_array_equal(io.read_ldr(tmp_path / "a.jpg"), (by_opencv / 255).astype(np.float32))


def rotten(name: str) -> bytes:
    """A file whose structure is sound and whose compressed pixels are not."""
    if name == "a.png":
        return png_bytes(WIDTH, HEIGHT, zlib.compress(b"\7" * (HEIGHT * (1 + 3 * WIDTH))))
    stream = streams.BytesIO()
    OpenEXR.File({"type": OpenEXR.scanlineimage, "compression": OpenEXR.ZIP_COMPRESSION}, {"RGB": RADIANCE * 0}).write(
        stream
    )
    return stream.getvalue()[:-15] + b"\xff" * 15


@pytest.mark.parametrize("name", ["a.png", "a.exr"])
def test_rotten_pixels_print_nothing(tmp_path, name, capfd, monkeypatch):
    monkeypatch.setattr(threading, "active_count", lambda: 1)  # whatever other tests have left running
    (tmp_path / name).write_bytes(rotten(name))
    with pytest.raises(ImageError, match=rf"^{tmp_path}/{name}: .*cannot be dec"):
        read(tmp_path / name)
    os.write(1, b"out")
    os.write(2, b"err")
    assert capfd.readouterr() == ("out", "err")


@pytest.mark.usefixtures("another_thread")
def test_output_of_other_threads_is_never_lost(tmp_path, capfd, monkeypatch):
    io.write_ldr(tmp_path / "a.png", CODES8 / 255)
    decode = cv2.imdecode

    def print_meanwhile(*arguments):
        os.write(2, b"from elsewhere")
        return decode(*arguments)

    monkeypatch.setattr(cv2, "imdecode", print_meanwhile)
    io.read_ldr(tmp_path / "a.png")
    assert capfd.readouterr().err == "from elsewhere"


def test_grey_and_cmyk_jpeg(tmp_path):
    Image.fromarray(CODES8[..., 0]).save(tmp_path / "grey.jpg")
    with pytest.raises(ImageError, match=r"grey\.jpg: expected 3 channels \(RGB\), got 1"):
        io.read_ldr(tmp_path / "grey.jpg")
    Image.fromarray(np.dstack([CODES8, CODES8[..., 0]]), "CMYK").save(tmp_path / "print.jpg")
    with pytest.raises(ImageError, match=r"print\.jpg: is a CMYK picture; convert it to RGB"):
        io.read_ldr(tmp_path / "print.jpg")
