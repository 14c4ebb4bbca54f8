"""Products of queries with rows of 8-bit codes: in C where there is a compiler, else by torch.

Both give the same integers.
"""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int8, Int32, Integer
from torch import Tensor

from omnireid.native import address, aligned, compiled, shares

SOURCE = Path(__file__).with_name("dots.c")
EIGHT = 8  # rows that ``dot_tile`` takes at a time


def dot_rows(codes: Int8[Tensor, "N D"], query: Int8[Tensor, " D"]) -> Int32[Tensor, " N"]:
    """Exact products of a query with every row."""
    made = library()
    if made is None or not len(codes):
        return torch._int_mm(codes, query[:, None].contiguous())[:, 0]
    assert codes.is_contiguous()
    wide = query.to(torch.int16).contiguous()
    shifted = (wide + 128).to(torch.uint8)
    ones = torch.ones_like(shifted)
    products = torch.empty(len(codes), dtype=torch.int32)
    pointers = [ctypes.c_void_p(tensor.data_ptr()) for tensor in (codes, wide, shifted, ones)]
    sizes = [ctypes.c_int64(size) for size in codes.shape]
    made.dot_rows(*pointers, *sizes, ctypes.c_void_p(products.data_ptr()))
    return products


class Coded(NamedTuple):
    """Vectors as integers, each with a scale."""

    codes: Integer[Tensor, "N D"]
    scales: Float[Tensor, " N"]


class Tiles:
    """Multiplies many queries with some rows at a time; only where there is a ``library``.

    Torch's threads are not used: once started, they keep spinning on the cores that ours need. All memory is
    reused, so that it is mapped only once.
    """

    def __init__(self, queries: Coded, width: int, pool: ThreadPoolExecutor) -> None:
        """Prepare.

        Args:
            queries: codes of 16 bits, within ``largest_factor(D)``.
            width: the most rows that a call may have.
            pool: threads that share the rows.
        """
        count, dim = queries.codes.shape
        width = -(-width // EIGHT) * EIGHT
        self._queries = aligned((count, dim), np.int16), queries.scales.numpy()
        self._queries[0][:] = queries.codes.numpy()
        self._rows, self._scales = aligned((width, dim), np.int16), np.zeros(width, np.float32)
        self._values = np.empty(count * width, np.float32)
        self._pool = pool

    def multiply(self, rows: Coded) -> Float[np.ndarray, "Q N"]:
        """Products with every row, valid until the next call."""
        made = library()
        assert made is not None
        (asked, dim), count = self._queries[0].shape, len(rows.codes)
        whole = -(-count // EIGHT) * EIGHT
        self._rows[:count], self._scales[:count] = rows.codes.numpy(), rows.scales.numpy()
        sides = [address(array) for array in (*self._queries, self._rows, self._scales)]
        sizes = [ctypes.c_int64(size) for size in (asked, whole, dim)]

        def part(share: tuple[int, int]) -> None:
            ends = [ctypes.c_int64(end) for end in share]
            made.dot_tile(*sides, *sizes, *ends, address(self._values))

        list(self._pool.map(part, shares(whole, EIGHT, torch.get_num_threads())))
        return self._values[: asked * whole].reshape(asked, whole)[:, :count]


def largest_factor(dim: int) -> int:
    """The largest code of a query for which sums of products with 8-bit codes fit into 32 bits."""
    return min(2**15 - 1, (2**31 - 1) // (127 * dim))


@cache
def multiplies_bytes() -> bool:
    """Whether this processor multiplies 8-bit matrices fast (VNNI); otherwise floats are far faster."""
    return torch.cpu._is_vnni_supported()


def library() -> ctypes.CDLL | None:
    """The compiled C library; None where it cannot be built."""
    return compiled(SOURCE)
