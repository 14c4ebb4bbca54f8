"""Connections to a store's SQLite file, one per thread, closed when their threads have ended."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

PAGE_SIZE = 16384  # five vectors of 768 floats a page
PRAGMAS = (
    f"page_size = {PAGE_SIZE}",
    "journal_mode = WAL",
    "synchronous = FULL",
    "secure_delete = ON",
    "foreign_keys = ON",
    "mmap_size = 1099511627776",
)


class Connections:
    """A server starts and ends threads all the time; each gets a connection of its own."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.hindrance: str | None = None  # why the file was opened as immutable, and cannot be written
        self._local = threading.local()
        self._open: list[tuple[threading.Thread, sqlite3.Connection]] = []
        self._opening = threading.Lock()

    def __len__(self) -> int:
        return len(self._open)

    def own(self) -> sqlite3.Connection:
        """This thread's."""
        made: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if made is None:
            made = self._made()
            self._local.connection = made
            with self._opening:
                self._close_ended()
                self._open.append((threading.current_thread(), made))
        return made

    def close(self) -> None:
        """Close all."""
        for _, connection in self._open:
            connection.close()
        self._open.clear()
        self._local = threading.local()

    def _made(self) -> sqlite3.Connection:
        """A new connection; immutable if SQLite cannot put its log beside the file and there is none.

        So a store on a read-only or a full disk can still be read.
        """
        try:
            return _opened(str(self.file))
        except sqlite3.OperationalError as error:
            log = self.file.with_name(f"{self.file.name}-wal")
            if not self.file.is_file() or (log.is_file() and log.stat().st_size):
                raise
            made = _opened(f"{self.file.absolute().as_uri()}?immutable=1")
            self.hindrance = str(error)
            return made

    def _close_ended(self) -> None:
        for thread, connection in self._open:
            if not thread.is_alive():
                connection.close()
        self._open = [kept for kept in self._open if kept[0].is_alive()]


def _opened(name: str) -> sqlite3.Connection:
    """A connection that has proved to work; ``name`` is a path or a file: URI."""
    made = sqlite3.connect(
        name, isolation_level=None, timeout=30, check_same_thread=False, uri=name.startswith("file:")
    )
    try:
        for pragma in PRAGMAS:
            made.execute(f"PRAGMA {pragma}")
        made.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        made.close()
        raise
    return made
