"""Ranks of one query's right answers: counted without sorting, and exact although most distances are not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float, Int

Number = float | Float[np.ndarray, " G"]


class Distances(Protocol):
    """Distances of a block of queries to the gallery: approximate within a slack, exact on demand."""

    @property
    def values(self) -> Float[np.ndarray, "B G"]:
        """Distances to within the slack."""
        ...

    def slack(self, row: int) -> Number:
        """Bound on the error of a row's values."""
        ...

    def exact(self, row: int, columns: Int[np.ndarray, " M"]) -> Float[np.ndarray, " M"]:
        """Exact distances of some pairs."""
        ...


@dataclass(frozen=True)
class ExactDistances:
    """Distances given by a caller, taken as exact."""

    values: Float[np.ndarray, "B G"]

    def slack(self, row: int) -> Number:  # noqa: ARG002  the same for every row
        """Zero: the values are exact."""
        return 0.0

    def exact(self, row: int, columns: Int[np.ndarray, " M"]) -> Float[np.ndarray, " M"]:
        """The values themselves."""
        return self.values[row, columns]


@dataclass(frozen=True)
class QueryRanks:
    """Ranks of one query's right answers, nearest first, counted from 1."""

    ranks: Int[np.ndarray, " R"]  # among right and wrong answers
    raw_ranks: Int[np.ndarray, " R"]  # among all gallery images, junk too
    first: int  # of the first right answer as the CMC counts it


@dataclass(frozen=True)
class BlockRanks:
    """Ranks of the right answers of some queries, query by query, nearest first, counted from 1."""

    counts: Int[np.ndarray, " B"]  # right answers of each query
    ranks: Int[np.ndarray, " n"]
    raw_ranks: Int[np.ndarray, " n"]
    first: Int[np.ndarray, " B"]  # 0 where there is no right answer
    num_kept: Int[np.ndarray, " B"]  # right and wrong answers


def join_ranks(rows: Iterable[QueryRanks], num_kept: Int[np.ndarray, " B"]) -> BlockRanks:
    """Joins the ranks of single queries into a block."""
    rows = list(rows)
    nothing = np.zeros(0, dtype=np.int64)
    return BlockRanks(
        counts=np.array([len(row.ranks) for row in rows], dtype=np.int64),
        ranks=np.concatenate([nothing, *(row.ranks for row in rows)]),
        raw_ranks=np.concatenate([nothing, *(row.raw_ranks for row in rows)]),
        first=np.array([row.first for row in rows], dtype=np.int64),
        num_kept=num_kept.astype(np.int64),
    )


def rank_query(
    distances: Distances,
    row: int,
    right: Int[np.ndarray, " R"],
    keep: Bool[np.ndarray, " G"],
    *,
    identities: Int[np.ndarray, " G"] | None = None,
) -> QueryRanks:
    """Rank the right answers of a query: 1 + the number of images before each.

    Args:
        distances: Distances of the block that contains the query.
        row: The query's row in the block.
        right: Gallery indices of the right answers, ascending.
        keep: False at junk.
        identities: If given, ``first`` counts other identities instead of images.
    """
    if not len(right):
        return QueryRanks(right, right, 0)
    thresholds = distances.exact(row, right)
    order = thresholds.argsort(kind="stable")
    thresholds, right = thresholds[order], right[order]
    columns, values = _contenders(distances, row, thresholds, right)
    before = _right_before(values, columns, thresholds, right)
    kept = keep[columns]
    hits = np.arange(1, len(right) + 1)
    closer = np.bincount(before[kept], minlength=len(right) + 1)[:-1].cumsum()
    closer_raw = np.bincount(before, minlength=len(right) + 1)[:-1].cumsum()
    first = int(closer[0]) + 1
    if identities is not None:
        first = len(np.unique(identities[columns[kept & (before == 0)]])) + 1
    return QueryRanks(closer + hits, closer_raw + hits, first)


def _contenders(
    distances: Distances, row: int, thresholds: Float[np.ndarray, " R"], right: Int[np.ndarray, " R"]
) -> tuple[Int[np.ndarray, " M"], Float[np.ndarray, " M"]]:
    """Gallery images other than right answers that may rank before the last right one, and their distances.

    Distances whose slack does not decide on which side of a threshold they are get replaced by exact ones.
    """
    values, slack = distances.values[row], distances.slack(row)
    number = values.dtype.type
    # The limit is rounded up to the precision of the row, which is then compared without conversion.
    limit = np.nextafter(number(thresholds[-1] + np.max(slack)), number(np.inf))
    close = values <= limit
    close[right] = False
    columns = close.nonzero()[0]
    values = values[columns].astype(thresholds.dtype, copy=False)
    slack = slack if isinstance(slack, float) else slack[columns]
    nearest = thresholds[np.maximum(thresholds.searchsorted(values + slack, side="right") - 1, 0)]
    doubtful = (abs(nearest - values) <= slack).nonzero()[0]
    if len(doubtful):
        values[doubtful] = distances.exact(row, columns[doubtful])
    return columns, values


def _right_before(
    values: Float[np.ndarray, " M"],
    columns: Int[np.ndarray, " M"],
    thresholds: Float[np.ndarray, " R"],
    right: Int[np.ndarray, " R"],
) -> Int[np.ndarray, " M"]:
    """Number of right answers before each contender: closer ones, and equally close ones of lower index."""
    before = thresholds.searchsorted(values, side="right")
    tied = (thresholds[np.maximum(before - 1, 0)] == values).nonzero()[0]
    if len(tied):
        # Equal thresholds form a group; (group, gallery index) as one integer orders a row without doubt.
        group = np.concatenate([[0], (np.diff(thresholds) > 0).cumsum()])
        stride = int(max(right.max(), columns.max())) + 1
        keys = group * stride + right
        before[tied] = keys.searchsorted(group[before[tied] - 1] * stride + columns[tied])
    return before
