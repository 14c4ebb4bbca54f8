"""Losses are computed in float32 or better, whatever the network ran in (design, section 4)."""

from __future__ import annotations

from torch import Tensor


def full_precision(tensor: Tensor) -> Tensor:
    """Half precision as float32; float32 and float64 as they are."""
    return tensor.float() if tensor.itemsize < 4 else tensor
