"""The interface of a vector store, and the exact ranking of candidates that all stores share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float, Int

from irm.retrieval.catalog import Image, SpaceRow
from irm.retrieval.question import Filter
from omnireid.metrics.comparison import Comparison

ERROR = 2e-4  # generous bound on the difference between an external engine's float32 cosine and ours
MARGIN = 32  # hits that an external engine is asked for beyond those wanted


Vectors = tuple[Int[np.ndarray, " M"], Float[np.ndarray, "M D"]]  # ids, ascending, and a row each


@dataclass(frozen=True, eq=False)
class Found:
    """The nearest images of one query, nearest first; ties by the lower id."""

    ids: Int[np.ndarray, " K"]
    scores: Float[np.ndarray, " K"]  # cosine similarity in float64


class VectorStore(Protocol):
    """Where vectors are searched. The catalog is the record; every store can be rebuilt from it."""

    name: str

    def spaces(self) -> list[str]:
        """Ids of the spaces that it holds."""
        ...

    def upsert(self, space: SpaceRow, images: Sequence[Image], vectors: Float[np.ndarray, "N D"]) -> None:
        """Add the images' vectors, or replace them, with what filters need; durable when it returns."""
        ...

    def delete(self, ids: Sequence[int]) -> None:
        """Remove images from every space."""
        ...

    def get(self, space: SpaceRow, ids: Sequence[int]) -> Vectors:
        """The vectors of some images, by ascending id; images without one are left out."""
        ...

    def search(
        self, space: SpaceRow, queries: Float[np.ndarray, "Q D"], top: int, *, where: Filter, now: float
    ) -> list[Found]:
        """The exact nearest of each query among the images that pass the filter and have not expired."""
        ...

    def count(self, space: SpaceRow, *, where: Filter, now: float) -> int:
        """How many images a search with this filter looks at."""
        ...

    def digest(self, space: SpaceRow) -> str:
        """A hash of all ids and vectors of a space, equal for all stores with the same content."""
        ...

    def clear(self) -> None:
        """Forget everything."""
        ...

    def close(self) -> None:
        """Close files and connections."""
        ...


def settle(
    query: Float[np.ndarray, " D"], ids: Int[np.ndarray, " C"], vectors: Float[np.ndarray, "C D"], top: int
) -> Found:
    """The nearest of some candidates, in float64 and with the benchmark's order of ties.

    Args:
        query: Any norm.
        ids: Ascending.
        vectors: Of the candidates.
        top: How many are wanted.
    """
    return settle_each(query[None], [ids], ids, vectors, top)[0]


def settle_each(
    queries: Float[np.ndarray, "Q D"],
    candidates: Sequence[Int[np.ndarray, " C"]],
    ids: Int[np.ndarray, " M"],
    vectors: Float[np.ndarray, "M D"],
    top: int,
) -> list[Found]:
    """``settle`` for many queries, each with candidates of its own.

    Args:
        queries: Any norm.
        candidates: Ids for each query, ascending; ids without a vector are ignored.
        ids: Ids of the vectors, ascending.
        vectors: Of all candidates.
        top: How many are wanted for each query.
    """
    if not len(ids):
        return [Found(ids, np.empty(0)) for _ in candidates]
    sides = torch.from_numpy(np.array(queries, dtype=np.float32)), torch.from_numpy(np.array(vectors))
    comparison = Comparison(*sides, metric="cosine")
    settled = []
    for row, asked in enumerate(candidates):
        columns = np.searchsorted(ids[:-1], asked)
        columns = columns[ids[columns] == asked]
        exact = comparison.exact_pairs(np.full(len(columns), row), columns)
        order = exact.argsort(kind="stable")[:top]
        settled.append(Found(ids[columns][order], -exact[order]))
    return settled


def settle_from(
    nearest: Callable[[int], list[tuple[int, float]]],
    get: Callable[[list[int]], Vectors],
    query: Float[np.ndarray, " D"],
    top: int,
) -> Found:
    """``settle`` with an external engine's nearest, as many as surely include the exact ones.

    Args:
        nearest: Gives ids and cosines of so many images, best first.
        get: Gives the vectors of images.
        query: Any norm.
        top: How many are wanted.
    """
    limit = top + MARGIN
    while True:
        rows = nearest(limit)
        if len(rows) < limit or rows[-1][1] < rows[top - 1][1] - 2 * ERROR:
            return settle(query, *get([image for image, _ in rows]), top)
        limit *= 2


def digest_of(pairs: Iterable[tuple[int, Sequence[float] | Float[np.ndarray, " D"]]]) -> str:
    """A sum of hashes of ids and vectors, so that stores need not return them in order."""
    total = 0
    for image, vector in pairs:
        blob = np.asarray(vector, dtype="<f4").tobytes()
        total += int.from_bytes(hashlib.sha256(image.to_bytes(8, "little") + blob).digest()[:8], "little")
    return f"{total % 2**64:016x}"
