"""Supervised contrastive loss on clothes images: two of one outfit are alike (Khosla et al., 2020, eq. 2).

Ours, for an instruction encoder that starts without pretraining. Eq. 6 compares instructions, so it is of use
only if the encoder already distinguishes them, as ALBEF does.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from irm.losses.contrastive import supervised_contrastive
from irm.losses.distances import diagonal
from irm.losses.precision import unit


def outfit_loss(
    features: Float[Tensor, "C E"], outfits: Int[Tensor, " C"], *, temperature: float = 0.1
) -> Float[Tensor, ""]:
    """Mean over all images that have a partner; zero where none has.

    Args:
        features: of clothes images, any norm.
        outfits: which outfit each shows.
        temperature: divides the cosines.
    """
    with torch.autocast(features.device.type, enabled=False):
        directions = unit(features)
        itself = diagonal(directions)
        logits = (directions @ directions.T / temperature).masked_fill(itself, -torch.inf)
        partners = (outfits[:, None] == outfits[None, :]) & ~itself
        return supervised_contrastive(logits, partners)
