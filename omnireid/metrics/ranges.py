"""Indices covered by many slices of an array."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int


def covered(starts: Int[np.ndarray, " n"], stops: Int[np.ndarray, " n"]) -> Int[np.ndarray, " m"]:
    """Every index within any of the slices, once and ascending; starts and stops must both ascend.

    >>> covered(np.array([2, 3, 9]), np.array([5, 6, 10])).tolist()
    [2, 3, 4, 5, 9]
    """
    starts = np.maximum(starts, np.concatenate([[0], stops])[:-1])
    counts = np.maximum(stops - starts, 0)
    ends = counts.cumsum()
    return np.repeat(starts - (ends - counts), counts) + np.arange(counts.sum())
