"""The pass over the gallery: every product of the queries that have targets, tile by tile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from omnireid.metrics.comparison import Comparison
from omnireid.metrics.counting import Tally
from omnireid.metrics.identities import OwnPairs
from omnireid.metrics.ranking import even_blocks, row_blocks
from omnireid.metrics.targets import Targets
from omnireid.metrics.tiles import BLOCK, STRIPE, WIDTH, DeviceTile, HostTile, Tile

LOOK = 256  # gallery images of the first tile, which tells how hard each query is


@dataclass(frozen=True)
class Strangers:
    """Strangers of one class of gallery images."""

    closer: Int[np.ndarray, " T"]  # than each target
    people: list[Int[np.ndarray, " n"]]  # before what is watched; see Tally.take


def count_strangers(
    comparison: Comparison,
    targets: Targets,
    own: OwnPairs,
    classes: Sequence[Int[np.ndarray, " g"]],
    *,
    people: Int[np.ndarray, " G"],
    watched: Sequence[Int[np.ndarray, " q"]],
) -> list[Strangers]:
    """Count the strangers closer than each target, in each class of gallery images."""
    if not len(targets.rows):
        nothing = np.zeros(0, dtype=np.int64)
        return [Strangers(nothing, [nothing for _ in watched]) for _ in classes]
    tally = Tally(comparison, targets, people, watched)
    device = comparison.query.device
    tile: Tile = DeviceTile(comparison.dtype, device) if device.type == "cuda" else HostTile(comparison.dtype)
    query = comparison.query_rows(targets.rows)
    blocks = [
        slice(stripes.start * STRIPE, min(stripes.stop * STRIPE, len(targets.rows)))
        for stripes in even_blocks(-(-len(targets.rows) // STRIPE), BLOCK // STRIPE)
    ]
    counted = []
    for number, members in enumerate(classes):
        blanks = _Blanks(targets, own, members, blocks)
        for part in _parts(len(members), LOOK if number == 0 else WIDTH):
            columns = members[part]
            # Ascending, so that a whole stretch of the gallery need not be copied.
            whole = columns[-1] - columns[0] + 1 == len(columns)
            gallery = comparison.gallery_rows(slice(columns[0], columns[-1] + 1) if whole else columns)
            addends = comparison.addends(columns)
            for rows in blocks:
                tile.multiply(query[rows], gallery, addends, blanks.cells(rows, part))
                tally.add(tile, rows, columns)
            if number == 0 and part.start == 0:
                tally.look(len(columns))
        counted.append(Strangers(*tally.take()))
    return counted


def _parts(num: int, first: int) -> Iterator[slice]:
    yield slice(0, min(first, num))
    yield from (slice(part.start + first, part.stop + first) for part in row_blocks(num - first, 1, WIDTH))


class _Blanks:
    """Own pairs among the tiles of a class of gallery images."""

    def __init__(
        self, targets: Targets, own: OwnPairs, members: Int[np.ndarray, " g"], blocks: Sequence[slice]
    ) -> None:
        by_row = targets.rows.argsort()
        place = targets.rows[by_row].searchsorted(own.rows)
        place[place == len(by_row)] = 0
        index = members.searchsorted(own.columns)
        index[index == len(members)] = 0
        inside = (targets.rows[by_row[place]] == own.rows) & (members[index] == own.columns)
        owners, index = by_row[place[inside]], index[inside]
        self._starts = [rows.start for rows in blocks]
        block = np.searchsorted(self._starts, owners, side="right")
        order = np.lexsort((index, block))
        self._owners, self._index = owners[order], index[order]
        self._parts = block[order].searchsorted(np.arange(1, len(blocks) + 2))

    def cells(self, rows: slice, part: slice) -> Int[np.ndarray, " n"]:
        """Of the tile of a block of queries and some gallery images, by number in the tile."""
        block = self._starts.index(rows.start)
        start, stop = self._parts[block : block + 2]
        first, last = start + self._index[start:stop].searchsorted([part.start, part.stop])
        owners, index = self._owners[first:last], self._index[first:last]
        return (owners - rows.start) * (part.stop - part.start) + index - part.start
