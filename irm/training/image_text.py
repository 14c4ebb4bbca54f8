"""What text-to-image minimises: equation 8, and what the released code adds to it (IRM, sec. 4.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from irm.losses import MatchPairs, contrastive_loss, match_pairs, matching_loss
from irm.models import IRM, InstructionTokens, IRMOutput
from irm.training.breakdown import LossBreakdown, weigh
from irm.training.global_batch import encode_rows, gather_batch, local_pairs, local_rows
from irm.training.lessons import Lessons
from omnireid.loading.batch import Batch


@dataclass(frozen=True)
class Described:
    """Images and their descriptions, encoded apart."""

    image: IRMOutput
    text: InstructionTokens


class ImageTextObjective(nn.Module):
    """L_cl(F) + L_match(F_out) (eq. 8): an image stands alone, its description is the query."""

    def __init__(
        self,
        *,
        weights: Mapping[str, float],
        parts: int = 1,
        lessons: Lessons | None = None,
        own: nn.ModuleDict | None = None,
    ) -> None:
        """Remember the factors of contrastive and matching; a term of weight zero is left out.

        Args:
            weights: factors by term.
            parts: pieces in which a batch is encoded and matched.
            lessons: what the released code adds; its terms are hidden_words and replaced_words.
            own: further terms (``irm.training.terms``).
        """
        super().__init__()
        self.own = own or nn.ModuleDict()
        self.weights, self.parts, self.lessons = dict(weights), parts, lessons

    def forward(self, model: IRM, batch: Batch) -> LossBreakdown:
        """Loss terms of one batch of images with their descriptions."""
        described = encode_rows(partial(self._encode, model), batch, self.parts)
        output, text, labels = described.image, described.text, gather_batch(batch).labels
        image_vectors, text_vectors = model.project_image(output.edited), model.project_text(text.pooled)
        terms = {name: term(image_vectors, text_vectors, labels) for name, term in self.own.items()}
        if self.weights["contrastive"] and self.lessons is None:
            terms["contrastive"] = contrastive_loss(
                image_vectors, text_vectors, labels, temperature=model.temperature
            )
        elif self.lessons is not None:
            terms |= self._learn(self.lessons, model, batch, described, labels)
        if self.weights["matching"]:
            similarity = text_vectors @ image_vectors.T / model.temperature
            # The loop seeds the default generator for each step, so the draw is the step's own.
            pairs = local_pairs(match_pairs(similarity, labels, torch.default_generator))
            logits = self._match(model, text, output.match_tokens, pairs)
            terms["matching"] = matching_loss(logits, pairs.matches)
        return weigh(terms, self.weights)

    def _learn(
        self, lessons: Lessons, model: IRM, batch: Batch, described: Described, labels: Tensor
    ) -> dict[str, Tensor]:
        """The contrastive loss with a teacher, hidden words, replaced words."""
        assert batch.texts is not None
        terms, images = {}, local_rows(described.image.match_tokens)
        if self.weights["contrastive"]:
            terms["contrastive"] = lessons.contrastive(
                model,
                model.project_image(described.image.edited),
                model.project_text(described.text.pooled),
                labels,
                texts=batch.texts,
                domain=batch.domain,
            )
        if self.weights["hidden_words"]:
            terms["hidden_words"] = lessons.hidden_words(model, batch.texts, images)
        if self.weights["replaced_words"]:
            terms["replaced_words"] = lessons.replaced_words(model, batch.texts, images)
        return terms

    @staticmethod
    def _encode(model: IRM, batch: Batch) -> Described:
        assert batch.images is not None and batch.texts is not None
        text = model.encode_sentences(batch.texts)
        return Described(model(batch.images), text)

    def _match(
        self, model: IRM, text: InstructionTokens, images: Float[Tensor, "B M D"], pairs: MatchPairs
    ) -> Float[Tensor, "m 2"]:
        if self.parts == 1:
            return model.match(text.take(pairs.text_rows), images[pairs.image_rows])
        logits = [
            checkpoint(model.match, text.take(texts), images[rows], use_reentrant=False)
            for texts, rows in zip(
                pairs.text_rows.chunk(self.parts), pairs.image_rows.chunk(self.parts), strict=True
            )
        ]
        return torch.cat(logits)
