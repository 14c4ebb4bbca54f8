"""The trained vision tower as a plain ViT of timm, token for token: where both papers meet (MLLM 3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor
from transformers import CLIPVisionModel

from irm.mllm.parts import load_tower
from irm.models.backbones import BACKBONES, build_backbone

NAME = "clip_vit_large"  # of BACKBONES; other shapes are told by overrides
ACTIVATIONS = ("quick_gelu", "gelu")  # by the name that transformers and timm share
EPSILON = 1e-5  # of the norms of timm's CLIP towers


@dataclass(frozen=True)
class PlainVit:
    """A backbone and what a backbone folder says of it."""

    vit: VisionTransformer
    name: str
    overrides: Mapping[str, Any]


def plain_vit(tower: CLIPVisionModel, image_size: tuple[int, int]) -> PlainVit:
    """A timm ViT with the tower's weights, positions resized to ``image_size`` as the tower resizes them.

    Raises:
        ValueError: for a tower that no plain ViT equals.
    """
    config = tower.config
    if config.hidden_act not in ACTIVATIONS or config.layer_norm_eps != EPSILON:
        raise ValueError(
            f"a tower with activation {config.hidden_act} and layer-norm epsilon {config.layer_norm_eps} "
            f"has no matching plain ViT here; supported: {', '.join(ACTIVATIONS)} with {EPSILON}"
        )
    overrides = _overrides(config)
    vit = build_backbone(NAME, image_size, **overrides)
    vit.load_state_dict(_renamed(tower, image_size))
    return PlainVit(vit.eval(), NAME, overrides)


def load_exported_tower(folder: Path) -> CLIPVisionModel:
    """The tower in a folder of ``VLM.save_pretrained``.

    Raises:
        ValueError: when it is not there, or lacks a weight.
    """
    place = folder / "tower"
    if not (place / "config.json").is_file():
        raise ValueError(
            f"{folder} does not contain a trained tower (no tower/config.json); tools.pretrain writes one "
            "after its last step: continue it with --resume"
        )
    return load_tower(str(place))


def _overrides(config: Any) -> dict[str, Any]:
    """Where the tower differs from CLIP ViT-L/14."""
    spec = BACKBONES[NAME]
    shape = {
        "embed_dim": config.hidden_size,
        "depth": config.num_hidden_layers,
        "num_heads": config.num_attention_heads,
        "patch_size": config.patch_size,
    }
    overrides = {key: value for key, value in shape.items() if value != getattr(spec, key)}
    if config.intermediate_size != 4 * config.hidden_size:
        overrides["mlp_ratio"] = config.intermediate_size / config.hidden_size
    if config.hidden_act != "quick_gelu":
        overrides["act_layer"] = config.hidden_act
    return overrides


@torch.no_grad()
def _renamed(tower: CLIPVisionModel, image_size: tuple[int, int]) -> dict[str, Tensor]:
    """The tower's tensors under timm's names."""
    state = {name: tensor.float().cpu() for name, tensor in tower.state_dict().items()}
    embeddings: Any = tower.embeddings
    height, width = image_size
    patch: Any = tower.config.patch_size
    length = 1 + (height // patch) * (width // patch)
    # The tower's own resizing, so that not one bit is lost to another's.
    like = torch.empty(1, length, tower.config.hidden_size, device=embeddings.class_embedding.device)
    renamed = {
        "cls_token": state["embeddings.class_embedding"][None, None],
        "pos_embed": embeddings.interpolate_pos_encoding(like, height, width)
        .float()
        .cpu()
        .reshape(like.shape),
        "patch_embed.proj.weight": state["embeddings.patch_embedding.weight"],
    }
    norms = {"pre_layrnorm": "norm_pre", "post_layernorm": "norm"}
    for kind in ("weight", "bias"):
        renamed |= {f"{new}.{kind}": state[f"{old}.{kind}"] for old, new in norms.items()}
        for layer in range(tower.config.num_hidden_layers):
            old, new = f"encoder.layers.{layer}", f"blocks.{layer}"
            queries = [state[f"{old}.self_attn.{name}_proj.{kind}"] for name in ("q", "k", "v")]
            renamed |= {
                f"{new}.attn.qkv.{kind}": torch.cat(queries),
                f"{new}.attn.proj.{kind}": state[f"{old}.self_attn.out_proj.{kind}"],
                f"{new}.norm1.{kind}": state[f"{old}.layer_norm1.{kind}"],
                f"{new}.norm2.{kind}": state[f"{old}.layer_norm2.{kind}"],
                f"{new}.mlp.fc1.{kind}": state[f"{old}.mlp.fc1.{kind}"],
                f"{new}.mlp.fc2.{kind}": state[f"{old}.mlp.fc2.{kind}"],
            }
    return renamed
