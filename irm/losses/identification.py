"""Identification loss L_id: cross entropy over the training identities (IRM, eq. 7)."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from irm.losses.precision import full_precision


def identification_loss(
    logits: Float[Tensor, "B C"], labels: Int[Tensor, " B"], *, label_smoothing: float = 0.0
) -> Float[Tensor, ""]:
    """Cross entropy over the people of one data set, in full precision.

    ``label_smoothing`` is the share of the target spread over all classes; the released code uses none.
    """
    return F.cross_entropy(full_precision(logits), labels, label_smoothing=label_smoothing)
