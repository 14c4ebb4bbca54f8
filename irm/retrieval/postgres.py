"""A gallery's vectors in PostgreSQL with pgvector, for teams that run a server."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import psycopg
from jaxtyping import Float
from psycopg import sql

from instructions.errors import InputError
from irm.retrieval.catalog import Image, SpaceRow
from irm.retrieval.question import Filter
from irm.retrieval.vector_store import Found, Vectors, digest_of, settle_from

COLUMNS = ("image", "space", "vector", "pid", "camid", "taken", "dataset", "modality", "expires")
READ = 2000  # rows fetched together


class PostgresStore:
    """One table per gallery; no approximate index, so that a search is exact."""

    name = "postgres"

    def __init__(self, address: str, name: str) -> None:
        """Connect and create the table.

        Args:
            address: "postgresql://user@host/database"; a password is better left to PGPASSWORD.
            name: Of the table.

        Raises:
            InputError: The server does not answer, or has no pgvector.
        """
        self._lock = threading.Lock()
        self._table = sql.Identifier(name)
        try:
            self._connection = psycopg.connect(address, autocommit=True, connect_timeout=10)
            self._connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        except psycopg.Error as error:
            # The address may hold a password, so it is not repeated.
            raise InputError(f"PostgreSQL cannot be used: {_first_line(error)}") from error
        self._run(
            "CREATE TABLE IF NOT EXISTS {table} (image bigint, space text, vector vector NOT NULL, "
            "pid bigint, camid bigint, taken double precision, dataset text, modality text NOT NULL, "
            "expires double precision, PRIMARY KEY (space, image))"
        )

    def spaces(self) -> list[str]:
        """Ids of the spaces that it holds."""
        return [row[0] for row in self._run("SELECT DISTINCT space FROM {table}")]

    def upsert(self, space: SpaceRow, images: Sequence[Image], vectors: Float[np.ndarray, "N D"]) -> None:
        """Add or replace, in one transaction."""
        values = [
            (image.id, space.id, _text(vector), image.pid, image.camid, image.taken, image.dataset,
             image.modality, image.expires)
            for image, vector in zip(images, vectors, strict=True)
        ]  # fmt: skip
        updates = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[2:])
        statement = (
            f"INSERT INTO {{table}} ({', '.join(COLUMNS)}) "
            "VALUES (%s, %s, %s::vector, %s, %s, %s, %s, %s, %s) "
            f"ON CONFLICT (space, image) DO UPDATE SET {updates}"
        )
        with self._lock, self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.executemany(self._sql(statement), values)

    def delete(self, ids: Sequence[int]) -> None:
        """Remove, and have the server rewrite the table without them."""
        self._run("DELETE FROM {table} WHERE image = ANY(%s)", ([int(one) for one in ids],))
        self._run("VACUUM (FULL) {table}")

    def get(self, space: SpaceRow, ids: Sequence[int]) -> Vectors:
        """Vectors by ascending id."""
        rows = self._run(
            "SELECT image, vector::real[] FROM {table} WHERE space = %s AND image = ANY(%s) ORDER BY image",
            (space.id, [int(one) for one in ids]),
        )
        vectors = np.array([row[1] for row in rows], dtype=np.float32).reshape(len(rows), space.dim)
        return np.array([row[0] for row in rows], dtype=np.int64), vectors

    def search(
        self, space: SpaceRow, queries: Float[np.ndarray, "Q D"], top: int, *, where: Filter, now: float
    ) -> list[Found]:
        """The server's nearest, enough to surely include the exact nearest, then our exact order."""
        condition, values = _where(space, where, now)
        statement = (
            f"SELECT image, 1 - (vector <=> %s::vector) AS score FROM {{table}} WHERE {condition} "
            "ORDER BY score DESC NULLS LAST LIMIT %s"
        )

        def nearest(query: Float[np.ndarray, " D"], limit: int) -> list[tuple[int, float]]:
            rows = self._run(statement, (_text(query), *values, limit))
            return [(image, float(np.nan_to_num(score or 0.0))) for image, score in rows]

        get = partial(self.get, space)
        return [settle_from(partial(nearest, query), get, query, top) for query in queries]

    def count(self, space: SpaceRow, *, where: Filter, now: float) -> int:
        """How many images a search looks at."""
        condition, values = _where(space, where, now)
        return int(self._run(f"SELECT count(*) FROM {{table}} WHERE {condition}", values)[0][0])

    def digest(self, space: SpaceRow) -> str:
        """Hash of what the server holds."""
        return digest_of(self._each(space))

    def clear(self) -> None:
        """Forget everything."""
        self._run("TRUNCATE {table}")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _each(self, space: SpaceRow) -> Iterator[tuple[int, list[float]]]:
        last = -1
        while rows := self._run(
            "SELECT image, vector::real[] FROM {table} WHERE space = %s AND image > %s "
            "ORDER BY image LIMIT %s",
            (space.id, last, READ),
        ):
            yield from rows
            last = rows[-1][0]

    def _run(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._lock:
            cursor = self._connection.execute(self._sql(statement), values)
            return cursor.fetchall() if cursor.description is not None else []

    def _sql(self, statement: str) -> sql.Composed:
        return sql.SQL(statement).format(table=self._table)  # statements are ours, never a user's


def _where(space: SpaceRow, where: Filter, now: float) -> tuple[str, tuple[Any, ...]]:
    """A filter as SQL."""
    parts, values = ["space = %s", "(expires IS NULL OR expires > %s)"], [space.id, now]
    for column, wanted in (
        ("camid", where.camids), ("pid", where.pids), ("dataset", where.datasets),
        ("modality", where.modalities),
    ):  # fmt: skip
        if wanted:
            parts.append(f"{column} = ANY(%s)")
            values.append(list(wanted))
    if where.since is not None:
        parts.append("taken >= %s")
        values.append(where.since)
    if where.until is not None:
        parts.append("taken <= %s")
        values.append(where.until)
    return " AND ".join(parts), tuple(values)


def _text(vector: Float[np.ndarray, " D"]) -> str:
    """A vector as pgvector reads it; nine digits reproduce every float32 bit for bit."""
    return "[" + ",".join(f"{value:.9g}" for value in vector.tolist()) + "]"


def _first_line(error: Exception) -> str:
    return re.sub(r"password=\S+", "password=...", str(error).strip().splitlines()[0])
