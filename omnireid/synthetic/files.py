"""Files that are there whole or not at all, and a folder that only one run writes at a time."""

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


def write_whole(path: Path, content: bytes, *, durable: bool = False) -> None:
    """Write beside, then rename; a run that is killed leaves no half file under ``path``.

    The name beside depends on ``path`` only, so the next run overwrites what a killed one left.

    Args:
        path: Where the file goes; its folder exists.
        content: All of it.
        durable: Wait until the disk has it; for the few files that vouch for the others.
    """
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        file.write(content)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    part.replace(path)


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
