"""What each layer looks at, computed beside a forward pass: attention, words, gates (IRM, eqs. 2-4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from einops import rearrange, reduce
from jaxtyping import Float
from torch import Tensor

from irm.models import EditingTransformer, GatedAttention, InstructionTokens, SentenceTokenizer
from irm.models.tokens import InstructionKV

SPECIAL_TOKENS = ("[CLS]", "[SEP]", "[PAD]")  # tokens that are not words


@dataclass(frozen=True, eq=False)
class InstructionAttention:
    """Attention of one layer to an instruction."""

    attention: Float[Tensor, "h N L"]  # softmax(S'): how much each image token looks at each word
    influence: Float[Tensor, "h N"]  # length of g softmax(S') V' over the length of softmax(S) V


@dataclass(frozen=True, eq=False)
class LayerAttention:
    """Attention of one layer, for the first image of a batch."""

    attention: Float[Tensor, "h N N"]  # softmax(S)
    instruction: InstructionAttention | None  # None without an instruction, or for a plain layer


@contextmanager
def record_attention(transformer: EditingTransformer) -> Iterator[list[LayerAttention]]:
    """The layers' views of the forward pass inside; its result is untouched."""
    seen: list[LayerAttention] = []

    def watch(module: Any, given: tuple[Tensor | InstructionTokens | InstructionKV | None, ...]) -> None:
        tokens = given[0]
        assert isinstance(tokens, Tensor)
        seen.append(_view(module, tokens[:1], given[1] if len(given) > 1 else None))

    attentions = [block.get_submodule("attn") for block in transformer.vit.blocks.children()]
    handles = [attention.register_forward_pre_hook(watch) for attention in attentions]
    try:
        with torch.no_grad():
            yield seen
    finally:
        for handle in handles:
            handle.remove()


def _view(module: Any, tokens: Float[Tensor, "1 N D"], instruction: object) -> LayerAttention:
    q, k, v = rearrange(module.qkv(tokens), "1 n (three h d) -> three h n d", three=3, h=module.num_heads)
    q, k = module.q_norm(q), module.k_norm(k)
    scale = q.shape[-1] ** -0.5
    attention = (q @ k.mT * scale).softmax(dim=-1)
    if isinstance(instruction, InstructionTokens) and isinstance(module, GatedAttention):
        instruction = module.gated_kv(instruction.take(torch.tensor([0], device=tokens.device)))
    if not isinstance(instruction, InstructionKV):
        return LayerAttention(attention.float(), None)
    scores = q @ instruction.keys[0].to(q.dtype).mT * scale
    if instruction.mask is not None:
        scores = scores.masked_fill(~instruction.mask[0], float("-inf"))
    to_words = scores.softmax(dim=-1)
    attended = (to_words @ instruction.values[0].to(q.dtype)).norm(dim=-1)
    influence = attended / (attention @ v).norm(dim=-1).clamp(min=1e-12)
    return LayerAttention(attention.float(), InstructionAttention(to_words.float(), influence.float()))


def gates_of(transformer: EditingTransformer) -> list[Float[np.ndarray, " h"]]:
    """The gate of each gated layer, by head."""
    attentions = [block.get_submodule("attn") for block in transformer.vit.blocks.children()]
    gates = [one.gate_factor().detach().flatten() for one in attentions if isinstance(one, GatedAttention)]
    return [gate.expand(transformer.num_heads).cpu().numpy() for gate in gates]


def word_attention(instructions: Sequence[InstructionAttention]) -> Float[Tensor, " L"]:
    """Attention of the class token to each word, mean over gated layers and heads."""
    return torch.stack([one.attention[:, 0] for one in instructions]).mean(dim=(0, 1))


def attention_rollout(
    layers: Sequence[LayerAttention], num_prefix: int, grid: tuple[int, int]
) -> Float[np.ndarray, "h w"]:
    """Attention rollout of the class token over the patches, 0..1 (Abnar and Zuidema, ACL 2020).

    Half of each layer is what was there before it.

    Args:
        layers: from the first to the last.
        num_prefix: tokens that are no patches.
        grid: rows and columns of the patches.
    """
    maps = [reduce(layer.attention, "h n m -> n m", "mean") for layer in layers]
    itself = torch.eye(len(maps[0]), device=maps[0].device)
    rolled = itself
    for one in maps:
        rolled = (0.5 * one + 0.5 * itself) @ rolled
    return rescaled(to_grid(rolled[0], num_prefix, grid))


def to_grid(tokens: Float[Tensor, " N"], num_prefix: int, grid: tuple[int, int]) -> Float[np.ndarray, "h w"]:
    """The values of the patches, as a map."""
    return rearrange(tokens[num_prefix:], "(h w) -> h w", h=grid[0], w=grid[1]).cpu().numpy()


def rescaled(heat: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """Scaled so that the smallest value is 0 and the largest 1."""
    low, high = float(heat.min()), float(heat.max())
    return (heat - low) / max(high - low, 1e-12)


def merge_word_pieces(
    tokenizer: SentenceTokenizer, sentence: str, weights: Float[Tensor, " L"]
) -> tuple[tuple[str, float], ...]:
    """Each word's share of the weights, its pieces added up; special tokens are left out."""
    token_ids = tokenizer([sentence])[0][0].tolist()
    words: list[tuple[str, float]] = []
    pieces = tokenizer.tokenizer.convert_ids_to_tokens(token_ids)
    for piece, weight in zip(pieces, weights.tolist(), strict=False):
        if piece.startswith("##") and words:
            words[-1] = (words[-1][0] + piece[2:], words[-1][1] + weight)
        elif piece not in SPECIAL_TOKENS:
            words.append((piece, weight))
    total = sum(weight for _, weight in words) or 1.0
    return tuple((word, weight / total) for word, weight in words)
