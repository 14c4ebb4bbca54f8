"""Adaptive triplet loss: the margin follows how alike two instructions are (IRM, section 4.3, eqs. 5-6)."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from irm.losses.distances import diagonal, pairwise_distances
from irm.losses.precision import unit
from irm.losses.triplet import FAR

# Cosines nearer than this are equal: Sign(beta_1 - beta_2) must not act on rounding errors.
TIE = 1e-6
RELEASED_WEIGHT = 0.1  # of the term between two positives in the authors' code


def relatedness(labels: Int[Tensor, " B"], instructions: Float[Tensor, "B E"] | None) -> Float[Tensor, "B B"]:
    """Cosine of two instructions where the identities agree, zero elsewhere (beta, eq. 6).

    Exactly one for equal instructions. Takes no part in the gradient, as in the released code.

    Args:
        labels: identities.
        instructions: the encoder's pooled vectors, any norm; None stands for one instruction that all share.
    """
    same = labels[:, None] == labels[None, :]
    if instructions is None:
        return same.float()
    with torch.autocast(instructions.device.type, enabled=False):
        directions = unit(instructions.detach())
        cosine = directions @ directions.T
    return torch.where(cosine > 1 - TIE, torch.ones_like(cosine), cosine) * same


def adaptive_triplet_loss(
    features: Float[Tensor, "B D"],
    labels: Int[Tensor, " B"],
    instructions: Float[Tensor, "B E"] | None,
    margin: float = 0.3,
    mining: Literal["all", "released"] = "all",
    *,
    squared: bool = False,
) -> Float[Tensor, ""]:
    """``{Sign(b1 - b2) [d(a, r1) + (b1 - b2) m - d(a, r2)]}_+``, averaged over triplets (eq. 5).

    Args:
        features: F or F_out, any norm.
        labels: identities.
        instructions: F_T, pooled; None means that all rows share one instruction, which makes this the
            classic triplet loss: over all triplets with "all", batch-hard with "released".
        margin: m, the largest margin.
        mining: "all" takes every anchor with every unordered pair of references, three different images with
            b1 != b2 (where b1 = b2 the sign is zero); N_tri is their number. "released" takes two triplets
            per anchor, as the authors' code does: the two farthest positives (weight 0.1), and the farthest
            positive with the nearest negative.
        squared: use squared distances, as in the formula of section 4.3; its text and the released code use
            Euclidean ones.

    Raises:
        ValueError: for an unknown ``mining``.
    """
    if mining not in ("all", "released"):
        raise ValueError(f"there is no mining {mining!r}; use 'all' or 'released'")
    distances = pairwise_distances(features, squared=squared)
    beta = relatedness(labels, instructions).to(distances.dtype)
    same = labels[:, None] == labels[None, :]
    if mining == "all":
        return _over_all(distances, beta, same, margin)
    return _over_mined(distances, beta, same, margin)


def _over_all(
    distances: Float[Tensor, "B B"], beta: Float[Tensor, "B B"], same: Bool[Tensor, "B B"], margin: float
) -> Float[Tensor, ""]:
    """Mean over all triplets.

    Two strangers are equally related to an anchor (zero) and form no triplet with it, so r1 can always be a
    positive: B*(K-1) pairs (anchor, r1) against B references instead of B*B*B.
    """
    if distances.device.type != "cpu":
        return _over_cube(distances, beta, same, margin)
    itself = diagonal(distances)
    anchors, first = (same & ~itself).nonzero(as_tuple=True)
    gap = beta[anchors, first, None] - beta[anchors]
    # Of two positives, each of which is r1 once, the more related one is taken, so that a pair counts once.
    counted = torch.where(same[anchors], gap > TIE, gap.abs() > TIE) & ~itself[anchors]
    terms = F.relu(gap.sign() * (distances[anchors, first, None] + gap * margin - distances[anchors]))
    return (terms * counted).sum() / counted.sum().clamp(min=1)


def _over_cube(
    distances: Float[Tensor, "B B"], beta: Float[Tensor, "B B"], same: Bool[Tensor, "B B"], margin: float
) -> Float[Tensor, ""]:
    """The same mean over all B*B*B triplets under a mask, for GPUs.

    Selecting the pairs would make the host wait for the device, which costs more than the memory of two
    million triplets (B = 128).
    """
    itself = diagonal(distances)
    gap = beta[:, :, None] - beta[:, None, :]
    is_pair = (same & ~itself)[:, :, None] & ~itself[:, None, :]
    counted = is_pair & torch.where(same[:, None, :], gap > TIE, gap.abs() > TIE)
    terms = F.relu(gap.sign() * (distances[:, :, None] + gap * margin - distances[:, None, :]))
    return (terms * counted).sum() / counted.sum().clamp(min=1)


def _over_mined(
    distances: Float[Tensor, "B B"], beta: Float[Tensor, "B B"], same: Bool[Tensor, "B B"], margin: float
) -> Float[Tensor, ""]:
    """The two triplets that the released code mines for each anchor.

    There an anchor is one of its own positives, which makes a difference when K = 2.
    """
    negative = distances.masked_fill(same, FAR).amin(dim=1)
    positives, references = distances.masked_fill(~same, -FAR).topk(min(2, len(distances)), dim=1)
    related = beta.gather(1, references)
    hardest = F.relu(positives[:, 0] - negative + related[:, 0] * margin).mean()
    gap = related[:, 0] - related[:, -1]
    is_pair = same.gather(1, references).all(dim=1) & (gap.abs() > TIE)
    between = is_pair * gap.sign() * (positives[:, 0] - positives[:, -1] + gap * margin)
    return RELEASED_WEIGHT * F.relu(between).mean() + hardest
