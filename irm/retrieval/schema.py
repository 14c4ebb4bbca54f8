"""The tables of a gallery store, as migrations; each is applied whole or not at all."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from instructions.errors import BrokenError, InputError
from irm.retrieval.database import Database, transaction

Step = tuple[str, ...]

# Ids are never reused (AUTOINCREMENT), so that a number in a log cannot come to mean somebody else.
# Each space has a table of its own, vectors_N, whose rowid is the image.
MIGRATIONS: tuple[Step, ...] = (
    (
        "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        "INSERT INTO facts VALUES ('revision', '0')",
        """CREATE TABLE images (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            key TEXT NOT NULL UNIQUE,
            path TEXT NOT NULL, size INTEGER NOT NULL, changed INTEGER NOT NULL,
            content TEXT NOT NULL,
            pid INTEGER, camid INTEGER, taken REAL, dataset TEXT, clothes_id INTEGER,
            modality TEXT NOT NULL, captions TEXT NOT NULL, clothes TEXT,
            width INTEGER NOT NULL, height INTEGER NOT NULL,
            added REAL NOT NULL, expires REAL, revision INTEGER NOT NULL)""",
        "CREATE INDEX images_revision ON images (revision)",
        "CREATE INDEX images_pid ON images (pid)",
        """CREATE TABLE pictures (
            image INTEGER PRIMARY KEY REFERENCES images (id) ON DELETE CASCADE, jpeg BLOB NOT NULL)""",
        """CREATE TABLE spaces (
            number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, view TEXT NOT NULL UNIQUE,
            description TEXT NOT NULL, dim INTEGER NOT NULL)""",
        "CREATE TABLE gone (image INTEGER PRIMARY KEY, revision INTEGER NOT NULL)",
        "CREATE INDEX gone_revision ON gone (revision)",
        """CREATE TABLE audit (
            number INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, who TEXT NOT NULL,
            action TEXT NOT NULL, detail TEXT NOT NULL, hash TEXT NOT NULL)""",
    ),
    (
        # Questions that somebody asked to keep: apart from the audit's chain, so that they can be erased.
        """CREATE TABLE kept (
            audit INTEGER PRIMARY KEY REFERENCES audit (number), text TEXT, jpegs BLOB NOT NULL,
            images TEXT NOT NULL)""",
    ),
    # Whether anything has expired is asked at every search.
    ("CREATE INDEX images_expires ON images (expires) WHERE expires IS NOT NULL",),
    # Keyed digests of images that were erased or have expired; see ``forgotten``.
    ("CREATE TABLE forgotten (digest BLOB PRIMARY KEY) WITHOUT ROWID",),
    # From here on they are in a file of their own, to which ``_move_audit`` has copied them.
    ("DROP TABLE kept", "DROP TABLE audit"),
)
AUDIT_MOVES = 4  # the version before that step
TRAIL: tuple[Step, ...] = ((MIGRATIONS[0][-1], *MIGRATIONS[1]),)  # of the audit's own file


def bring_up_to_date(gallery: Database, trail: Database) -> None:
    """Migrate a store to the newest version, with the audit in its own file.

    Raises:
        InputError: it was written by a later version of this program.
        BrokenError: it is of an earlier version and cannot be written.
    """
    version = _version(gallery.connection, len(MIGRATIONS), gallery.folder)
    if gallery.is_read_only:
        if version < len(MIGRATIONS):
            raise BrokenError(
                f"the store {gallery.folder} has version {version} and is not writable; upgrade it to "
                f"version {len(MIGRATIONS)} with python -m tools.index info --store where it is writable"
            )
        return
    trail.make(stat.S_IMODE(gallery.file.stat().st_mode))
    migrate(trail.connection, trail.folder, TRAIL)
    migrate(
        gallery.connection, gallery.folder, MIGRATIONS, {AUDIT_MOVES: partial(_move_audit, trail.connection)}
    )


def migrate(
    connection: sqlite3.Connection,
    folder: Path,
    steps: Sequence[Step],
    before: Mapping[int, Callable[[sqlite3.Connection], None]] | None = None,
) -> None:
    """Bring a database to the newest version, one transaction per step.

    Args:
        connection: To the database.
        folder: Its folder, for errors.
        steps: The statements from each version to the next.
        before: What to do first within the step from a version.

    Raises:
        InputError: it was written by a later version of this program.
    """
    version = _version(connection, len(steps), folder)
    while version < len(steps):
        with transaction(connection):
            version = _version(connection, len(steps), folder)  # another process may have been first
            if version < len(steps):
                if before is not None and version in before:
                    before[version](connection)
                for statement in steps[version]:
                    connection.execute(statement)
                version += 1
                connection.execute(f"PRAGMA user_version = {version}")


def _version(connection: sqlite3.Connection, newest: int, folder: Path) -> int:
    """The version of a database, refused if this program does not know it."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > newest:
        raise InputError(
            f"the store {folder} has version {version}; this program supports versions up to {newest}: "
            "update the program"
        )
    return version


def _move_audit(trail: sqlite3.Connection, gallery: sqlite3.Connection) -> None:
    """Copy the audit out of the gallery's own file; if interrupted, it is copied again."""
    with transaction(trail):
        for table, marks in (("audit", "?, ?, ?, ?, ?, ?"), ("kept", "?, ?, ?, ?")):
            rows = gallery.execute(f"SELECT * FROM {table}")
            trail.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", rows)
        # The highest number ever assigned, which shows whether the last lines are missing.
        given = gallery.execute("SELECT seq FROM sqlite_sequence WHERE name = 'audit'").fetchall()
        trail.execute("DELETE FROM sqlite_sequence")
        trail.executemany("INSERT INTO sqlite_sequence VALUES ('audit', ?)", given)
