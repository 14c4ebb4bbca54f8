"""Query, product and image packed into one integer, so that a single sort orders by all three."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int, UInt64

ROW_BITS, VALUE_BITS, PLACE_BITS = 11, 32, 21
MAX_ROWS, MAX_PLACES = (1 << ROW_BITS) - 1, 1 << PLACE_BITS  # one row is spare: its first key is the end
_SIGN = np.uint32(1 << 31)


def pack(
    rows: Int[np.ndarray, " n"], values: Float[np.ndarray, " n"], places: Int[np.ndarray, " n"] | int
) -> UInt64[np.ndarray, " n"]:
    """Integers that sort by row, then by value as float32, then by place.

    >>> sorted(pack(np.array([1, 0, 0]), np.array([-3.0, 0.5, -0.5]), 0)) == [
    ...     *pack(np.array([0, 0, 1]), np.array([-0.5, 0.5, -3.0]), 0)
    ... ]
    True
    """
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.int32)
    # The bits of floats sort like integers once those of negative numbers are inverted.
    keys = (bits.view(np.uint32) ^ ((bits >> 31).view(np.uint32) | _SIGN)).astype(np.uint64)
    keys <<= np.uint64(PLACE_BITS)
    keys |= rows.astype(np.uint64) << np.uint64(VALUE_BITS + PLACE_BITS)
    keys |= np.uint64(places) if isinstance(places, int) else places.astype(np.uint64)
    return keys


def values_of(keys: UInt64[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Values of packed integers, as float32."""
    bits = (keys >> np.uint64(PLACE_BITS)).astype(np.uint32)
    return np.where(bits & _SIGN, bits ^ _SIGN, ~bits).view(np.float32)


def above(keys: UInt64[np.ndarray, " n"]) -> UInt64[np.ndarray, " n"]:
    """An upper bound of the keys of the same row and value, given their key at place 0."""
    return keys + np.uint64(MAX_PLACES)


def first_of_rows(num_rows: int) -> UInt64[np.ndarray, " num_rows+1"]:
    """Lower bound of the keys of each row, with one more entry for the end."""
    return np.arange(num_rows + 1, dtype=np.uint64) << np.uint64(VALUE_BITS + PLACE_BITS)


def rows_of(keys: UInt64[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Rows of packed integers."""
    return (keys >> np.uint64(VALUE_BITS + PLACE_BITS)).astype(np.int64)


def places_of(keys: UInt64[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Places of packed integers."""
    return (keys & np.uint64(MAX_PLACES - 1)).astype(np.int64)
