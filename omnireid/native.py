"""Plain C beside Python: compiled for this machine when first needed, done without where that cannot be.

The compiler is ``cc``; what it made is kept in the user's cache. ``INSTRUCT_REID_NATIVE=0`` does without.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

# Additions are not drawn into multiplications: so C gives the bits that torch gives.
FLAGS = ("-O3", "-march=native", "-ffp-contract=off", "-shared", "-fPIC")
ALIGNMENT = 64  # bytes: a load that crosses a line of the processor's cache takes twice the time


@cache
def compiled(source: Path) -> ctypes.CDLL | None:
    """The compiled library; None where there is no compiler, or nowhere to put it."""
    compiler = shutil.which("cc")
    if compiler is None or os.environ.get("INSTRUCT_REID_NATIVE") == "0":
        return None
    try:
        return ctypes.CDLL(str(_build(source, compiler, _folder())))
    except (OSError, subprocess.SubprocessError):
        return None


def aligned(shape: tuple[int, ...], dtype: type[np.generic]) -> np.ndarray:
    """Memory that begins where a line of the cache does; it holds anything."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.empty(size + ALIGNMENT, dtype=np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)


def shares(count: int, group: int, num: int) -> list[tuple[int, int]]:
    """Where the rows of each of some threads begin and end: whole groups, but for the last.

    >>> shares(21, 8, 2)
    [(0, 16), (16, 21)]
    """
    step = -(-count // (group * num)) * group
    return [(first, min(first + step, count)) for first in range(0, count, step)]


def address(array: np.ndarray) -> ctypes.c_void_p:
    """Where an array begins, for the library; it must be contiguous, and kept until the call is over."""
    assert array.flags.c_contiguous
    return ctypes.c_void_p(array.ctypes.data)


def _build(source: Path, compiler: str, folder: Path) -> Path:
    place = folder / f"{source.stem}-{_machine(source)}.so"
    if not place.is_file():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            made = Path(scratch, "made.so")
            command = [compiler, *FLAGS, "-o", str(made), str(source)]
            subprocess.run(command, check=True, capture_output=True, timeout=60)
            made.replace(place)
    return place


def _folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "instruct-reid"


def _machine(source: Path) -> str:
    """Source, flags and kind of processor: a home directory may be shared by several kinds."""
    whole = hashlib.sha256(source.read_bytes() + " ".join(FLAGS).encode() + platform.machine().encode())
    processor = Path("/proc/cpuinfo")
    if processor.is_file():
        lines = processor.read_text(errors="replace").splitlines()
        names = ("model name", "flags", "Features")
        whole.update("\n".join(sorted({line for line in lines if line.startswith(names)})).encode())
    return whole.hexdigest()[:16]
