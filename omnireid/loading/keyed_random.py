"""Random streams with keys: a draw depends on (seed, purpose, step, row), never on the process that draws."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from jaxtyping import Float64, UInt64


class Purpose(IntEnum):
    """The use of a stream; two purposes never share numbers."""

    SOURCES = 1
    IDENTITIES = 2
    INSTANCES = 3
    AUGMENTATION = 4
    INSTRUCTION = 5
    SENTENCE = 6
    WRONG_INSTRUCTION = 7
    EXEMPLARS = 8
    CLOTHES = 9


def generator(
    seed: int, purpose: Purpose, *, stream: int = 0, step: int = 0, row: int = 0
) -> np.random.Generator:
    """A fresh generator for one key; Philox, so that every key is equally cheap to reach.

    Args:
        seed: the run's seed, 0..2**64-1.
        purpose: what is drawn.
        stream: index of the source in the mixture.
        step: optimizer step, or pass over the data.
        row: row of the batch.
    """
    # The lowest counter word stays zero: it increases as numbers are drawn.
    key = np.array([seed, purpose << 32 | stream], dtype=np.uint64)
    return np.random.Generator(
        np.random.Philox(key=key, counter=np.array([0, row, step, 0], dtype=np.uint64))
    )


def uniforms(
    seed: int, purpose: Purpose, *, stream: int = 0, step: int = 0, rows: Sequence[int], count: int
) -> Float64[np.ndarray, "B count"]:
    """The first numbers in [0, 1) of every row's generator, for a whole batch at once.

    Equal to ``generator(...).random(count)`` row by row; creating a generator costs 500 draws.
    The rounds are those of Philox4x64-10 (Salmon et al., Parallel random numbers: as easy as 1, 2, 3, 2011).

    Args:
        seed: as for ``generator``.
        purpose: as for ``generator``.
        stream: as for ``generator``.
        step: as for ``generator``.
        rows: which rows.
        count: how many numbers of each.
    """
    blocks = -(-count // 4)  # four numbers per counter value, which numpy increments before use
    places = np.repeat(np.array(rows, dtype=np.uint64), blocks)
    counters = np.tile(np.arange(1, blocks + 1, dtype=np.uint64), len(rows))
    pairs = np.stack([counters, np.full_like(places, step)])  # words 0 and 2
    odd = np.stack([places, np.zeros_like(places)])  # words 1 and 3
    key = np.array([[seed], [purpose << 32 | stream]], dtype=np.uint64)
    for round_number in range(10):
        high, low = _multiply(pairs, _MULTIPLIERS)
        pairs, odd = high[::-1] ^ odd ^ (key + _WEYL * np.uint64(round_number)), low[::-1]
    words = np.stack([pairs[0], odd[0], pairs[1], odd[1]], axis=1).reshape(len(rows), 4 * blocks)
    return (words[:, :count] >> np.uint64(11)) * 2.0**-53


_MULTIPLIERS = np.array([[0xD2E7470EE14C6C93], [0xCA5A826395121157]], dtype=np.uint64)
_WEYL = np.array([[0x9E3779B97F4A7C15], [0xBB67AE8584CAA73B]], dtype=np.uint64)
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


def _multiply(
    a: UInt64[np.ndarray, "2 N"], b: UInt64[np.ndarray, "2 1"]
) -> tuple[UInt64[np.ndarray, "2 N"], UInt64[np.ndarray, "2 N"]]:
    """High and low words of 64-bit products, in 32-bit halves."""
    a_high, a_low, b_high, b_low = a >> _HALF, a & _LOW, b >> _HALF, b & _LOW
    middle = a_high * b_low + (a_low * b_low >> _HALF)
    other = a_low * b_high + (middle & _LOW)
    return a_high * b_high + (middle >> _HALF) + (other >> _HALF), a * b
