"""How each family of published vision transformers names its tensors, and which of them are dropped."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


def _same(key: str) -> str:
    return key


def _openai_key(key: str) -> str:
    """OpenAI's names of CLIP."""
    for ours, theirs in (
        ("patch_embed.proj", "conv1"),
        ("pos_embed", "positional_embedding"),
        ("cls_token", "class_embedding"),
        ("norm_pre", "ln_pre"),
        ("blocks.", "transformer.resblocks."),
        ("attn.qkv.", "attn.in_proj_"),
        ("attn.proj", "attn.out_proj"),
        ("mlp.fc1", "mlp.c_fc"),
        ("mlp.fc2", "mlp.c_proj"),
    ):
        key = key.replace(ours, theirs)
    return re.sub(r"^norm\.", "ln_post.", re.sub(r"\.norm([12])\.", r".ln_\1.", key))


def _transformers_key(key: str) -> str:
    """The names that CLIP's and BLIP's towers have in common in the transformers library."""
    for ours, theirs in (
        ("patch_embed.proj", "embeddings.patch_embedding"),
        ("pos_embed", "embeddings.position_embedding"),
        ("cls_token", "embeddings.class_embedding"),
        ("norm_pre", "pre_layrnorm"),
        ("blocks.", "encoder.layers."),
        (".norm", ".layer_norm"),
        (".attn.", ".self_attn."),
    ):
        key = key.replace(ours, theirs)
    return re.sub(r"^norm\.", "post_layernorm.", key)


def _clip_key(key: str) -> str:
    """CLIP of transformers; its separate q, k and v projections are joined where they are read."""
    key = _transformers_key(key).replace("self_attn.proj.", "self_attn.out_proj.")
    return f"{key}.weight" if key.endswith("position_embedding") else key


def _blip_key(key: str) -> str:
    return _transformers_key(key).replace("self_attn.proj.", "self_attn.projection.")


@dataclass(frozen=True)
class VitFormat:
    """How one family of checkpoints is laid out."""

    backbone: str | None  # the key of BACKBONES that it becomes; None: the caller must name it
    larger: Mapping[int, str] = field(default_factory=dict)  # other keys of BACKBONES, by width
    wrappers: tuple[str, ...] = ("model", "state_dict")  # entries of a training file that may hold it
    prefixes: tuple[str, ...] = ("module.",)  # prefixes that the network's keys may have
    root: str = ""  # prefix of every key of the transformer
    part_tokens: int = 0  # registers stored as separate tensors, with separate positions
    ratio: int = 1  # height to width of the grid of patches, unless the image size is given
    source: Callable[[str], str] = _same  # our key -> theirs, without the root
    dropped: Mapping[str, str] = field(default_factory=dict)  # pattern of keys -> why they are dropped
    refused: Mapping[str, str] = field(default_factory=dict)  # pattern of keys -> what the file is instead


DINO = {r"(student_|dino_|ibot_)?head\..*": "head of the pretraining"}
CLASSIFIER = {r"(head|head_dist|fc|classifier)\.(weight|bias)": "classifier of the pretraining"}
NUMBERS = r"logit_scale|input_resolution|context_length|vocab_size|.*\.position_ids"
SWIN = {r"(.*\.)?(layers|stages)\.\d+\.blocks\..*": "a Swin transformer, but only plain ViTs can be edited"}

VIT_FORMATS: dict[str, VitFormat] = {
    "pass": VitFormat(
        "pass_vit_base",
        wrappers=("teacher", "model", "state_dict"),
        prefixes=("module.", "backbone."),
        part_tokens=3,
        ratio=2,
        dropped=DINO | CLASSIFIER,
        refused={
            r"patch_embed\.conv\..*": "a PASS model with the ICS stem, but only the plain ViT is supported"
        },
    ),
    "hap": VitFormat(
        "hap_vit_base",
        prefixes=("module.", "mae."),
        ratio=2,
        dropped={r"mask_token|decoder_.*": "decoder of the masked pretraining"} | CLASSIFIER,
    ),
    "deit": VitFormat("deit_base", larger={384: "deit_small"}, dropped=CLASSIFIER),
    "clip": VitFormat(  # a file of transformers; OpenAI's own names are the next
        "clip_vit_base",
        larger={1024: "clip_vit_large"},
        root="vision_model.",
        source=_clip_key,
        dropped={
            r"(text_model|text_projection)\..*": "text tower",
            r"visual_projection\..*": "projection into the space of images and texts",
            NUMBERS: "a number that the image tower does not use",
        },
    ),
    "clip_openai": VitFormat(
        "clip_vit_base",
        larger={1024: "clip_vit_large"},
        root="visual.",
        source=_openai_key,
        dropped={
            r"(transformer|token_embedding|ln_final)\..*|positional_embedding|text_projection": "text tower",
            r"visual\.proj": "projection into the space of images and texts",
            NUMBERS: "a number that the image tower does not use",
        },
    ),
    "solider": VitFormat(
        "solider_vit_base",
        larger={384: "solider_vit_small"},
        wrappers=("teacher", "model", "state_dict"),
        prefixes=("module.", "backbone."),
        ratio=2,
        dropped=DINO | CLASSIFIER,
        refused=SWIN,
    ),
    "timm": VitFormat(None, dropped={r"(head|fc_norm)\..*": "classifier of the pretraining"}, refused=SWIN),
    # The image towers inside ALBEF's and BLIP's files; vision_language.py reads the rest of them.
    "albef": VitFormat("albef_vit_base"),
    "blip": VitFormat("blip_vit_base", root="vision_model.", source=_blip_key),
}
