"""One tile of a matrix product at a time, and the one thing that is asked of it: its small cells."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

BLOCK, WIDTH = 512, 1024  # queries and gallery images of a tile, which then stays in a processor's cache
STRIPE = (
    128  # queries of a tile that are looked at together: hard and easy ones apart, which numpy finds faster
)


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


class HostTile:
    """A tile in main memory."""

    def __init__(self, dtype: torch.dtype) -> None:
        self._buffer = torch.empty(BLOCK * WIDTH, dtype=dtype)
        self._flat = self._buffer.numpy()
        self._values = self._flat.reshape(BLOCK, WIDTH)
        self._mask = np.empty(STRIPE * WIDTH, dtype=bool)

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
        self._values = self._flat[: tile.numel()].reshape(shape)
        self._flat[blank] = np.inf

    def close(self, limits: Float[np.ndarray, "q 1"]) -> Cells:
        """As ``Tile`` says."""
        height, width = self._values.shape
        found = []
        for start in range(0, height, STRIPE):
            values = self._values[start : start + STRIPE]
            mask = self._mask[: values.size]
            np.less_equal(values, limits[start : start + STRIPE], out=mask.reshape(values.shape))
            found.append(np.flatnonzero(mask) + start * width)
        cells = np.concatenate(found)
        rows = cells // width
        return Cells(rows, cells - rows * width, self._flat[cells])


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
        rows, columns = np.divmod(cells.cpu().numpy(), self._values.shape[1])
        return Cells(rows, columns, values)

    def _here(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self._values.device)
