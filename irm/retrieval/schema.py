"""The tables of a gallery store, as the steps that lead to them; a step is taken whole or not at all."""

from __future__ import annotations

import sqlite3

from instructions.errors import InputError

# Ids are never used again (AUTOINCREMENT), so that a number in a log cannot come to mean somebody else.
# Each space has a table of its own, vectors_N, whose rowid is the image.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
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
    # Keyed digests of pictures that were erased or have expired; see ``forgotten``.
    ("CREATE TABLE forgotten (digest BLOB PRIMARY KEY) WITHOUT ROWID",),
)


def migrate(connection: sqlite3.Connection, folder: object) -> None:
    """Bring a database to the newest version, one transaction a step.

    Raises:
        InputError: it was written by a later version of this program.
    """
    newest = len(MIGRATIONS)
    version = _version(connection)
    if version > newest:
        raise InputError(
            f"the store {folder} has version {version}; this program knows up to {newest}: update the program"
        )
    while version < newest:
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = _version(connection)  # another process may have been first
            if version < newest:
                for statement in MIGRATIONS[version]:
                    connection.execute(statement)
                version += 1
                connection.execute(f"PRAGMA user_version = {version}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
