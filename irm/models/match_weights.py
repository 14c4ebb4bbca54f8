"""The match head of a converted ALBEF or BLIP comes into an IRM, with the space that both sides share."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from irm.models.backbone_folder import load_tensors
from irm.models.manifest import check_file
from irm.models.words import WordHead

MATCH_WEIGHTS, WORD_WEIGHTS = "match.safetensors", "words.safetensors"


def has_match_head(folder: Path) -> bool:
    """Whether a folder of sentence weights has a match head beside them."""
    return (folder / MATCH_WEIGHTS).is_file()


def load_match_head(model: nn.Module, folder: Path) -> None:
    """Start an IRM's match head, projections and temperature from a folder of ``tools.convert_weights``.

    Raises:
        ValueError: when the folder has none, it is damaged, or has another shape than the model's.
    """
    path = check_file(folder, MATCH_WEIGHTS)
    tensors = load_file(path)
    own = {key: tensor for key, tensor in model.state_dict().items() if _belongs(key)}
    _check(tensors, own, str(path))
    with torch.no_grad():
        model.load_state_dict(tensors, strict=False)


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


def _check(tensors: dict[str, Tensor], own: dict[str, Tensor], name: str) -> None:
    missing = [key for key in own if key not in tensors]
    if missing:
        raise ValueError(f"{name} has no {missing[0]!r}, which the model wants")
    for key, tensor in tensors.items():
        if key not in own:
            raise ValueError(f"{name} has {key!r}, which the model has no place for; is it as deep?")
        if tensor.shape != own[key].shape:
            raise ValueError(
                f"{key!r} of {name} is {tuple(tensor.shape)}; the model wants {tuple(own[key].shape)}"
            )
