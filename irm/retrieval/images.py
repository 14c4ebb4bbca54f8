"""Images of a gallery: their rows, thumbnails and pixels."""

from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image as Pillow

from instructions.errors import InputError
from irm.retrieval.catalog import Catalog, Image
from omnireid.loading.image import decode_image

THUMBNAIL = 256  # pixels of height at most


def thumbnail(pixels: UInt8[np.ndarray, "H W 3"]) -> bytes:
    """A small JPEG."""
    picture = Pillow.fromarray(pixels)
    picture.thumbnail((4 * THUMBNAIL, THUMBNAIL))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def image_of(catalog: Catalog, image: int) -> Image:
    """A row of the gallery.

    Raises:
        InputError: There is none of this number.
    """
    row = catalog.images([image]).get(image)
    is_expired = row is not None and row.expires is not None and row.expires <= time.time()
    if row is None or is_expired:
        raise InputError(f"there is no image {image} in this gallery")
    return row


def thumbnail_of(catalog: Catalog, image: int) -> bytes:
    """A thumbnail, a JPEG.

    Raises:
        InputError: There is no such image.
    """
    image_of(catalog, image)
    found = catalog.thumbnail(image)
    if found is None:
        raise InputError(f"there is no image {image} in this gallery")
    return found


def pixels_of(catalog: Catalog, image: int) -> UInt8[np.ndarray, "H W 3"]:
    """The indexed image if its file is unchanged, else its thumbnail."""
    row = image_of(catalog, image)
    try:
        status = Path(row.path).stat()
        if (status.st_size, status.st_mtime_ns) == (row.size, row.changed):
            return decode_image(Path(row.path).read_bytes(), name=row.path)
    except (OSError, InputError):
        pass
    return decode_image(thumbnail_of(catalog, image), name=row.key)
