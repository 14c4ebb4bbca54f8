"""Counts how many strangers are closer than each target: tile by tile, exactly, without sorting a row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int, UInt64

from omnireid.metrics import keys as packed
from omnireid.metrics.comparison import Comparison
from omnireid.metrics.ranges import covered
from omnireid.metrics.targets import Targets, settled
from omnireid.metrics.tiles import BLOCK, WIDTH, Tile
from omnireid.metrics.top_lists import TopLists

HELD = BLOCK * WIDTH  # products collected at a time, at least those of a tile


class StrangerCounter:
    """Counts the strangers of one class of gallery images in tiles of products.

    Each row of a tile is compared once with its query's farthest target. Cells below it are collected as
    integers (``keys``). Once enough have accumulated they are sorted, and a target's position among them
    gives the number of closer strangers. Pairs that the product cannot decide are computed exactly.
    """

    def __init__(
        self,
        comparison: Comparison,
        targets: Targets,
        members: Int[np.ndarray, " g"],
        *,
        people: Int[np.ndarray, " G"],
        watched: Sequence[Int[np.ndarray, " q"]] = (),
        head: int = 0,
    ) -> None:
        """Start counting.

        Args:
            comparison: The features.
            targets: Pairs whose closer strangers are counted.
            members: Gallery images of the class, ascending.
            people: Person of each gallery image, numbered from zero.
            watched: One target per query, or -1: the different people before it are recorded.
            head: How many of the nearest strangers of each query to record.
        """
        self._comparison, self._targets, self._members = comparison, targets, members
        self._people, self._num_people, self._watched = people, int(people.max(initial=0)) + 1, watched
        self._row_keys = packed.first_of_rows(len(targets.rows))
        self._low_keys = packed.pack(targets.owners, targets.lows, 0)
        self._high_keys = packed.above(packed.pack(targets.owners, targets.highs, 0))
        self.heads = TopLists(comparison, targets.rows, head) if head else None
        self._keys = np.empty(HELD, dtype=np.uint64)
        self._num_keys = self._origin = 0
        self.closer = np.zeros(len(targets.owners), dtype=np.int64)
        farthest = np.full(len(targets.rows), -np.inf, dtype=np.float32)
        has_target = targets.starts[:-1] < targets.starts[1:]
        farthest[has_target] = targets.highs[targets.starts[1:][has_target] - 1]
        self._farthest, self._limits = farthest, self._reach(farthest)
        self._seen: list[list[np.ndarray]] = [[] for _ in watched]

    def add(self, tile: Tile, queries: slice, first: int, own: Int[np.ndarray, " n"]) -> None:
        """Add the strangers of a tile.

        Args:
            tile: Products of the queries of the targets.
            queries: The block of them.
            first: Position in the class of the tile's first gallery image.
            own: Cells of the tile that belong to own pairs.
        """
        if first + WIDTH - self._origin > packed.MAX_PLACES:
            self.fold()
            self._origin = first
        keys = tile.near(queries, self._limits[queries], own, first - self._origin)
        if self._num_keys + len(keys) > len(self._keys):
            self.fold()
        fresh = slice(self._num_keys, self._num_keys + len(keys))
        self._keys[fresh] = keys
        self._num_keys = fresh.stop

    def fold(self) -> None:
        """Count the collected cells and empty the collection."""
        keys = self._keys[: self._num_keys]
        self._num_keys = 0
        keys.sort()
        targets, starts = self._targets, keys.searchsorted(self._row_keys)
        low, high = keys.searchsorted(self._low_keys), keys.searchsorted(self._high_keys)
        self.closer += low - starts[targets.owners]
        unsure = (low < high).nonzero()[0]
        doubtful = covered(low[unsure], high[unsure])
        rows, columns = packed.rows_of(keys[doubtful]), self._columns(keys[doubtful])
        distances = settled(self._comparison, targets, rows, columns)
        # Of targets and doubtful strangers in one order, those before a target; the surely closer ones among
        # them are counted already.
        order = np.lexsort(
            (
                np.concatenate([columns, targets.columns[unsure]]),
                np.concatenate([distances, targets.distances[unsure]]),
                np.concatenate([rows, targets.owners[unsure]]),
            )
        )
        place = np.empty_like(order)
        place[order] = (order < len(doubtful)).cumsum()
        self.closer[unsure] += place[len(doubtful) :] - doubtful.searchsorted(low[unsure])
        ends = np.append(low, 0)  # -1 is no target: nothing stands before it
        for watched, seen in zip(self._watched, self._seen, strict=True):
            target = watched[packed.rows_of(keys)]
            before = np.arange(len(keys)) < ends[target]
            asked = target[doubtful]
            is_closer = distances < targets.distances[asked]
            is_closer |= (distances == targets.distances[asked]) & (columns < targets.columns[asked])
            before[doubtful] = (asked >= 0) & is_closer
            seen.append(self._code(keys[before]))
        if self.heads is not None:
            self.heads.add(keys, starts, self._columns)
            self._limits = self._reach(self._farthest)

    def close(self) -> None:
        """Count what is still collected."""
        self.fold()
        self._keys = np.empty(0, dtype=np.uint64)

    def people(self) -> list[Int[np.ndarray, " n"]]:
        """People ranked before each watched target, as query * number of people + person."""
        return [np.unique(np.concatenate([np.zeros(0, np.int64), *codes])) for codes in self._seen]

    def _reach(self, farthest: Float[np.ndarray, " q"]) -> Float[np.ndarray, " q"]:
        """The largest product of interest: of the farthest target, or of the end of the heads."""
        return farthest if self.heads is None else np.maximum(farthest, self.heads.limits)

    def _columns(self, keys: UInt64[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        return self._members[self._origin + packed.places_of(keys)]

    def _code(self, keys: UInt64[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        return np.unique(packed.rows_of(keys) * self._num_people + self._people[self._columns(keys)])
