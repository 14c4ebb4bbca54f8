"""k nearest neighbours of every image in a pool: half of all products, tile by tile, without sorting rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from omnireid.metrics.ranking import row_blocks

TILE = 1024  # images on each side of a tile
DISTANCE_BITS, IMAGE_BITS = 31, 23  # of the 64 bits of a candidate, below those of its row in the block
SPARE = 4  # times k: candidates of a row between two prunings, and those that are too close to call


@dataclass(frozen=True)
class Neighbours:
    """Nearest neighbours of each image and their squared distances."""

    images: Int[np.ndarray, "N k"]  # nearest first, oneself among them; equal distances by lower index
    distances: Float[np.ndarray, "N k"]  # in float32
    farthest: Float[np.ndarray, " N"]  # distance of the farthest of the pool; 1 where all are one


class Pool:
    """Queries and gallery as one list of float32 features."""

    def __init__(self, query: Float[Tensor, "Q D"], gallery: Float[Tensor, "G D"]) -> None:
        self._sides = query, gallery
        self.num_queries = len(query)
        self.features = torch.cat([query.float(), gallery.float()])
        self.squares = torch.cat(
            [
                self.features[rows].double().square().sum(dim=1)
                for rows in row_blocks(len(self.features), self.features.shape[1])
            ]
        ).float()
        unit = (self.features.shape[1] + 64) * 2.0**-24
        self.slack = 2 * unit / (1 - unit) * float(self.squares.max())

    def __len__(self) -> int:
        return len(self.features)

    def distances(self, rows: slice, columns: slice) -> Float[Tensor, "r c"]:
        """Squared distances, within the slack of the exact ones."""
        tile = torch.addmm(self.squares[columns], self.features[rows], self.features[columns].T, alpha=-2)
        return tile.add_(self.squares[rows, None]).clamp_(min=0)

    def exact(self, rows: Int[np.ndarray, " n"], columns: Int[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Squared distances of pairs in float64, always summed in the same order."""
        distances = np.empty(len(rows))
        for part in row_blocks(len(rows), 4 * self.features.shape[1]):
            apart = self._doubles(columns[part]) - self._doubles(rows[part])
            distances[part] = np.einsum("nd,nd->n", apart, apart)
        return distances

    def _doubles(self, images: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n D"]:
        query, gallery = self._sides
        doubles = np.empty((len(images), query.shape[1]))
        is_query = images < self.num_queries
        for side, mask, first in ((query, is_query, 0), (gallery, ~is_query, self.num_queries)):
            doubles[mask] = side.index_select(0, torch.from_numpy(images[mask] - first)).double().numpy()
        return doubles


def find_neighbours(pool: Pool, k: int, *, into: Float[Tensor, "Q G"] | None = None) -> Neighbours:
    """The k nearest of every image: exact unless float32 cannot distinguish more than 3 k images.

    Args:
        pool: The images.
        k: Number of neighbours, at most the number of images.
        into: If given, receives the squared distances of queries to gallery images.
    """
    blocks = list(row_blocks(len(pool), 1, TILE))
    candidates = [_Candidates(block, k, 2 * pool.slack) for block in blocks]
    farthest = pool.features.new_zeros(len(pool))
    for number, rows in enumerate(blocks):
        for other in range(number, len(blocks)):
            columns = blocks[other]
            tile = pool.distances(rows, columns)
            if number == other:
                tile.fill_diagonal_(0)
            else:
                torch.maximum(farthest[columns], tile.amax(dim=0), out=farthest[columns])
                candidates[other].add(tile.T.numpy(), rows.start)
            torch.maximum(farthest[rows], tile.amax(dim=1), out=farthest[rows])
            candidates[number].add(tile.numpy(), columns.start)
            if into is not None:
                _keep(tile, rows, columns, pool.num_queries, into)
    images, distances = (
        np.concatenate(parts) for parts in zip(*(block.nearest(pool) for block in candidates), strict=True)
    )
    farthest = torch.where(farthest > 0, farthest, 1)
    return Neighbours(images, distances, farthest.double().numpy())


def _keep(tile: Tensor, rows: slice, columns: slice, num_queries: int, into: Tensor) -> None:
    queries = max(0, min(rows.stop, num_queries) - rows.start)
    first = max(0, num_queries - columns.start)
    if queries and first < columns.stop - columns.start:
        part = slice(columns.start + first - num_queries, columns.stop - num_queries)
        into[rows.start : rows.start + queries, part] = tile[:queries, first:]


class _Candidates:
    """The nearest of a block of images so far, each packed into an integer of row, distance and image."""

    def __init__(self, rows: slice, k: int, margin: float) -> None:
        self._rows, self._k, self._margin = rows, k, margin
        self._limits = np.full(rows.stop - rows.start, np.inf, dtype=np.float32)
        self._keys: list[np.ndarray] = []
        self._num_fresh = 0

    def add(self, tile: Float[np.ndarray, "r c"], first: int) -> None:
        """Add what is near enough in a tile whose first column is the given image."""
        if not self._keys:
            self._limits = self._first_limits(tile)
        transposed = not tile.flags.c_contiguous
        flat = np.flatnonzero(self._limits >= tile.T if transposed else tile <= self._limits[:, None])
        if transposed:
            image, row = np.divmod(flat, tile.shape[0])
            values = tile.T.reshape(-1)[flat]
        else:
            row, image = np.divmod(flat, tile.shape[1])
            values = tile.reshape(-1)[flat]
        bits = values.view(np.uint32).astype(np.uint64)
        key = row.astype(np.uint64) << np.uint64(DISTANCE_BITS + IMAGE_BITS)
        self._keys.append(key | (bits << np.uint64(IMAGE_BITS)) | (image + first).astype(np.uint64))
        self._num_fresh += len(flat)
        if self._num_fresh > SPARE * self._k * len(self._limits):
            self._prune()

    def nearest(self, pool: Pool) -> tuple[Int[np.ndarray, "r k"], Float[np.ndarray, "r k"]]:
        """The k nearest of each row and their distances; those too close to call are compared exactly."""
        keys, starts = self._prune()
        row, distances, images = _unpacked(keys)
        is_close = (np.diff(distances, prepend=-np.inf) <= self._margin) & (np.diff(row, prepend=-1) == 0)
        runs = (~is_close).cumsum()
        vague = is_close | np.append(is_close[1:], False)
        exact = np.zeros(len(keys))
        exact[vague] = pool.exact(row[vague] + self._rows.start, images[vague])
        order = np.lexsort((images, exact, runs))
        head = order[starts[:-1, None] + np.arange(self._k)]
        return images[head], distances[head]

    def _first_limits(self, tile: Float[np.ndarray, "r c"]) -> Float[np.ndarray, " r"]:
        if tile.shape[1] <= self._k:
            return self._limits
        kth = torch.from_numpy(tile).topk(self._k, dim=1, largest=False).values[:, -1]
        return (kth + self._margin).numpy()

    def _prune(self) -> tuple[np.ndarray, Int[np.ndarray, " r+1"]]:
        """Drop what cannot be among the nearest; returns the rest in order and where each row begins."""
        keys = np.sort(np.concatenate(self._keys))
        row, distances, _ = _unpacked(keys)
        starts = row.searchsorted(np.arange(len(self._limits) + 1))
        full = np.diff(starts) >= self._k
        self._limits[full] = distances[(starts[:-1] + self._k - 1)[full]] + np.float32(self._margin)
        place = np.arange(len(keys)) - starts[row]
        keys = keys[(distances <= self._limits[row]) & (place < SPARE * self._k)]
        self._keys, self._num_fresh = [keys], 0
        return keys, (keys >> np.uint64(DISTANCE_BITS + IMAGE_BITS)).searchsorted(np.arange(len(starts)))


def _unpacked(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, distance and image."""
    row = (keys >> np.uint64(DISTANCE_BITS + IMAGE_BITS)).astype(np.int64)
    bits = (keys >> np.uint64(IMAGE_BITS)) & np.uint64((1 << DISTANCE_BITS) - 1)
    images = (keys & np.uint64((1 << IMAGE_BITS) - 1)).astype(np.int64)
    return row, bits.astype(np.uint32).view(np.float32), images
