"""Decodes one image file to 8-bit RGB: with simplejpeg where possible, with Pillow otherwise."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError

from instructions.errors import InputError

MAX_PIXELS = 32_000_000  # a person crop has 32 768; a camera frame 8 000 000

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "PPM", "GIF")
_ORIENTATION = 0x0112  # EXIF tag: orientation of the camera


def read_image(path: str | Path) -> UInt8[np.ndarray, "H W 3"]:
    """Decode an image file.

    The EXIF orientation is applied, once. Grey and infrared images become three equal channels, CMYK becomes
    RGB, transparency is composited on white, 16-bit levels lose their lower byte, and of an animation the
    first frame is used.

    Args:
        path: JPEG, PNG, BMP, WebP, TIFF, PPM or GIF, detected from the content, not the name.

    Raises:
        InputError: the file does not exist, is not an image, is damaged, or is too large.
    """
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 (a Path and a buffer cost as much as the file)
            data = file.readall()
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{path}: the file cannot be read ({reason})") from None
    return decode_image(data, name=str(path))


def decode_image(data: bytes, *, name: str, max_pixels: int = MAX_PIXELS) -> UInt8[np.ndarray, "H W 3"]:
    """Decode the bytes of an image, as ``read_image`` does.

    Args:
        data: the content of a file.
        name: identifies it in errors.
        max_pixels: larger images are refused before they are decoded.

    Raises:
        InputError: it is not an image, is damaged, or is too large.
    """
    if not data:
        raise InputError(f"{name}: the file is empty (0 bytes)")
    pixels = _decode_with_simplejpeg(data, name, max_pixels)
    return _decode_with_pillow(data, name, max_pixels) if pixels is None else pixels


@cache
def _simplejpeg() -> ModuleType | None:
    try:
        import simplejpeg
    except ImportError:
        return None
    return simplejpeg


def _decode_with_simplejpeg(data: bytes, name: str, max_pixels: int) -> UInt8[np.ndarray, "H W 3"] | None:
    """The image, or None where Pillow must decide: not a JPEG, CMYK, rotated by EXIF, or truncated."""
    simplejpeg = _simplejpeg()
    if simplejpeg is None or not data.startswith(b"\xff\xd8") or _is_turned(data):
        return None
    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
        if colorspace in ("CMYK", "YCCK"):
            return None
        _refuse_bomb(name, width, height, max_pixels)
        return simplejpeg.decode_jpeg(data, colorspace="RGB")
    except InputError:
        raise
    except ValueError:
        return None


def _is_turned(jpeg: bytes) -> bool:
    if jpeg.find(b"Exif\x00\x00", 0, 65536) < 0:
        return False
    try:
        with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as image:
            return image.getexif().get(_ORIENTATION, 1) != 1
    except Exception:
        return True  # Pillow will report the error


def _decode_with_pillow(data: bytes, name: str, max_pixels: int) -> UInt8[np.ndarray, "H W 3"]:
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _refuse_bomb(name, *image.size, max_pixels)
            image.load()  # first, because Pillow rotates a TIFF itself and then drops the tag
            orientation = image.getexif().get(_ORIENTATION, 1)
            return np.ascontiguousarray(_turn(_to_rgb(image), orientation))
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError(f"{name}: this is not an image of a known kind ({', '.join(FORMATS)})") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InputError(f"{name}: the image is larger than the limit of {max_pixels} pixels") from None
    except Exception as error:  # Pillow's decoders raise arbitrary exceptions on damaged files
        raise InputError(f"{name}: the image is damaged or cut off ({error})") from None


def _refuse_bomb(name: str, width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise InputError(f"{name}: {width} × {height} pixels are more than the limit of {max_pixels}")


def _to_rgb(image: Image.Image) -> UInt8[np.ndarray, "H W 3"]:
    if image.mode.startswith("I"):  # 16 bits, or within a wider integer; Pillow would clip them to white
        levels = np.clip(np.asarray(image).astype(np.int64), 0, 65535) >> 8
        return np.repeat(levels.astype(np.uint8)[:, :, None], 3, axis=2)
    if image.mode == "F":
        raise ValueError("its levels are floating-point numbers; save it with 8 or 16 bits a channel")
    if image.has_transparency_data:
        shown = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", shown.size, "white"), shown)
    return np.asarray(image.convert("RGB"))


def _turn(pixels: UInt8[np.ndarray, "H W 3"], orientation: int) -> UInt8[np.ndarray, "h w 3"]:
    """Apply the EXIF orientation: one of eight values."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels
