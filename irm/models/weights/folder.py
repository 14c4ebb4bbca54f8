"""The folder of a converted ALBEF or BLIP, readable as a BertModel, as a backbone and as a match head."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from irm.models.backbone_folder import SPEC_FILE, WEIGHTS_FILE, write_backbone
from irm.models.manifest import write_manifest
from irm.models.match_weights import MATCH_WEIGHTS, WORD_WEIGHTS
from irm.models.staging import staged_folder
from irm.models.tokenizer import SentenceTokenizer
from irm.models.weights.ledger import UnrecordedError
from irm.models.weights.vision_language import VisionLanguage

SPARE = 8  # embeddings of tokens that a tokenizer does not write (BLIP's [DEC] and [ENC])
TEXT_CONFIG, TEXT_WEIGHTS = "config.json", "model.safetensors"  # as transformers calls a BertModel's


def save_vision_language(
    model: VisionLanguage,
    folder: Path,
    *,
    tokenizer: SentenceTokenizer,
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Write the folder, whole or not at all.

    It loads with ``InstructionEncoder.from_pretrained``, with ``load_backbone`` (the image tower), and as
    ``text_weights`` of a run sheet, which also takes the match head from it.

    Args:
        model: the result of a converter.
        folder: where; it must not exist.
        tokenizer: with the vocabulary that the text encoder was trained with.
        provenance: where the weights come from; written into the manifest.

    Raises:
        ValueError: when the folder exists, or the tokenizer has another vocabulary.
    """
    if folder.exists():
        raise ValueError(f"{folder} already exists; choose another folder for the weights")
    known = model.text_shape["vocab_size"]
    if not 0 <= known - tokenizer.vocab_size <= SPARE:
        raise UnrecordedError(
            f"the tokenizer has {tokenizer.vocab_size} token ids, but the text encoder {known}; give the "
            "tokenizer that it was trained with",
            option="tokenizer",
        )
    with staged_folder(folder) as stage:
        tower = model.tower
        write_backbone(tower.vit, stage, name=tower.name, overrides=tower.overrides, provenance=provenance)
        config = json.dumps(_bert_config(model.text_shape), indent=2) + "\n"
        (stage / TEXT_CONFIG).write_text(config, encoding="utf-8")
        names = [SPEC_FILE, WEIGHTS_FILE, TEXT_CONFIG, *_write_tensors(model, stage)]
        tokenizer.save(stage)
        facts = {
            "text": model.text_name,
            "match_layers": model.match_layers,
            "provenance": dict(provenance or {}),
        }
        write_manifest(stage, names, facts)


def _write_tensors(model: VisionLanguage, folder: Path) -> list[str]:
    """Write everything but the image tower; returns the names of the files."""
    text = {
        (key if key.startswith("embeddings.") else f"encoder.{key}"): tensor
        for key, tensor in model.text.items()
    }
    weights = {TEXT_WEIGHTS: text, MATCH_WEIGHTS: model.match, WORD_WEIGHTS: model.words}
    written = [name for name, tensors in weights.items() if tensors]
    for name in written:
        own = {key: tensor.contiguous().clone() for key, tensor in weights[name].items()}
        save_file(own, folder / name, metadata={"format": "pt"})
    return written


def _bert_config(shape: Mapping[str, int]) -> dict[str, Any]:
    """``config.json`` of a transformers BertModel."""
    return {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "hidden_size": shape["embed_dim"],
        "num_hidden_layers": shape["depth"],
        "num_attention_heads": shape["num_heads"],
        "intermediate_size": shape["hidden_dim"],
        "vocab_size": shape["vocab_size"],
        "max_position_embeddings": shape["max_positions"],
        "type_vocab_size": 2,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
    }
