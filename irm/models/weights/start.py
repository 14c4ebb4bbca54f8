"""Initialises a model from a saved one: for fine-tuning, a further stage, or larger images (ours)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from irm.models.backbone_folder import resized_for
from irm.models.hub_folder import read_config
from irm.models.hub_source import is_hub_source, local_folder
from irm.models.irm import IRM

SAVED = ("*.json", "*.safetensors", "vocab.txt")  # of a hub repository that IRM.save_pretrained wrote
# Parts that depend on tasks and data sets: they may be initialised anew, or be left out.
OF_THE_TASKS = {
    "necks": "the neck",
    "cameras": "the camera embedding",
    "match_head": "the match head",
    "matcher": "the matcher",
}
BACKBONE_POSITIONS, CLOTHES_POSITIONS = (
    "editing_transformer.vit.pos_embed",
    "instruction_encoder.image.pos_embed",
)


def saved_folder(source: str) -> Path:
    """The folder of a saved IRM: itself, the ``model`` of a run, or one of the hub as ``owner/name@COMMIT``.

    Raises:
        ValueError: when there is none.
    """
    if is_hub_source(source):
        return local_folder(source, SAVED)
    folder = Path(source)
    if (folder / "state.json").is_file():
        raise ValueError(
            f"{source} is a checkpoint, but a new run starts from a model; finish its run with --resume, or "
            "use the run's best/"
        )
    if (folder / "config.yaml").is_file():
        folder = folder / "model"
        if not folder.is_dir():
            raise ValueError(
                f"the run {source} has no final model yet; finish it with --resume, or use its best/"
            )
    if not folder.is_dir():
        raise ValueError(f"there is no run or model folder {source}")
    return folder


def read_shapes(folder: Path) -> dict[str, Any]:
    """The arguments ``backbone`` and ``instruction`` of a saved IRM.

    Raises:
        ValueError: when the folder is not one of an IRM.
    """
    content = read_config(folder)
    shapes = {key: content.get(key) for key in ("backbone", "instruction")}
    encoders = shapes["instruction"] if isinstance(shapes["instruction"], dict) else {}
    parts = (shapes["backbone"], *(encoders.get(key) for key in ("text", "image")))
    if not all(isinstance(part, dict) for part in parts):
        raise ValueError(
            f"{folder}/config.json does not describe an IRM; give a tools.train run or its model folder"
        )
    return shapes


def start_from(model: IRM, folder: Path, *, name: str) -> tuple[str, ...]:
    """Load weights and tokenizer of a saved model; positions are resized where images have another size.

    Args:
        model: what is filled.
        folder: of the saved model.
        name: the saved model's name in sentences.

    Returns:
        Sentences about parts that are initialised anew or left out: only necks, cameras, match head, matcher.

    Raises:
        ValueError: the folder is damaged or lacks a tokenizer, or a tensor is missing, unknown or of another
            shape (the first one is named).
    """
    source = IRM.from_pretrained(folder)
    own, theirs = _tensors(model), _tensors(source)
    for key, vit, size, spec in (
        (BACKBONE_POSITIONS, model.editing_transformer.vit, source.image_size, model.image_spec),
        (CLOTHES_POSITIONS, model.instruction_encoder.image, source.clothes_size, model.clothes_spec),
    ):
        theirs[key] = resized_for(vit, theirs[key], image_size=size, mode=spec.position_resize)
    new, left = [key for key in own if key not in theirs], [key for key in theirs if key not in own]
    for key in (*new, *left):
        if key.split(".")[0] not in OF_THE_TASKS:
            having, lacking = ("the sheet's model", name) if key in own else (name, "the sheet's model")
            raise ValueError(
                f"{having} has {key!r} but {lacking} does not; set model.* as {name} was trained"
            )
    for key, tensor in theirs.items():
        if key in own and tensor.shape != own[key].shape:
            shapes = f"{tuple(tensor.shape)} in {name} and {tuple(own[key].shape)} in the sheet's model"
            raise ValueError(f"{key!r} is {shapes}; set model.* as {name} was trained")
    with torch.no_grad():
        for key in own.keys() & theirs.keys():
            own[key].copy_(theirs[key])
    model.load_tokenizer(folder)
    told = {f"newly initialised, not found in {name}": new, f"not taken from {name}": left}
    return tuple(f"{what}: {', '.join(_parts(keys))}" for what, keys in told.items() if keys)


def _tensors(model: IRM) -> dict[str, Tensor]:
    """The model's own tensors by name, with cameras named by their domain instead of a number."""
    state = dict(model.state_dict())
    for number, domain in enumerate(model.cameras.domains):
        state[f"cameras.{domain}"] = state.pop(f"cameras.tables.{number}")
    return state


def _parts(keys: Iterable[str]) -> list[str]:
    """The parts that tensors belong to, each once."""
    parts: dict[str, None] = {}
    for key in keys:
        kind, _, rest = key.partition(".")
        domain = rest.removeprefix("banks.").split(".")[0] if kind in ("necks", "cameras") else ""
        parts[f"{OF_THE_TASKS[kind]} of {domain}" if domain else OF_THE_TASKS[kind]] = None
    return list(parts)
