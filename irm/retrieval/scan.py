"""Exact search that reads a quarter of the bytes: 8-bit products with a certified bound name the candidates.

A unit vector g is stored as ``scale * codes``, with the length of the remainder as its ``slack``. By
Cauchy-Schwarz this bounds the error of a product with a unit query, so that every image that may be among the
nearest is a candidate, and only candidates are compared in float64 (``store.settle``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Self

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from irm.retrieval.native import Coded, Tiles, dot_rows, largest_factor, library, multiplies_bytes

TILE = 1024  # gallery rows of one product for many queries: its scores stay in the cache
MANY = 1024  # queries of one product
ROUNDING = 2.0**-24
TINY = 1e-15  # shorter vectors are measured in float64


class Scan:
    """The rows of one space as 8-bit codes, in ascending order of their ids."""

    def __init__(self, dim: int, count: int = 0) -> None:
        self.dim = dim
        self.ids = np.empty(count, dtype=np.int64)
        self.codes = torch.empty(count, dim, dtype=torch.int8)
        self.scales, self.slack = torch.empty(count), torch.empty(count)

    @classmethod
    def of(
        cls,
        parts: Iterable[tuple[Sequence[int], Float[np.ndarray, "_M D"]]],
        dim: int,
        count: int,
    ) -> Self:
        """A scan of at most ``count`` vectors, which come in parts by ascending id."""
        made, done = cls(dim, count), 0
        for ids, vectors in parts:
            rows = slice(done, done + len(ids))
            made.ids[rows] = ids
            codes = quantise(torch.from_numpy(np.array(vectors)))
            made.codes[rows], made.scales[rows], made.slack[rows] = codes
            done = rows.stop
        made.ids, made.codes = made.ids[:done], made.codes[:done]
        made.scales, made.slack = made.scales[:done], made.slack[:done]
        return made

    def __len__(self) -> int:
        return len(self.ids)

    def replace(
        self, gone: Int[np.ndarray, " M"], ids: Int[np.ndarray, " K"], vectors: Float[Tensor, "K D"]
    ) -> Scan:
        """A copy without some rows and with others, which may be new versions of existing rows."""
        stays = torch.from_numpy(~np.isin(self.ids, np.concatenate([gone, ids])))
        codes, scales, slack = quantise(vectors)
        made = Scan(self.dim)
        made.ids = np.concatenate([self.ids[stays.numpy()], ids])
        made.codes = torch.cat([self.codes[stays], codes])
        made.scales = torch.cat([self.scales[stays], scales])
        made.slack = torch.cat([self.slack[stays], slack])
        order = np.argsort(made.ids, kind="stable")
        if (order != np.arange(len(order))).any():
            rows = torch.from_numpy(order)
            made.ids = made.ids[order]
            made.codes, made.scales, made.slack = made.codes[rows], made.scales[rows], made.slack[rows]
        return made

    def candidates(
        self, query: Float[Tensor, " D"], k: int, keep: Bool[np.ndarray, " N"] | None = None
    ) -> Int[np.ndarray, " C"]:
        """Rows that certainly include the k nearest.

        Args:
            query: Of any norm.
            k: How many are wanted.
            keep: False at rows to leave out; None keeps all.
        """
        codes, scale, slack = quantise(query[None])
        unit = _unit(query[None])[0]
        values = dot_rows(self.codes, codes[0]).float().mul_(self.scales).mul_(scale[0])
        if keep is not None:
            values[torch.from_numpy(~keep)] = -torch.inf
        # |g| = 1, so the query's slack counts once and the row's own meets a query of length 1 + slack.
        rows = _within(values, self.slack, k, 1 + float(slack[0]), float(slack[0]) + self._rounding())
        if keep is not None:
            rows = rows[torch.from_numpy(keep)[rows]]
        # Again with the query in full precision: only the rows' own slack remains.
        values = (self.codes[rows].float() @ unit) * self.scales[rows]
        return rows[_within(values, self.slack[rows], k, 1.0, self._rounding())].numpy()

    def candidates_of_many(
        self, queries: Float[Tensor, "Q D"], k: int, keep: Bool[np.ndarray, " N"] | None = None
    ) -> list[Int[np.ndarray, " C"]]:
        """``candidates`` of each query; one product for many of them."""
        found = []
        for first in range(0, len(queries), MANY):
            found += self._block(queries[first : first + MANY], k, keep)
        return found

    def _block(
        self, queries: Float[Tensor, "B D"], k: int, keep: Bool[np.ndarray, " N"] | None
    ) -> list[Int[np.ndarray, " C"]]:
        unit = _unit(queries)
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            product, reach = self._product(queries, unit, pool)
            survivors = _Survivors(len(queries), k, reach)
            for start in range(0, len(self), TILE):
                rows = slice(start, min(start + TILE, len(self)))
                values = product(rows)
                if keep is not None:
                    values[:, ~keep[rows]] = -np.inf
                survivors.add(values, start)
        row, column = survivors.pairs()
        # Again with the queries in full precision: only the rows' own slack remains.
        near = torch.empty(len(row))
        for part in torch.split(torch.arange(len(row)), TILE):
            codes = self.codes[column[part]].float()
            near[part] = torch.linalg.vecdot(codes, unit[row[part]]).mul_(self.scales[column[part]])
        stays = _within_each(near, self.slack[column], row, k, self._rounding())
        row, column = row[stays], column[stays]
        sizes = torch.bincount(row, minlength=len(queries)).tolist()
        return [part.sort().values.numpy() for part in torch.split(column, sizes)]

    def _product(
        self, queries: Float[Tensor, "B D"], unit: Float[Tensor, "B D"], pool: ThreadPoolExecutor
    ) -> tuple[Callable[[slice], Float[np.ndarray, "B T"]], Float[Tensor, " B"]]:
        """A function that multiplies the queries with some rows, and the error bound of its values per query.

        In 8 bits where the processor has VNNI, in 16 bits where there is a compiler (0.6 of the time of
        floats), else in floats.
        """
        widest = float(self.slack.max()) if len(self) else 0.0
        if not multiplies_bytes() and library() is None:

            def float_product(rows: slice) -> Float[np.ndarray, "B T"]:
                return (unit @ self.codes[rows].float().mul_(self.scales[rows, None]).T).numpy()

            return float_product, torch.full((len(queries),), widest + self._rounding())
        codes, scales, slack = quantise(queries, 127 if multiplies_bytes() else largest_factor(self.dim))
        reach = slack + widest * (1 + slack) + self._rounding()
        if not multiplies_bytes():
            tiles = Tiles(Coded(codes, scales), min(TILE, len(self)), pool)
            return lambda rows: tiles.multiply(Coded(self.codes[rows], self.scales[rows])), reach

        def bytes_product(rows: slice) -> Float[np.ndarray, "B T"]:
            products = torch._int_mm(codes, self.codes[rows].T)
            return products.float().mul_(self.scales[rows]).mul_(scales[:, None]).numpy()

        return bytes_product, reach

    def _rounding(self) -> float:
        """Error bound of float32 itself: a few roundings of products of unit vectors, and D of their sums."""
        return (self.dim + 64) * ROUNDING


class _Survivors:
    """Rows that may still be among each query's nearest; the bar rises as rows are seen."""

    def __init__(self, count: int, k: int, reach: Float[Tensor, " B"]) -> None:
        self.k, self.reach = k, reach.numpy()
        self.bar = np.full(count, np.finfo(np.float32).min, dtype=np.float32)
        self.rows, self.cols = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        self.values = [np.empty(0, np.float32)]
        self.seen, self.due = 0, TILE

    def add(self, values: Float[np.ndarray, "B T"], start: int) -> None:
        """Add the next columns; minus infinity marks those to leave out."""
        width = values.shape[1]
        if not self.seen and self.k <= width:
            kth = np.partition(values, width - self.k, axis=1)[:, width - self.k]
            self.bar = np.maximum(kth - 2 * self.reach, self.bar)
        cells = np.flatnonzero(values >= self.bar[:, None])  # in a third of torch's time
        row = cells // width
        self.rows.append(row)
        column = cells - row * width
        self.cols.append(column + start)
        self.values.append(values[row, column])
        self.seen += width
        if self.seen >= self.due:
            self._raise_bar()
            self.due = self.seen + max(TILE, self.seen // 2)

    def _raise_bar(self) -> None:
        row, column = np.concatenate(self.rows), np.concatenate(self.cols)
        value = np.concatenate(self.values)
        order = (4.0 * row - value).argsort()  # by row, the highest value first: no value reaches 2
        row, column, value = row[order], column[order], value[order]
        counts = np.bincount(row, minlength=len(self.bar))
        starts = counts.cumsum() - counts
        enough = counts >= self.k
        # Both the k-th value and a contender may be off by the reach, in opposite directions.
        kth = value[(starts + self.k - 1)[enough]]
        self.bar[enough] = kth - 2 * self.reach[enough]
        stays = value >= self.bar[row]
        self.rows, self.cols, self.values = [row[stays]], [column[stays]], [value[stays]]

    def pairs(self) -> tuple[Int[Tensor, " C"], Int[Tensor, " C"]]:
        """Pairs of query and candidate row: by query, the highest value first."""
        self._raise_bar()
        return torch.from_numpy(self.rows[0]), torch.from_numpy(self.cols[0])


def quantise(
    vectors: Float[Tensor, "N D"], largest: int = 127
) -> tuple[Int[Tensor, "N D"], Float[Tensor, " N"], Float[Tensor, " N"]]:
    """Codes, scales and slacks of the unit vectors; one of length zero has codes of zero.

    Codes reach from ``-largest`` to ``largest``: in 8 bits up to 127, in 16 beyond.
    """
    vectors = vectors.float()
    lengths = vectors.norm(dim=1, keepdim=True)
    if not ((lengths > TINY) & (lengths < 1 / TINY)).all():  # squares that float32 cannot hold, or zero
        lengths = vectors.double().norm(dim=1, keepdim=True)
        lengths = torch.where(lengths > 0, lengths, 1.0)
    unit = (vectors / lengths).float()
    scales = torch.maximum(unit.amax(dim=1), -unit.amin(dim=1)) / largest
    safe = torch.where(scales > 0, scales, 1.0)[:, None]
    codes = (unit / safe).round_().clamp_(-largest, largest)
    # Beyond what the codes leave out: half of D roundings of a length in float32, and a few of the rest.
    slack = unit.addcmul_(codes, safe, value=-1).norm(dim=1) * (1 + 1e-5) + (vectors.shape[1] + 64) * ROUNDING
    return codes.to(torch.int8 if largest <= 127 else torch.int16), safe[:, 0], slack


def _unit(vectors: Float[Tensor, "N D"]) -> Float[Tensor, "N D"]:
    lengths = vectors.double().norm(dim=1, keepdim=True)
    return (vectors.double() / torch.where(lengths > 0, lengths, 1.0)).float()


def _within(
    values: Float[Tensor, " N"], slack: Float[Tensor, " N"], k: int, factor: float, bound: float
) -> Int[Tensor, " C"]:
    """Rows whose upper bound reaches the k-th highest lower bound, ascending.

    A value may be off by ``factor * slack + bound``. The lower bounds of the k highest values are taken for
    the k highest lower bounds: a valid limit, and nearly the tightest.
    """
    if k >= len(values):
        return torch.arange(len(values))
    best = values.topk(k).indices
    certain = float((values[best] - factor * slack[best]).min()) - bound
    return (torch.add(values, slack, alpha=factor) >= certain - bound).nonzero()[:, 0]


def _within_each(
    values: Float[Tensor, " N"], slack: Float[Tensor, " N"], query: Int[Tensor, " N"], k: int, bound: float
) -> Bool[Tensor, " N"]:
    """``_within`` for the values of many queries, grouped by query, roughly the highest first."""
    counts = torch.bincount(query)
    place = torch.arange(len(query)) - (counts.cumsum(0) - counts)[query]
    certain = torch.full((len(counts),), torch.inf)
    first = place < k
    certain.scatter_reduce_(0, query[first], (values - slack)[first], "amin")
    return (values + slack >= certain[query] - 2 * bound) | (counts <= k)[query]
