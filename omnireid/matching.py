"""Scores of all pairs of two sides, block by block, by an image matcher (MLLM, table 4)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from omnireid.interfaces import GridScorer, PairStates


@torch.no_grad()
def score_all(scorer: GridScorer, query: PairStates, gallery: PairStates, block: int) -> Float[Tensor, "Q G"]:
    """Scores of every query with every gallery image, larger is closer.

    Args:
        scorer: the matcher.
        query: states of the queries.
        gallery: states of the gallery.
        block: images of either side at a time; bounds the memory without changing scores.
    """
    scores = torch.empty(len(query), len(gallery))
    for top in range(0, len(query), block):
        rows = torch.arange(top, min(top + block, len(query)))
        some = query.take(rows)
        for left in range(0, len(gallery), block):
            columns = torch.arange(left, min(left + block, len(gallery)))
            scores[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = scorer.score_grid(
                some, gallery.take(columns)
            )
    return scores
