"""The system of record of a gallery: SQLite files with images, thumbnails and vectors, and with the audit."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from instructions.errors import InputError
from irm.retrieval.database import Database
from irm.retrieval.schema import bring_up_to_date
from irm.retrieval.views import Space
from omnireid.files import sole_writer
from omnireid.records import UNKNOWN, Record

FILE_NAME, TRAIL_NAME = "gallery.db", "audit.db"
AMONG = (
    "IN (SELECT value FROM json_each(?))"  # a list of any length, as one parameter: ``json.dumps(values)``
)
REVISION = "(SELECT value FROM facts WHERE name = 'revision')"
COLUMNS = (
    "key", "path", "size", "changed", "content", "pid", "camid", "taken", "dataset", "clothes_id", "modality",
    "captions", "clothes", "width", "height", "added", "expires",
)  # fmt: skip


@dataclass(frozen=True)
class Image:
    """One row of the gallery."""

    key: str  # the image's name in the gallery
    path: str
    size: int  # bytes and time of change of the file: whether it must be read again
    changed: int
    content: str  # hash of the file, its captions and its clothes image
    pid: int | None
    camid: int | None
    taken: float | None
    dataset: str | None
    clothes_id: int | None
    modality: str
    captions: tuple[str, ...]
    clothes: str | None
    width: int
    height: int
    added: float
    expires: float | None
    id: int = 0

    def values(self) -> tuple[object, ...]:
        """The values in the order of ``COLUMNS``."""
        given = {**vars(self), "captions": json.dumps(list(self.captions))}
        return tuple(given[column] for column in COLUMNS)

    def record(self) -> Record:
        """The image as loaders and views expect it."""
        return Record(
            image=self.path,
            pid=-1 if self.pid is None else self.pid,
            camid=-2 if self.camid is None else self.camid,
            clothes_id=UNKNOWN if self.clothes_id is None else self.clothes_id,
            modality="ir" if self.modality == "ir" else "rgb",
            captions=self.captions,
            clothes=self.clothes,
        )


@dataclass(frozen=True)
class SpaceRow:
    """A space that the gallery holds vectors of."""

    number: int
    id: str
    view: str
    space: Space
    dim: int

    @property
    def table(self) -> str:
        """The table of its vectors."""
        return f"vectors_{self.number}"


class Catalog(Database):
    """What a gallery holds; thread-safe."""

    def __init__(self, folder: Path, *, create: bool = False) -> None:
        """Open, bringing older tables up to date.

        Raises:
            InputError: there is no store, or it is of a later version, or no database.
        """
        super().__init__(folder / FILE_NAME)
        if not create and not self.file.is_file():
            raise InputError(
                f"{folder} is not a gallery store; create one with python -m tools.index RUN --images DIR "
                f"--store {folder}"
            )
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if create:
            self.make()
        # The audit has a file of its own, so that searches can write to it while the gallery's is rewritten.
        self.trail = Database(folder / TRAIL_NAME)
        with self.errors():
            bring_up_to_date(self, self.trail)

    def close(self) -> None:
        """Close every connection; the catalog cannot be used afterwards."""
        super().close()
        self.trail.close()

    def copy_store(self, folder: Path) -> None:
        """Write the store into another folder as it is at this moment.

        The audit's file is copied last, so that it contains the line that the gallery's file refers to.
        """
        for database in (self, self.trail):
            database.copy_to(folder / database.file.name)

    @contextmanager
    def writing(self, *, is_gallery: bool = True) -> Iterator[sqlite3.Connection]:
        """One transaction, see ``Database.writing``.

        Args:
            is_gallery: Whether searches must take note of the change; not for metadata.
        """
        with super().writing() as connection:
            if is_gallery:
                connection.execute(
                    "UPDATE facts SET value = CAST(value AS INTEGER) + 1 WHERE name = 'revision'"
                )
            yield connection

    def revision(self) -> int:
        """A counter that every write by any process raises."""
        with self.errors():
            return int(self.metadata("revision") or 0)

    def removed_since(self, revision: int) -> list[int]:
        """Images that were removed after a revision."""
        with self.errors():
            rows = self.connection.execute("SELECT image FROM gone WHERE revision > ?", (revision,))
            return [row[0] for row in rows]

    def changed_since(self, revision: int) -> list[int]:
        """Images that were added or changed after a revision."""
        with self.errors():
            rows = self.connection.execute("SELECT id FROM images WHERE revision > ?", (revision,))
            return [row[0] for row in rows]

    def metadata(self, name: str) -> str | None:
        """A value of the gallery's metadata; None if it was never set."""
        row = self.connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def set_metadata(self, **values: str) -> None:
        """Set values of the metadata; searches need not notice."""
        with self.writing(is_gallery=False) as connection:
            connection.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", values.items())

    def spaces(self) -> dict[str, SpaceRow]:
        """Spaces by view."""
        rows = self.connection.execute(
            "SELECT number, id, view, description, dim FROM spaces ORDER BY number"
        )
        return {
            view: SpaceRow(number, id_, view, Space.from_dict(json.loads(text)), dim)
            for number, id_, view, text, dim in rows
        }

    def add_space(self, space: Space, dim: int) -> SpaceRow:
        """Create the table of a space's vectors, unless it exists."""
        with self.writing() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO spaces (id, view, description, dim) VALUES (?, ?, ?, ?)",
                (space.id, space.view, json.dumps(space.as_dict()), dim),
            )
            row = self.spaces()[space.view]
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS {row.table} (image INTEGER PRIMARY KEY "
                "REFERENCES images (id) ON DELETE CASCADE, vector BLOB NOT NULL)"
            )
            # A small index, so that rows can be counted without reading the vectors.
            connection.execute(f"CREATE INDEX IF NOT EXISTS {row.table}_image ON {row.table} (image)")
        return row

    def images(self, ids: Sequence[int]) -> dict[int, Image]:
        """Some rows by id; unknown ids are left out."""
        return {image.id: image for image in self._select("id", list(ids))}

    def images_by_key(self, keys: Sequence[str]) -> dict[str, Image]:
        """Some rows by key; unknown keys are left out."""
        return {image.key: image for image in self._select("key", list(keys))}

    def _select(self, column: str, values: Sequence[object]) -> Iterator[Image]:
        sql = f"SELECT id, {', '.join(COLUMNS)} FROM images WHERE {column} {AMONG}"
        with self.errors():
            rows = self.connection.execute(sql, (json.dumps(values),)).fetchall()
        for id_, *row in rows:
            given = dict(zip(COLUMNS, row, strict=True))
            yield Image(**{**given, "captions": tuple(json.loads(given["captions"]))}, id=id_)

    def thumbnail(self, image: int) -> bytes | None:
        """The thumbnail of an image, a JPEG."""
        with self.errors():
            row = self.connection.execute("SELECT jpeg FROM pictures WHERE image = ?", (image,)).fetchone()
        return None if row is None else bytes(row[0])

    def vectors(
        self, row: SpaceRow, ids: Sequence[int]
    ) -> tuple[Int[np.ndarray, " M"], Float[np.ndarray, "M D"]]:
        """The vectors of some images, by ascending id; images without one are left out."""
        sql = f"SELECT image, vector FROM {row.table} WHERE image {AMONG} ORDER BY image"
        with self.errors():
            rows = self.connection.execute(sql, (json.dumps([int(id_) for id_ in ids]),)).fetchall()
        vectors = np.frombuffer(b"".join(blob for _, blob in rows), dtype="<f4")
        return np.array([id_ for id_, _ in rows], dtype=np.int64), vectors.reshape(len(rows), row.dim)

    def each_vector(
        self, row: SpaceRow, size: int = 2048
    ) -> Iterator[tuple[list[int], Float[np.ndarray, "M D"]]]:
        """All vectors of a space by ascending id, some at a time."""
        with self.errors():
            rows = self.connection.execute(f"SELECT image, vector FROM {row.table} ORDER BY image")
            while part := rows.fetchmany(size):
                vectors = np.frombuffer(b"".join(blob for _, blob in part), dtype="<f4")
                yield [image for image, _ in part], vectors.reshape(len(part), row.dim)

    def count(self, table: str) -> int:
        """Rows of a table of this catalog."""
        with self.errors():
            return int(self.connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def write_vectors(
    connection: sqlite3.Connection, row: SpaceRow, ids: Sequence[int], vectors: Float[np.ndarray, "M D"]
) -> None:
    """Add or replace the vectors of some images, within a transaction."""
    blobs = [vector.tobytes() for vector in np.ascontiguousarray(vectors, dtype="<f4")]
    connection.executemany(f"INSERT OR REPLACE INTO {row.table} VALUES (?, ?)", zip(ids, blobs, strict=True))


def sole_indexer(folder: Path) -> AbstractContextManager[None]:
    """Lock a store, in which one process at a time indexes or erases; see ``sole_writer``."""
    return sole_writer(
        folder, f"another process is indexing or erasing in {folder}; wait until it is done and try again"
    )
