"""The two ways in which the synthetic world draws: one word of several, and a number near another."""

from collections.abc import Mapping

import numpy as np


def pick(weights: Mapping[str, float], rng: np.random.Generator) -> str:
    """Draw a key with a chance in proportion to its weight; costs one uniform number."""
    place = rng.uniform() * sum(weights.values())
    for key, weight in weights.items():
        place -= weight
        if place < 0:
            return key
    return max(weights, key=lambda key: weights[key])  # rounding: place came out as zero


def around(mean: float, deviation: float, rng: np.random.Generator) -> float:
    """Draw from a normal distribution without its tails beyond two deviations."""
    return float(mean + deviation * min(max(rng.standard_normal(), -2.0), 2.0))
