"""Batch-hard triplets on scores of pairs instead of distances, as QAConv is trained (MLLM, table 4)."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from irm.losses.distances import diagonal
from irm.losses.precision import full_precision
from irm.losses.triplet import FAR


def score_triplet_loss(
    scores: Float[Tensor, "B B"], labels: Int[Tensor, " B"], margin: float = 16.0
) -> Float[Tensor, ""]:
    """Mean of ``{best score of a stranger + margin - worst score of another image of the person}_+``.

    An anchor that lacks either is left out; a batch without any has no loss. No image is its own positive.

    Args:
        scores: row i are the scores of anchor i with every image; larger is closer.
        labels: identities.
        margin: in units of the scores; 16 is the authors' (Liao and Shao, CVPR 2022).
    """
    scores = full_precision(scores)
    same = labels[:, None] == labels[None, :]
    others = same & ~diagonal(scores)
    positive = scores.masked_fill(~others, FAR).amin(dim=1)
    negative = scores.masked_fill(same, -FAR).amax(dim=1)
    counted = others.any(dim=1) & ~same.all(dim=1)
    terms = F.relu(negative + margin - positive)
    return terms.where(counted, terms.new_zeros(())).sum() / counted.sum().clamp(min=1)
