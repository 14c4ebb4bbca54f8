"""Supervised contrastive loss on clothes pictures: two of one outfit are alike (Khosla et al., 2020, eq. 2).

Ours, for an instruction encoder that starts without pretraining. Eq. 6 compares instructions, so it is of use
only if the encoder can already tell them apart, as ALBEF can.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from irm.losses.distances import diagonal
from irm.losses.precision import full_precision


def outfit_loss(
    features: Float[Tensor, "C E"], outfits: Int[Tensor, " C"], *, temperature: float = 0.1
) -> Float[Tensor, ""]:
    """Mean over all pictures that have a partner; zero where none has.

    Args:
        features: of clothes pictures, any norm.
        outfits: which outfit each shows.
        temperature: divides the cosines.
    """
    with torch.autocast(features.device.type, enabled=False):
        unit = F.normalize(full_precision(features), dim=-1)
        itself = diagonal(unit)
        logits = (unit @ unit.T / temperature).masked_fill(itself, -torch.inf)
        partners = (outfits[:, None] == outfits[None, :]) & ~itself
        log_share = logits.log_softmax(dim=1).masked_fill(~partners, 0)
        counts = partners.sum(dim=1)
        has_partner = counts > 0
        each = -log_share.sum(dim=1) / counts.clamp(min=1)
        return (each * has_partner).sum() / has_partner.sum().clamp(min=1)
