"""Random features at the sizes of two test sets: identity centres, a shift per camera, noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.random import Generator

WIDTH = 768
DISTRACTORS = 0.175  # share of Market-1501's gallery
CAMERA_SHIFT = 0.4


@dataclass(frozen=True)
class Size:
    """How many of what a test set holds."""

    num_query: int
    num_gallery: int
    num_people: int
    num_cameras: int
    noise: float  # gives a mAP of about 0.8


@dataclass(frozen=True)
class Side:
    """Features of unit length, with their labels."""

    features: Float[np.ndarray, "N D"]
    pids: np.ndarray
    camids: np.ndarray
    clothes_ids: None = None
    modalities: None = None


SIZES = {
    "tiny": Size(400, 3000, 140, 6, 0.85),
    "market": Size(3368, 15913, 750, 6, 0.85),
    "msmt": Size(11659, 82161, 3060, 15, 0.8),
}


def draw_features(size: Size, seed: int = 0) -> tuple[Side, Side]:
    """Query and gallery."""
    rng = np.random.default_rng(seed)
    # Learned features spread over their axes by a power law.
    spread = np.arange(1, WIDTH + 1, dtype=np.float32) ** -0.5
    centres, shifts = (
        spread * rng.standard_normal((num, WIDTH), dtype=np.float32)
        for num in (size.num_people + 1, size.num_cameras)
    )
    drawn = (
        _draw_side(rng, num, share, centres, CAMERA_SHIFT * shifts, spread, size.noise)
        for num, share in ((size.num_query, 0.0), (size.num_gallery, DISTRACTORS))
    )
    return next(drawn), next(drawn)


def _draw_side(
    rng: Generator,
    num: int,
    distractors: float,
    centres: Float[np.ndarray, "P D"],
    shifts: Float[np.ndarray, "C D"],
    spread: Float[np.ndarray, " D"],
    noise: float,
) -> Side:
    pids, camids = rng.integers(1, len(centres), num), rng.integers(0, len(shifts), num)
    features = np.empty((num, WIDTH), dtype=np.float32)
    for start in range(0, num, 4096):
        rows = slice(start, start + 4096)
        drawn = rng.standard_normal((len(pids[rows]), WIDTH), dtype=np.float32)
        features[rows] = centres[pids[rows]] + shifts[camids[rows]] + noise * spread * drawn
    lone = (rng.random(num) < distractors).nonzero()[0]
    # A distractor is a person of their own, and carries pid 0.
    centre, image = rng.standard_normal((2, len(lone), WIDTH), dtype=np.float32)
    features[lone] = spread * centre + shifts[camids[lone]] + noise * spread * image
    pids[lone] = 0
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return Side(features, pids, camids)
