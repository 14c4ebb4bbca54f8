"""Qdrant over the network: one collection per space of a gallery."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from qdrant_client import QdrantClient, models

from instructions.errors import InputError
from irm.retrieval.catalog import SpaceRow
from irm.retrieval.qdrant import Point

READ = 1000


class ServerTransport:
    """Collections are named after the gallery and the space."""

    models: ClassVar[dict[str, Any]] = {
        "Filter": models.Filter,
        "FieldCondition": models.FieldCondition,
        "MatchAny": models.MatchAny,
        "Range": models.Range,
    }

    def __init__(self, client: QdrantClient, name: str) -> None:
        self.client, self.prefix = client, f"{name}-"

    def spaces(self) -> list[str]:
        """Spaces that have a collection."""
        names = [one.name for one in self.client.get_collections().collections]
        return [name.removeprefix(self.prefix) for name in names if name.startswith(self.prefix)]

    def upsert(self, space: SpaceRow, points: Sequence[Point]) -> None:
        """Add or replace; waits until the server has it."""
        if space.id not in self.spaces():
            size = models.VectorParams(size=space.dim, distance=models.Distance.DOT)
            self.client.create_collection(self.prefix + space.id, vectors_config=size)
        self.client.upsert(
            self.prefix + space.id,
            [models.PointStruct(id=id_, vector=vector, payload=facts) for id_, vector, facts in points],
            wait=True,
        )

    def delete(self, space: str, ids: Sequence[int]) -> None:
        """Remove; the server's optimiser rewrites its files when it next runs."""
        self.client.delete(self.prefix + space, models.PointIdsList(points=list(ids)), wait=True)

    def nearest(self, space: str, query: list[float], limit: int, condition: Any) -> list[tuple[int, float]]:
        """Without the approximate graph."""
        answer = self.client.query_points(
            self.prefix + space,
            query=query,
            limit=limit,
            query_filter=condition,
            search_params=models.SearchParams(exact=True),
            with_payload=False,
        )
        return [(int(point.id), point.score) for point in answer.points]

    def vectors(self, space: str, ids: Sequence[int]) -> list[tuple[int, list[float]]]:
        """Id and vector of some points."""
        points = self.client.retrieve(self.prefix + space, list(ids), with_payload=False, with_vectors=True)
        return [(int(point.id), point.vector) for point in points]  # type: ignore[misc]  # one dense vector

    def each(self, space: str) -> Iterator[tuple[int, list[float]]]:
        """Id and vector of all points."""
        offset: Any = None
        while True:
            points, offset = self.client.scroll(
                self.prefix + space, limit=READ, offset=offset, with_payload=False, with_vectors=True
            )
            for point in points:
                yield int(point.id), point.vector  # type: ignore[misc]
            if offset is None:
                return

    def count(self, space: str, condition: Any) -> int:
        """How many points pass the condition."""
        return self.client.count(self.prefix + space, count_filter=condition, exact=True).count

    def clear(self) -> None:
        """Drop the gallery's collections."""
        for space in self.spaces():
            self.client.delete_collection(self.prefix + space)

    def close(self) -> None:
        """Close the connection."""
        self.client.close()


def connect(address: str, name: str) -> ServerTransport:
    """Connect to a server.

    Raises:
        InputError: It does not answer.
    """
    client = QdrantClient(
        url=address, api_key=os.environ.get("QDRANT_API_KEY"), timeout=30, check_compatibility=False
    )
    try:
        client.get_collections()
    except Exception as error:  # the client raises its own, httpx's and pydantic's
        client.close()
        raise InputError(f"no Qdrant server responds at {address}: {error}") from error
    return ServerTransport(client, name)
