"""Filters: what is known of each image as columns in memory, kept up to date with the catalog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from jaxtyping import Bool, Float, Int

from irm.retrieval.catalog import Catalog
from irm.retrieval.question import Filter
from omnireid.records import MODALITIES

NEVER = np.inf  # expiry of an image that does not expire
READ = 20_000  # rows fetched at once
SELECT = "SELECT id, coalesce(pid, -1), coalesce(camid, -1), taken, dataset, modality, expires FROM images"


@dataclass(frozen=True, eq=False)
class Columns:
    """What filters ask for, one row per image, by ascending id."""

    ids: Int[np.ndarray, " N"]
    pids: Int[np.ndarray, " N"]  # -1 where unknown, as for cameras
    camids: Int[np.ndarray, " N"]
    taken: Float[np.ndarray, " N"]  # nan where unknown
    datasets: Int[np.ndarray, " N"]  # numbered by the table, -1 where unknown
    modalities: Int[np.ndarray, " N"]
    expires: Float[np.ndarray, " N"]

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Several tables as one, sorted by id."""
        whole = [np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)]
        order = whole[0].argsort(kind="stable")
        return cls(*(column[order] for column in whole))

    def at(self, keep: Bool[np.ndarray, " N"]) -> Self:
        """Some of the rows."""
        return type(self)(*(getattr(self, field.name)[keep] for field in fields(self)))


class FilterIndex:
    """The columns of a catalog: read in full when first needed, then only what has changed."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._names: dict[str, int] = {}  # of data sets
        self._known: tuple[int, Columns] | None = None  # with the revision that they stand at

    def passing(
        self, ids: Int[np.ndarray, " M"], revision: int, where: Filter, now: float
    ) -> Bool[np.ndarray, " M"] | None:
        """Which of some images pass a filter and have not expired; None where all do.

        Args:
            ids: Ascending.
            revision: Of the catalog, of which the caller holds a snapshot.
            where: The filter.
            now: Unix seconds.
        """
        if where.is_empty and not self._has_expired(now):
            return None
        columns = self._follow(revision)
        if not len(columns.ids):
            return np.zeros(len(ids), dtype=bool)
        keep = self._keep(columns, where, now)
        places = np.minimum(columns.ids.searchsorted(ids), len(columns.ids) - 1)
        return keep[places] & (columns.ids[places] == ids)

    def clear(self) -> None:
        """Forget what is in memory."""
        self._known = None

    def _has_expired(self, now: float) -> bool:
        sql = "SELECT min(expires) FROM images WHERE expires IS NOT NULL"
        with self.catalog.errors():
            first = self.catalog.connection.execute(sql).fetchone()[0]
        return first is not None and first <= now

    def _keep(self, columns: Columns, where: Filter, now: float) -> Bool[np.ndarray, " N"]:
        keep = columns.expires > now
        if where.camids:
            keep &= np.isin(columns.camids, where.camids)
        if where.pids:
            keep &= np.isin(columns.pids, where.pids)
        if where.datasets:
            keep &= np.isin(columns.datasets, [self._names.get(name, -2) for name in where.datasets])
        if where.modalities:
            keep &= np.isin(columns.modalities, [MODALITIES.index(name) for name in where.modalities])
        if where.since is not None:
            keep &= columns.taken >= where.since
        if where.until is not None:
            keep &= columns.taken <= where.until
        return keep

    def _follow(self, revision: int) -> Columns:
        if self._known is None:
            columns = self._read(SELECT)
        else:
            since, columns = self._known
            if since != revision:
                removed = np.array(self.catalog.removed_since(since), dtype=np.int64)
                fresh = self._read(f"{SELECT} WHERE revision > ?", since)
                stays = ~np.isin(columns.ids, np.concatenate([removed, fresh.ids]))
                columns = Columns.joined([columns.at(stays), fresh])
        self._known = revision, columns
        return columns

    def _read(self, statement: str, *values: int) -> Columns:
        parts = [self._columns([])]
        with self.catalog.errors():
            rows = self.catalog.connection.execute(statement, values)
            while part := rows.fetchmany(READ):
                parts.append(self._columns(part))
        return Columns.joined(parts)

    def _columns(self, rows: list[tuple[Any, ...]]) -> Columns:
        columns = tuple(zip(*rows, strict=True)) if rows else ((),) * len(fields(Columns))
        ids, pids, camids, taken, datasets, modalities, expires = columns
        number = {name: self._names.setdefault(name, len(self._names)) for name in set(datasets) - {None}}
        return Columns(
            ids=np.array(ids, dtype=np.int64),
            pids=np.array(pids, dtype=np.int64),
            camids=np.array(camids, dtype=np.int64),
            taken=np.array(taken, dtype=np.float64),  # None becomes nan
            datasets=np.array([number.get(name, -1) for name in datasets], dtype=np.int32),
            modalities=np.array([MODALITIES.index(name) for name in modalities], dtype=np.int8),
            expires=np.array([NEVER if time is None else time for time in expires], dtype=np.float64),
        )
