"""The instruction encoder E_i: sentences and clothes images become tokens of one width (IRM, section 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from irm.models.backbone_folder import load_backbone, read_backbone_spec
from irm.models.backbones import build_backbone
from irm.models.bert import TextLayers, build_text, load_bert, read_text_shape, text_spec
from irm.models.hub_source import CONVERTED, local_folder
from irm.models.manifest import read_manifest
from irm.models.tokens import InstructionTokens, class_token, patch_tokens


class InstructionEncoder(nn.Module):
    """BERT layers for sentences, a vision transformer for clothes images."""

    def __init__(
        self,
        *,
        text: Mapping[str, Any],
        image: Mapping[str, Any],
        pooling: Literal["cls", "mean"] | None = None,
        freeze_text: bool = True,
        freeze_images: bool = True,
    ) -> None:
        """Build both towers, with random weights.

        Args:
            text: arguments of ``build_text``.
            image: arguments of ``build_backbone``.
            pooling: how an instruction becomes one vector: its first token, or the mean of words or patches;
                by default as the sentence encoder's ``TextSpec`` says.
            freeze_text: the sentence tower takes no gradient and stays in evaluation mode, so that equal
                sentences have equal features (section 5.2: a fixed encoder is enough).
            freeze_images: the same for the image tower.
        """
        super().__init__()
        self.text = build_text(**text)
        self.image = build_backbone(**image)
        spec = text_spec(text["name"])
        self.pooling = pooling or spec.pooling
        self.match_reads = spec.match_reads
        self.freeze_text, self.freeze_images = freeze_text, freeze_images
        same_width = self.image.embed_dim == self.text.embed_dim
        self.image_projection = (
            nn.Identity() if same_width else nn.Linear(self.image.embed_dim, self.text.embed_dim)
        )
        self.text.requires_grad_(not freeze_text)
        self.image.requires_grad_(not freeze_images)
        self.train(self.training)

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        image_size: Sequence[int] | None = None,
        freeze_text: bool = True,
        freeze_images: bool = True,
    ) -> InstructionEncoder:
        """The encoder of an ALBEF or BLIP that ``tools.convert_weights`` wrote, in evaluation mode.

        Args:
            source: the folder, or one of the hub as ``owner/name@COMMIT``, which is downloaded once.
            image_size: height and width of clothes images; by default the tower's own.
            freeze_text: as above.
            freeze_images: as above.

        Raises:
            ValueError: when there is no such folder, or a file of it is missing, damaged or does not fit.
        """
        folder = local_folder(source, CONVERTED)
        name, spec = read_manifest(folder).get("text", ""), read_backbone_spec(folder)
        height, width = image_size or spec["image_size"]
        tower = {"name": spec["backbone"], "image_size": (height, width), **spec["overrides"]}
        encoder = cls(
            text={"name": name, **read_text_shape(folder)},
            image=tower,
            freeze_text=freeze_text,
            freeze_images=freeze_images,
        )
        load_bert(encoder.text, folder)
        encoder.image.load_state_dict(load_backbone(folder, (height, width)).state_dict())
        return encoder.eval()

    @property
    def embed_dim(self) -> int:
        """Width E of instruction tokens."""
        return self.text.embed_dim

    def train(self, mode: bool = True) -> InstructionEncoder:
        """Frozen towers stay in evaluation mode: dropout would make equal sentences differ."""
        super().train(mode)
        self.text.train(mode and not self.freeze_text)
        self.image.train(mode and not self.freeze_images)
        return self

    def encode_text(self, token_ids: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"]) -> InstructionTokens:
        """Sentences."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.freeze_text):
            return read_words(self.text, token_ids, mask, pooling=self.pooling, match_reads=self.match_reads)

    def encode_images(self, clothes: Float[Tensor, "B 3 h w"]) -> InstructionTokens:
        """Clothes images."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.freeze_images):
            states = self.image.forward_features(clothes)
        states = self.image_projection(states)
        mask = torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)
        if self.pooling == "cls":
            return InstructionTokens(states, mask, class_token(states))
        return InstructionTokens(states, mask, patch_tokens(states, self.image.num_prefix_tokens).mean(dim=1))


def read_words(
    text: TextLayers,
    token_ids: Int[Tensor, "B T"],
    mask: Bool[Tensor, "B T"],
    *,
    pooling: Literal["cls", "mean"],
    match_reads: Literal["states", "words"],
) -> InstructionTokens:
    """Sentences through text layers; for ``pooling`` and ``match_reads`` see ``TextSpec``."""
    states = text(token_ids, mask)
    words = text.embeddings(token_ids) if match_reads == "words" else None
    if pooling == "cls":
        return InstructionTokens(states, mask, class_token(states), words)
    real = rearrange(mask, "b t -> b t 1").to(states.dtype)
    return InstructionTokens(states, mask, (states * real).sum(dim=1) / real.sum(dim=1), words)
