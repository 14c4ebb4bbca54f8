"""The released code's slow implementations, rewritten from their description as a baseline."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from irm.models.editing_transformer import EditingTransformer
from irm.models.gated_attention import GatedAttention
from irm.models.tokens import InstructionTokens


class ConcatenatedAttention(GatedAttention):
    """Concatenated keys, one map, two softmaxes of its slices, the maps concatenated again."""

    def forward(self, tokens: Tensor, instruction: InstructionTokens | None = None) -> Tensor:
        """Compute attention."""
        assert instruction is not None
        q, k, v = rearrange(self.qkv(tokens), "b n (three h d) -> three b h n d", three=3, h=self.num_heads)
        k_instruction, v_instruction = self.project_instruction(instruction.tokens)
        scores = q @ torch.cat([k, k_instruction], dim=2).mT * q.shape[-1] ** -0.5
        own, told = scores.split([k.shape[2], k_instruction.shape[2]], dim=-1)
        told = told.masked_fill(~rearrange(instruction.mask, "b l -> b 1 1 l"), float("-inf"))
        maps = torch.cat([own.softmax(dim=-1), self.gate_factor() * told.softmax(dim=-1)], dim=-1)
        attended = maps.to(v.dtype) @ torch.cat([v, v_instruction], dim=2)
        return self.proj(rearrange(attended, "b h n d -> b n (h d)"))


@contextmanager
def release_attention(transformer: EditingTransformer) -> Iterator[None]:
    """The same weights under the other form of attention."""
    attentions = [block.attn for block in transformer.vit.blocks]
    for attention in attentions:
        attention.__class__ = ConcatenatedAttention
    try:
        yield
    finally:
        for attention in attentions:
            attention.__class__ = GatedAttention


def looped_triplet_loss(features: Tensor, labels: Tensor, pooled: Tensor, margin: float = 0.3) -> Tensor:
    """Two full sorts and a Python loop over the anchors for each of three gathered quantities."""
    features, pooled = features.float(), F.normalize(pooled.detach().float(), dim=-1)
    distances = torch.cdist(features, features)
    same = labels[:, None] == labels[None, :]
    far, far_rows = torch.sort(distances - 9_999_999.0 * ~same, dim=1, descending=True)
    near, _ = torch.sort(distances + 9_999_999.0 * same, dim=1)
    hardest = torch.stack([pooled[row] @ pooled[far_rows[row, 0]] for row in range(len(labels))])
    second = torch.stack([pooled[row] @ pooled[far_rows[row, 1]] for row in range(len(labels))])
    signs = torch.stack([torch.sign(hardest[row] - second[row]) for row in range(len(labels))])
    gap = (hardest - second) * margin
    between = F.relu(signs * (far[:, 0] - far[:, 1] + gap)).mean()
    return 0.1 * between + F.relu(far[:, 0] - near[:, 0] + hardest * margin).mean()
