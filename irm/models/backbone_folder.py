"""Backbone folders, which pass a backbone from one paper to the other: ``spec.json`` and its weights."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save_file
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from irm.models.backbones import BACKBONES, backbone_spec, build_backbone
from irm.models.hub_source import CONVERTED, is_hub_source, local_folder
from irm.models.manifest import sha256_of
from irm.models.staging import staged_folder
from irm.models.tokens import resize_positions

SPEC_FILE, WEIGHTS_FILE = "spec.json", "weights.safetensors"


def save_backbone(
    vit: VisionTransformer,
    folder: Path,
    *,
    name: str,
    overrides: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Write a backbone folder, whole or not at all.

    Args:
        vit: built by ``build_backbone(name, ..., **overrides)``.
        folder: where; it must not exist.
        name: the key of ``BACKBONES`` that it was built from.
        overrides: what differed from that entry.
        provenance: where the weights come from (sheet, commit, data, step); copied into ``spec.json``.

    Raises:
        ValueError: when the folder exists, or the name is unknown.
    """
    backbone_spec(name)
    if folder.exists():
        raise ValueError(f"{folder} already exists; choose another folder for the backbone")
    with staged_folder(folder) as stage:
        write_backbone(vit, stage, name=name, overrides=overrides, provenance=provenance)


def write_backbone(
    vit: VisionTransformer,
    folder: Path,
    *,
    name: str,
    overrides: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Write the two files of a backbone folder into an existing folder; see ``save_backbone``."""
    spec = backbone_spec(name)
    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in vit.state_dict().items()}
    save_file(tensors, folder / WEIGHTS_FILE)
    description = {
        "backbone": name,
        "overrides": dict(overrides or {}),
        "image_size": list(vit.patch_embed.img_size),
        "mean": list(spec.mean),
        "std": list(spec.std),
        "sha256": sha256_of(folder / WEIGHTS_FILE),
        "provenance": dict(provenance or {}),
    }
    (folder / SPEC_FILE).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")


def read_backbone_spec(folder: Path) -> dict[str, Any]:
    """The content of ``spec.json``: backbone, overrides, image_size, mean, std, sha256, provenance.

    Raises:
        ValueError: when the file is missing, is not JSON, or lacks an entry.
    """
    path = folder / SPEC_FILE
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{folder} is not a backbone folder: it has no {SPEC_FILE}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from None
    missing = {"backbone", "overrides", "image_size", "sha256"} - set(description)
    if missing:
        raise ValueError(f"{path} lacks {', '.join(sorted(missing))}")
    return description


def load_backbone(
    source: str | Path,
    image_size: Sequence[int] | None = None,
    *,
    drop_path: float = 0.0,
    pretrained: bool = False,
) -> VisionTransformer:
    """A backbone from a folder of ``save_backbone``, or by name from ``BACKBONES``.

    Args:
        source: the folder, one of the hub as ``owner/name@COMMIT``, or the name.
        image_size: height and width in pixels; by default the folder's own. Positions are resized to it.
        drop_path: stochastic depth, as in ``build_backbone``.
        pretrained: for a name, fetch timm's published weights from the hub; otherwise it starts at random.

    Raises:
        ValueError: when there is no such folder or name, when ``spec.json`` belongs to other weights, or when
            a tensor is missing, unknown or of another shape.
    """
    if is_hub_source(source):
        return load_backbone(local_folder(source, CONVERTED), image_size, drop_path=drop_path)
    folder = Path(source)
    if str(source) in BACKBONES:
        return build_backbone(str(source), image_size, drop_path=drop_path, pretrained=pretrained)
    if not folder.is_dir():
        if len(folder.parts) == 1:
            backbone_spec(str(source))  # a single word: rather a misspelt name than a folder
        hint = "; convert a checkpoint to one with tools.convert_weights" if folder.is_file() else ""
        raise ValueError(f"there is no backbone folder {folder}{hint}")
    description = read_backbone_spec(folder)
    weights = folder / WEIGHTS_FILE
    if not weights.is_file():
        raise ValueError(f"{folder} has no {WEIGHTS_FILE}")
    if sha256_of(weights) != description["sha256"]:
        raise ValueError(
            f"{weights} is damaged or not the file that {SPEC_FILE} was written for (its sha256 differs)"
        )
    vit = build_backbone(
        description["backbone"],
        image_size or description["image_size"],
        drop_path=drop_path,
        **description["overrides"],
    )
    tensors = load_file(weights)
    if "pos_embed" in tensors:
        mode = backbone_spec(description["backbone"]).position_resize
        old = description["image_size"]
        tensors["pos_embed"] = resized_for(vit, tensors["pos_embed"], image_size=old, mode=mode)
    load_tensors(vit, tensors, name=str(weights))
    return vit


def load_tensors(
    module: nn.Module, tensors: Mapping[str, Tensor], *, name: str, optional: frozenset[str] = frozenset()
) -> None:
    """Copy tensors into a module; keys and shapes must agree in both directions.

    Args:
        module: what is filled.
        tensors: by the module's own keys.
        name: the tensors' name in errors.
        optional: keys of the module that may be missing.

    Raises:
        ValueError: naming the first tensor that is missing, unknown or of another shape.
    """
    own = module.state_dict()
    missing = [key for key in own if key not in tensors and key not in optional]
    extra = [key for key in tensors if key not in own]
    if missing:
        raise ValueError(f"{name} has no {missing[0]!r}{_more(missing)}")
    if extra:
        raise ValueError(f"{name} contains {extra[0]!r}, which the model does not have{_more(extra)}")
    for key, tensor in tensors.items():
        if tensor.shape != own[key].shape:
            raise ValueError(
                f"{key!r} of {name} is {tuple(tensor.shape)}; the model expects {tuple(own[key].shape)}"
            )
    with torch.no_grad():
        module.load_state_dict(dict(tensors), strict=False)


def resized_for(
    vit: VisionTransformer,
    positions: Tensor,
    *,
    image_size: Sequence[int],
    mode: Literal["bicubic", "bilinear"],
) -> Tensor:
    """Positions learnt at ``image_size``, resized for this backbone; see ``resize_positions``."""
    (height, width), (patch_height, patch_width) = image_size, vit.patch_embed.patch_size
    return resize_positions(
        positions,
        old_grid=(height // patch_height, width // patch_width),
        new_grid=vit.patch_embed.grid_size,
        num_prefix_tokens=0 if vit.no_embed_class else vit.num_prefix_tokens,
        mode=mode,
    )


def _more(keys: list[str]) -> str:
    return f" (and {len(keys) - 1} more)" if len(keys) > 1 else ""
