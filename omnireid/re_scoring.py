"""The second stage of a search: pairs are scored and re-ordered (IRM, appendix D.2; MLLM, table 4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from instructions.errors import InputError
from omnireid.interfaces import GridScorer, PairScorer, PairStates
from omnireid.matching import score_all
from omnireid.metrics import Distances, ExactDistances, nearest_exactly


@dataclass(frozen=True, eq=False)
class ReScorer:
    """Scores each query with its nearest images, and ranks those by score before all others.

    If a block scorer scores all images, the scores alone are the ranking. Otherwise the remaining images keep
    their cosine distances, so that the tail is ordered too. Ties of pair scores stay in cosine order.
    """

    scorer: PairScorer
    query: PairStates  # states of every query of the split
    gallery: PairStates  # states of every image of the split
    top: int  # images scored for each query; all where the gallery has fewer
    batch_size: int  # pairs, or images of either side of a block, at a time

    def apply(
        self, distances: Distances, query_rows: Int[np.ndarray, " B"], gallery_rows: Int[np.ndarray, " g"]
    ) -> ExactDistances:
        """Distances that express the new order.

        Args:
            distances: Negative cosine similarities of a block of queries.
            query_rows: The block's queries, as rows of the split.
            gallery_rows: The images searched, as rows of the split.

        Raises:
            InputError: A score is not finite.
        """
        values = np.array(distances.values)
        if self.top >= len(gallery_rows) and isinstance(self.scorer, GridScorer):
            sides = self.query.take(_rows(query_rows)), self.gallery.take(_rows(gallery_rows))
            return ExactDistances(-_finite(score_all(self.scorer, *sides, self.batch_size).numpy()))
        nearest = np.stack([nearest_exactly(distances, row, self.top) for row in range(len(values))])
        scores = _finite(self._scores(query_rows, gallery_rows[nearest]))
        order = np.take_along_axis(nearest, np.argsort(-scores, axis=1, kind="stable"), axis=1)
        # Negative cosines are at least -1, so integers below -1 come first and tie with nothing.
        places = np.arange(-order.shape[1] - 1, -1, dtype=values.dtype)
        np.put_along_axis(values, order, places[None, :], axis=1)
        return ExactDistances(values)

    def _scores(
        self, query_rows: Int[np.ndarray, " B"], images: Int[np.ndarray, "B k"]
    ) -> Float[np.ndarray, "B k"]:
        pairs = torch.from_numpy(np.stack([np.repeat(query_rows, images.shape[1]), images.ravel()]))
        scores = []
        with torch.no_grad():
            for first in range(0, pairs.shape[1], self.batch_size):
                text, image = pairs[:, first : first + self.batch_size]
                score = self.scorer.score_pairs(self.query.take(text), self.gallery.take(image))
                scores.append(score.float().cpu())
        return torch.cat(scores).reshape(images.shape).double().numpy()


def _rows(rows: Int[np.ndarray, " n"]) -> Int[torch.Tensor, " n"]:
    return torch.from_numpy(np.ascontiguousarray(rows))


def _finite(scores: Float[np.ndarray, "B k"]) -> Float[np.ndarray, "B k"]:
    if not np.isfinite(scores).all():
        raise InputError("the matching scores hold NaN or infinity; a ranking needs finite numbers")
    return scores
