"""Losses are computed in float32 or better, whatever precision the network ran in."""

from __future__ import annotations

from torch import Tensor


def full_precision(tensor: Tensor) -> Tensor:
    """Half precision becomes float32; float32 and float64 stay."""
    return tensor.float() if tensor.itemsize < 4 else tensor
