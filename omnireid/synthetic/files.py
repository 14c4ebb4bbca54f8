"""Which files are there already, and a folder that only one run writes at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from instructions.errors import InputError

try:
    import fcntl
except ImportError:  # not a POSIX system: no lock, all else is the same
    fcntl = None  # type: ignore[assignment]


def is_written(path: Path) -> bool:
    """Whether a file is there; an empty one is what a power cut leaves and counts as missing."""
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Hold the folder; a second run in it is refused.

    Raises:
        InputError: another process is writing there.
    """
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sentence = f"another run is writing {folder}; wait for it or choose another folder"
            raise InputError(sentence) from None
        yield
    finally:
        os.close(handle)
