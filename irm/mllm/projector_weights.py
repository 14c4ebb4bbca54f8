"""The projector that LLaVA's own pretraining published (``mm_projector.bin``), for the same tower and LLM."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from torch import nn

FEATURE_LAYER = -2  # of the tower, that LLaVA's scripts taught these projectors to read
# Names in LLaVA's files to ours: one matrix (v1), or two layers (v1.5).
NAMES = {
    "mm_projector.weight": "linear.weight",
    "mm_projector.bias": "linear.bias",
    "mm_projector.0.weight": "linear_1.weight",
    "mm_projector.0.bias": "linear_1.bias",
    "mm_projector.2.weight": "linear_2.weight",
    "mm_projector.2.bias": "linear_2.bias",
}


def load_projector(projector: nn.Module, path: Path) -> None:
    """Fill a projector from LLaVA's file.

    Raises:
        ValueError: when there is no such file, it cannot be read, or it belongs to another tower or language
            model.
    """
    if not path.is_file():
        raise ValueError(f"there is no projector file {path}")
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
        found = {name.removeprefix("model."): tensor for name, tensor in tensors.items()}
    except (pickle.UnpicklingError, RuntimeError, EOFError, AttributeError):
        raise ValueError(
            f"{path} does not contain tensors; projector_weights takes LLaVA's mm_projector.bin"
        ) from None
    own = projector.state_dict()
    renamed = {NAMES.get(name, name): tensor for name, tensor in found.items()}
    if set(renamed) != set(own):
        raise ValueError(f"{path} contains {', '.join(renamed)}, but this projector has {', '.join(own)}")
    for name, tensor in renamed.items():
        if tensor.shape != own[name].shape:
            raise ValueError(
                f"{name} of {path} has shape {tuple(tensor.shape)}, but this tower and language model need "
                f"{tuple(own[name].shape)}; it was made for another pair"
            )
    projector.load_state_dict(renamed)
