"""Contrastive loss of composed search: the query image gives the person, the instruction the outfit.

Ours, beyond the paper. Where every gallery image carries its own caption or crop, eqs. 5-6 can be satisfied
by comparing instruction with instruction. A real gallery has neither: its images share one neutral
sentence, which says nothing about the outfit. Here the rows whose instruction names an outfit are compared
with the rows that carry only the neutral sentence ("bare"), so that the outfit can only be recognised
in the image.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from irm.losses.contrastive import supervised_contrastive
from irm.losses.precision import unit


def composition_loss(
    features: Float[Tensor, "B D"],
    labels: Int[Tensor, " B"],
    asked: Int[Tensor, " B"],
    worn: Int[Tensor, " B"],
    bare: Bool[Tensor, " B"],
    *,
    temperature: float = 0.1,
) -> Float[Tensor, ""]:
    """Mean over the rows that ask for an outfit which some bare row shows; zero where there are none.

    A bare row is right when it shows the same person in the outfit asked for. All other bare rows are wrong,
    including those of the same person in other clothes (the form of Khosla et al., 2020, eq. 2).

    Args:
        features: what a search compares, any norm.
        labels: identities.
        asked: the outfit that each row's instruction describes; negative where it is not known.
        worn: the outfit that each row's image shows; negative where it is not known.
        bare: rows with the neutral instruction; they are the gallery.
        temperature: divides the cosines.
    """
    with torch.autocast(features.device.type, enabled=False):
        directions = unit(features)
        asks = ~bare & (asked >= 0)
        right = (labels[:, None] == labels[None, :]) & (asked[:, None] == worn[None, :])
        right &= asks[:, None] & bare[None, :]
        # A finite floor: a batch without bare rows must give zero and no gradient, not nan.
        logits = directions @ directions.T / temperature
        logits = logits.masked_fill(~bare[None, :], torch.finfo(logits.dtype).min)
        return supervised_contrastive(logits, right)
