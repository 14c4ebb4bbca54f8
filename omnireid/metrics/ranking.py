"""CMC, mAP and mINP from distances and two masks, exactly, without sorting a row (docs/protocols.md)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from torch import Tensor

from instructions.errors import InputError
from omnireid.metrics.places import Distances, Given, Places, place

Array = np.ndarray | Tensor
CELLS = 1 << 21  # distances looked at together: bounds the memory of a block


@dataclass(frozen=True)
class Ranking:
    """How well the right answers of each query were ranked; shares in [0, 1].

    Per-query arrays hold one row a query, also for queries without an answer: nan or 0 there, and not
    counted.
    """

    cmc: Float[np.ndarray, " K"]  # share of queries whose first right answer is among the first k
    mean_ap: float  # nan where no query has an answer
    mean_inp: float
    average_precision: Float[np.ndarray, " Q"]
    inverse_negative_penalty: Float[np.ndarray, " Q"]
    first_match: Int[np.ndarray, " Q"]  # rank of the first right answer in the CMC; 0 where none was found
    num_relevant: Int[np.ndarray, " Q"]
    num_kept: Int[np.ndarray, " Q"]  # gallery images that count for the query: right and wrong ones

    @property
    def num_valid_queries(self) -> int:
        """Queries with at least one right answer."""
        return int((self.num_relevant > 0).sum())


@dataclass(frozen=True)
class _Row:
    """One query's line of a Ranking."""

    average_precision: float = math.nan
    inverse_negative_penalty: float = math.nan
    first_match: int = 0
    num_relevant: int = 0
    num_kept: int = 0


class RankingBuilder:
    """Takes blocks of queries in order and gives their Ranking; nobody need hold a whole distmat."""

    def __init__(
        self,
        *,
        max_rank: int = 50,
        ap_topk: int | None = None,
        identities: Int[np.ndarray, " G"] | None = None,
    ) -> None:
        """Arguments as in ``rank``."""
        if max_rank < 1 or (ap_topk is not None and ap_topk < 1):
            raise InputError(f"max_rank is {max_rank} and ap_topk is {ap_topk}; both count from 1")
        self._max_rank = max_rank
        self._ap_topk = ap_topk
        self._identities = None if identities is None else np.asarray(identities)
        self._rows: list[_Row] = []

    def add(
        self, distances: Distances, relevant: Bool[np.ndarray, "B G"], keep: Bool[np.ndarray, "B G"]
    ) -> None:
        """Rank a block of queries."""
        finite = np.isfinite(distances.values).all(axis=1)
        if not finite.all():
            row = len(self._rows) + int(finite.argmin())
            raise InputError(f"distances of query {row} hold NaN or infinity; a ranking needs finite numbers")
        right = relevant & keep
        num_kept = keep.sum(axis=1)
        for row in range(len(right)):
            columns = right[row].nonzero()[0]
            if len(columns):
                places = place(distances, row, columns, keep[row], identities=self._identities)
                self._rows.append(self._score(places, int(num_kept[row])))
            else:
                self._rows.append(_Row(num_kept=int(num_kept[row])))

    def ranking(self) -> Ranking:
        """The Ranking of every query added so far."""
        precision = np.array([row.average_precision for row in self._rows], dtype=np.float64)
        penalty = np.array([row.inverse_negative_penalty for row in self._rows], dtype=np.float64)
        first = np.array([row.first_match for row in self._rows], dtype=np.int64)
        num_relevant = np.array([row.num_relevant for row in self._rows], dtype=np.int64)
        num_valid = int((num_relevant > 0).sum())
        matched = np.bincount(first[first <= self._max_rank], minlength=self._max_rank + 1)[1:]
        return Ranking(
            cmc=matched.cumsum() / num_valid if num_valid else np.full(self._max_rank, np.nan),
            mean_ap=_mean(precision),
            mean_inp=_mean(penalty),
            average_precision=precision,
            inverse_negative_penalty=penalty,
            first_match=first,
            num_relevant=num_relevant,
            num_kept=np.array([row.num_kept for row in self._rows], dtype=np.int64),
        )

    def _score(self, places: Places, num_kept: int) -> _Row:
        num_relevant = len(places.ranks)
        found = num_relevant if self._ap_topk is None else int((places.raw_ranks <= self._ap_topk).sum())
        # fsum rounds once, so that no order of additions is anybody's choice.
        precisions = (np.arange(1, found + 1) / places.ranks[:found]).tolist()
        return _Row(
            average_precision=math.fsum(precisions) / max(found, 1),
            inverse_negative_penalty=num_relevant / int(places.ranks[-1]),
            first_match=places.first if found else 0,
            num_relevant=num_relevant,
            num_kept=num_kept,
        )


def rank(
    distmat: Array,
    relevant: Array,
    keep: Array,
    *,
    max_rank: int = 50,
    ap_topk: int | None = None,
    identities: Int[np.ndarray, " G"] | None = None,
) -> Ranking:
    """Exact CMC, mAP and mINP of a (Q G) distance matrix; equal distances rank the lower gallery index first.

    Args:
        distmat: Distances, smaller is closer; compared as they are.
        relevant: True at right answers.
        keep: False at junk: pairs that are left out as if the gallery did not hold them.
        max_rank: How far the CMC goes; past the end of a small gallery it stays level.
        ap_topk: The released IRM evaluator's AP: only the first ``ap_topk`` ranks, junk among them, are
            looked at, and precision is averaged over the answers found there. None is the full AP.
        identities: Identity of each gallery image; where given, the CMC counts an identity once, at its best
            image.

    Raises:
        InputError: Shapes disagree, a side is empty, or a distance is not finite.

    >>> ranking = rank(np.array([[0.3, 0.1, 0.2]]), np.array([[True, False, True]]), np.ones((1, 3), bool))
    >>> ranking.cmc[:2].tolist(), round(ranking.mean_ap, 4)
    ([0.0, 1.0], 0.5833)
    """
    shapes = [tuple(array.shape) for array in (distmat, relevant, keep)]
    if len(set(shapes)) != 1 or len(shapes[0]) != 2:
        raise InputError(
            f"distmat, relevant and keep have shapes {shapes}; all must be (queries, gallery), the same"
        )
    if 0 in shapes[0]:
        raise InputError(f"nothing to rank: the shape of distmat is {shapes[0]}")
    builder = RankingBuilder(max_rank=max_rank, ap_topk=ap_topk, identities=identities)
    for rows in row_blocks(*shapes[0]):
        masks = (_array(mask[rows]).astype(bool, copy=False) for mask in (relevant, keep))
        builder.add(Given(_floats(_array(distmat[rows]))), *masks)
    return builder.ranking()


def row_blocks(num_rows: int, num_columns: int, block: int | None = None) -> Iterator[slice]:
    """Slices of rows that bound the memory of what is done to them."""
    size = block or max(1, CELLS // max(1, num_columns))
    return (slice(start, min(start + size, num_rows)) for start in range(0, num_rows, size))


def _mean(values: Float[np.ndarray, " Q"]) -> float:
    """Mean of what is not nan, rounded once, so that the order of the queries changes no bit."""
    valid = values[~np.isnan(values)].tolist()
    return math.fsum(valid) / len(valid) if valid else math.nan


def _array(array: Array) -> np.ndarray:
    if isinstance(array, Tensor):
        array = array.detach().cpu()
        # numpy knows no bfloat16
        return (array.float() if array.is_floating_point() and array.element_size() < 4 else array).numpy()
    return array


def _floats(values: np.ndarray) -> np.ndarray:
    """Float32 or float64, and no number changed."""
    if values.dtype in (np.float32, np.float64):
        return values
    return values.astype(np.float32 if values.dtype == np.float16 else np.float64)
