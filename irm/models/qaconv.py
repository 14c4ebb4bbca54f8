"""QAConv: local matching with the query's feature map as convolution kernels (MLLM, table 4)."""

from __future__ import annotations

import torch
from einops import rearrange, reduce
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

CELLS = 1 << 26  # similarities of places held at a time: 256 MiB


class QAConv(nn.Module):
    """Query-adaptive convolution (Liao and Shao, ECCV 2020; as in their graph sampling, CVPR 2022).

    A convolution reduces the patch tokens' width, and the vector of each place is scaled to unit length. For
    a pair of images, every place of one keeps its best similarity with any place of the other, and vice
    versa. Both maps pass a batch norm and a linear layer over the places, are summed, and normalised again.

    The score of a pair is symmetric up to rounding; larger is closer.
    """

    def __init__(self, embed_dim: int, grid: tuple[int, int], *, channels: int = 128) -> None:
        """Make the matcher.

        Args:
            embed_dim: width D of the patch tokens.
            grid: rows and columns of the patches.
            channels: width C of a place; the authors': 128.
        """
        super().__init__()
        self.grid = grid
        num_places = grid[0] * grid[1]
        self.neck = nn.Conv2d(embed_dim, channels, kernel_size=3, padding=1)
        self.norm_places = nn.BatchNorm1d(1)
        self.weigh_places = nn.Linear(num_places, 1)
        self.norm_scores = nn.BatchNorm1d(1)
        nn.init.constant_(self.weigh_places.weight, 1 / num_places)  # the authors': a mean to begin with

    def places(self, patch_tokens: Float[Tensor, "B P D"]) -> Float[Tensor, "B P C"]:
        """Unit vectors of the places of an image."""
        height, width = self.grid
        maps = self.neck(rearrange(patch_tokens, "b (h w) d -> b d h w", h=height, w=width))
        return F.normalize(rearrange(maps.float(), "b c h w -> b (h w) c"), dim=-1)

    def forward(self, query: Float[Tensor, "Q P C"], gallery: Float[Tensor, "G P C"]) -> Float[Tensor, "Q G"]:
        """Scores of all pairs; in training they all enter the batch norms' statistics."""
        pairs = len(gallery) * query.shape[1] * gallery.shape[1]
        blocks = torch.split(query, max(1, CELLS // pairs))
        is_costly = torch.is_grad_enabled() and len(blocks) > 1
        best = [
            checkpoint(_best_of_all, block, gallery, use_reentrant=False)
            if is_costly
            else _best_of_all(block, gallery)
            for block in blocks
        ]
        scores = self._score(rearrange(torch.cat(best), "q g two p -> (q g) two p"))
        return rearrange(scores, "(q g) -> q g", q=len(query))

    def pairs(self, query: Float[Tensor, "B P C"], gallery: Float[Tensor, "B P C"]) -> Float[Tensor, " B"]:
        """Scores of row i of the queries with row i of the gallery."""
        return self._score(_best(torch.einsum("b p c, b r c -> b p r", query, gallery)))

    def _score(self, best: Float[Tensor, "n 2 P"]) -> Float[Tensor, " n"]:
        with torch.autocast(best.device.type, enabled=False):
            rows = rearrange(best.float(), "n two p -> (n two) 1 p")
            weighed = self.weigh_places(rearrange(self.norm_places(rows), "m 1 p -> m p"))
            summed = reduce(weighed, "(n two) 1 -> n 1", "sum", two=2)
            return rearrange(self.norm_scores(summed), "n 1 -> n")


def _best_of_all(query: Float[Tensor, "Q P C"], gallery: Float[Tensor, "G P C"]) -> Float[Tensor, "Q G 2 P"]:
    with torch.autocast(query.device.type, enabled=False):
        return _best(torch.einsum("q p c, g r c -> q g p r", query.float(), gallery.float()))


def _best(similarity: Float[Tensor, "... P P"]) -> Float[Tensor, "... 2 P"]:
    """Each place's best similarity: of the query's places, then of the gallery image's."""
    return torch.stack([similarity.amax(dim=-1), similarity.amax(dim=-2)], dim=-2)
