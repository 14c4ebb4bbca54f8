"""Searches files for bytes that should be gone, in a process of its own; this module is also that program.

When a process closes a file, POSIX drops all locks that the process holds on it, including SQLite's on an
open database: other processes could then delete the log under it. So a process that has a database open must
not read the database's files itself.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

CHUNK = 1 << 24
SHORTEST = 4  # bytes of a fragment


def search_files(folder: Path, fragments: Sequence[bytes]) -> tuple[int, int]:
    """The number of bytes in all files of a folder, and how many of the fragments occur in them.

    Raises:
        BrokenError: A file cannot be read.
    """
    # Not at the top: run as a program, this file cannot import the project.
    from instructions.errors import BrokenError

    command = [sys.executable, str(Path(__file__).absolute()), str(folder.absolute())]
    wanted = json.dumps([fragment.hex() for fragment in fragments])
    told = subprocess.run(command, input=wanted, capture_output=True, text=True)
    if told.returncode:
        reason = (told.stderr.strip() or "it was stopped").splitlines()[-1]
        raise BrokenError(f"the files of {folder} cannot be searched for traces ({reason}); try again")
    searched, found = json.loads(told.stdout)
    return searched, found


def _search(folder: Path, fragments: Sequence[bytes]) -> tuple[int, int]:
    wanted: dict[int, list[bytes]] = {}
    for fragment in fragments:
        wanted.setdefault(int.from_bytes(fragment[:2], "little"), []).append(fragment)
    longest = max((len(fragment) for fragment in fragments), default=SHORTEST)
    begins, goes_on = np.zeros((2, 1 << 16), dtype=bool)
    begins[list(wanted)] = True
    goes_on[[int.from_bytes(fragment[2:4], "little") for fragment in fragments]] = True
    searched = 0
    found: set[bytes] = set()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            data = b""
            while part := file.read(CHUNK):
                searched += len(part)
                data = data[-longest + 1 :] + part
                found |= _found_in(data, wanted, begins, goes_on)
    return searched, len(found)


def _found_in(
    data: bytes, wanted: dict[int, list[bytes]], begins: np.ndarray, goes_on: np.ndarray
) -> set[bytes]:
    """Fragments in a piece of a file, found by their first four bytes at any offset."""
    levels = np.frombuffer(data, dtype=np.uint8).astype(np.uint16)
    pairs = levels[:-1] | (levels[1:] << 8)
    found = set()
    places = begins[pairs[:-2]].nonzero()[0]
    for place in places[goes_on[pairs[places + 2]]].tolist():
        found |= {piece for piece in wanted[int(pairs[place])] if data.startswith(piece, place)}
    return found


if __name__ == "__main__":
    asked = [bytes.fromhex(one) for one in json.load(sys.stdin)]
    sys.stdout.write(json.dumps(_search(Path(sys.argv[1]), asked)))
