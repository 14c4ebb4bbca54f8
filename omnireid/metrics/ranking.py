"""Exact CMC, mAP and mINP from distances and two masks, without sorting a row (docs/protocols.md)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int
from torch import Tensor

from instructions.errors import InputError
from omnireid.metrics.averages import Compat, average_precisions, check_compat, mean
from omnireid.metrics.query_ranks import BlockRanks, Distances, ExactDistances, join_ranks, rank_query

Array = np.ndarray | Tensor
CELLS = 1 << 21  # distances processed at a time: bounds the memory of a block
# Fields of a Ranking that hold a number for each query.
BY_QUERY = "average_precision", "inverse_negative_penalty", "first_match", "num_relevant", "num_kept"


@dataclass(frozen=True)
class Ranking:
    """How well the right answers of each query were ranked; shares in [0, 1].

    Per-query arrays have a row for every query; queries without a right answer have nan or 0 there and do not
    enter the averages.
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

    def take(self, queries: Int[np.ndarray, " Q"]) -> Ranking:
        """The same ranking with its queries in another order."""
        return replace(self, **{name: getattr(self, name)[queries] for name in BY_QUERY})


class RankingBuilder:
    """Builds a Ranking from blocks of queries in order, so that the whole distmat need not be held."""

    def __init__(
        self,
        *,
        max_rank: int = 50,
        ap_topk: int | None = None,
        identities: Int[np.ndarray, " G"] | None = None,
        compat: Compat | None = None,
    ) -> None:
        """Arguments as in ``rank``."""
        if max_rank < 1 or (ap_topk is not None and ap_topk < 1):
            raise InputError(f"max_rank is {max_rank} and ap_topk is {ap_topk}; both must be at least 1")
        check_compat(compat)
        self._max_rank = max_rank
        self._ap_topk = ap_topk
        self._identities = None if identities is None else np.asarray(identities)
        self._compat: Compat | None = compat
        self._num_queries = 0
        self._scored: list[dict[str, np.ndarray]] = []

    def add(
        self, distances: Distances, relevant: Bool[np.ndarray, "B G"], keep: Bool[np.ndarray, "B G"]
    ) -> None:
        """Rank a block of queries."""
        finite = np.isfinite(distances.values).all(axis=1)
        if not finite.all():
            row = self._num_queries + int(finite.argmin())
            raise InputError(f"distances of query {row} hold NaN or infinity; a ranking needs finite numbers")
        right = relevant & keep
        rows = (
            rank_query(distances, row, right[row].nonzero()[0], keep[row], identities=self._identities)
            for row in range(len(right))
        )
        self.add_ranks(join_ranks(rows, keep.sum(axis=1)))

    def add_ranks(self, block: BlockRanks) -> None:
        """Add a block of queries whose right answers are ranked already; only their scores are kept."""
        counts, has_answer = block.counts, block.counts > 0
        found = counts
        if self._ap_topk is not None:
            owners = np.repeat(np.arange(len(counts)), counts)
            found = np.bincount(owners[block.raw_ranks <= self._ap_topk], minlength=len(counts))
        penalty = np.full(len(counts), np.nan)
        penalty[has_answer] = counts[has_answer] / block.ranks[counts.cumsum()[has_answer] - 1]
        self._scored.append(
            {
                "average_precision": average_precisions(
                    block.ranks, counts, found, block.num_kept, compat=self._compat
                ),
                "inverse_negative_penalty": penalty,
                "first_match": np.where(found > 0, block.first, 0),
                "num_relevant": counts,
                "num_kept": block.num_kept,
            }
        )
        self._num_queries += len(counts)

    def ranking(self) -> Ranking:
        """The Ranking of every query added so far."""
        nothing = np.zeros(0, dtype=np.int64)
        by_query = {
            name: np.concatenate([nothing, *(scored[name] for scored in self._scored)]) for name in BY_QUERY
        }
        first = by_query["first_match"]
        matched = np.bincount(first[first <= self._max_rank], minlength=self._max_rank + 1)[1:]
        num_valid = int((by_query["num_relevant"] > 0).sum())
        cmc = matched.cumsum() / num_valid if num_valid else np.full(self._max_rank, np.nan)
        return Ranking(
            cmc=cmc if self._compat is None else cmc.astype(np.float32),
            mean_ap=mean(by_query["average_precision"], compat=self._compat),
            mean_inp=mean(by_query["inverse_negative_penalty"]),
            **by_query,
        )


def rank(
    distmat: Array,
    relevant: Array,
    keep: Array,
    *,
    max_rank: int = 50,
    ap_topk: int | None = None,
    identities: Int[np.ndarray, " G"] | None = None,
    compat: Compat | None = None,
) -> Ranking:
    """Exact CMC, mAP and mINP of a (Q G) distance matrix; equal distances rank the lower gallery index first.

    Args:
        distmat: Distances, smaller is closer; compared as they are.
        relevant: True at right answers.
        keep: False at junk: pairs that are left out as if the gallery did not hold them.
        max_rank: Number of ranks of the CMC; past the end of a small gallery it stays constant.
        ap_topk: The AP of the released IRM evaluator: only the first ``ap_topk`` ranks, including junk,
            enter, and precision is averaged over the right answers among them. None is the full AP.
        identities: Identity of each gallery image; if given, the CMC counts an identity once, at its best
            image.
        compat: The evaluator whose averages are reproduced bit for bit, provided that it sorts stably:
            torchreid's Python or Cython one. None rounds each average once.

    Raises:
        InputError: Shapes disagree, a side is empty, a distance is not finite, or an option is unknown.

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
    builder = RankingBuilder(max_rank=max_rank, ap_topk=ap_topk, identities=identities, compat=compat)
    for rows in row_blocks(*shapes[0]):
        masks = (_array(mask[rows]).astype(bool, copy=False) for mask in (relevant, keep))
        builder.add(ExactDistances(_floats(_array(distmat[rows]))), *masks)
    return builder.ranking()


def row_blocks(num_rows: int, num_columns: int, block: int | None = None) -> Iterator[slice]:
    """Slices of rows, small enough that the memory of work on one of them is bounded."""
    size = block or max(1, CELLS // max(1, num_columns))
    return (slice(start, min(start + size, num_rows)) for start in range(0, num_rows, size))


def _array(array: Array) -> np.ndarray:
    if isinstance(array, Tensor):
        array = array.detach().cpu()
        # numpy knows no bfloat16
        return (array.float() if array.is_floating_point() and array.element_size() < 4 else array).numpy()
    return array


def _floats(values: np.ndarray) -> np.ndarray:
    """The matrix in float32 or float64, without changing a number."""
    if values.dtype in (np.float32, np.float64):
        return values
    return values.astype(np.float32 if values.dtype == np.float16 else np.float64)
