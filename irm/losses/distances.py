"""Pairwise Euclidean distances with gradients that stay finite where two features coincide."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from irm.losses.precision import full_precision

TINY = 1e-12  # squared; nearer pairs have distance 1e-6 and no gradient


def pairwise_distances(features: Float[Tensor, "B D"], *, squared: bool = False) -> Float[Tensor, "B B"]:
    """Distances of all pairs, zero on the diagonal; float32 or better whatever the features' precision.

    Args:
        features: any norm.
        squared: leave the root out.
    """
    with torch.autocast(features.device.type, enabled=False):
        features = full_precision(features)
        # Distances do not see a common shift, but the rounding errors of the product below do.
        features = features - features.detach().mean(dim=0)
        norms = (features * features).sum(dim=1)
        distances = (norms[:, None] + norms[None, :] - 2 * features @ features.T).clamp(min=TINY)
    if not squared:
        distances = distances.sqrt()
    return distances.masked_fill(diagonal(features), 0.0)


def diagonal(features: Tensor) -> Bool[Tensor, "B B"]:
    """True where a row meets itself."""
    return torch.eye(len(features), dtype=torch.bool, device=features.device)
