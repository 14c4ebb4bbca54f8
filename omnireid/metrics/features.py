"""All distances between features, a block of queries at a time, for callers that need more than ranks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from omnireid.metrics.comparison import Comparison, Metric
from omnireid.metrics.identities import subset
from omnireid.metrics.judging import LabelArrays, RankingProtocol
from omnireid.metrics.query_ranks import Number
from omnireid.metrics.ranking import Array, row_blocks
from omnireid.metrics.streaming import check_lengths
from omnireid.metrics.tiles import WIDTH


class Block(NamedTuple):
    """The search of a block of queries: all distances and the judgement of each pair."""

    rows: slice
    distances: ApproximateDistances
    relevant: Bool[np.ndarray, "B G"]
    keep: Bool[np.ndarray, "B G"]


def search(
    query_features: Array,
    gallery_features: Array,
    query: LabelArrays,
    gallery: LabelArrays,
    protocol: RankingProtocol,
    *,
    metric: Metric = "cosine",
    block: int | None = None,
) -> Iterator[Block]:
    """Blocks of queries in order, judged, with distances exact enough to rank (see ``Comparison``)."""
    check_lengths(query_features, gallery_features, query, gallery)
    comparison = Comparison(query_features, gallery_features, metric=metric)
    for rows in row_blocks(len(query_features), len(gallery_features), block):
        yield Block(
            rows, approximate_distances(comparison, rows), *protocol.judge(subset(query, rows), gallery)
        )


@dataclass(frozen=True)
class ApproximateDistances:
    """A block of a matrix product and the features it was computed from (``places.Distances``)."""

    values: Float[np.ndarray, "B G"]
    start: int
    comparison: Comparison

    def slack(self, row: int) -> Number:
        """Bound on the error of the values of a row."""
        return float(self.comparison.distance_slack(np.array([self.start + row]))[0])

    def exact(self, row: int, columns: Int[np.ndarray, " M"]) -> Float[np.ndarray, " M"]:
        """Float64 distances of some pairs."""
        return self.comparison.exact(np.array([self.start + row]), columns)[0]


def approximate_distances(comparison: Comparison, rows: slice) -> ApproximateDistances:
    """Distances of some queries to the whole gallery, by a matrix product."""
    query, num_gallery = comparison.query_rows(rows), len(comparison.gallery)
    values = query.new_empty(len(query), num_gallery)
    for columns in row_blocks(num_gallery, 1, WIDTH):
        product = query @ comparison.gallery_rows(columns).T
        addends = comparison.addends(columns)
        values[:, columns] = product if addends is None else product + addends
    return ApproximateDistances(comparison.distances(values, rows), rows.start, comparison)
