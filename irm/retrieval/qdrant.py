"""A gallery's vectors in Qdrant: one store over two transports, a server or the engine in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, ClassVar, Protocol

import numpy as np
from jaxtyping import Float, Int

from instructions.errors import InputError
from irm.retrieval.catalog import Image, SpaceRow
from irm.retrieval.question import Filter
from irm.retrieval.vector_store import Found, Vectors, digest_of, settle_from

UNIT = 1e-3  # how far a vector's length may be from 1
Point = tuple[int, list[float], dict[str, Any]]


class Transport(Protocol):
    """What both kinds of Qdrant offer, in plain values; ``models`` holds their classes for filters."""

    models: ClassVar[dict[str, Any]]

    def spaces(self) -> list[str]:
        """Spaces that have a collection."""
        ...

    def upsert(self, space: SpaceRow, points: Sequence[Point]) -> None:
        """Add or replace points; durable when it returns."""
        ...

    def delete(self, space: str, ids: Sequence[int]) -> None:
        """Remove points."""
        ...

    def nearest(self, space: str, query: list[float], limit: int, condition: Any) -> list[tuple[int, float]]:
        """Id and score, best first, exactly."""
        ...

    def vectors(self, space: str, ids: Sequence[int]) -> list[tuple[int, list[float]]]:
        """Id and vector of some points."""
        ...

    def each(self, space: str) -> Iterator[tuple[int, list[float]]]:
        """Id and vector of all points."""
        ...

    def count(self, space: str, condition: Any) -> int:
        """How many points pass the condition."""
        ...

    def clear(self) -> None:
        """Drop every collection of the gallery."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class QdrantStore:
    """Scores are dot products of unit vectors; every vector is returned bit for bit."""

    def __init__(self, transport: Transport, name: str) -> None:
        self.transport, self.name = transport, name

    def spaces(self) -> list[str]:
        """Ids of the spaces that it holds."""
        return self.transport.spaces()

    def upsert(self, space: SpaceRow, images: Sequence[Image], vectors: Float[np.ndarray, "N D"]) -> None:
        """Add or replace.

        Raises:
            InputError: The vectors are not of length one, so that their dot products are no cosines.
        """
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        if len(vectors) and abs(np.linalg.norm(vectors, axis=1) - 1).max() > UNIT:
            raise InputError(
                "Qdrant compares unit vectors, but this gallery contains raw ones, from an earlier "
                "version; index again into another folder, or use the local store or PostgreSQL"
            )
        points = [
            (image.id, vector.tolist(), _payload(image))
            for image, vector in zip(images, vectors, strict=True)
        ]
        self.transport.upsert(space, points)

    def delete(self, ids: Sequence[int]) -> None:
        """Remove images from every space."""
        for space in self.transport.spaces():
            self.transport.delete(space, [int(one) for one in ids])

    def get(self, space: SpaceRow, ids: Sequence[int]) -> Vectors:
        """Vectors by ascending id."""
        found = sorted(self.transport.vectors(space.id, [int(one) for one in ids]))
        vectors = np.array([row[1] for row in found], dtype=np.float32).reshape(len(found), space.dim)
        return np.array([row[0] for row in found], dtype=np.int64), vectors

    def search(
        self, space: SpaceRow, queries: Float[np.ndarray, "Q D"], top: int, *, where: Filter, now: float
    ) -> list[Found]:
        """The engine's nearest, enough to surely include the exact nearest, then our exact order."""
        if space.id not in self.transport.spaces():
            nobody: Int[np.ndarray, " K"] = np.empty(0, dtype=np.int64)
            return [Found(nobody, np.empty(0)) for _ in queries]
        condition = condition_of(where, now, self.transport.models)

        def nearest(query: Float[np.ndarray, " D"], limit: int) -> list[tuple[int, float]]:
            unit = (query / max(float(np.linalg.norm(query)), 1e-12)).astype(np.float32).tolist()
            return self.transport.nearest(space.id, unit, limit, condition)

        get = partial(self.get, space)
        return [settle_from(partial(nearest, query), get, query, top) for query in queries]

    def count(self, space: SpaceRow, *, where: Filter, now: float) -> int:
        """How many images a search looks at."""
        if space.id not in self.transport.spaces():
            return 0
        return self.transport.count(space.id, condition_of(where, now, self.transport.models))

    def digest(self, space: SpaceRow) -> str:
        """Hash of what the engine holds."""
        return digest_of(self.transport.each(space.id))

    def clear(self) -> None:
        """Forget everything."""
        self.transport.clear()

    def close(self) -> None:
        """Close the connection."""
        self.transport.close()


def condition_of(where: Filter, now: float, models: dict[str, Any]) -> Any:
    """A filter as Qdrant has it; both transports name their classes' arguments alike."""
    field, match, between = models["FieldCondition"], models["MatchAny"], models["Range"]
    lists = {
        "camid": where.camids, "pid": where.pids, "dataset": where.datasets, "modality": where.modalities
    }  # fmt: skip
    must = [field(key=key, match=match(any=list(wanted))) for key, wanted in lists.items() if wanted]
    if where.since is not None or where.until is not None:
        must.append(field(key="taken", range=between(gte=where.since, lte=where.until)))
    # An image that never expires lacks this field, so the condition does not exclude it.
    return models["Filter"](must=must, must_not=[field(key="expires", range=between(lte=now))])


def _payload(image: Image) -> dict[str, Any]:
    facts = {
        "pid": image.pid, "camid": image.camid, "taken": image.taken, "dataset": image.dataset,
        "modality": image.modality, "expires": image.expires,
    }  # fmt: skip
    return {name: value for name, value in facts.items() if value is not None}
