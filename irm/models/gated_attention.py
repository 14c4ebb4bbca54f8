"""Zero-init gated attention: image tokens also attend, through a gate, to an instruction (IRM, eqs. 2-4)."""

from __future__ import annotations

from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from timm.layers import Attention
from torch import Tensor, nn
from torch.nn import functional as F

from irm.models.tokens import InstructionKV, InstructionTokens


class GatedAttention(nn.Module):
    """``Linear_o([softmax(S), g * softmax(S')] [V; V'])``, with the gate ``g`` at zero to begin with.

    It takes over the projections of a self-attention under their own names, so that weights of a plain
    transformer still load; while the gate is zero the output equals plain self-attention bit for bit. The
    joint map of eq. 2 is never formed: its halves are two attention calls, and the gate is folded into V'.
    """

    def __init__(
        self,
        attention: Attention,
        *,
        instruction_dim: int,
        gate: Literal["per_layer", "per_head"] = "per_layer",
        tanh: bool = False,
        share_kv: bool = False,
    ) -> None:
        """Wrap one attention.

        Args:
            attention: timm's, whose ``qkv`` and ``proj`` become ours.
            instruction_dim: width E of the instruction's tokens.
            gate: one g of eq. 2 in each layer (the paper), or one in each head (the authors' adapter file).
            tanh: multiply by tanh(g) instead of g (the authors' adapter file).
            share_kv: project the instruction with the image's own k and v (the authors' adapter file) instead
                of with k' and v' of its own (the paper, eq. 3).

        Raises:
            ValueError: when ``share_kv`` is set but widths differ, or the attention is of another kind.
        """
        super().__init__()
        dim = attention.qkv.in_features
        own_gate, own_norm = getattr(attention, "gate", None), getattr(attention, "norm", None)
        if (
            type(attention) is not Attention
            or own_gate is not None
            or not isinstance(own_norm, nn.Identity | None)
        ):
            raise ValueError(
                "only timm's plain self-attention can be gated, not one with a gate or norm of its own"
            )
        if share_kv and instruction_dim != dim:
            raise ValueError(
                f"instruction tokens of width {instruction_dim} cannot share projections with image tokens "
                f"of width {dim}; set share_kv=False"
            )
        self.num_heads = attention.num_heads
        self.tanh = tanh
        self.qkv, self.proj = attention.qkv, attention.proj
        self.q_norm, self.k_norm = attention.q_norm, attention.k_norm
        self.attn_drop, self.proj_drop = attention.attn_drop, attention.proj_drop
        self.gate = nn.Parameter(torch.zeros(1, self.num_heads if gate == "per_head" else 1, 1, 1))
        self.instruction_kv = None if share_kv else nn.Linear(instruction_dim, 2 * attention.proj.in_features)
        if self.instruction_kv is not None:
            # k' and v' are two projections of eq. 3 in one matrix: each gets its own fan-out.
            for half in self.instruction_kv.weight.chunk(2):
                nn.init.xavier_uniform_(half)
            nn.init.zeros_(self.instruction_kv.bias)

    def forward(
        self, tokens: Float[Tensor, "B N D"], instruction: InstructionTokens | InstructionKV | None = None
    ) -> Float[Tensor, "B N D"]:
        """Attend; without an instruction this is plain self-attention."""
        q, k, v = rearrange(self.qkv(tokens), "b n (three h d) -> three b h n d", three=3, h=self.num_heads)
        q, k = self.q_norm(q), self.k_norm(k)
        dropout = self.attn_drop.p if self.training else 0.0
        attended = attend(q, k, v, dropout=dropout)
        if instruction is not None:
            kv = instruction if isinstance(instruction, InstructionKV) else self.gated_kv(instruction)
            keys, values = (one.to(q.dtype).expand(q.shape[0], -1, -1, -1) for one in (kv.keys, kv.values))
            attended = attended + attend(q, keys, values, kv.mask, dropout=dropout)
        return self.proj_drop(self.proj(rearrange(attended, "b h n d -> b n (h d)")))

    def gated_kv(self, instruction: InstructionTokens) -> InstructionKV:
        """K' and g V' of instructions; ``forward`` takes them in place of the instructions themselves."""
        keys, values = self.project_instruction(instruction.tokens)
        mask = rearrange(instruction.mask, "b l -> b 1 1 l")
        return InstructionKV(keys, values * self.gate_factor().to(values.dtype), mask)

    def gate_factor(self) -> Float[Tensor, "1 h 1 1"]:
        """The factor of V': g, or its tanh."""
        return torch.tanh(self.gate) if self.tanh else self.gate

    def project_instruction(
        self, tokens: Float[Tensor, "B L E"]
    ) -> tuple[Float[Tensor, "B h L d"], Float[Tensor, "B h L d"]]:
        """K' and V' of eq. 3, by head."""
        if self.instruction_kv is not None:
            both = self.instruction_kv(tokens)
        else:
            dim = self.qkv.in_features
            bias = None if self.qkv.bias is None else self.qkv.bias[-2 * dim :]
            both = F.linear(tokens, self.qkv.weight[-2 * dim :], bias)
        k, v = rearrange(both, "b l (two h d) -> two b h l d", two=2, h=self.num_heads)
        return self.k_norm(k), v


def attend(
    q: Float[Tensor, "B h N d"],
    k: Float[Tensor, "B h L d"],
    v: Float[Tensor, "B h L d"],
    mask: Bool[Tensor, "B 1 1 L"] | None = None,
    *,
    dropout: float = 0.0,
) -> Float[Tensor, "B h N d"]:
    """Scaled dot-product attention, written out for bfloat16 on a CPU.

    There, torch's fused backward pass takes three times as long as the plain one. ``mask`` is True at keys
    that may be attended to; ``dropout`` is the share of attention weights dropped.
    """
    if q.device.type != "cpu" or q.dtype != torch.bfloat16:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
    scores = (q * q.shape[-1] ** -0.5) @ rearrange(k, "b h l d -> b h d l")
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return F.dropout(scores.softmax(dim=-1), dropout) @ v
