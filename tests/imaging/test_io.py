"""Image files: what is read is what was stored, and nothing broken gets through."""

import os
import struct
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pytest

from hdrbench.errors import ImageError
from hdrbench.imaging import io

RNG = np.random.default_rng(7)
HEIGHT, WIDTH = 45, 61
CODES8 = RNG.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
CODES16 = RNG.integers(0, 65536, (HEIGHT, WIDTH, 3), dtype=np.uint16)
RADIANCE = (2.0 ** RNG.uniform(-8, 8, (HEIGHT, WIDTH, 3))).astype(np.float32)


def radiance_bytes(header: str = "#?RADIANCE\n", orientation: str = "-Y {h} +X {w}", image=RADIANCE) -> bytes:
    encoded = cv2.imencode(".hdr", np.ascontiguousarray(image[..., ::-1]))[1].tobytes()
    payload = encoded.partition(b"\n\n")[2].partition(b"\n")[2]
    resolution = orientation.format(h=image.shape[0], w=image.shape[1])
    return f"{header}FORMAT=32-bit_rle_rgbe\n\n{resolution}\n".encode() + payload


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff"])
@pytest.mark.parametrize(("bits", "codes"), [(8, CODES8), (16, CODES16)])
def test_ldr_round_trip_is_exact(tmp_path, suffix, bits, codes):
    path = tmp_path / "new" / f"a{suffix}"
    top = 2**bits - 1
    io.write_ldr(path, codes / top, bits=bits)
    image = io.read_ldr(path)
    assert image.dtype == np.float32
    assert image.shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(np.rint(image.astype(np.float64) * top), codes)
    np.testing.assert_array_equal(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., ::-1], codes)
    assert os.listdir(path.parent) == [path.name], "no temporary file may stay"


def test_jpeg_is_close(tmp_path):
    smooth = np.linspace(0, 1, HEIGHT * WIDTH * 3).reshape(HEIGHT, WIDTH, 3)
    io.write_ldr(tmp_path / "a.jpg", smooth)
    np.testing.assert_allclose(io.read_ldr(tmp_path / "a.jpg"), smooth, atol=0.04)


def test_divisor_of_kalantari(tmp_path):
    io.write_ldr(tmp_path / "a.tif", CODES16 / 65535, bits=16)
    image = io.read_ldr(tmp_path / "a.tif", divisor=65536)
    np.testing.assert_array_equal(image, (CODES16 / 65536).astype(np.float32))
    with pytest.raises(ImageError, match=r"a\.tif: value \d+ is above the divisor 255"):
        io.read_ldr(tmp_path / "a.tif", divisor=255)


def test_jpeg_orientation_tag_is_ignored(tmp_path):
    plain = cv2.imencode(".jpg", CODES8)[1].tobytes()
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0)
    exif = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 1) + entry + struct.pack(">I", 0)
    rotated = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + plain[2:]
    (tmp_path / "a.jpg").write_bytes(rotated)
    (tmp_path / "b.jpg").write_bytes(plain)
    assert cv2.imread(str(tmp_path / "a.jpg")).shape == (WIDTH, HEIGHT, 3), "the tag must be one that OpenCV obeys"
    np.testing.assert_array_equal(io.read_ldr(tmp_path / "a.jpg"), io.read_ldr(tmp_path / "b.jpg"))


def test_alpha_only_if_opaque(tmp_path):
    opaque = np.dstack([CODES8, np.full((HEIGHT, WIDTH), 255, np.uint8)])
    cv2.imwrite(str(tmp_path / "a.png"), opaque)
    np.testing.assert_array_equal(io.read_ldr(tmp_path / "a.png"), (CODES8[..., ::-1] / 255).astype(np.float32))
    opaque[3, 4, 3] = 254
    cv2.imwrite(str(tmp_path / "b.png"), opaque)
    with pytest.raises(ImageError, match=r"b\.png: .*alpha"):
        io.read_ldr(tmp_path / "b.png")


def test_grey_is_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "grey.png"), CODES8[..., 0])
    with pytest.raises(ImageError, match=r"grey\.png: expected 3 channels \(RGB\), got 1"):
        io.read_ldr(tmp_path / "grey.png")


def test_float_tiff_is_not_ldr(tmp_path):
    cv2.imwrite(str(tmp_path / "f.tif"), RADIANCE)
    with pytest.raises(ImageError, match=r"f\.tif: expected 8 or 16 bit integers, got float32"):
        io.read_ldr(tmp_path / "f.tif")


def test_hdr_round_trip(tmp_path):
    io.write_hdr(tmp_path / "a.exr", RADIANCE)
    np.testing.assert_array_equal(io.read_hdr(tmp_path / "a.exr"), RADIANCE)
    for name in ("a.hdr", "a.pic"):
        io.write_hdr(tmp_path / name, RADIANCE)
        error = np.abs(io.read_hdr(tmp_path / name) - RADIANCE).max(axis=-1)
        assert (error <= RADIANCE.max(axis=-1) / 128).all()
    assert sorted(os.listdir(tmp_path)) == ["a.exr", "a.hdr", "a.pic"]


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("name", ["RGB", "RGBA"])
def test_exr_kinds(tmp_path, dtype, name):
    pixels = np.dstack([RADIANCE, np.ones((HEIGHT, WIDTH), np.float32)])[..., : len(name)].astype(dtype)
    OpenEXR.File({"type": OpenEXR.scanlineimage}, {name: np.ascontiguousarray(pixels)}).write(str(tmp_path / "a.exr"))
    image = io.read_hdr(tmp_path / "a.exr")
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, pixels[..., :3].astype(np.float32))


def test_exr_without_rgb(tmp_path):
    OpenEXR.File({"type": OpenEXR.scanlineimage}, {"Y": np.ones((4, 4), np.float32)}).write(str(tmp_path / "y.exr"))
    with pytest.raises(ImageError, match=r"y\.exr: expected channels R, G, B, got Y"):
        io.read_hdr(tmp_path / "y.exr")


@pytest.mark.parametrize(
    "header",
    ["#?RADIANCE\n", "#?RGBE\n", "VIEW= -vtv\n#?RADIANCE\n", "#?RADIANCE\n# Made with\nGAMMA=1\n", "#?RADIANCE\n" * 2],
)
def test_radiance_headers(tmp_path, header):
    (tmp_path / "a.hdr").write_bytes(radiance_bytes())
    (tmp_path / "b.hdr").write_bytes(radiance_bytes(header))
    np.testing.assert_array_equal(io.read_hdr(tmp_path / "b.hdr"), io.read_hdr(tmp_path / "a.hdr"))


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        ("-Y {h} +X {w}", lambda a: a),
        ("+Y {h} +X {w}", lambda a: a[::-1]),
        ("-Y {h} -X {w}", lambda a: a[:, ::-1]),
        ("+Y {h} -X {w}", lambda a: a[::-1, ::-1]),
        ("+X {h} -Y {w}", lambda a: a.transpose(1, 0, 2)),
        ("+X {h} +Y {w}", lambda a: a.transpose(1, 0, 2)[::-1]),
        ("-X {h} -Y {w}", lambda a: a.transpose(1, 0, 2)[:, ::-1]),
        ("-X {h} +Y {w}", lambda a: a.transpose(1, 0, 2)[::-1, ::-1]),
    ],
)
def test_radiance_orientations(tmp_path, orientation, upright):
    (tmp_path / "a.hdr").write_bytes(radiance_bytes())
    (tmp_path / "b.hdr").write_bytes(radiance_bytes(orientation=orientation))
    np.testing.assert_array_equal(io.read_hdr(tmp_path / "b.hdr"), upright(io.read_hdr(tmp_path / "a.hdr")))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (radiance_bytes(header="VIEW= -vtv\n"), "no '#\\?RADIANCE'"),
        (radiance_bytes().replace(b"rle_rgbe", b"rle_xyze"), "pixel format '32-bit_rle_xyze'"),
        (radiance_bytes(orientation="-Y {h}"), "resolution line '-Y 45'"),
        (radiance_bytes(orientation="-Y {h} +Y {w}"), "resolution line"),
        (radiance_bytes(orientation="-Y 0 +X {w}"), "resolution line"),
        (radiance_bytes().replace(b"\n", b"\r\n"), "CR LF"),
    ],
)
def test_radiance_headers_refused(tmp_path, data, words):
    (tmp_path / "a.hdr").write_bytes(data)
    with pytest.raises(ImageError, match=rf"^{tmp_path}/a\.hdr: .*{words}"):
        io.read_hdr(tmp_path / "a.hdr")


def uncompressed_tiff() -> bytes:
    """A TIFF whose directory comes first and whose pixels come last, as cameras and Photoshop write it."""
    pixels = CODES16.tobytes()
    depth_at = 8 + 2 + 12 * 9 + 4
    short, long = 3, 4
    entries = [
        (256, short, 1, WIDTH),
        (257, short, 1, HEIGHT),
        (258, short, 3, depth_at),
        (259, short, 1, 1),
        (262, short, 1, 2),
        (273, long, 1, depth_at + 6),
        (277, short, 1, 3),
        (278, short, 1, HEIGHT),
        (279, long, 1, len(pixels)),
    ]
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    header = b"II*\0" + struct.pack("<IH", 8, len(entries)) + packed + struct.pack("<I", 0)
    return header + struct.pack("<3H", 16, 16, 16) + pixels


def write_whole(path: Path) -> None:
    if path.stem == "directory_first":
        path.write_bytes(uncompressed_tiff())
    elif path.stem == "flat":
        io.write_hdr(path, RADIANCE[:, :6])  # rows under 8 pixels are stored without run lengths
    elif path.suffix in io.HDR_SUFFIXES:
        io.write_hdr(path, RADIANCE)
    else:
        io.write_ldr(path, CODES8 / 255, bits=16 if path.stem == "deep" else 8)


@pytest.mark.parametrize(
    "name",
    ["a.png", "deep.png", "a.jpg", "a.tif", "deep.tif", "directory_first.tif", "a.hdr", "flat.hdr", "a.exr"],
)
def test_truncation_is_always_noticed(tmp_path, name, capfd):
    path = tmp_path / name
    write_whole(path)
    read = io.read_hdr if path.suffix in io.HDR_SUFFIXES else io.read_ldr
    assert read(path).shape[0] == HEIGHT
    whole = path.read_bytes()
    for length in (3, 12, len(whole) // 2, len(whole) * 99 // 100, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ImageError, match=rf"^{path}: ") as caught:
            read(path)
        assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_corrupt_png_chunk(tmp_path):
    path = tmp_path / "a.png"
    write_whole(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ImageError, match="wrong checksum"):
        io.read_ldr(path)


@pytest.mark.parametrize(("read", "suffix"), [(io.read_ldr, ".png"), (io.read_hdr, ".exr"), (io.read_hdr, ".hdr")])
def test_not_an_image(tmp_path, read, suffix):
    path = tmp_path / f"a{suffix}"
    with pytest.raises(ImageError, match=rf"^{path}: no such file"):
        read(path)
    path.write_bytes(b"")
    with pytest.raises(ImageError, match=rf"^{path}: is empty"):
        read(path)
    path.write_bytes(b"this is text, not an image" * 9)
    with pytest.raises(ImageError, match=rf"^{path}: "):
        read(path)
    with pytest.raises(ImageError, match=rf"^{tmp_path}: is a folder"):
        read(tmp_path)
    with pytest.raises(ImageError, match=r"a\.webp: expected a file ending in .*got '\.webp'"):
        read(tmp_path / "a.webp")


@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (np.inf, "infinite"), (-1e-3, "negative")])
def test_bad_radiance(tmp_path, value, word):
    bad = RADIANCE.copy()
    bad[5, 6, 1] = bad[7, 8, 2] = value
    message = rf"a\.exr: 2 {word} values, the first at row 5, column 6, channel G"
    with pytest.raises(ImageError, match=message):
        io.write_hdr(tmp_path / "a.exr", bad)
    assert not list(tmp_path.iterdir())
    OpenEXR.File({"type": OpenEXR.scanlineimage}, {"RGB": bad}).write(str(tmp_path / "a.exr"))
    with pytest.raises(ImageError, match=message):
        io.read_hdr(tmp_path / "a.exr")


def test_negative_on_request(tmp_path):
    bad = RADIANCE.copy()
    bad[0, 0, 0] = -1
    OpenEXR.File({"type": OpenEXR.scanlineimage}, {"RGB": bad}).write(str(tmp_path / "a.exr"))
    np.testing.assert_array_equal(io.read_hdr(tmp_path / "a.exr", allow_negative=True), bad)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.full((2, 2, 3), 1.1), "clip them first"),
        (np.full((2, 2, 3), np.nan), "clip them first"),
        (np.zeros((2, 2)), r"expected an array \(H, W, 3\), got shape \(2, 2\)"),
        (np.zeros((0, 2, 3)), "got shape"),
    ],
)
def test_write_ldr_refuses(tmp_path, image, words):
    with pytest.raises(ImageError, match=words):
        io.write_ldr(tmp_path / "a.png", image)
    assert not list(tmp_path.iterdir())


def test_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    write_whole(path)
    before = path.read_bytes()

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(ImageError, match=rf"^{path}: cannot be written \(No space left on device\)"):
        io.write_ldr(path, CODES8 / 255)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.png"]


def test_16_bit_jpeg_is_refused(tmp_path):
    with pytest.raises(ImageError, match="cannot hold 16 bit"):
        io.write_ldr(tmp_path / "a.jpg", CODES8 / 255, bits=16)


def test_require_same_size():
    io.require_same_size({"a.png": np.zeros((2, 3, 3)), "b.png": np.zeros((2, 3, 3))})
    with pytest.raises(ImageError, match=r"a\.png is 3x2, b\.png is 4x2: expected one size"):
        io.require_same_size({"a.png": np.zeros((2, 3, 3)), "b.png": np.zeros((2, 4, 3))})


@pytest.mark.skipif("HDRBENCH_DATA" not in os.environ, reason="HDRBENCH_DATA is not set")
def test_real_files():
    root = Path(os.environ["HDRBENCH_DATA"])
    maps = [p for p in sorted(root.rglob("*")) if p.suffix.lower() in io.HDR_SUFFIXES]
    if not maps:
        pytest.skip(f"no radiance map under HDRBENCH_DATA ({root})")
    for path in maps:
        image = io.read_hdr(path, allow_negative=True)
        assert image.ndim == 3
        assert image.max() > 0
