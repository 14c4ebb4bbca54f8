"""Converts published vision transformers into our backbones (IRM, section 5.1 and table 6)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from irm.models.backbones import BackboneSpec, backbone_spec, build_backbone
from irm.models.weights.formats import VIT_FORMATS, VitFormat
from irm.models.weights.ledger import Account, Ledger, UnrecordedError

HEAD_WIDTH = 64  # width of a head in every published plain ViT; files do not store the number of heads


@dataclass(frozen=True)
class Tower:
    """A converted vision transformer, and the arguments of ``build_backbone`` for its shape."""

    vit: VisionTransformer
    name: str
    overrides: dict[str, Any]


def convert_vit(
    kind: str,
    tensors: Mapping[str, Tensor],
    *,
    name: str,
    image_size: Sequence[int] | None = None,
    backbone: str | None = None,
) -> tuple[Tower, Account]:
    """A backbone with a checkpoint's weights, at the image size of its positions.

    Args:
        kind: a key of ``VIT_FORMATS``.
        tensors: the state dict, unwrapped.
        name: the checkpoint's name in errors.
        image_size: height and width it was trained at, if not in the format's usual ratio.
        backbone: the key of BACKBONES that it becomes, if not the format's own.

    Raises:
        ValueError: naming the first tensor that is missing, misshapen or unknown.
    """
    ledger = Ledger(tensors, name)
    layout = VIT_FORMATS[kind]
    tower = take_vit(kind, ledger, root=layout.root, image_size=image_size, backbone=backbone)
    for pattern, reason in layout.dropped.items():
        ledger.drop(pattern, reason)
    return tower, ledger.settle()


def take_vit(
    kind: str,
    ledger: Ledger,
    *,
    root: str,
    image_size: Sequence[int] | None = None,
    backbone: str | None = None,
) -> Tower:
    """The transformer below ``root`` of a ledger; for the rest see ``convert_vit``."""
    layout = VIT_FORMATS[kind]
    for pattern, what in layout.refused.items():
        found = next((key for key in ledger.tensors if re.fullmatch(pattern, key)), None)
        if found:
            raise ValueError(f"{ledger.name} is {what} (it has {found!r})")
    reader = _Reader(ledger, root, layout)
    width = reader.width()
    entry = backbone or layout.larger.get(width, layout.backbone)
    if entry is None:
        raise UnrecordedError(
            f"{ledger.name} does not record which pretraining it comes from; name the backbone it "
            "corresponds to, e.g. vit_base",
            option="backbone",
        )
    spec = backbone_spec(entry)
    arguments = reader.arguments(width, spec)
    overrides = {key: value for key, value in arguments.items() if getattr(spec, key, None) != value}
    size = tuple(image_size) if image_size else reader.image_size(arguments)
    with torch.device("meta"):
        vit = build_backbone(entry, size, **overrides)
    state = {key: reader.take(key, tuple(tensor.shape)) for key, tensor in vit.state_dict().items()}
    vit.load_state_dict(state, assign=True)
    return Tower(vit.requires_grad_(True), entry, overrides)


class _Reader:
    """Reads the tensors of one transformer from a ledger, under our names."""

    def __init__(self, ledger: Ledger, root: str, layout: VitFormat) -> None:
        self.ledger, self.root, self.layout = ledger, root, layout
        self.own = {key.removeprefix(root) for key in ledger.tensors if key.startswith(root)}
        self.parts = [f"part_token{number + 1}" for number in range(layout.part_tokens)]
        # Distilled DeiT has a second class token after the first one; it becomes a register.
        self.registers = self.parts or [key for key in ("dist_token",) if key in self.own]

    def width(self) -> int:
        """Width of a token."""
        return self._raw("patch_embed.proj.weight").shape[0]

    def arguments(self, width: int, spec: BackboneSpec) -> dict[str, Any]:
        """The arguments of ``build_backbone`` that follow from the tensors."""
        block = re.escape(self.layout.source("blocks.0.norm1.weight")).replace("0", r"(\d+)", 1)
        depths = [int(found[1]) for key in self.own if (found := re.fullmatch(block, key))]
        if not depths:
            raise ValueError(f"{self.ledger.name} has no {self.root + self.layout.source('blocks.0')!r}")
        if width != spec.embed_dim and width % HEAD_WIDTH:
            raise ValueError(
                f"{self.ledger.name} is a transformer of width {width}, whose number of heads is unknown"
            )
        for part in self.parts:
            self._raw(part)
        num_registers = self._raw("reg_token").shape[1] if "reg_token" in self.own else len(self.registers)
        # Of a known width, so that a file which lacks whole blocks at the end is not taken for a shallow one.
        least = spec.depth if width == spec.embed_dim else 0
        told = {
            "embed_dim": width,
            "depth": max(max(depths) + 1, least),
            "num_heads": spec.num_heads if width == spec.embed_dim else width // HEAD_WIDTH,
            "patch_size": self._raw("patch_embed.proj.weight").shape[-1],
            "reg_tokens": num_registers,
        }
        ratio = self._raw("blocks.0.mlp.fc1.weight").shape[0] / width
        optional = {
            "mlp_ratio": ratio if ratio != 4 else None,
            "qk_norm": "blocks.0.attn.q_norm.weight" in self.own or None,
            "init_values": 1e-5 if "blocks.0.ls1.gamma" in self.own else None,  # values come from the file
        }
        return told | {key: value for key, value in optional.items() if value is not None}

    def image_size(self, arguments: Mapping[str, Any]) -> tuple[int, int]:
        """Height and width in pixels that the positions are for."""
        num_positions = self._raw("pos_embed").shape[-2]
        num_patches = num_positions - (0 if self.parts else 1 + arguments["reg_tokens"])
        columns = math.isqrt(max(num_patches // self.layout.ratio, 0))
        if not columns or columns * columns * self.layout.ratio != num_patches:
            raise UnrecordedError(
                f"{self.root + self.layout.source('pos_embed')!r} of {self.ledger.name} has {num_positions} "
                "positions; give the image size (height and width) that they are for",
                option="image_size",
            )
        return columns * self.layout.ratio * arguments["patch_size"], columns * arguments["patch_size"]

    def take(self, key: str, shape: tuple[int, ...]) -> Tensor:
        """The tensor that we call ``key``."""
        if key == "reg_token" and self.registers:
            return torch.cat([self._take(part, (1, 1, shape[-1])) for part in self.registers], dim=1)
        if key == "pos_embed" and self.parts:  # PASS stores the positions of its tokens separately
            prefixes = ["cls_pos", *(part.replace("_token", "") + "_pos" for part in self.parts)]
            ours = [self._take(prefix, (1, 1, shape[-1])) for prefix in prefixes]
            return torch.cat([*ours, self._take(key, (1, shape[1] - len(prefixes), shape[-1]))], dim=1)
        name = self.layout.source(key)
        names = [name.replace(".qkv.", f".{letter}_proj.") for letter in "qkv"]
        if ".qkv." in name and not self.own.isdisjoint(names):  # three projections, which timm joins
            thirds = (shape[0] // 3, *shape[1:])
            return torch.cat([self._take(third, thirds) for third in names])
        return self._take(name, shape)

    def _take(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """One tensor; leading axes of length one may be left out in the file, as CLIP does."""
        found = self.ledger.tensors.get(self.root + name)
        bare = shape[next((axis for axis, length in enumerate(shape) if length != 1), len(shape)) :]
        if found is not None and tuple(found.shape) == bare:
            return self.ledger.take(self.root + name, bare).reshape(shape)
        return self.ledger.take(self.root + name, shape)

    def _raw(self, key: str) -> Tensor:
        """A tensor whose shape is needed; an error names it if it is missing."""
        return self.ledger.take(self.root + self.layout.source(key))
