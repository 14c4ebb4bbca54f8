"""One draw of a protocol, judged: its ranking, and the head of each ranked list."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from omnireid.extraction import Features
from omnireid.metrics import Distances, Metric, Ranking, RankingBuilder, nearest_exactly, search
from omnireid.protocols import Protocol
from omnireid.re_scoring import ReScorer

NUM_SHOWN = 10  # of each ranked list, for pictures


@dataclass(frozen=True, eq=False)
class Trial:
    """What one draw scored; rows of queries and gallery are those of the split."""

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
) -> Trial:
    """Draw, search and rank, a block of queries at a time."""
    query_rows, gallery_rows = protocol.draw(query.labels, gallery.labels, trial)
    labels = query.labels.take(query_rows), gallery.labels.take(gallery_rows)
    vectors = query.vectors[torch.from_numpy(query_rows)], gallery.vectors[torch.from_numpy(gallery_rows)]
    builder = RankingBuilder(
        ap_topk=protocol.ap_topk, identities=labels[1].pids if protocol.cmc == "identity" else None
    )
    shown = np.full((len(query), NUM_SHOWN), -1, dtype=np.int64)
    shown_right = np.zeros(shown.shape, dtype=bool)
    for block in search(*vectors, *labels, protocol, metric=metric):
        rows = query_rows[block.rows]
        distances: Distances = block.distances
        if re_scorer is not None:
            distances = re_scorer.apply(distances, rows, gallery_rows)
        keep = protocol.thin(labels[1], block.keep, rows, trial)
        builder.add(distances, block.relevant, keep)
        for row, query_row in enumerate(rows):
            head = nearest_exactly(distances, row, NUM_SHOWN, keep[row])
            shown[query_row, : len(head)] = gallery_rows[head]
            shown_right[query_row, : len(head)] = block.relevant[row, head]
    return Trial(builder.ranking(), query_rows, len(gallery_rows), shown, shown_right)


def query_means(
    num_queries: int, trials: Sequence[Trial], value: Callable[[Ranking], Float[np.ndarray, " q"]]
) -> Float[np.ndarray, " Q"]:
    """A value of each query, averaged over the draws in which it had an answer; nan where it never had."""
    sums, times = np.zeros(num_queries), np.zeros(num_queries, dtype=np.int64)
    for trial in trials:
        answered = trial.ranking.num_relevant > 0
        sums[trial.query_rows[answered]] += value(trial.ranking)[answered]
        times[trial.query_rows[answered]] += 1
    return np.where(times > 0, sums / np.maximum(times, 1), math.nan)
