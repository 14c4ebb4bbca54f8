"""How many strangers are closer than each target: counted tile by tile, exactly, without sorting a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from einops import rearrange
from jaxtyping import Bool, Int

from omnireid.metrics.comparison import Comparison
from omnireid.metrics.targets import SPACING, Edges, Targets
from omnireid.metrics.tiles import STRIPE, Tile

DENSE_SHARE = 0.03  # of strangers below a target, above which comparing whole rows is cheaper than looking up
MAX_DEPTH = 64
PENDING = 4096  # pairs in doubt that are decided together


class Doubt(NamedTuple):
    """Strangers in doubt, each against consecutive targets of its query."""

    owners: Int[np.ndarray, " n"]
    columns: Int[np.ndarray, " n"]
    first: Int[np.ndarray, " n"]
    stop: Int[np.ndarray, " n"]


class Tally:
    """Counts strangers in tiles of products.

    A row of a tile is compared once with its query's farthest target; what lies below is looked up among the
    edges of all its targets. Where a first look at the gallery says that much would be looked up, the
    farthest few targets are counted by comparing whole rows instead. Pairs that the product leaves in doubt
    are computed exactly.
    """

    def __init__(
        self,
        comparison: Comparison,
        targets: Targets,
        people: Int[np.ndarray, " G"],
        watched: Sequence[Int[np.ndarray, " q"]] = (),
    ) -> None:
        """Begin to count.

        Args:
            comparison: The features.
            targets: What is counted for.
            people: Number of each gallery image's person, from zero.
            watched: Targets, one a query or -1, before which the different people are to be known.
        """
        self._comparison, self._targets, self._edges = comparison, targets, Edges(targets)
        self._people, self._num_people, self._watched = people, int(people.max(initial=0)) + 1, watched
        self._slots = np.zeros(len(self._edges.past_lows), dtype=np.int64)
        self._closer = np.zeros(len(targets.owners), dtype=np.int64)
        self._doubts: list[Doubt] = []
        self._num_doubts = 0
        self._seen: list[list[np.ndarray]] = [[] for _ in watched]
        self._set_depths(np.zeros(-(-len(targets.rows) // STRIPE), dtype=np.int64))

    def look(self, num_strangers: int) -> None:
        """Choose how each query is counted from now on, from the strangers seen so far."""
        self._fold()
        if self._watched:
            return  # whose people are read off what is looked up
        targets = self._targets
        stripe, depth = targets.owners // STRIPE, targets.from_last
        shares = np.zeros((len(self._depths), min(MAX_DEPTH, int(depth.max(initial=0)) + 1)))
        counted = depth < shares.shape[1]
        np.add.at(shares, (stripe[counted], depth[counted]), self._closer[counted] / num_strangers / STRIPE)
        self._set_depths(np.cumprod(shares > DENSE_SHARE, axis=1).sum(axis=1))

    def add(self, tile: Tile, queries: slice, columns: Int[np.ndarray, " g"]) -> None:
        """Count the strangers of a tile.

        Args:
            tile: Products, those of own pairs infinite.
            queries: Rows of the tile, as queries of the targets.
            columns: Gallery images of the tile.
        """
        self._look_up(tile, queries, columns)
        for start in range(queries.start, queries.stop, STRIPE):
            stripe = slice(start, min(start + STRIPE, queries.stop))
            for depth in range(self._depths[start // STRIPE]):
                self._compare(tile, queries.start, stripe, depth, columns)
        if self._num_doubts > PENDING:
            self._decide()

    def take(self) -> tuple[Int[np.ndarray, " T"], list[Int[np.ndarray, " n"]]]:
        """Strangers closer than each target since the last call; and, for what is watched, who they are.

        The latter as numbers: query times the number of people plus index of the person.
        """
        self._decide()
        self._fold()
        closer, self._closer = self._closer, np.zeros_like(self._closer)
        seen = [np.unique(np.concatenate([np.zeros(0, np.int64), *codes])) for codes in self._seen]
        self._seen = [[] for _ in self._watched]
        return closer, seen

    def _look_up(self, tile: Tile, queries: slice, columns: Int[np.ndarray, " g"]) -> None:
        cells = tile.close(self._limits[queries])
        if not len(cells.rows):
            return
        part = slice(2 * self._targets.starts[queries.start], 2 * self._targets.starts[queries.stop] + 1)
        owners = cells.rows + queries.start
        keys = cells.values + np.arange(queries.start, queries.stop)[cells.rows] * SPACING
        slots = self._edges.values[part].searchsorted(keys)
        self._slots[part] += np.bincount(slots, minlength=part.stop - part.start)
        doubtful = self._edges.is_doubtful[part][slots].nonzero()[0]
        if len(doubtful):
            slot, owner = slots[doubtful] + part.start, owners[doubtful]
            first, stop = self._edges.past_highs[slot], self._edges.past_lows[slot]
            stop = np.minimum(stop, self._stops[owner])  # the rest is compared
            self._doubt(owner, columns[cells.columns[doubtful]], first, stop)
        for watched, seen in zip(self._watched, self._seen, strict=True):
            target = watched[owners]
            below = self._edges.is_below(slots + part.start, target) & (target >= 0)
            seen.append(self._code(owners[below], columns[cells.columns[below]]))

    def _compare(
        self, tile: Tile, offset: int, stripe: slice, depth: int, columns: Int[np.ndarray, " g"]
    ) -> None:
        """Count a stripe's targets that are the depth-th from the farthest, in whole rows."""
        targets = self._targets
        index = targets.starts[stripe.start + 1 : stripe.stop + 1] - 1 - depth
        exists = index >= targets.starts[stripe]
        bounds = self._bounds[depth, :, stripe]
        rows = slice(stripe.start - offset, stripe.stop - offset)
        below, within = tile.count(rows, bounds)
        self._closer[index[exists]] += below[exists]
        unsure = (below < within).nonzero()[0]
        if len(unsure):
            values = tile.rows(rows.start + unsure)
            row, column = ((values >= bounds[0, unsure]) & (values < bounds[1, unsure])).nonzero()
            target = index[unsure[row]]
            self._doubt(stripe.start + unsure[row], columns[column], target, target + 1)

    def _doubt(self, *doubt: np.ndarray) -> None:
        self._doubts.append(Doubt(*doubt))
        self._num_doubts += len(doubt[0])

    def _decide(self) -> None:
        """Settle what is in doubt by exact distances; of equal ones the lower gallery index is closer."""
        if not self._doubts:
            return
        owners, columns, first, stop = (np.concatenate(part) for part in zip(*self._doubts, strict=True))
        self._doubts, self._num_doubts = [], 0
        targets = self._targets
        distances = self._comparison.exact_pairs(targets.rows[owners], columns)
        times = stop - first
        pair = np.repeat(np.arange(len(owners)), times)
        target = first[pair] + np.arange(len(pair)) - np.repeat(times.cumsum() - times, times)
        own, columns, owners = targets.distances[target], columns[pair], owners[pair]
        is_closer = distances[pair] < own
        is_closer |= (distances[pair] == own) & (columns < targets.columns[target])
        np.add.at(self._closer, target[is_closer], 1)
        for watched, seen in zip(self._watched, self._seen, strict=True):
            before = is_closer & (target == watched[owners])
            seen.append(self._code(owners[before], columns[before]))

    def _fold(self) -> None:
        self._closer += np.where(self._is_compared, 0, self._edges.num_below(self._slots))
        self._slots[:] = 0

    def _set_depths(self, depths: Int[np.ndarray, " S"]) -> None:
        targets = self._targets
        self._depths = depths
        self._is_compared: Bool[np.ndarray, " T"] = targets.from_last < depths[targets.owners // STRIPE]
        # Where the targets end that are looked up.
        self._stops = targets.starts[1:] - depths[np.arange(len(targets.rows)) // STRIPE]
        limits = np.where(self._stops > targets.starts[:-1], targets.highs[self._stops - 1], -np.inf)
        self._limits = limits.astype(targets.highs.dtype)[:, None]
        whole = targets.starts[1:] - 1 - np.arange(depths.max(initial=0))[:, None]
        exists = whole >= targets.starts[:-1]
        edges = np.stack([targets.lows, np.nextafter(targets.highs, np.inf, dtype=targets.highs.dtype)])
        bounds = np.where(exists, edges[:, whole], -np.inf).astype(edges.dtype)
        self._bounds = np.ascontiguousarray(rearrange(bounds, "edge depth query -> depth edge query 1"))

    def _code(self, owners: Int[np.ndarray, " n"], columns: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        return np.unique(owners * self._num_people + self._people[columns])
