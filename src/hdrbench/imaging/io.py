"""Image files in and out: LDR as float in [0, 1], HDR as linear float, always RGB, float32, (H, W, 3).

Every failure is an `ImageError` of one line that begins with the path. Files are written whole or not at all.
"""

import io
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hdrbench.errors import ImageError
from hdrbench.imaging import containers, headers

LDR_SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg")
HDR_SUFFIXES = (".hdr", ".pic", ".exr")
RADIANCE_HEAD = 2**16  # bytes in which a header ends

Image = NDArray[np.float32]

# Broken files are reported by us, once; OpenCV would add its own lines to standard error.
cv2.setLogLevel(0)


def read_ldr(path: str | Path, *, divisor: float | None = None) -> Image:
    """Read a display-referred image.

    The pixel grid is taken as stored: the orientation tag that a camera writes into a JPEG file is ignored, because
    the frames of a bracket, their reference and published crops share the stored grid.

    Parameters
    ----------
    path
        PNG, TIFF or JPEG file with three channels of 8 or 16 bit, or four if the fourth is fully opaque.
    divisor
        The code value that becomes 1. ``None`` means 255 or 65535 by bit depth; Kalantari's sets use 65536.

    Returns
    -------
    numpy.ndarray
        (H, W, 3) float32 RGB in [0, 1].

    Raises
    ------
    ImageError
        The file is missing, empty, truncated or of another kind, claims an absurd size, is grey, or has a translucent
        alpha channel.
    """
    path = Path(path)
    data = _read_bytes(path, LDR_SUFFIXES)
    with _naming(path):
        pixels = _DECODERS[path.suffix.lower()](path, data)
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ImageError(f"{path}: expected 8 or 16 bit integers, got {pixels.dtype}; convert it, or read it as HDR")
    rgb = _opaque_rgb(path, pixels)
    scale = divisor if divisor is not None else float(_max_code(pixels))
    if rgb.max() > scale:
        raise ImageError(f"{path}: value {rgb.max()} is above the divisor {scale:g}; check the divisor of the data set")
    return (np.arange(_max_code(pixels) + 1) / np.float64(scale)).astype(np.float32).take(rgb)


def read_hdr(path: str | Path, *, allow_negative: bool = False) -> Image:
    """Read a radiance map.

    Radiance pictures (``.hdr``, ``.pic``) may have any of the eight orientations; the picture comes back upright.
    An ``EXPOSURE=`` line is not applied (the readers of all published loaders ignore it too). Of an OpenEXR file the
    channels R, G, B of the data window are read, half or float; alpha is dropped, colour stays premultiplied.

    Parameters
    ----------
    path
        Radiance or OpenEXR file.
    allow_negative
        Accept negative values, which wide-gamut conversions leave behind.

    Returns
    -------
    numpy.ndarray
        (H, W, 3) float32 RGB, linear, relative radiance, finite.

    Raises
    ------
    ImageError
        The file is missing, empty, truncated or of another kind, claims an absurd size, has no or sub-sampled channels
        R, G, B, or holds NaN, infinite or negative values.
    """
    path = Path(path)
    if path.suffix.lower() != ".exr":
        head = _read_bytes(path, HDR_SUFFIXES, RADIANCE_HEAD)
        with _naming(path):
            return _decode_radiance(path, head)  # these have no sign, and 255 * 2**119 at most
    data = _read_bytes(path, HDR_SUFFIXES)
    with _naming(path):
        image = _decode_exr(path, data)
    _require_radiance(path, image, allow_negative=allow_negative)
    return image


def write_ldr(path: str | Path, image: ArrayLike, *, bits: int = 8) -> None:
    """Write a display-referred image, rounded to the nearest code value.

    Parameters
    ----------
    path
        ``.png``, ``.tif``, ``.tiff``, or with 8 bit ``.jpg``, ``.jpeg``; missing folders are made.
    image
        (H, W, 3) RGB in [0, 1].
    bits
        8 or 16.

    Raises
    ------
    ImageError
        Wrong shape, suffix or bit depth, or values outside [0, 1].
    """
    path = Path(path)
    _require_suffix(path, LDR_SUFFIXES)
    if bits not in (8, 16) or (bits == 16 and path.suffix.lower() in (".jpg", ".jpeg")):
        raise ImageError(f"{path}: cannot hold {bits} bit; use 8 bit, or 16 bit with .png or .tif")
    array = _three_channels(path, image)
    if not (array.min() >= 0 and array.max() <= 1):
        raise ImageError(f"{path}: values must lie in [0, 1], got {array.min():g} to {array.max():g}; clip them first")
    dtype = np.uint8 if bits == 8 else np.uint16
    codes = np.rint(array * np.float64(np.iinfo(dtype).max)).astype(dtype)
    _write_encoded(path, codes)


def write_hdr(path: str | Path, image: ArrayLike) -> None:
    """Write a radiance map: ``.exr`` keeps float32 exactly, ``.hdr`` shares one exponent per pixel (about 1 %).

    Parameters
    ----------
    path
        ``.exr``, ``.hdr`` or ``.pic``; missing folders are made.
    image
        (H, W, 3) RGB, linear, finite, >= 0.

    Raises
    ------
    ImageError
        Wrong shape or suffix, or values that are NaN, infinite or negative.
    """
    path = Path(path)
    _require_suffix(path, HDR_SUFFIXES)
    array = _three_channels(path, image)
    _require_radiance(path, array, allow_negative=False)
    if path.suffix.lower() != ".exr":
        _write_encoded(path, array, as_suffix=".hdr")
        return
    import OpenEXR

    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with _replacing(path) as temporary:
        OpenEXR.File(header, {"RGB": np.ascontiguousarray(array)}).write(str(temporary))


def require_same_size(images: Mapping[str, NDArray]) -> None:
    """Check that images which belong together have one size.

    Parameters
    ----------
    images
        Images (H, W, ...) by file name.

    Raises
    ------
    ImageError
        The sizes differ; the message names every file with its width x height.
    """
    sizes = {name: f"{image.shape[1]}x{image.shape[0]}" for name, image in images.items()}
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{name} is {size}" for name, size in sizes.items())
        raise ImageError(f"{listed}: expected one size; these files do not belong together, or one was resized")


def _require_suffix(path: Path, known: tuple[str, ...]) -> None:
    if path.suffix.lower() not in known:
        raise ImageError(f"{path}: expected a file ending in {', '.join(known)}, got '{path.suffix}'")


def _read_bytes(path: Path, known: tuple[str, ...], most: int = -1) -> bytes:
    if path.is_dir():
        raise ImageError(f"{path}: is a folder, expected an image file")
    _require_suffix(path, known)
    try:
        with open(path, "rb") as file:
            data = file.read(most)
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file") from None
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror})") from None
    if not data:
        raise ImageError(f"{path}: is empty (0 bytes); copy it again")
    headers.guard(path, data=data)
    return data


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except containers.BrokenFileError as error:
        raise ImageError(f"{path}: {error}; copy it again") from None


def _max_code(pixels: NDArray) -> int:
    return 255 if pixels.dtype == np.uint8 else 65535


def _opaque_rgb(path: Path, pixels: NDArray) -> NDArray:
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if channels not in (3, 4):
        raise ImageError(f"{path}: expected 3 channels (RGB), got {channels}; convert it to RGB")
    if channels == 4 and (pixels[..., 3] != _max_code(pixels)).any():
        raise ImageError(f"{path}: has a translucent alpha channel; flatten it to RGB")
    return pixels[..., :3]


def _decode_png(path: Path, data: bytes) -> NDArray:
    return _decode_bytes(containers.png_pixels(data))


def _decode_tiff(path: Path, data: bytes) -> NDArray:
    containers.check_tiff(data)
    return _decode_bytes(data)


def _decode_jpeg(path: Path, data: bytes) -> NDArray:
    # Pillow has the same decoder as OpenCV, gives the same pixels, and prints nothing about files that are a bit odd.
    from PIL.JpegImagePlugin import JpegImageFile

    containers.check_jpeg(data)
    try:
        picture = JpegImageFile(io.BytesIO(data))
        pixels = np.asarray(picture)
    except (OSError, SyntaxError, ValueError) as error:
        raise containers.BrokenFileError(f"cannot be decoded ({error})") from None
    if picture.mode == "CMYK":
        raise ImageError(f"{path}: is a CMYK picture; convert it to RGB")
    return pixels


_DECODERS: dict[str, Callable[[Path, bytes], NDArray]] = {
    ".png": _decode_png,
    ".tif": _decode_tiff,
    ".tiff": _decode_tiff,
    ".jpg": _decode_jpeg,
    ".jpeg": _decode_jpeg,
}


def _decode_bytes(data: bytes) -> NDArray:
    """Decode to (H, W), (H, W, 3) RGB or (H, W, 4) RGBA."""
    pixels = _by_opencv(lambda: cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED))
    if pixels is None:
        raise containers.BrokenFileError(f"cannot be decoded (truncated or corrupt, {len(data)} bytes)")
    swaps = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    return cv2.cvtColor(pixels, swaps[channels]) if channels in swaps else pixels


def _by_opencv(decode: Callable[[], NDArray | None]) -> NDArray | None:
    """Have OpenCV decode; ``None`` if it cannot."""
    try:
        with _quiet():
            return decode()
    except cv2.error as error:
        raise containers.BrokenFileError(f"cannot be decoded ({error.err})") from None


def _decode_radiance(path: Path, head: bytes) -> Image:
    header = containers.radiance_header(head)
    (slow, rows), (fast, columns) = header.first, header.second
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_ANYDEPTH
    pixels = None
    # OpenCV is faster with a file than with bytes, which it writes to a temporary one. It crashes on names beyond UTF-8.
    if (slow, fast) == ("-Y", "+X") and not any("\ud800" <= letter <= "\udfff" for letter in str(path)):
        pixels = _by_opencv(lambda: cv2.imread(str(path), flags))
    if pixels is None or pixels.shape != (rows, columns, 3):
        # It knows neither all header variants nor the orientations, so it is given a plain header.
        plain = f"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y {rows} +X {columns}\n".encode()
        plain += _read_bytes(path, HDR_SUFFIXES)[header.payload :]
        pixels = _by_opencv(lambda: cv2.imdecode(np.frombuffer(plain, np.uint8), flags))
    if pixels is None:
        raise containers.BrokenFileError(f"truncated or corrupt: the pixels of {columns}x{rows} cannot be read")
    if slow[1] == "X":
        pixels = pixels.transpose(1, 0, 2)
    if "+Y" in (slow, fast):
        pixels = pixels[::-1]
    if "-X" in (slow, fast):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _decode_exr(path: Path, data: bytes) -> Image:
    import OpenEXR

    part = containers.exr_parts(data)[0]
    if part.deep or not {"R", "G", "B"} <= part.channels.keys():
        kind = "a deep image with channels " if part.deep else ""
        raise ImageError(f"{path}: expected channels R, G, B, got {kind}{', '.join(sorted(part.channels)) or 'none'}")
    for name in "RGB":
        if part.channels[name] != (1, 1):
            across, down = part.channels[name]
            raise ImageError(
                f"{path}: channel {name} is sub-sampled {across}x{down}, expected a sample at every pixel; convert it"
            )
    containers.check_exr(data)
    try:
        with _quiet(), OpenEXR.File(io.BytesIO(data), separate_channels=True) as file:
            channels = {name: channel.pixels for name, channel in file.channels().items()}
    except Exception as error:
        # OpenEXR raises whatever its parser stumbles over.
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise containers.BrokenFileError(f"its pixels cannot be decompressed ({detail})") from None
    return np.asarray(cv2.merge([_single_precision(channels[name]) for name in "RGB"]), np.float32)


def _single_precision(plane: NDArray) -> Image:
    # OpenCV converts half precision several times as fast as NumPy.
    single = cv2.convertFp16(plane.view(np.int16)) if plane.dtype == np.float16 else plane
    return np.asarray(single, np.float32)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what decoders print off the terminal.

    It is the whole process that is silenced, so with other threads, whose output would be lost, nothing is.
    """
    if threading.active_count() > 1:
        yield
        return
    kept = []
    with open(os.devnull, "wb") as nowhere, redirect_stdout(io.StringIO()):  # OpenEXR also prints by Python
        for stream in (1, 2):
            with suppress(OSError):  # it is closed
                kept.append((os.dup(stream), stream))
                os.dup2(nowhere.fileno(), stream)
        try:
            yield
        finally:
            for copy, stream in kept:
                os.dup2(copy, stream)
                os.close(copy)


def _require_radiance(path: Path, image: Image, *, allow_negative: bool) -> None:
    lowest, highest = image.min(), image.max()
    if -np.inf < lowest and highest < np.inf and (allow_negative or lowest >= 0):
        return
    faults = [("NaN", np.isnan(image)), ("infinite", np.isinf(image))]
    if not allow_negative:
        faults.append(("negative", image < 0))
    for word, mask in faults:
        if mask.any():
            row, column, channel = (int(i) for i in np.argwhere(mask)[0])
            raise ImageError(
                f"{path}: {int(mask.sum())} {word} values, the first at row {row}, column {column}, "
                f"channel {'RGB'[channel]}; expected finite radiance >= 0"
            )


def _three_channels(path: Path, image: ArrayLike) -> Image:
    array = np.asarray(image, dtype=np.float32)
    if array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
        raise ImageError(f"{path}: expected an array (H, W, 3), got shape {array.shape}")
    return array


def _write_encoded(path: Path, pixels: NDArray, *, as_suffix: str | None = None) -> None:
    try:
        done, encoded = cv2.imencode(as_suffix or path.suffix.lower(), np.ascontiguousarray(pixels[..., ::-1]))
    except cv2.error as error:
        raise ImageError(f"{path}: cannot be encoded ({error.err})") from None
    if not done:
        raise ImageError(f"{path}: cannot be encoded as {path.suffix}")
    with _replacing(path) as temporary:
        temporary.write_bytes(encoded.tobytes())


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that replaces it on success and vanishes on failure."""
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.{threading.get_ident()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise ImageError(f"{path}: cannot be written ({error.strerror})") from None
    finally:
        temporary.unlink(missing_ok=True)
