"""A file of the images that were opened without error, so that repeated or resumed checks are fast."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np

NAME = ".check_data"  # below the data root
_ROW = np.dtype([("key", "<u8"), ("content", "<u8")])
_FIRST = np.array([(0x4C45444745523031, 1)], dtype=_ROW)  # first bytes of the file: its kind and version
_WAITING = 4096  # rows buffered before they are written: about a second of work


def number_of(data: bytes) -> int:
    """A 64-bit hash of some bytes; never 0."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little") or 1


def key_of(path: str) -> int:
    """A hash of an image's path, size and modification time.

    Raises:
        OSError: it is not there.
    """
    found = os.stat(path)  # noqa: PTH116 (a million Paths cost as much as the stats)
    return number_of(f"{path}\0{found.st_size}\0{found.st_mtime_ns}".encode("utf-8", "surrogateescape"))


class Ledger:
    """A file of rows (key of an image, hash of its bytes), appended to while images are opened.

    An image changed since then has another key and is opened again. An incomplete last row is ignored.
    """

    def __init__(self, path: Path | None, *, afresh: bool = False) -> None:
        """Open the file.

        Args:
            path: where it is kept; None keeps nothing.
            afresh: forget what is in it.

        Raises:
            OSError: the file cannot be written.
        """
        self._known: dict[int, int] = {}
        self._waiting: list[tuple[int, int]] = []
        self._file: BinaryIO | None = None
        if path is None:
            return
        rows = np.empty(0, dtype=_ROW)
        if path.exists() and not afresh:
            content = path.read_bytes()
            rows = np.frombuffer(content[: len(content) // _ROW.itemsize * _ROW.itemsize], dtype=_ROW)
        if len(rows) and rows[0] == _FIRST[0]:
            self._known = dict(zip(rows["key"][1:].tolist(), rows["content"][1:].tolist(), strict=True))
            file: BinaryIO = path.open("r+b")
            file.seek(len(rows) * _ROW.itemsize)
        else:
            file = path.open("wb")
            file.write(_FIRST.tobytes())
        file.truncate()
        self._file = file

    def content(self, key: int) -> int | None:
        """The hash of an image's bytes; None if it was not opened before."""
        return self._known.get(key)

    def enter(self, key: int, content: int) -> None:
        """Record that an image was opened and is good."""
        if self._file is not None:
            self._waiting.append((key, content))
            if len(self._waiting) >= _WAITING:
                self.flush()

    def flush(self) -> None:
        """Write the buffered rows."""
        if self._file is not None:
            self._file.write(np.array(self._waiting, dtype=_ROW).tobytes())
            self._file.flush()
            self._waiting.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self.flush()
            self._file.close()
