"""Explains a hit: attention rolled out over the layers, and how far the gates are open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from instructions.instruction import Instruction
from irm.inside.attention import (
    LayerAttention,
    attention_rollout,
    gates_of,
    merge_word_pieces,
    record_attention,
    word_attention,
)
from irm.retrieval.answer import Explanation
from irm.retrieval.model import SearchModel
from irm.retrieval.planning import Plan
from irm.retrieval.views import VIEWS
from omnireid.records import Record

Pixels = UInt8[np.ndarray, "_H _W 3"]


def explain(
    model: SearchModel,
    plan: Plan,
    text: str | None,
    query: Pixels | None,
    clothes: Pixels | None,
    record: Record,
    image: Pixels,
) -> Explanation:
    """Embed a query image and a gallery image again, as the search did, and keep the attention."""
    view = VIEWS[plan.space.view]
    asked = None
    if query is not None:
        asked = _look(model, plan, [plan.instruction] if plan.instruction else None, query, clothes)
    beside = view.instructions([record], model.asking) if view.suits(record) else None
    hit = _look(model, plan, beside, image, None)
    gates = tuple(float(np.abs(gate).mean()) for gate in gates_of(model.embedder.model.editing_transformer))
    words: tuple[tuple[str, float], ...] = ()
    told = (
        []
        if asked is None
        else [layer.instruction for layer in asked.layers if layer.instruction is not None]
    )
    if told and text is not None:
        assert model.embedder.model.tokenizer is not None
        words = merge_word_pieces(model.embedder.model.tokenizer, text, word_attention(told))
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
    layers: list[LayerAttention]


def _look(
    model: SearchModel,
    plan: Plan,
    instructions: Sequence[Instruction] | None,
    pixels: Pixels,
    clothes: Pixels | None,
) -> _Look:
    transformer = model.embedder.model.editing_transformer
    with model.lock, record_attention(transformer) as layers:
        vectors = model.embed(
            model.resized([pixels]), VIEWS[plan.space.view], plan.space.space.domain, instructions, [clothes]
        )
    unit = torch.from_numpy(vectors[0])
    heat = attention_rollout(layers, transformer.num_prefix_tokens, transformer.vit.patch_embed.grid_size)
    return _Look(heat, unit / unit.norm(), layers)
