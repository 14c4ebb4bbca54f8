"""Random streams with an address: a draw depends on (seed, purpose, step, row), never on who draws."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What a stream is for; two purposes never share numbers."""

    SOURCES = 1
    IDENTITIES = 2
    INSTANCES = 3
    AUGMENTATION = 4
    INSTRUCTION = 5
    SENTENCE = 6
    WRONG_INSTRUCTION = 7


def generator(
    seed: int, purpose: Purpose, *, stream: int = 0, step: int = 0, row: int = 0
) -> np.random.Generator:
    """A fresh generator at one address; Philox, so that any address costs the same to reach.

    Args:
        seed: the run's seed, 0..2**64-1.
        purpose: what is drawn.
        stream: which source of a mixture draws.
        step: optimiser step, or pass over the data.
        row: row of the batch.
    """
    # The lowest counter word stays zero: it is the one that runs while numbers are drawn.
    key = np.array([seed, purpose << 32 | stream], dtype=np.uint64)
    return np.random.Generator(
        np.random.Philox(key=key, counter=np.array([0, row, step, 0], dtype=np.uint64))
    )
