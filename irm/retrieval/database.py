"""One SQLite file of a store: whole transactions, a connection per thread, errors as sentences."""

from __future__ import annotations

import os
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from instructions.errors import BrokenError, FullError, HeldError

OWNERS_ONLY = 0o600  # a store holds images of people
ROOM = 1 << 18  # bytes: more than SQLite's log grows by with the lines of a batch of searches
PAGE_SIZE = 16384  # five vectors of 768 floats a page
PRAGMAS = (
    f"page_size = {PAGE_SIZE}",
    "journal_mode = WAL",
    "synchronous = FULL",
    "secure_delete = ON",
    "foreign_keys = ON",
    "mmap_size = 1099511627776",
)


class Database:
    """Every read sees whole transactions; every write is one. Each thread has its own connection."""

    def __init__(self, file: Path) -> None:
        """Name a file; it is opened at the first query."""
        self.file, self.folder = file, file.parent
        self.why_read_only: str | None = None  # why the file was opened as immutable, and cannot be written
        self._local = threading.local()
        self._open: list[tuple[threading.Thread, sqlite3.Connection]] = []
        self._opening, self._writing = threading.Lock(), threading.Lock()

    @property
    def connection(self) -> sqlite3.Connection:
        """This thread's own; those of threads that have ended are closed when another is opened."""
        made: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if made is None:
            made = self._local.connection = self._connect()
            with self._opening:
                for thread, connection in self._open:
                    if not thread.is_alive():
                        connection.close()
                self._open = [(thread, one) for thread, one in self._open if thread.is_alive()]
                self._open.append((threading.current_thread(), made))
        return made

    def _connect(self) -> sqlite3.Connection:
        """A new connection; immutable if SQLite cannot put its log beside the file and there is none.

        So a store on a read-only or a full disk can still be read.
        """
        try:
            return _connected(str(self.file))
        except sqlite3.OperationalError as error:
            log = self.file.with_name(f"{self.file.name}-wal")
            if not self.file.is_file() or (log.is_file() and log.stat().st_size):
                raise
            made = _connected(f"{self.file.absolute().as_uri()}?immutable=1")
            self.why_read_only = str(error)
            return made

    @property
    def is_read_only(self) -> bool:
        """Whether it cannot be written, because of the file, its folder or the disk."""
        return self.why_read_only is not None or not all(
            os.access(path, os.W_OK) for path in (self.file, self.folder)
        )

    def check_writable(self) -> None:
        """Refuse a database that cannot be written.

        Raises:
            FullError: The disk was full when it was opened.
            BrokenError: As ``is_read_only``.
        """
        if self.is_read_only:
            with self.errors():
                raise sqlite3.OperationalError("it is readonly")

    def has_room(self) -> bool:
        """Whether the disk takes what a write needs; tried with a file that has no name, so nothing stays."""
        try:
            with tempfile.TemporaryFile(dir=self.folder, buffering=0) as file:
                return file.write(bytes(ROOM)) == ROOM
        except OSError:
            return False

    def make(self, mode: int = OWNERS_ONLY) -> None:
        """Create an empty file if there is none; SQLite's log and index beside it get the same mode."""
        if not self.file.exists():
            handle = os.open(self.file, os.O_CREAT | os.O_RDWR, OWNERS_ONLY)
            os.fchmod(handle, mode)
            os.close(handle)

    def copy_to(self, file: Path) -> None:
        """Write the database as it is at this moment, whole or not at all, while others read and write.

        Raises:
            FullError: There is no room for it.
        """
        part = Database(file.with_name(f".{file.name}.part"))
        part.make()
        try:
            with self.errors(), part.errors(), closing(sqlite3.connect(part.file)) as other:
                self.connection.backup(other)
            part.file.replace(file)
        finally:
            part.file.unlink(missing_ok=True)

    def close(self) -> None:
        """Close every connection; the database cannot be used afterwards."""
        for _, connection in self._open:
            connection.close()
        self._open.clear()
        self._local = threading.local()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn errors about a full disk or a locked or damaged file into one sentence.

        Raises:
            HeldError: Another process is writing.
            FullError: The disk has no room.
            BrokenError: The file is damaged or not to be written.
        """
        try:
            yield
        except sqlite3.OperationalError as error:
            said = str(error)
            if "readonly" in said and self.why_read_only and _is_full(self.why_read_only):
                said = self.why_read_only  # it was therefore opened as immutable
            if _is_full(said):
                raise FullError(
                    f"the disk of {self.folder} is full ({said}): make room and try again"
                ) from error
            if "locked" in said or "busy" in said:
                raise HeldError(
                    f"another process is writing to {self.folder}; wait for it to finish, or stop it"
                ) from error
            if "unable to open" in said:
                raise BrokenError(
                    f"{self.file} cannot be opened ({said}): SQLite must be able to write its log next to "
                    "it; open it, or a copy of its folder, where that folder is writable"
                ) from error
            if "readonly" in said:
                raise BrokenError(
                    f"{self.folder} cannot be written ({said}): it can be inspected (tools.index info, "
                    "list, export) but not searched, because each search is written to the audit trail"
                ) from error
            raise
        except sqlite3.DatabaseError as error:
            raise BrokenError(f"{self.file} is damaged or not a gallery store ({error})") from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: when the block ends, all of it is durable, or none of it happened."""
        with self._writing, self.errors(), transaction(self.connection) as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """A consistent snapshot for everything that this thread reads inside, whatever others write."""
        with self.errors():
            self.connection.execute("BEGIN")
            try:
                yield
            finally:
                self.connection.execute("COMMIT")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One write, all or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk ends it by itself
            connection.execute("ROLLBACK")
        raise


def _connected(name: str) -> sqlite3.Connection:
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


def _is_full(said: str) -> bool:
    return "full" in said or "disk I/O" in said


@contextmanager
def explain_full_disk(outcome: str) -> Iterator[None]:
    """Add to the error of a full disk what did and did not happen.

    Raises:
        FullError: The disk has no room.
    """
    try:
        yield
    except FullError as error:
        raise FullError(f"{error}; {outcome}") from error
