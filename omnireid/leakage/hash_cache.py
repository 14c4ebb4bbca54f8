"""Fingerprints of many images, cached beside the data so that each image is read only once."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np

from instructions.errors import InputError
from omnireid.leakage.fingerprints import SMALL, Fingerprints, fingerprint
from omnireid.loading.image import read_image

FOLDER = ".fingerprints"  # under the data root
VERSION = 1  # of the format and the definition of a fingerprint
CHUNK = 20_000  # images between two saves
THREADS = 4
Progress = Callable[[str, int, int], None]  # what is being done, how many are done, of how many
Stamp = tuple[int, int]  # size and modification time of a file
Print = tuple[int, np.ndarray, bool]


def fingerprints_of(
    images: Sequence[str],
    *,
    cache: Path | None = None,
    name: str = "images",
    progress: Progress | None = None,
) -> Fingerprints:
    """Fingerprints in the order of the images; an image that cannot be read is marked, without an error.

    Args:
        images: Paths, possibly repeated.
        cache: Folder that keeps fingerprints between runs; a changed file is read again. If it cannot be
            written to, nothing is kept.
        name: Name of this set of images, for the cache file and for ``progress``.
        progress: Called every few images.
    """
    path = None if cache is None else cache / f"{name}-v{VERSION}.npz"
    known = _load(path)
    wanted = list(dict.fromkeys(images))
    stamps = {image: _stamp(image) for image in wanted}
    prints: dict[str, Print] = {
        image: known[_key(image)][1]
        for image in wanted
        if _key(image) in known and known[_key(image)][0] == stamps[image]
    }
    missing = [image for image in wanted if image not in prints]
    num_done = len(prints)
    with ThreadPoolExecutor(THREADS) as pool:
        for chunk in _chunks(missing):
            for image, made in zip(chunk, pool.map(_look, chunk), strict=True):
                prints[image] = made
                num_done += 1
                if progress is not None and num_done % 500 == 0:
                    progress(f"fingerprints of {name}", num_done, len(wanted))
            _save(path, known | {_key(image): (stamps[image], made) for image, made in prints.items()})
    parts = [prints[image] for image in images]
    width, height = SMALL
    return Fingerprints(
        hashes=np.array([part[0] for part in parts], dtype=np.uint64),
        colors=np.array([part[1] for part in parts], dtype=np.uint8).reshape(-1, height, width, 3),
        seen=np.array([part[2] for part in parts], dtype=bool),
    )


def _look(image: str) -> Print:
    try:
        return (*fingerprint(read_image(image)), True)
    except InputError:
        width, height = SMALL
        return 0, np.zeros((height, width, 3), dtype=np.uint8), False


def _chunks(images: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(images)
    while chunk := list(islice(remaining, CHUNK)):
        yield chunk


def _stamp(image: str) -> Stamp:
    try:
        status = os.stat(image)  # noqa: PTH116  a million of them
    except OSError:
        return (-1, -1)
    return (status.st_size, status.st_mtime_ns)


def _key(image: str) -> bytes:
    """A path as a few bytes."""
    return hashlib.blake2b(image.encode(errors="surrogateescape"), digest_size=16).digest()


def _load(path: Path | None) -> dict[bytes, tuple[Stamp, Print]]:
    """The contents of the cache; empty if the file is incomplete or not ours."""
    if path is None or not path.is_file():
        return {}
    try:
        with np.load(path, allow_pickle=False) as file:
            columns = [file[name] for name in ("keys", "stamps", "hashes", "colors", "seen")]
        return {
            key.tobytes(): ((int(stamp[0]), int(stamp[1])), (int(hashed), color, bool(was_seen)))
            for key, stamp, hashed, color, was_seen in zip(*columns, strict=True)
        }
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return {}


def _save(path: Path | None, known: dict[bytes, tuple[Stamp, Print]]) -> None:
    """Write the whole cache atomically; of several runs at once, the last to finish wins."""
    if path is None or not known:
        return
    content = io.BytesIO()
    np.savez(
        content,
        keys=np.frombuffer(b"".join(known), dtype=np.uint8).reshape(len(known), -1),
        stamps=np.array([stamp for stamp, _ in known.values()], dtype=np.int64),
        hashes=np.array([made[0] for _, made in known.values()], dtype=np.uint64),
        colors=np.array([made[1] for _, made in known.values()], dtype=np.uint8),
        seen=np.array([made[2] for _, made in known.values()], dtype=bool),
    )
    part = None
    try:
        path.parent.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".part-", delete=False) as file:
            part = Path(file.name)
            file.write(content.getvalue())
        part.replace(path)
    except OSError:  # a read-only data root: the next run reads the images again
        if part is not None:
            with contextlib.suppress(OSError):
                part.unlink()
