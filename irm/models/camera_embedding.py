"""Side information embedding: a vector per camera, added to every token (TransReID, section 3.3)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class CameraEmbedding(nn.Module):
    """A learned vector for each camera of each domain, times a coefficient.

    Cameras of a test set that was not trained on have no vector, and their images get none added: the
    embedding helps on the training set's own cameras and nowhere else.
    """

    def __init__(self, dim: int, num_cameras: Mapping[str, int], *, coefficient: float = 3.0) -> None:
        """Make the vectors.

        Args:
            dim: width D of a token.
            num_cameras: cameras by domain, e.g. ``{"trad/market1501": 6}``.
            coefficient: lambda of TransReID; its files: 3.0.
        """
        super().__init__()
        self.coefficient = coefficient
        self.domains = tuple(num_cameras)
        self.tables = nn.ParameterList(
            nn.Parameter(nn.init.trunc_normal_(torch.empty(count, dim), std=0.02))
            for count in num_cameras.values()
        )

    def forward(self, domain: str, camids: Int[Tensor, " B"]) -> Float[Tensor, "B D"] | None:
        """What is added to every token of each image; nothing where camera or domain is unknown."""
        if domain not in self.domains:
            return None
        table = self.tables[self.domains.index(domain)]
        camids = camids.to(table.device)
        is_known = (camids >= 0) & (camids < len(table))
        return self.coefficient * table[camids.where(is_known, 0)] * is_known[:, None]
