"""Calibrated scores: how rare a similarity is in this gallery, and how often it means the same person."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float

from irm.retrieval.catalog import Catalog, SpaceRow

NUM_STRANGERS = 2000  # gallery images sampled to represent all
NUM_PEOPLE, NUM_EACH = 400, 4  # people with several images, and how many of each
RIDGE = 1e-6  # regularisation of the curve's slope, as weak as scikit-learn's C=1e6
NUM_BINS = 4096  # of scores from -1 to 1
FEW = 20  # fewer pairs of one person than this calibrate nothing


@dataclass(frozen=True, eq=False)
class Calibration:
    """The calibration of one space's scores."""

    num_images: int  # when it was measured
    sample: Float[np.ndarray, "M D"]  # unit vectors of gallery images
    slope: float | None  # of the log odds that a pair shows one person; None where too few pairs are labelled
    offset: float

    def chance(
        self, query: Float[np.ndarray, " D"], scores: Float[np.ndarray, " K"]
    ) -> Float[np.ndarray, " K"]:
        """Share of the gallery expected to score at least as high by accident.

        By the normal distribution with the quartiles of a sample, which the few images of the wanted person
        hardly move.
        """
        unit = query / max(float(np.linalg.norm(query)), 1e-12)
        found = self.sample @ unit
        low, middle, high = np.quantile(found, (0.25, 0.5, 0.75))
        spread = max(float(high - low) / 1.349, 1e-6)
        return torch.special.ndtr(torch.from_numpy((middle - scores) / spread)).numpy()

    def percent(self, score: float) -> int | None:
        """The percentage of the gallery's pairs with such a score that show the same person."""
        if self.slope is None:
            return None
        odds = np.clip(self.slope * score + self.offset, -30, 30)
        return round(100 / (1 + float(np.exp(-odds))))


class Calibrations:
    """Measures a space when it is first asked for, and again when the gallery has grown by a tenth."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._lock = threading.Lock()
        self._known: dict[int, Calibration] = {}
        self._erased = 0

    def of(self, space: SpaceRow) -> Calibration:
        """The calibration of a space, measured if need be."""
        count = self.catalog.count(space.table)
        erased = self.catalog.count("gone")
        with self._lock:
            if erased != self._erased:  # erased people must not remain in a sample
                self._known.clear()
                self._erased = erased
            known = self._known.get(space.number)
            if known is None or abs(count - known.num_images) > known.num_images / 10:
                known = self._known[space.number] = measure(self.catalog, space, count)
        return known


def measure(catalog: Catalog, space: SpaceRow, count: int) -> Calibration:
    """Calibrate on a sample of a gallery, the same one each time."""
    rng = np.random.default_rng(space.number)
    with catalog.snapshot():
        sample = _unit(catalog.vectors(space, _some_images(catalog, space, count, rng))[1])
        slope, offset = _fit(catalog, space, rng)
    return Calibration(count, sample, slope, offset)


def _some_images(catalog: Catalog, space: SpaceRow, count: int, rng: np.random.Generator) -> list[int]:
    """All images, or those that follow numbers drawn at random, without reading a million rows."""
    run = catalog.connection.execute
    if count <= NUM_STRANGERS:
        return [row[0] for row in run(f"SELECT image FROM {space.table}")]
    first, last = run(f"SELECT min(image), max(image) FROM {space.table}").fetchone()
    following = f"SELECT image FROM {space.table} WHERE image >= ? ORDER BY image LIMIT 1"
    drawn = rng.integers(first, last, NUM_STRANGERS, endpoint=True)
    return [run(following, (int(number),)).fetchone()[0] for number in drawn]


def _fit(catalog: Catalog, space: SpaceRow, rng: np.random.Generator) -> tuple[float | None, float]:
    """Logistic curve through labelled pairs, weighted by how often each kind of pair occurs."""
    run = catalog.connection.execute
    sql = "SELECT pid, count(*) FROM images WHERE pid > 0 GROUP BY pid ORDER BY pid"
    rows = np.array(run(sql).fetchall(), dtype=np.int64).reshape(-1, 2)
    several = rows[rows[:, 1] > 1]
    if len(several) < 2:
        return None, 0.0
    labels: dict[int, int] = {}
    for pid in rng.permutation(several[:, 0])[:NUM_PEOPLE].tolist():
        images = [row[0] for row in run("SELECT id FROM images WHERE pid = ? ORDER BY id", (pid,))]
        labels.update(dict.fromkeys(rng.permutation(images)[:NUM_EACH].tolist(), pid))
    found, vectors = catalog.vectors(space, list(labels))
    pids = np.array([labels[image] for image in found.tolist()], dtype=np.int64)
    first, second = np.triu_indices(len(found), 1)
    unit = _unit(vectors)
    scores = (unit @ unit.T)[first, second].astype(np.float64)
    same = pids[first] == pids[second]
    if same.sum() < FEW or same.all():
        return None, 0.0
    known, counts = float(rows[:, 1].sum()), several[:, 1].astype(np.float64)
    prevalence = float((counts * (counts - 1)).sum()) / (known * (known - 1))
    parts = [_binned(scores[same], prevalence), _binned(scores[~same], 1 - prevalence)]
    is_same = np.arange(len(parts[0][0]) + len(parts[1][0])) < len(parts[0][0])
    places, weights = (np.concatenate(column) for column in zip(*parts, strict=True))
    slope, offset = logistic(places, is_same, weights * len(same))
    return (slope, offset) if slope > 0 else (None, 0.0)


def _binned(
    scores: Float[np.ndarray, " P"], share: float
) -> tuple[Float[np.ndarray, " b"], Float[np.ndarray, " b"]]:
    """A few thousand points instead of a million pairs: mean score and weight of each bin."""
    bins = np.round((scores + 1) * NUM_BINS / 2).clip(0, NUM_BINS).astype(np.int64)
    counts, sums = np.bincount(bins), np.bincount(bins, weights=scores)
    held = counts > 0
    return sums[held] / counts[held], share * counts[held] / len(scores)


def logistic(
    scores: Float[np.ndarray, " P"], same: Bool[np.ndarray, " P"], weights: Float[np.ndarray, " P"]
) -> tuple[float, float]:
    """Slope and offset of the weighted logistic regression of one variable, by Newton's method.

    Written here because importing scikit-learn takes longer than a whole search. The ridge bounds the slope
    where the two kinds of pairs do not overlap.
    """
    design = np.stack([scores, np.ones_like(scores)])
    ridge = np.diag([RIDGE, 0.0])

    def loss(at: Float[np.ndarray, " two"]) -> float:
        logits = at @ design
        return float((weights * (np.logaddexp(0, logits) - same * logits)).sum() + 0.5 * at @ ridge @ at)

    weight = np.zeros(2)
    for _ in range(100):
        chance = 1 / (1 + np.exp(-(weight @ design)))
        gradient = design @ (weights * (chance - same)) + ridge @ weight
        curvature = (design * (weights * chance * (1 - chance))) @ design.T + ridge + 1e-12 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        size = 1.0
        while size > 1e-6 and loss(weight - size * step) > loss(weight):
            size /= 2
        weight = weight - size * step
        if np.abs(size * step).max() < 1e-9 * (1 + np.abs(weight).max()):
            break
    return float(weight[0]), float(weight[1])


def _unit(vectors: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N D"]:
    return F.normalize(torch.from_numpy(np.array(vectors)), dim=1).numpy()
