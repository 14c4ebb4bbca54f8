"""The random draws of the synthetic world: a weighted choice, and a truncated normal distribution."""

from collections.abc import Mapping

import numpy as np


def pick(weights: Mapping[str, float], rng: np.random.Generator) -> str:
    """Draw a key with probability proportional to its weight; uses one uniform number."""
    place = rng.uniform() * sum(weights.values())
    for key, weight in weights.items():
        place -= weight
        if place < 0:
            return key
    return max(weights, key=lambda key: weights[key])  # rounding: place came out as zero


def around(mean: float, deviation: float, rng: np.random.Generator) -> float:
    """Draw from a normal distribution truncated at two standard deviations."""
    return mean + deviation * min(max(rng.standard_normal(), -2.0), 2.0)
