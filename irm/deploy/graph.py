"""The image path of an IRM as a module of tensors alone, ready for torch.export (section 4.2)."""

from __future__ import annotations

import copy

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from irm.models import IRM, IRMOutput
from irm.models.tokens import InstructionKV, InstructionTokens, SharedInstruction, class_token, patch_tokens


class ImagePath(nn.Module):
    """Images and the tokens of an instruction each; out come retrieval features."""

    def __init__(self, model: IRM, view: str) -> None:
        """Take what the path needs of a model; weights are shared, nothing of the model changes.

        Args:
            model: in evaluation mode.
            view: whose batch-norm statistics, one of ``model.necks.names``.
        """
        super().__init__()
        self.view = view
        self.fuses = model.retrieval.feature != "edited"
        needed = {"editing_transformer", "necks", *(["fusion"] if self.fuses else [])}
        self.model = copy.copy(model)  # without the towers and heads that images do not pass
        self.model._modules = {name: part for name, part in model._modules.items() if name in needed}
        self.model._parameters = {}

    def forward(
        self,
        images: Float[Tensor, "B 3 H W"],
        tokens: Float[Tensor, "B L E"],
        mask: Bool[Tensor, "B L"],
    ) -> Float[Tensor, "B J"]:
        """Features; ``mask`` is True where a token is real."""
        return self._features(images, InstructionTokens(tokens, mask, class_token(tokens)))

    def _features(
        self, images: Float[Tensor, "B 3 H W"], instruction: InstructionTokens
    ) -> Float[Tensor, "B J"]:
        transformer = self.model.editing_transformer
        tokens = transformer(images, instruction)
        edited = class_token(tokens)
        fused = self.model.fusion(tokens, instruction) if self.fuses else edited[:, None]
        output = IRMOutput(edited, fused, None, patch_tokens(tokens, transformer.num_prefix_tokens))
        return self.model.retrieval_features(output, view=self.view)


class FixedInstructionPath(ImagePath):
    """Images under one sentence for ever: K' and V' of every layer are constants."""

    def __init__(self, model: IRM, view: str, sentence: str) -> None:
        """Precompute every layer's K' and gated V' of the sentence.

        Args:
            model: in evaluation mode, with a tokenizer.
            view: as in ``ImagePath``.
            sentence: the instruction.
        """
        super().__init__(model, view)
        told = model.shared.beside(1, sentence)
        self.num_layers = len(told.layers)
        for place, kv in enumerate(told.layers):
            self._keep(f"keys_{place}", kv.keys)
            self._keep(f"values_{place}", kv.values)
        self._keep("tokens", told.tokens)
        self._keep("mask", told.mask)

    def _keep(self, name: str, constant: Tensor) -> None:
        """A copy with a memory of its own, in order, as archives want it."""
        self.register_buffer(name, constant.clone(memory_format=torch.contiguous_format))

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B J"]:  # type: ignore[override]
        """Features."""
        count = images.shape[0]
        layers = tuple(
            InstructionKV(self.get_buffer(f"keys_{place}"), self.get_buffer(f"values_{place}"), None)
            for place in range(self.num_layers)
        )
        tokens, mask = self.get_buffer("tokens"), self.get_buffer("mask")
        words = (tokens.expand(count, -1, -1), mask.expand(count, -1), class_token(tokens).expand(count, -1))
        return self._features(images, SharedInstruction(*words, layers=layers))


class PlainImagePath(nn.Module):
    """Images alone, into the space that texts share (t2i; eq. 8)."""

    def __init__(self, model: IRM) -> None:
        """Take the editing transformer and the projection of a model."""
        super().__init__()
        self.transformer, self.projection = model.editing_transformer, model.image_projection

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B J"]:
        """Unit vectors."""
        edited = class_token(self.transformer(images))
        return nn.functional.normalize(self.projection(edited), dim=-1)


def instruction_table(model: IRM, sentences: tuple[str, ...]) -> InstructionTokens:
    """What sentences become, one row each; the second and third input of ``ImagePath`` are rows of it."""
    with torch.no_grad():
        return model.encode_sentences(sentences)
