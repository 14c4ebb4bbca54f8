"""The pass over the gallery: all products of the queries that have targets, tile by tile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Int

from omnireid.metrics.coded import CodedTile
from omnireid.metrics.comparison import Comparison
from omnireid.metrics.counting import StrangerCounter
from omnireid.metrics.identities import OwnPairs
from omnireid.metrics.ranking import row_blocks
from omnireid.metrics.targets import Targets
from omnireid.metrics.tiles import BLOCK, WIDTH, DeviceTile, HostTile, Tile

LOOK = 256  # gallery images in the first tile, which gives a first bound for the heads


def count_strangers(
    comparison: Comparison,
    targets: Targets,
    own: OwnPairs,
    classes: Sequence[Int[np.ndarray, " g"]],
    *,
    people: Int[np.ndarray, " G"],
    watched: Sequence[Int[np.ndarray, " q"]] = (),
    head: int = 0,
) -> list[StrangerCounter]:
    """Count the strangers closer than each target, in each class of gallery images."""
    tile = make_tile(comparison, targets.rows)
    blocks = list(row_blocks(len(targets.rows), 1, BLOCK))
    tallies = []
    for members in classes:
        tally = StrangerCounter(comparison, targets, members, people=people, watched=watched, head=head)
        tallies.append(tally)
        if not blocks:
            continue
        blanks = _Blanks(targets, own, members, blocks)
        for part in _parts(len(members), LOOK if head else WIDTH):
            columns = members[part]
            # Ascending, so that a contiguous part of the gallery is a view.
            whole = columns[-1] - columns[0] + 1 == len(columns)
            gallery = comparison.gallery_rows(slice(columns[0], columns[-1] + 1) if whole else columns)
            tile.turn(gallery, comparison.addends(columns))
            for number, rows in enumerate(blocks):
                tally.add(tile, rows, part.start, blanks.cells(number, part))
            if head and part.start == 0:
                tally.fold()
        tally.close()
    return tallies


def make_tile(comparison: Comparison, queries: Int[np.ndarray, " q"]) -> Tile:
    """A tile of some queries on the device of the features."""
    query = comparison.query_rows(queries)
    if query.device.type != "cpu":
        return DeviceTile(query)
    if comparison.coding is not None:
        return CodedTile(query, comparison.coding, block=BLOCK, width=WIDTH)
    return HostTile(query)


def _parts(num: int, first: int) -> Iterator[slice]:
    yield slice(0, min(first, num))
    yield from (slice(part.start + first, part.stop + first) for part in row_blocks(num - first, 1, WIDTH))


class _Blanks:
    """Which cells of the tiles of a class of gallery images are own pairs."""

    def __init__(
        self, targets: Targets, own: OwnPairs, members: Int[np.ndarray, " g"], blocks: Sequence[slice]
    ) -> None:
        starts = np.array([rows.start for rows in blocks])
        index = np.minimum(members.searchsorted(own.columns), len(members) - 1)
        by_row = targets.rows.argsort()
        owners = targets.rows[by_row].searchsorted(own.rows)
        owners = by_row[np.minimum(owners, len(by_row) - 1)]
        inside = (members[index] == own.columns) & (targets.rows[owners] == own.rows)
        owners, index = owners[inside], index[inside]
        block = starts.searchsorted(owners, side="right") - 1
        order = np.lexsort((index, block))
        self._rows, self._index = (owners - starts[block])[order], index[order]
        self._parts = block[order].searchsorted(np.arange(len(blocks) + 1))

    def cells(self, block: int, part: slice) -> Int[np.ndarray, " n"]:
        """Flat indices of the own pairs in the tile of a block of queries and some gallery images."""
        start, stop = self._parts[block : block + 2]
        first, last = start + self._index[start:stop].searchsorted([part.start, part.stop])
        rows, index = self._rows[first:last], self._index[first:last]
        return rows * (part.stop - part.start) + index - part.start
