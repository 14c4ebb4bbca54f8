"""Published shapes of towers and language models, and tiny ones, so that a sheet builds without the hub."""

from __future__ import annotations

from typing import Any

from transformers import CLIPVisionConfig, LlamaConfig, PretrainedConfig

IMAGE_TOKEN = "<image>"

# By the name that a sheet says: the hub's id where there is one. Figures from the models' own config.json.
TOWERS: dict[str, dict[str, Any]] = {
    "openai/clip-vit-large-patch14": {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "image_size": 224,
        "patch_size": 14,
    },
    "openai/clip-vit-base-patch16": {
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "image_size": 224,
        "patch_size": 16,
    },
    "tiny": {
        "hidden_size": 64,
        "intermediate_size": 256,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "image_size": 64,
        "patch_size": 8,
    },
}
LANGUAGE_MODELS: dict[str, dict[str, Any]] = {
    "meta-llama/Llama-2-7b-chat-hf": {
        "vocab_size": 32_000,
        "hidden_size": 4096,
        "intermediate_size": 11_008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "max_position_embeddings": 4096,
    },
    "tiny": {
        "vocab_size": 512,
        "hidden_size": 64,
        "intermediate_size": 160,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_position_embeddings": 1024,
    },
}
TINY = "tiny"


def tower_config(name: str) -> CLIPVisionConfig:
    """The configuration of a tower of ``TOWERS``."""
    return CLIPVisionConfig(**TOWERS[name])


def language_config(name: str) -> PretrainedConfig:
    """The configuration of a language model of ``LANGUAGE_MODELS``."""
    return LlamaConfig(**LANGUAGE_MODELS[name])
