"""Pairs whose ranks are asked for, and the values that a product must stay below to stand before them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from omnireid.metrics.comparison import Comparison
from omnireid.metrics.identities import OwnPairs

SPACING = 8.0  # between the scores of one query and the next; scores lie within [-2.1, 2.1]
KEY_ROUNDING = 2.0**-36  # of a score that was moved by the spacing of at most 2 ** 13 queries


@dataclass(frozen=True)
class Targets:
    """Own pairs that some protocol calls right: by query, nearest first; the hardest queries come first.

    A stranger whose product lies below ``lows`` is closer than the target, one above ``highs`` is not; in
    between the exact distance decides.
    """

    rows: Int[np.ndarray, " q"]  # queries that have targets
    starts: Int[np.ndarray, " q+1"]  # where each query's targets begin
    owners: Int[np.ndarray, " T"]  # index into rows
    pairs: Int[np.ndarray, " T"]  # index into the own pairs
    columns: Int[np.ndarray, " T"]
    distances: Float[np.ndarray, " T"]  # exact
    lows: Float[np.ndarray, " T"]
    highs: Float[np.ndarray, " T"]

    @property
    def from_last(self) -> Int[np.ndarray, " T"]:
        """How many targets of the query are farther."""
        return self.starts[self.owners + 1] - 1 - np.arange(len(self.owners))


def find_targets(own: OwnPairs, comparison: Comparison) -> Targets:
    """The targets among own pairs."""
    pairs = np.flatnonzero(own.right.any(axis=0))
    rows, counts = np.unique(own.rows[pairs], return_counts=True)
    scores = comparison.scores(own.rows[pairs], own.distances[pairs])
    farthest = scores[counts.cumsum() - 1]
    hardest = np.argsort(-farthest, kind="stable")
    place = np.empty_like(hardest)
    place[hardest] = np.arange(len(hardest))
    owners = np.repeat(place, counts)
    order = owners.argsort(kind="stable")
    owners, pairs, scores = owners[order], pairs[order], scores[order]
    rows = rows[hardest]
    slack = comparison.slack(rows)[owners] + KEY_ROUNDING
    number = np.float32 if comparison.dtype == torch.float32 else np.float64
    return Targets(
        rows=rows,
        starts=np.concatenate([[0], counts[hardest].cumsum()]),
        owners=owners,
        pairs=pairs,
        columns=own.columns[pairs],
        distances=own.distances[pairs],
        lows=np.nextafter((scores - slack).astype(number), number(-np.inf)),
        highs=np.nextafter((scores + slack).astype(number), number(np.inf)),
    )


def first_right(targets: Targets, right: Bool[np.ndarray, " n"]) -> Int[np.ndarray, " q"]:
    """Nearest target of each query among the own pairs that are right; -1 where there is none."""
    found = right[targets.pairs].nonzero()[0]
    owners, first = np.unique(targets.owners[found], return_index=True)
    nearest = np.full(len(targets.rows), -1)
    nearest[owners] = found[first]
    return nearest


class Edges:
    """Lows and highs of all targets on one line, each query's apart; a product's slot tells its place."""

    def __init__(self, targets: Targets) -> None:
        num, apart = len(targets.owners), targets.owners * SPACING
        edges = np.concatenate([targets.lows + apart, targets.highs + apart])
        order = edges.argsort(kind="stable")
        self.values = edges[order]
        is_low = order < num
        slots = np.empty_like(order)
        slots[order] = np.arange(2 * num)
        self._low_slots, self._starts = slots[:num], 2 * targets.starts[targets.owners]
        # By slot: targets before whose low, and before whose high, a product of the slot does not stand.
        self.past_lows = np.concatenate([[0], is_low.cumsum()])
        self.past_highs = np.arange(2 * num + 1) - self.past_lows
        self.is_doubtful: Bool[np.ndarray, " S"] = self.past_highs < self.past_lows

    def num_below(self, counts: Int[np.ndarray, " S"]) -> Int[np.ndarray, " T"]:
        """Products below each target's low, from how many each slot holds."""
        before = np.concatenate([[0], counts.cumsum()])
        return before[self._low_slots + 1] - before[self._starts]

    def is_below(
        self, slots: Int[np.ndarray, " n"], targets: Int[np.ndarray, " n"]
    ) -> Bool[np.ndarray, " n"]:
        """Whether products stand below the low of a target of their own query."""
        return slots <= self._low_slots[targets]
