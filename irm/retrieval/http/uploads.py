"""Images that strangers send: told by their first bytes, measured, decoded, and resized at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from fastapi import UploadFile

from instructions.errors import InputError
from irm.retrieval import Picture
from irm.retrieval.http.problems import Problem
from irm.retrieval.http.settings import Limits
from omnireid.loading.resizing import Resampling, resize
from omnireid.loading.transforms import Preprocessing

# First bytes of what is decoded. Fewer kinds than the library reads: what strangers send reaches no decoder
# that telephones and browsers do not write for.
KINDS: dict[str, tuple[bytes, ...]] = {
    "JPEG": (b"\xff\xd8\xff",),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "WebP": (b"RIFF",),  # and WEBP four bytes later
}


def kind_of(data: bytes) -> str | None:
    """Which of ``KINDS`` the bytes are; None for anything else."""
    for kind, beginnings in KINDS.items():
        if data.startswith(beginnings) and (kind != "WebP" or data[8:12] == b"WEBP"):
            return kind
    return None


def decode_upload(data: bytes, *, what: str, limits: Limits) -> Picture:
    """The image in some bytes; never with what the sender called it.

    Orientation, grey, CMYK, 16 bits and transparency are handled as everywhere; of an animation the first
    frame counts.

    Args:
        data: what was sent.
        what: what an error calls it, e.g. "image 2".
        limits: bytes, pixels and sides allowed.

    Raises:
        Problem: 413 too large, 415 no image that is taken, 422 damaged or too small.
    """
    if len(data) > limits.image_bytes:
        raise Problem(413, f"{what} has {len(data)} bytes; at most {limits.image_bytes} are accepted")
    if not data:
        raise Problem(422, f"{what} is empty (0 bytes)")
    if kind_of(data) is None:
        raise Problem(415, f"{what} is neither {', '.join(list(KINDS)[:-1])} nor {list(KINDS)[-1]}")
    try:
        picture = Picture.decode(data, name=what, max_pixels=limits.max_pixels)
    except InputError as error:
        raise Problem(413 if "the limit of" in str(error) else 422, str(error)) from None
    height, width = picture.pixels.shape[:2]
    if min(height, width) < limits.min_side:
        raise Problem(
            422, f"{what} has {width} × {height} pixels; each side must have at least {limits.min_side}"
        )
    return picture


class Decoder:
    """Decodes uploads in a few threads and keeps them at the model's size, so that what waits is small.

    The engine would resize them in the same way a moment later, so no answer changes.
    """

    def __init__(self, limits: Limits, preprocessing: Preprocessing) -> None:
        self.limits, self.preprocessing = limits, preprocessing
        self._threads = ThreadPoolExecutor(limits.decoders, thread_name_prefix="decode")

    async def people(self, uploads: Sequence[UploadFile], *, what: str) -> tuple[Picture, ...]:
        """The images of people in one field of a form, in order.

        Raises:
            Problem: as ``decode_upload``, or there are too many.
        """
        return await self._all(uploads, what, self.preprocessing.image_size, self.preprocessing.resize)

    async def clothes(self, upload: UploadFile | None) -> Picture | None:
        """The image of clothes, if there is one.

        Raises:
            Problem: as ``decode_upload``.
        """
        if upload is None:
            return None
        return (await self._all([upload], "clothes image", self.preprocessing.clothes_size))[0]

    async def _all(
        self,
        uploads: Sequence[UploadFile],
        what: str,
        size: tuple[int, int],
        mode: Resampling = "bilinear",
    ) -> tuple[Picture, ...]:
        if len(uploads) > self.limits.pictures:
            raise Problem(
                422, f"{len(uploads)} files were sent as {what}; at most {self.limits.pictures} are accepted"
            )
        pictures = []
        for number, upload in enumerate(uploads, start=1):
            name = what if len(uploads) == 1 else f"{what} {number}"
            if upload.size is not None and upload.size > self.limits.image_bytes:
                raise Problem(
                    413, f"{name} has {upload.size} bytes; at most {self.limits.image_bytes} are accepted"
                )
            loop = asyncio.get_running_loop()
            pictures.append(await loop.run_in_executor(self._threads, self._read, upload, name, size, mode))
        return tuple(pictures)

    def _read(self, upload: UploadFile, name: str, size: tuple[int, int], mode: Resampling) -> Picture:
        picture = decode_upload(upload.file.read(), what=name, limits=self.limits)
        return Picture(pixels=resize(picture.pixels, size, mode), name=name)

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)
