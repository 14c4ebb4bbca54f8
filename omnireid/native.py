"""C code, compiled for this machine when first needed; where that is impossible, callers fall back to Python.

The compiler is ``cc``; the library is kept in the user's cache. ``INSTRUCT_REID_NATIVE=0`` disables C.
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

# No fused multiply-add, so that C gives the same bits as torch.
FLAGS = ("-O3", "-march=native", "-ffp-contract=off", "-shared", "-fPIC")
ALIGNMENT = 64  # bytes of a cache line: a load that crosses two lines takes twice the time


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
    """Uninitialised memory that is aligned to a cache line."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.empty(size + ALIGNMENT, dtype=np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)


def shares(count: int, group: int, num: int) -> list[tuple[int, int]]:
    """Start and end of the rows of each thread: whole groups, except for the last.

    >>> shares(21, 8, 2)
    [(0, 16), (16, 21)]
    """
    step = -(-count // (group * num)) * group
    return [(first, min(first + step, count)) for first in range(0, count, step)]


def address(array: np.ndarray) -> ctypes.c_void_p:
    """An array's address for C; the array must be contiguous, and kept alive during the call."""
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
    """A hash of source, flags and processor: several machines may share a home directory."""
    whole = hashlib.sha256(source.read_bytes() + " ".join(FLAGS).encode() + platform.machine().encode())
    processor = Path("/proc/cpuinfo")
    if processor.is_file():
        lines = processor.read_text(errors="replace").splitlines()
        names = ("model name", "flags", "Features")
        whole.update("\n".join(sorted({line for line in lines if line.startswith(names)})).encode())
    return whole.hexdigest()[:16]
