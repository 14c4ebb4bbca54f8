"""Files and folders that are written whole or not at all, their digests, and a lock."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from instructions.errors import HeldError, InputError

try:
    import fcntl
except ImportError:  # not a POSIX system: no lock, everything else works
    fcntl = None  # type: ignore[assignment]

_held: set[int] = set()


def write_whole(path: Path, content: bytes, *, durable: bool = False) -> None:
    """Write to a temporary file beside it, then rename: a killed run leaves no partial file under ``path``.

    The temporary name depends on ``path`` only, so the next run overwrites what a killed one left. A device
    or a pipe, such as /dev/stdout, is written to and stays what it is.

    Args:
        path: The file; its folder exists.
        content: All of it.
        durable: Wait until it is on the disk; for the few files that vouch for others.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        path.write_bytes(content)
        return
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:  # a full disk: leave no half of what may be a person's image
        part.unlink(missing_ok=True)
        error.filename = error.filename or str(path)
        raise


def sha256_of(path: Path) -> str:
    """A file's digest, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_folder(folder: Path) -> None:
    """Make a folder with its parents, where there is none yet.

    Raises:
        InputError: It is a file, or below one.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        file = next(place for place in (folder, *folder.parents) if place.exists())
        raise InputError(f"{file} is a file, not a folder; name another") from None


def check_new_folder(folder: Path) -> None:
    """Refuse to write a folder where something exists already.

    Raises:
        InputError: It is a file, or a folder that is not empty.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; name a new folder")
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError(f"{folder} is not empty; name a new folder, or delete that one")


def replace_folder(folder: Path, write: Callable[[Path], object]) -> None:
    """Write a folder under a temporary name, then let it replace the old one; a failure leaves nothing new.

    Args:
        folder: the folder; its parent exists.
        write: called with the temporary folder, which it creates.
    """
    beside = folder.with_name(f".tmp-{folder.name}")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        write(beside)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
    beside.replace(folder)


@contextmanager
def sole_writer(folder: Path, refusal: str) -> Iterator[None]:
    """Lock an existing folder; the lock ends with the process, however that ends.

    Args:
        folder: locked against other processes.
        refusal: the error for whoever comes second.

    Raises:
        HeldError: another process holds the lock.
    """
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    _held.add(handle)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HeldError(refusal) from None
        yield
    finally:
        _held.remove(handle)
        os.close(handle)


def _let_go() -> None:
    """Release locks in a forked worker, which may outlive a killed parent by some seconds."""
    while _held:
        os.close(_held.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
