"""One tile of a matrix product at a time, and the only thing asked of it: its small cells."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float, Int, UInt64
from torch import Tensor

from omnireid.metrics.keys import pack

BLOCK, WIDTH = 512, 1024  # queries and gallery images of a tile, which then stays in a processor's cache
STRIPE = 128  # queries of a tile compared at a time: hard and easy ones separately, which is faster in numpy


class Tile(Protocol):
    """Products of a block of its queries with some gallery images."""

    def turn(self, gallery: Float[Tensor, "g D"], addends: Float[Tensor, " g"] | None) -> None:
        """Move on to the next gallery images."""
        ...

    def near(
        self, rows: slice, limits: Float[np.ndarray, " q"], blank: Int[np.ndarray, " n"], first: int
    ) -> UInt64[np.ndarray, " n"]:
        """Cells that do not exceed their query's limit, packed (``keys``); good until the next call.

        Args:
            rows: The block of queries.
            limits: Of the block.
            blank: Cells, by number in the tile, that are left out.
            first: Place of the first gallery image.
        """
        ...


class HostTile:
    """A tile in main memory; its buffer is reused."""

    def __init__(self, query: Float[Tensor, "q D"]) -> None:
        self._query = query
        self._buffer = torch.empty(BLOCK * WIDTH, dtype=query.dtype)
        self._flat = self._buffer.numpy()
        self._mask = np.empty(STRIPE * WIDTH, dtype=bool)

    def turn(self, gallery: Float[Tensor, "g D"], addends: Float[Tensor, " g"] | None) -> None:
        """See ``Tile``."""
        self._gallery, self._addends = gallery, addends

    def near(
        self, rows: slice, limits: Float[np.ndarray, " q"], blank: Int[np.ndarray, " n"], first: int
    ) -> UInt64[np.ndarray, " n"]:
        """See ``Tile``."""
        query = self._query[rows]
        height, width = len(query), len(self._gallery)
        tile = self._buffer[: height * width].view(height, width)
        if self._addends is None:
            torch.mm(query, self._gallery.T, out=tile)
        else:
            torch.addmm(self._addends, query, self._gallery.T, out=tile)
        self._flat[blank] = np.inf
        products, found = tile.numpy(), []
        for start in range(0, height, STRIPE):
            values = products[start : start + STRIPE]
            mask = self._mask[: values.size]
            np.less_equal(values, limits[start : start + STRIPE, None], out=mask.reshape(values.shape))
            found.append(np.flatnonzero(mask) + start * width)
        cells = np.concatenate(found)
        owners = cells // width
        return pack(owners + rows.start, self._flat[cells], cells - owners * width + first)


class DeviceTile:
    """A tile on a GPU; the small cells are copied to the host."""

    def __init__(self, query: Float[Tensor, "q D"]) -> None:
        self._query = query

    def turn(self, gallery: Float[Tensor, "g D"], addends: Float[Tensor, " g"] | None) -> None:
        """See ``Tile``."""
        self._gallery, self._addends = gallery, addends

    def near(
        self, rows: slice, limits: Float[np.ndarray, " q"], blank: Int[np.ndarray, " n"], first: int
    ) -> UInt64[np.ndarray, " n"]:
        """See ``Tile``."""
        query, gallery = self._query[rows], self._gallery
        tile = query @ gallery.T if self._addends is None else torch.addmm(self._addends, query, gallery.T)
        flat = tile.view(-1)
        flat[self._here(blank)] = torch.inf
        cells = (tile <= self._here(limits)[:, None]).view(-1).nonzero()[:, 0]
        values = flat[cells].cpu().numpy()
        owners, columns = np.divmod(cells.cpu().numpy(), len(gallery))
        return pack(owners + rows.start, values, columns + first)

    def _here(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self._query.device)
