"""Batch-hard triplet loss (Hermans et al., 2017), the classic that the adaptive one generalises."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from irm.losses.distances import pairwise_distances

FAR = 1e7  # stands for the nearest negative where a batch has none


def batch_hard_triplet_loss(
    features: Float[Tensor, "B D"], labels: Int[Tensor, " B"], margin: float | None = 0.3
) -> Float[Tensor, ""]:
    """Mean over anchors of ``{d(a, farthest positive) + margin - d(a, nearest negative)}_+`` (MLLM, eq. 3).

    Without a margin it is soft, ``log(1 + exp(d(a, farthest positive) - d(a, nearest negative)))``.

    An anchor without another image of its person is its own positive, at distance zero; a batch without
    negatives has no loss.
    """
    distances = pairwise_distances(features)
    same = labels[:, None] == labels[None, :]
    positive = distances.masked_fill(~same, -FAR).amax(dim=1)
    negative = distances.masked_fill(same, FAR).amin(dim=1)
    gap = positive - negative
    return F.softplus(gap).mean() if margin is None else F.relu(gap + margin).mean()
