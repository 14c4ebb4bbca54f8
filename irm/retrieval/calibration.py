"""Scores that a person can read: how rare such a score is here, and how often it means one person."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from scipy.stats import norm

from irm.retrieval.ledger import Ledger, SpaceRow

NUM_STRANGERS = 2000  # gallery images that stand for all
NUM_PEOPLE, NUM_EACH = 400, 4  # people with several images, and how many of each
FEW = 20  # fewer pairs of one person than this calibrate nothing


@dataclass(frozen=True, eq=False)
class Calibration:
    """What is known of a space's scores."""

    num_images: int  # when it was measured
    sample: Float[np.ndarray, "M D"]  # unit vectors of gallery images
    slope: float | None  # of the log odds that a pair shows one person; None where too few pairs are labelled
    offset: float

    def chance(
        self, query: Float[np.ndarray, " D"], scores: Float[np.ndarray, " K"]
    ) -> Float[np.ndarray, " K"]:
        """Share of the gallery expected to score at least as high by accident.

        By the normal curve through the quartiles of a sample: the few images of the person who is looked for
        do not move those.
        """
        unit = query / max(float(np.linalg.norm(query)), 1e-12)
        found = self.sample @ unit
        low, middle, high = np.quantile(found, (0.25, 0.5, 0.75))
        spread = max(float(high - low) / 1.349, 1e-6)
        return norm.sf((scores - middle) / spread)

    def percent(self, score: float) -> int | None:
        """Of the gallery's pairs with such a score, how many in a hundred show one person."""
        if self.slope is None:
            return None
        odds = np.clip(self.slope * score + self.offset, -30, 30)
        return round(100 / (1 + float(np.exp(-odds))))


class Calibrations:
    """Measures a space when it is first asked for, and again when the gallery has grown by a tenth."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._lock = threading.Lock()
        self._known: dict[int, Calibration] = {}

    def of(self, space: SpaceRow) -> Calibration:
        """What is known of a space, measured if need be."""
        count = self.ledger.count(space.table)
        with self._lock:
            known = self._known.get(space.number)
            if known is None or abs(count - known.num_images) > known.num_images / 10:
                known = self._known[space.number] = measure(self.ledger, space, count)
        return known


def measure(ledger: Ledger, space: SpaceRow, count: int) -> Calibration:
    """Look at a sample of a gallery, the same one each time."""
    rng = np.random.default_rng(space.number)
    rows = ledger.connection.execute(
        f"SELECT id, coalesce(pid, -1) FROM images WHERE id IN (SELECT image FROM {space.table}) ORDER BY id"
    ).fetchall()
    ids, pids = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True)) if rows else ([], [])
    ids, pids = np.asarray(ids, dtype=np.int64), np.asarray(pids, dtype=np.int64)
    chosen = rng.choice(ids, min(NUM_STRANGERS, len(ids)), replace=False)
    sample = _unit(ledger.vectors(space, chosen.tolist())[1])
    slope, offset = _fit(ledger, space, ids, pids, rng)
    return Calibration(count, sample, slope, offset)


def _fit(
    ledger: Ledger, space: SpaceRow, ids: np.ndarray, pids: np.ndarray, rng: np.random.Generator
) -> tuple[float | None, float]:
    """Logistic curve through labelled pairs, weighted as often as each kind of pair occurs."""
    from sklearn.linear_model import LogisticRegression

    people, counts = np.unique(pids[pids > 0], return_counts=True)
    people = people[counts > 1]
    if len(people) < 2:
        return None, 0.0
    people = rng.permutation(people)[:NUM_PEOPLE]
    chosen = np.concatenate([rng.permutation(ids[pids == pid])[:NUM_EACH] for pid in people])
    found, vectors = ledger.vectors(space, chosen.tolist())
    labels = pids[ids.searchsorted(found)]
    unit = _unit(vectors)
    first, second = np.triu_indices(len(unit), 1)
    scores = (unit @ unit.T)[first, second]
    same = labels[first] == labels[second]
    if same.sum() < FEW:
        return None, 0.0
    known = float((pids > 0).sum())
    prevalence = float((counts * (counts - 1.0)).sum()) / max(known * (known - 1), 1.0)
    weights = np.where(same, prevalence / same.sum(), (1 - prevalence) / max((~same).sum(), 1)) * len(same)
    fitted = LogisticRegression(C=1e6).fit(scores[:, None], same, sample_weight=weights)
    slope = float(fitted.coef_[0, 0])
    return (slope, float(fitted.intercept_[0])) if slope > 0 else (None, 0.0)


def _unit(vectors: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N D"]:
    return F.normalize(torch.from_numpy(np.array(vectors)), dim=1).numpy()
