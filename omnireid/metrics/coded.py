"""Dot products of features quantised to 16-bit integers: a third faster than floats, with a bounded error.

With codes ``a = s x + r`` and ``b = s y + r'``, rounding errors of length ``|r| <= R``, Cauchy-Schwarz bounds
the error of a product by ``R (|a| + |b| + R) / s²``. It and all its partial sums fit into 32 bits while
``|a| |b|`` stays below 2³¹.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, Int16, UInt64
from torch import Tensor

from omnireid.native import address, aligned, compiled, shares

SOURCE = Path(__file__).with_name("near.c")
ROWS = 8  # gallery images that are multiplied at a time
LARGEST_CODE, LARGEST_LENGTH = 2**15 - 1, 46340.0  # the square of a length is below 2³¹
HALF = 0.51  # largest error of rounding a number to a code, with that of float32
LONGEST = 1 + 2.0**-18  # largest length of a feature: 1, and rounding in float32
ROUNDING = 2.0**-21  # roundings of a product to float32, times the factor, plus the addend: all below 2


class Coding:
    """How features of length at most 1 are quantised."""

    def __init__(self, sides: Callable[[], Iterable[Float[Tensor, "n D"]]], dim: int) -> None:
        """Measure.

        Args:
            sides: Gives all features that are to be coded, some at a time; asked twice.
            dim: Their width.
        """
        # The length limits the scale, or, where a number exceeds 0.5, the range of a code.
        scale = (LARGEST_LENGTH - HALF * dim**0.5) / LONGEST
        peak = max(float(features.abs().max()) for features in sides())
        self.scale = float(np.float32(min(scale, (LARGEST_CODE - HALF) / max(peak, 0.5))))
        left_out = max(self._left_out(features) for features in sides())
        length = self.scale * LONGEST + left_out
        self.slack = left_out * (2 * length + left_out) / self.scale**2 + ROUNDING

    def _left_out(self, features: Float[Tensor, "n D"]) -> float:
        made, whole = library(), features.contiguous()
        assert made is not None
        sizes = [ctypes.c_int64(size) for size in whole.shape]
        square = made.left_out(ctypes.c_void_p(whole.data_ptr()), *sizes, ctypes.c_float(self.scale))
        return square**0.5 * (1 + 2.0**-12) + 0.01

    def codes(self, features: Float[Tensor, "n D"], out: Int16[np.ndarray, "n D"]) -> None:
        """Write the codes of some features."""
        made, whole = library(), features.contiguous()
        assert made is not None
        sizes = ctypes.c_int64(whole.numel()), ctypes.c_float(self.scale)
        made.code_rows(ctypes.c_void_p(whole.data_ptr()), *sizes, address(out))


class CodedTile:
    """A tile in main memory whose products are computed from codes; needs the compiled ``library``."""

    def __init__(self, query: Float[Tensor, "q D"], coding: Coding, *, block: int, width: int) -> None:
        """Take the queries; there will be at most so many of them and of gallery images in a tile."""
        self._coding = coding
        self._query = aligned(tuple(query.shape), np.int16)
        coding.codes(query, self._query)
        width = -(-width // ROWS) * ROWS
        self._gallery = aligned((width, query.shape[1]), np.int16)
        self._gallery[:] = 0  # the padding of the last group is multiplied too
        self._addends = np.zeros(width, np.float32)
        self._blank = np.zeros(block * width, bool)
        self._keys = np.empty(width * block + 1, np.uint64)
        self._threads = torch.get_num_threads()
        self._pool = ThreadPoolExecutor(self._threads)
        self._width = 0

    def turn(self, gallery: Float[Tensor, "g D"], addends: Float[Tensor, " g"] | None) -> None:
        """See ``Tile``."""
        self._width = len(gallery)
        self._coding.codes(gallery, self._gallery[: self._width])
        self._addends[: self._width] = 0 if addends is None else addends.numpy()

    def near(
        self, rows: slice, limits: Float[np.ndarray, " q"], blank: Int[np.ndarray, " n"], first: int
    ) -> UInt64[np.ndarray, " n"]:
        """See ``Tile``."""
        made, count, dim = library(), rows.stop - rows.start, self._query.shape[1]
        assert made is not None
        sides = address(self._query[rows]), address(self._gallery)
        sizes = [ctypes.c_int64(size) for size in (count, self._width, dim)]
        factor = ctypes.c_float(self._coding.scale**-2)
        rest = [address(array) for array in (self._addends, limits, self._blank)]
        places = ctypes.c_uint64(rows.start), ctypes.c_uint64(first)
        self._blank[blank] = True

        def part(share: tuple[int, int]) -> UInt64[np.ndarray, " n"]:
            ends = [ctypes.c_int64(end) for end in share]
            keys = self._keys[share[0] * count :]
            return keys[: made.near(*sides, *sizes, *ends, factor, *rest, *places, address(keys))]

        parts = shares(self._width, ROWS, self._threads)
        found = list(map(part, parts) if self._threads == 1 else self._pool.map(part, parts))
        self._blank[blank] = False
        return found[0] if len(found) == 1 else np.concatenate(found)


def is_plain(features: Tensor) -> bool:
    """Whether ``pair_products`` can read the features in place, without a copy."""
    return features.dtype == torch.float32 and features.is_contiguous()


def pair_products(
    query: Float[Tensor, "Q D"],
    gallery: Float[Tensor, "G D"],
    rows: Int[np.ndarray, " n"],
    columns: Int[np.ndarray, " n"],
) -> Float[np.ndarray, " n"]:
    """Products of some pairs in float64; needs the compiled ``library``."""
    made = library()
    assert made is not None
    products = np.empty(len(rows))
    sides = ctypes.c_void_p(query.data_ptr()), ctypes.c_void_p(gallery.data_ptr())
    pairs = [np.ascontiguousarray(side, dtype=np.int64) for side in (rows, columns)]
    sizes = ctypes.c_int64(len(rows)), ctypes.c_int64(query.shape[1])
    made.pair_products(*sides, *map(address, pairs), *sizes, address(products))
    return products


def library() -> ctypes.CDLL | None:
    """The compiled C code (near.c); None where it cannot be compiled."""
    made = compiled(SOURCE)
    if made is not None:
        made.near.restype, made.left_out.restype = ctypes.c_int64, ctypes.c_double
    return made
