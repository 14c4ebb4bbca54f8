"""Losses are computed in float32 or better, whatever precision the network ran in."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def full_precision(tensor: Tensor) -> Tensor:
    """Half precision becomes float32; float32 and float64 stay."""
    return tensor.float() if tensor.itemsize < 4 else tensor


def unit(features: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    """Features of length one, in full precision."""
    return F.normalize(full_precision(features), dim=-1)
