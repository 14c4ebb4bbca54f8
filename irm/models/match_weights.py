"""Loads a converted ALBEF's or BLIP's match head and projections into an IRM, and its word head."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file
from torch import nn

from irm.models.backbone_folder import load_tensors
from irm.models.manifest import check_file
from irm.models.words import WordHead

MATCH_WEIGHTS, WORD_WEIGHTS = "match.safetensors", "words.safetensors"


def has_match_head(folder: Path) -> bool:
    """Whether a converted folder has a match head."""
    return (folder / MATCH_WEIGHTS).is_file()


def load_match_head(model: nn.Module, folder: Path) -> None:
    """Start an IRM's match head, projections and temperature from a folder of ``tools.convert_weights``.

    Raises:
        ValueError: when the folder has none, it is damaged, or has another shape than the model's.
    """
    path = check_file(folder, MATCH_WEIGHTS)
    others = frozenset(key for key in model.state_dict() if not _belongs(key))
    load_tensors(model, load_file(path), name=str(path), optional=others)


def has_word_head(folder: Path) -> bool:
    """Whether a folder has a head that predicts words."""
    return (folder / WORD_WEIGHTS).is_file()


def load_word_head(head: WordHead, folder: Path) -> None:
    """Start a word head from a folder of ``tools.convert_weights``.

    Raises:
        ValueError: when the folder has none, it is damaged, or has another shape.
    """
    path = check_file(folder, WORD_WEIGHTS)
    load_tensors(head, load_file(path), name=str(path))


def _belongs(key: str) -> bool:
    return (
        key.startswith(("match_head.", "image_projection.", "text_projection.")) or key == "log_temperature"
    )
