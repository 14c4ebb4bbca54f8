"""One trial (draw) of a protocol: its ranking, and the head of each ranked list."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from omnireid.extraction import Features
from omnireid.metrics import (
    Distances,
    ExactDistances,
    Metric,
    RankedLists,
    Ranking,
    RankingBuilder,
    ReRanking,
    nearest_exactly,
    ranked_lists,
    re_rank_blocks,
    search,
)
from omnireid.protocols import Protocol
from omnireid.re_scoring import ReScorer
from omnireid.records import Labels

NUM_SHOWN = 10  # of each ranked list, to be drawn
Arrange = Callable[[Distances, slice], Distances]  # replaces the distances of a block of drawn queries


@dataclass(frozen=True, eq=False)
class Trial:
    """The result of one draw; rows of queries and gallery are those of the split."""

    ranking: Ranking  # of the drawn queries, in their order
    query_rows: Int[np.ndarray, " q"]
    num_gallery: int
    shown: Int[np.ndarray, "Q T"]  # gallery rows, nearest first, junk left out; -1 past the end
    shown_right: Bool[np.ndarray, "Q T"]


def run_trial(
    query: Features,
    gallery: Features,
    protocol: Protocol,
    trial: int,
    *,
    metric: Metric = "cosine",
    re_scorer: ReScorer | None = None,
    re_ranking: ReRanking | None = None,
) -> Trial:
    """Draw, search and rank, a block of queries at a time; with a second stage or re-ranking if given."""
    query_rows, gallery_rows = protocol.draw(query.labels, gallery.labels, trial)
    sides = _Side.drawn(query, query_rows), _Side.drawn(gallery, gallery_rows)
    arrange: Arrange | None = None
    if re_scorer is not None:
        arrange = _re_scored(re_scorer, query_rows, gallery_rows)
    elif re_ranking is not None:
        arrange = _re_ranked(*sides, metric, re_ranking)
    # Both change the list of each query, for which its distances to the whole gallery are needed.
    if arrange is not None or protocol.thinned is not None:
        lists = _one_by_one(*sides, protocol, trial, metric=metric, arrange=arrange)
    else:
        asking, asked = sides
        lists = ranked_lists(
            asking.vectors,
            asked.vectors,
            asking.labels,
            asked.labels,
            protocol,
            head=NUM_SHOWN,
            metric=metric,
        )
    shown = np.full((len(query), NUM_SHOWN), -1, dtype=np.int64)
    shown[query_rows] = np.where(lists.head >= 0, gallery_rows[lists.head], -1)
    shown_right = np.zeros(shown.shape, dtype=bool)
    shown_right[query_rows] = lists.right
    return Trial(lists.ranking, query_rows, len(gallery_rows), shown, shown_right)


@dataclass(frozen=True, eq=False)
class _Side:
    """The drawn part of one side."""

    rows: Int[np.ndarray, " n"]
    vectors: Float[Tensor, "n D"]
    labels: Labels

    @classmethod
    def drawn(cls, side: Features, rows: Int[np.ndarray, " n"]) -> _Side:
        """Some rows of a side; not copied if these are all rows."""
        whole = np.array_equal(rows, np.arange(len(side)))
        return cls(
            rows, side.vectors if whole else side.vectors[torch.from_numpy(rows)], side.labels.take(rows)
        )


def _re_scored(
    re_scorer: ReScorer, query_rows: Int[np.ndarray, " q"], gallery_rows: Int[np.ndarray, " g"]
) -> Arrange:
    return lambda distances, rows: re_scorer.apply(distances, query_rows[rows], gallery_rows)


def _re_ranked(query: _Side, gallery: _Side, metric: Metric, how: ReRanking) -> Arrange:
    """Re-ranking by k-reciprocal neighbours within the draw, on unit vectors if the metric is cosine."""
    asking, asked = (
        side.vectors if metric == "euclidean" else F.normalize(side.vectors) for side in (query, gallery)
    )
    blocks = re_rank_blocks(asking, asked, how.k1, how.k2, how.lambda_value)

    def arrange(_: Distances, rows: slice) -> Distances:
        found, values = next(blocks)
        assert found == rows
        return ExactDistances(values.numpy())

    return arrange


def _one_by_one(
    query: _Side, gallery: _Side, protocol: Protocol, trial: int, *, metric: Metric, arrange: Arrange | None
) -> RankedLists:
    """Rank each query's distances, a block of queries at a time."""
    identities = gallery.labels.pids if protocol.cmc == "identity" else None
    builder = RankingBuilder(ap_topk=protocol.ap_topk, identities=identities)
    shown = np.full((len(query.rows), NUM_SHOWN), -1, dtype=np.int64)
    right = np.zeros(shown.shape, dtype=bool)
    sides = query.vectors, gallery.vectors, query.labels, gallery.labels
    for block in search(*sides, protocol, metric=metric):
        rows = query.rows[block.rows]
        distances: Distances = block.distances
        if arrange is not None:
            distances = arrange(distances, block.rows)
        keep = protocol.thin(gallery.labels, block.keep, rows, trial)
        builder.add(distances, block.relevant, keep)
        for row, place in enumerate(range(block.rows.start, block.rows.stop)):
            head = nearest_exactly(distances, row, NUM_SHOWN, keep[row])
            shown[place, : len(head)] = head
            right[place, : len(head)] = block.relevant[row, head]
    return RankedLists(builder.ranking(), shown, right)


def query_means(
    num_queries: int, trials: Sequence[Trial], value: Callable[[Ranking], Float[np.ndarray, " q"]]
) -> Float[np.ndarray, " Q"]:
    """A value of each query, averaged over the draws in which it had an answer; nan if it never had one."""
    sums, times = np.zeros(num_queries), np.zeros(num_queries, dtype=np.int64)
    for trial in trials:
        answered = trial.ranking.num_relevant > 0
        sums[trial.query_rows[answered]] += value(trial.ranking)[answered]
        times[trial.query_rows[answered]] += 1
    return np.where(times > 0, sums / np.maximum(times, 1), math.nan)
