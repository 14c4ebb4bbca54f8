"""Builds the parts of an IRM whose shapes follow from others: fusion, match head and matcher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from irm.models.bert import TextLayers
from irm.models.editing_transformer import EditingTransformer
from irm.models.fusion import Fusion, MatchHead
from irm.models.qaconv import QAConv


def build_fusion(transformer: EditingTransformer, *, instruction_dim: int, **fusion: Any) -> Fusion:
    """The fusion E_f on top of an editing transformer.

    Args:
        transformer: whose tokens are fused.
        instruction_dim: width E of the instruction tokens.
        fusion: arguments of ``Fusion``; or ``blocks: "backbone"``, which runs the backbone's first and last
            block instead of blocks of its own, as the released code does.

    Raises:
        ValueError: when ``blocks`` is unknown, or the backbone's blocks are edited ones.
    """
    blocks = fusion.pop("blocks", "own")
    if blocks not in ("own", "backbone"):
        raise ValueError(f"the fusion's blocks must be 'own' or 'backbone', not {blocks!r}")
    if blocks == "backbone" and transformer.editing:
        raise ValueError(
            "edited blocks cannot also serve as the fusion's blocks; set editing=False or blocks='own'"
        )
    vit = transformer.vit
    return Fusion(
        vit.embed_dim,
        num_heads=transformer.num_heads,
        instruction_dim=instruction_dim,
        num_prefix_tokens=vit.num_prefix_tokens,
        shared=(vit.blocks[0], vit.blocks[-1]) if blocks == "backbone" else (),
        **fusion,
    )


def build_match_head(text: TextLayers, image_dim: int, match: Mapping[str, Any] | None) -> MatchHead | None:
    """A match head of the text encoder's shape, unless ``match`` says otherwise; None builds none."""
    if match is None:
        return None
    shape = {"num_heads": text.num_heads, "hidden_dim": text.hidden_dim, **match}
    return MatchHead(text.embed_dim, image_dim=image_dim, **shape)


def build_matcher(transformer: EditingTransformer, matcher: Mapping[str, Any] | None) -> QAConv | None:
    """A QAConv over the backbone's patches; ``matcher`` holds its channels, None builds none."""
    if matcher is None:
        return None
    return QAConv(transformer.embed_dim, transformer.vit.patch_embed.grid_size, **matcher)
