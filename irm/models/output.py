"""The outputs of the IRM that losses and retrieval read (section 4.2 and eq. 7)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class IRMOutput:
    """The result of one forward pass."""

    edited: Float[Tensor, "B D"]  # F: class token of the last editing layer
    fused: Float[Tensor, "B S D"]  # F_out: one vector per stream of the fusion
    instruction: Float[Tensor, "B E"] | None  # the vectors that eq. 6 compares
    patch_tokens: Float[Tensor, "B P D"]

    @property
    def match_tokens(self) -> Float[Tensor, "B M D"]:
        """The image tokens that the match head sees: class token and patches, no registers."""
        return torch.cat([self.edited[:, None], self.patch_tokens], dim=1)


@dataclass(frozen=True)
class Necked:
    """F and F_out after the necks of one domain: the input of classifiers and of retrieval."""

    edited: Float[Tensor, "B D"]
    fused: Float[Tensor, "B S D"]
