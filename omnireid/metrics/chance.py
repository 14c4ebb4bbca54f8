"""The expected scores of a random ranking, in closed form: the chance level to compare every number with."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, Int

from omnireid.metrics.ranking import Ranking


def chance_average_precision(
    num_relevant: Int[np.ndarray, " Q"], num_kept: Int[np.ndarray, " Q"]
) -> Float[np.ndarray, " Q"]:
    """Expected average precision of R right answers among N images in random order; nan where R is 0.

    With H the N-th harmonic number it is (H + (R - 1) / (N - 1) * (N - H)) / N: a right answer at rank k has
    the expected precision (1 + (k - 1) * (R - 1) / (N - 1)) / k, and all ranks k are equally likely.

    >>> chance_average_precision(np.array([1, 2]), np.array([2, 2])).tolist()
    [0.75, 1.0]
    """
    relevant, kept = num_relevant.astype(np.float64), num_kept.astype(np.float64)
    largest = int(num_kept.max(initial=1))
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, largest + 1))])[num_kept]
    others = (relevant - 1) / np.maximum(kept - 1, 1)
    expected = (harmonic + others * (kept - harmonic)) / np.maximum(kept, 1)
    return np.where(num_relevant > 0, expected, np.nan)


def chance_mean_ap(ranking: Ranking) -> float:
    """Expected mAP of a random order of the same lists; nan where no query has a right answer."""
    expected = chance_average_precision(ranking.num_relevant, ranking.num_kept)
    valid = ranking.num_relevant > 0
    return float(expected[valid].mean()) if valid.any() else math.nan


def chance_rank_1(ranking: Ranking) -> float:
    """Expected rank-1 accuracy of a random order of the same lists; nan where no query has a right answer."""
    valid = ranking.num_relevant > 0
    shares = ranking.num_relevant[valid] / ranking.num_kept[valid]
    return float(shares.mean()) if valid.any() else math.nan
