"""The top of every ranked list, found in the same pass over the gallery."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int, UInt64

from omnireid.metrics import keys as packed
from omnireid.metrics.comparison import Comparison
from omnireid.metrics.ranges import covered

FARTHEST = np.finfo(np.float32).max  # the largest number below infinity, which marks blank cells


class TopLists:
    """The nearest of each query's strangers so far, by exact distance, then by the lower gallery index."""

    def __init__(self, comparison: Comparison, rows: Int[np.ndarray, " q"], count: int) -> None:
        self._comparison, self._rows = comparison, rows
        self._slack = comparison.key_slack(rows)
        self.columns = np.full((len(rows), count), -1)
        self.distances = np.full((len(rows), count), np.inf)
        self.limits = np.full(len(rows), FARTHEST)  # products above cannot be among the nearest

    def add(
        self,
        keys: UInt64[np.ndarray, " n"],
        starts: Int[np.ndarray, " q+1"],
        columns_of: Callable[[UInt64[np.ndarray, " m"]], Int[np.ndarray, " m"]],
    ) -> None:
        """Add sorted products; those of each query begin at its start."""
        count = self.columns.shape[1]
        last = starts[:-1] + count - 1
        enough = last < starts[1:]
        limits = self.limits.copy()
        # Up to the slack of both, enough others are closer than the last of these.
        reach = packed.values_of(keys[last[enough]]) + 2 * self._slack[enough]
        limits[enough] = np.minimum(limits[enough], _rounded_up(reach))
        stops = keys.searchsorted(packed.above(packed.pack(np.arange(len(starts) - 1), limits, 0)))
        found = covered(starts[:-1], stops)
        rows, columns = packed.rows_of(keys[found]), columns_of(keys[found])
        known = self.columns >= 0
        self.columns, self.distances = first_of_each(
            np.concatenate([known.nonzero()[0], rows]),
            np.concatenate([self.columns[known], columns]),
            np.concatenate([self.distances[known], self._comparison.exact_pairs(self._rows[rows], columns)]),
            shape=self.columns.shape,
        )
        full = self.columns[:, -1] >= 0
        scores = self._comparison.scores(self._rows[full], self.distances[full, -1])
        self.limits[full] = _rounded_up(scores + self._slack[full])


def first_of_each(
    rows: Int[np.ndarray, " n"],
    columns: Int[np.ndarray, " n"],
    distances: Float[np.ndarray, " n"],
    *,
    shape: tuple[int, int],
) -> tuple[Int[np.ndarray, "q k"], Float[np.ndarray, "q k"]]:
    """Columns and distances of the nearest few of each row, ties by column; padded with -1 and infinity."""
    order = np.lexsort((columns, distances, rows))
    rows = rows[order]
    place = np.arange(len(rows)) - rows.searchsorted(rows)
    order, rows, place = (part[place < shape[1]] for part in (order, rows, place))
    head, near = np.full(shape, -1), np.full(shape, np.inf)
    head[rows, place], near[rows, place] = columns[order], distances[order]
    return head, near


def _rounded_up(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    return np.nextafter(values.astype(np.float32), np.float32(np.inf))
