"""What the model looked at: attention rolled out over the layers, and how far the gates are open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from instructions.instruction import Instruction
from irm.models.gated_attention import GatedAttention
from irm.models.tokens import InstructionTokens
from irm.retrieval.answer import Explanation
from irm.retrieval.model import SearchModel
from irm.retrieval.planning import Plan
from irm.retrieval.views import VIEWS
from omnireid.records import Record

Pixels = UInt8[np.ndarray, "_H _W 3"]


@dataclass
class _Seen:
    """Attention of one picture, a layer an entry."""

    maps: list[Float[Tensor, "N N"]] = field(default_factory=list)
    words: list[Float[Tensor, " L"]] = field(default_factory=list)


def explain(
    model: SearchModel,
    plan: Plan,
    text: str | None,
    query: Pixels | None,
    clothes: Pixels | None,
    record: Record,
    image: Pixels,
) -> Explanation:
    """Look again at a query picture and a gallery image, as the search did, and keep the attention."""
    view = VIEWS[plan.space.view]
    asked = None
    if query is not None:
        asked = _look(model, plan, [plan.instruction] if plan.instruction else None, query, clothes)
    beside = view.instructions([record]) if view.suits(record) else None
    hit = _look(model, plan, beside, image, None)
    vit = model.embedder.model.editing_transformer
    gates = tuple(
        float(block.attn.opening().detach().abs().mean())
        for block in vit.vit.blocks
        if isinstance(block.attn, GatedAttention)
    )
    words: tuple[tuple[str, float], ...] = ()
    if asked is not None and asked.seen.words and text is not None:
        words = _by_word(model, text, torch.stack(asked.seen.words).mean(dim=0))
    score = float("nan") if asked is None else float(asked.vector @ hit.vector)
    if asked is None and text is not None:
        score = float(torch.from_numpy(model.embed_texts([text])[0]) @ hit.vector)
    return Explanation(
        query=None if asked is None else asked.heat,
        hit=hit.heat,
        gates=gates,
        words=words,
        task=plan.task,
        view=view.name,
        score=score,
    )


@dataclass(frozen=True, eq=False)
class _Look:
    heat: Float[np.ndarray, "h w"]
    vector: Float[Tensor, " D"]
    seen: _Seen


def _look(
    model: SearchModel,
    plan: Plan,
    instructions: Sequence[Instruction] | None,
    pixels: Pixels,
    clothes: Pixels | None,
) -> _Look:
    seen = _Seen()
    vit = model.embedder.model.editing_transformer
    with model.lock, _watching(vit.vit.blocks, seen):  # else other people's searches would be watched, too
        vectors = model.embed(
            model.resized([pixels]), VIEWS[plan.space.view], plan.space.space.domain, instructions, [clothes]
        )
    unit = torch.from_numpy(vectors[0])
    height, width = vit.vit.patch_embed.grid_size
    return _Look(_rolled_out(seen.maps, vit.num_prefix_tokens, height, width), unit / unit.norm(), seen)


@contextmanager
def _watching(blocks: nn.Module, seen: _Seen) -> Iterator[None]:
    """Compute the attention maps of one forward pass beside it."""

    def watch(module: Any, given: tuple[Tensor | InstructionTokens | None, ...]) -> None:
        tokens = given[0]
        assert isinstance(tokens, Tensor)
        projected = module.qkv(tokens)
        q, k, _ = rearrange(projected, "b n (three h d) -> three b h n d", three=3, h=module.num_heads)
        q, k = module.q_norm(q), module.k_norm(k)
        scale = q.shape[-1] ** -0.5
        seen.maps.append(
            (q @ rearrange(k, "b h n d -> b h d n") * scale).softmax(dim=-1)[0].mean(dim=0).float()
        )
        words = given[1] if len(given) > 1 else None
        if isinstance(words, InstructionTokens) and isinstance(module, GatedAttention):
            k_words, _ = module.project_instruction(words.tokens)
            scores = q[:, :, :1] @ rearrange(k_words, "b h l d -> b h d l") * scale
            scores = scores.masked_fill(~words.mask[:, None, None, :], float("-inf"))
            seen.words.append(scores.softmax(dim=-1)[0, :, 0].mean(dim=0).float())

    with torch.no_grad():
        handles = [attention.register_forward_pre_hook(watch) for attention in _attending(blocks)]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def _attending(blocks: nn.Module) -> list[nn.Module]:
    return [block.get_submodule("attn") for block in blocks.children()]


def _rolled_out(
    maps: Sequence[Float[Tensor, "N N"]], num_prefix: int, height: int, width: int
) -> Float[np.ndarray, "h w"]:
    """Attention rollout (Abnar and Zuidema, ACL 2020): half of each layer is what was there before."""
    rolled = torch.eye(len(maps[0]), device=maps[0].device)
    for one in maps:
        mixed = 0.5 * one + 0.5 * torch.eye(len(one), device=one.device)
        rolled = mixed @ rolled
    heat = rolled[0, num_prefix:].reshape(height, width).cpu().numpy()
    low, high = float(heat.min()), float(heat.max())
    return (heat - low) / max(high - low, 1e-12)


def _by_word(model: SearchModel, text: str, weights: Float[Tensor, " L"]) -> tuple[tuple[str, float], ...]:
    """Share of each word of a sentence; what its beginning and end got is left out."""
    tokenizer = model.embedder.model.tokenizer
    assert tokenizer is not None
    token_ids = tokenizer([text])[0][0].tolist()
    words: list[tuple[str, float]] = []
    tokens = tokenizer.tokenizer.convert_ids_to_tokens(token_ids)
    for token, weight in zip(tokens, weights.tolist(), strict=False):
        if token.startswith("##") and words:
            words[-1] = (words[-1][0] + token[2:], words[-1][1] + weight)
        elif token not in ("[CLS]", "[SEP]", "[PAD]"):
            words.append((token, weight))
    total = sum(weight for _, weight in words) or 1.0
    return tuple((word, weight / total) for word, weight in words)
