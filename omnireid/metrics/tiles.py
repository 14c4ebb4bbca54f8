"""One tile of a matrix product at a time, and what is asked of it: which cells are small, and how many."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

BLOCK, WIDTH = 512, 1024  # queries and gallery images of a tile, which then stays in a processor's cache
STRIPE = 64  # queries of a tile that are counted in one way
LANES = 8  # bytes of a word; a mask's row is added up in words, and WIDTH / LANES fits into a byte


class Cells(NamedTuple):
    """Some cells of a tile."""

    rows: Int[np.ndarray, " n"]
    columns: Int[np.ndarray, " n"]
    values: Float[np.ndarray, " n"]


class Tile(Protocol):
    """Products of a block of queries with some gallery images."""

    def multiply(
        self,
        query: Float[Tensor, "q D"],
        gallery: Float[Tensor, "g D"],
        addends: Float[Tensor, " g"] | None,
        blank: Int[np.ndarray, " n"],
    ) -> None:
        """Compute the next tile; cells to be left blank are infinitely far."""
        ...

    def close(self, limits: Float[np.ndarray, "q 1"]) -> Cells:
        """Cells up to their row's limit, row by row."""
        ...

    def count(self, rows: slice, bounds: Float[np.ndarray, "n r 1"]) -> Int[np.ndarray, "n r"]:
        """Cells of each row of a stripe below each of its bounds."""
        ...

    def rows(self, rows: Int[np.ndarray, " r"]) -> Float[np.ndarray, "r g"]:
        """The values of some rows."""
        ...


class HostTile:
    """A tile in main memory."""

    def __init__(self, dtype: torch.dtype) -> None:
        self._buffer = torch.empty(BLOCK * WIDTH, dtype=dtype)
        self._mask = np.zeros((BLOCK, WIDTH), dtype=bool)
        self._stripes = np.zeros((2, STRIPE, WIDTH), dtype=bool)
        self._values = self._buffer.numpy().reshape(BLOCK, WIDTH)

    def multiply(
        self,
        query: Float[Tensor, "q D"],
        gallery: Float[Tensor, "g D"],
        addends: Float[Tensor, " g"] | None,
        blank: Int[np.ndarray, " n"],
    ) -> None:
        """As ``Tile`` says; the buffer is used again."""
        shape = len(query), len(gallery)
        tile = self._buffer[: shape[0] * shape[1]].view(shape)
        if addends is None:
            torch.mm(query, gallery.T, out=tile)
        else:
            torch.addmm(addends, query, gallery.T, out=tile)
        self._values = tile.numpy()
        self._values.reshape(-1)[blank] = np.inf
        self._mask[:, shape[1] :] = self._stripes[:, :, shape[1] :] = False

    def close(self, limits: Float[np.ndarray, "q 1"]) -> Cells:
        """As ``Tile`` says."""
        num, width = self._values.shape
        np.less_equal(self._values, limits, out=self._mask[:num, :width])
        cells = np.flatnonzero(self._mask[:num])
        rows = cells // WIDTH
        columns = cells - rows * WIDTH
        if width < WIDTH:
            cells = rows * width + columns
        return Cells(rows, columns, self._values.reshape(-1)[cells])

    def count(self, rows: slice, bounds: Float[np.ndarray, "n r 1"]) -> Int[np.ndarray, "n r"]:
        """As ``Tile`` says."""
        values, num, width = self._values[rows], len(bounds), self._values.shape[1]
        masks = self._stripes[:num, : len(values)]
        for bound, mask in zip(bounds, masks, strict=True):
            np.less(values, bound, out=mask[:, :width])
        words = np.add.reduce(masks.view(np.int64), axis=2)
        return np.add.reduce(words.view(np.uint8).reshape(*words.shape, LANES), axis=2, dtype=np.int64)

    def rows(self, rows: Int[np.ndarray, " r"]) -> Float[np.ndarray, "r g"]:
        """As ``Tile`` says."""
        return self._values[rows]


class DeviceTile:
    """A tile on a GPU; cells come to the host."""

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        self._values = torch.empty(0, WIDTH, dtype=dtype, device=device)

    def multiply(
        self,
        query: Float[Tensor, "q D"],
        gallery: Float[Tensor, "g D"],
        addends: Float[Tensor, " g"] | None,
        blank: Int[np.ndarray, " n"],
    ) -> None:
        """As ``Tile`` says."""
        self._values = query @ gallery.T if addends is None else torch.addmm(addends, query, gallery.T)
        self._values.view(-1)[self._here(blank)] = torch.inf

    def close(self, limits: Float[np.ndarray, "q 1"]) -> Cells:
        """As ``Tile`` says."""
        cells = (self._values <= self._here(limits)).view(-1).nonzero()[:, 0]
        values = self._values.view(-1)[cells].cpu().numpy()
        return Cells(*np.divmod(cells.cpu().numpy(), self._values.shape[1]), values)

    def count(self, rows: slice, bounds: Float[np.ndarray, "n r 1"]) -> Int[np.ndarray, "n r"]:
        """As ``Tile`` says."""
        return (self._values[rows] < self._here(bounds)).sum(dim=2).cpu().numpy()

    def rows(self, rows: Int[np.ndarray, " r"]) -> Float[np.ndarray, "r g"]:
        """As ``Tile`` says."""
        return self._values[self._here(rows)].cpu().numpy()

    def _here(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self._values.device)
