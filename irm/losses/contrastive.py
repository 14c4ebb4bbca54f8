"""Identity-aware contrastive loss L_cl between images and descriptions (IRM, eq. 8; ALBEF; RaSa)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from irm.losses.precision import unit


@dataclass(frozen=True)
class ContrastiveKeys:
    """What the live features are compared with: the batch's momentum features, then a queue of older ones."""

    image: Float[Tensor, "K D"]
    text: Float[Tensor, "K D"]
    labels: Int[Tensor, " K"]  # empty places of the queue have a label that no identity has


def contrastive_loss(
    image: Float[Tensor, "B D"],
    text: Float[Tensor, "B D"],
    labels: Int[Tensor, " B"],
    *,
    temperature: float | Float[Tensor, ""] = 0.07,
    keys: ContrastiveKeys | None = None,
    distillation: float = 0.0,
    within_modality: bool = False,
) -> Float[Tensor, ""]:
    """Cross entropy of image against texts and text against images, all texts of a person being right.

    Args:
        image: projected image features, any norm; row i belongs to row i of ``text``.
        text: projected text features, any norm.
        labels: identities. Give row numbers to count only an image's own text as right (ALBEF).
        temperature: divides the cosines.
        keys: momentum features and queue, which take no gradient (ALBEF, RaSa); None compares the batch with
            itself, both sides learning.
        distillation: share of the target that comes from the momentum features' own similarities (alpha).
        within_modality: also image against images and text against texts; only with ``keys`` (RaSa).

    Raises:
        ValueError: when ``within_modality`` or ``distillation`` come without ``keys``.
    """
    if keys is None and (within_modality or distillation):
        raise ValueError("distillation and within_modality need momentum features; pass keys")
    with torch.autocast(image.device.type, enabled=False):
        image, text = unit(image), unit(text)
        if keys is None:
            image_keys, text_keys, key_labels = image, text, labels
        else:
            image_keys, text_keys = unit(keys.image).detach(), unit(keys.text).detach()
            key_labels = keys.labels
        same = (labels[:, None] == key_labels[None, :]).to(image.dtype)
        truth = same / same.sum(dim=1, keepdim=True)
        pairs = [(image, image_keys, text_keys), (text, text_keys, image_keys)]
        if within_modality:
            pairs += [(image, image_keys, image_keys), (text, text_keys, text_keys)]
        losses = []
        for queries, own_keys, other_keys in pairs:
            target = truth
            if distillation:
                with torch.no_grad():
                    predicted = (own_keys[: len(queries)] @ other_keys.T / temperature).softmax(dim=1)
                target = distillation * predicted + (1 - distillation) * truth
            losses.append(F.cross_entropy(queries @ other_keys.T / temperature, target))
        return torch.stack(losses).mean()


def supervised_contrastive(logits: Float[Tensor, "B K"], positive: Bool[Tensor, "B K"]) -> Float[Tensor, ""]:
    """Mean over the rows that have a positive; zero where none has (Khosla et al., 2020, eq. 2)."""
    log_share = logits.log_softmax(dim=1).masked_fill(~positive, 0)
    counts = positive.sum(dim=1)
    has_positive = counts > 0
    each = -log_share.sum(dim=1) / counts.clamp(min=1)
    return (each * has_positive).sum() / has_positive.sum().clamp(min=1)
