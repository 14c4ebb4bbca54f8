"""Qdrant's engine in this process: one shard per space, rewritten on deletion so that no bytes stay."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import qdrant_edge as edge

from instructions.errors import InputError
from irm.retrieval.catalog import SpaceRow
from irm.retrieval.qdrant import Point

READ = 1000


class EdgeTransport:
    """One folder per space, named after it. Only one process can have it open."""

    models: ClassVar[dict[str, Any]] = {
        "Filter": edge.Filter,
        "FieldCondition": edge.FieldCondition,
        "MatchAny": edge.MatchAny,
        "Range": edge.RangeFloat,
    }

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._shards: dict[str, edge.EdgeShard] = {}
        try:
            for place in sorted(folder.iterdir()):
                if place.suffix == ".part":
                    shutil.rmtree(place)
                elif place.is_dir():
                    self._shards[place.name] = edge.EdgeShard.load(str(place))
        except Exception as error:  # the engine raises bare exceptions
            self.close()
            raise InputError(
                f"{folder} cannot be opened, perhaps because another process has it open: {error}"
            ) from error

    def spaces(self) -> list[str]:
        """Spaces that have a shard."""
        return list(self._shards)

    def upsert(self, space: SpaceRow, points: Sequence[Point]) -> None:
        """Add or replace; on disk when it returns."""
        with self._lock:
            if space.id not in self._shards:
                self._shards[space.id] = self._new(self.folder / space.id, space.dim)
            shard = self._shards[space.id]
            shard.update(edge.UpdateOperation.upsert_points([edge.Point(*point) for point in points]))
            shard.flush()

    def delete(self, space: str, ids: Sequence[int]) -> None:
        """Copy what stays into a new shard: a deleted point's bytes would stay in the old one."""
        with self._lock:
            goes = set(ids)
            old, place = self._shards[space], self.folder / space
            part = place.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            new: edge.EdgeShard | None = None
            for records in self._records(old):
                points = [
                    edge.Point(one.id, _dense(one), one.payload) for one in records if int(one.id) not in goes
                ]
                if points:
                    new = new or self._new(part, len(_dense(records[0])))
                    new.update(edge.UpdateOperation.upsert_points(points))
            old.close()
            del self._shards[space]
            shutil.rmtree(place)
            if new is not None:
                new.flush()
                new.close()
                part.rename(place)
                self._shards[space] = edge.EdgeShard.load(str(place))

    def nearest(self, space: str, query: list[float], limit: int, condition: Any) -> list[tuple[int, float]]:
        """Without the approximate graph."""
        request = edge.SearchRequest(
            query=edge.Query.Nearest(query),
            limit=limit,
            filter=condition,
            params=edge.SearchParams(exact=True),
        )
        with self._lock:
            return [(int(point.id), point.score) for point in self._shards[space].search(request)]

    def vectors(self, space: str, ids: Sequence[int]) -> list[tuple[int, list[float]]]:
        """Id and vector of some points."""
        with self._lock:
            found = self._shards[space].retrieve(list(ids), with_payload=False, with_vector=True)
        return [(int(one.id), _dense(one)) for one in found]

    def each(self, space: str) -> Iterator[tuple[int, list[float]]]:
        """Id and vector of all points."""
        if space in self._shards:
            for records in self._records(self._shards[space]):
                yield from ((int(one.id), _dense(one)) for one in records)

    def count(self, space: str, condition: Any) -> int:
        """How many points pass the condition."""
        with self._lock:
            return self._shards[space].count(edge.CountRequest(exact=True, filter=condition))

    def clear(self) -> None:
        """Drop every shard."""
        with self._lock:
            for space, shard in list(self._shards.items()):
                shard.close()
                shutil.rmtree(self.folder / space)
            self._shards.clear()

    def close(self) -> None:
        """Close the files."""
        with self._lock:
            for shard in self._shards.values():
                shard.close()
            self._shards.clear()

    def _new(self, place: Path, dim: int) -> edge.EdgeShard:
        place.mkdir(parents=True)
        size = edge.EdgeVectorParams(size=dim, distance=edge.Distance.Dot)
        return edge.EdgeShard.create(str(place), edge.EdgeConfig(vectors=size))

    def _records(self, shard: edge.EdgeShard) -> Iterator[list[edge.Record]]:
        offset: Any = None
        while True:
            request = edge.ScrollRequest(offset=offset, limit=READ, with_payload=True, with_vector=True)
            with self._lock:
                records, offset = shard.scroll(request)
            yield records
            if offset is None:
                return


def _dense(record: edge.Record) -> list[float]:
    """The one vector that our points have."""
    vector: Any = record.vector
    assert isinstance(vector, list)
    return vector
