"""Pairs whose ranks are needed, and the bounds below which a product ranks before them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from omnireid.metrics.comparison import NEARLY, Comparison
from omnireid.metrics.identities import OwnPairs

SPACING = 8.0  # between queries on one common scale


@dataclass(frozen=True)
class Targets:
    """Own pairs that any protocol calls right: by query, nearest first; the hardest queries come first.

    A stranger whose product is below ``lows`` is closer than the target, one above ``highs`` is not; in
    between the exact distance decides.
    """

    rows: Int[np.ndarray, " q"]  # queries that are searched
    starts: Int[np.ndarray, " q+1"]  # where each query's targets begin
    owners: Int[np.ndarray, " T"]  # index into rows
    pairs: Int[np.ndarray, " T"]  # index into the own pairs
    columns: Int[np.ndarray, " T"]
    distances: Float[np.ndarray, " T"]  # exact
    lows: Float[np.ndarray, " T"]
    highs: Float[np.ndarray, " T"]


def find_targets(own: OwnPairs, comparison: Comparison, rows: Int[np.ndarray, " q"] | None = None) -> Targets:
    """The targets among own pairs: of the queries given, or of all that have any."""
    pairs = np.flatnonzero(own.right.any(axis=0))
    if rows is None:
        rows = np.unique(own.rows[pairs])
    scores = comparison.scores(own.rows[pairs], own.distances[pairs])
    owners = rows.searchsorted(own.rows[pairs])
    farthest = np.full(len(rows), -np.inf)
    np.maximum.at(farthest, owners, scores)
    hardest = np.argsort(-farthest, kind="stable")
    owners = hardest.argsort()[owners]
    order = owners.argsort(kind="stable")
    owners, pairs, scores = owners[order], pairs[order], scores[order]
    slack = comparison.key_slack(own.rows[pairs])
    return Targets(
        rows=rows[hardest],
        starts=owners.searchsorted(np.arange(len(rows) + 1)),
        owners=owners,
        pairs=pairs,
        columns=own.columns[pairs],
        distances=own.distances[pairs],
        lows=np.nextafter((scores - slack).astype(np.float32), np.float32(-np.inf)),
        highs=np.nextafter((scores + slack).astype(np.float32), np.float32(np.inf)),
    )


def first_right(targets: Targets, right: Bool[np.ndarray, " n"]) -> Int[np.ndarray, " q"]:
    """The nearest right target of each query; -1 where there is none."""
    found = right[targets.pairs].nonzero()[0]
    owners, first = np.unique(targets.owners[found], return_index=True)
    nearest = np.full(len(targets.rows), -1)
    nearest[owners] = found[first]
    return nearest


def settled(
    comparison: Comparison, targets: Targets, owners: Int[np.ndarray, " n"], columns: Int[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """Distances of some strangers that rank among their queries' targets as the exact ones do."""
    rows = targets.rows[owners]
    distances = comparison.nearly_exact_pairs(rows, columns)
    if distances is None:
        return comparison.exact_pairs(rows, columns)
    # One ascending list of all queries: a score lies within [-2, 2].
    scale = SPACING * targets.owners + comparison.scores(targets.rows[targets.owners], targets.distances)
    places = SPACING * owners + comparison.scores(rows, distances)
    above = scale.searchsorted(places)
    gaps = np.minimum(
        abs(scale[np.minimum(above, len(scale) - 1)] - places), abs(scale[np.maximum(above - 1, 0)] - places)
    )
    vague = (gaps < NEARLY).nonzero()[0]
    distances[vague] = comparison.exact_pairs(rows[vague], columns[vague])
    return distances
