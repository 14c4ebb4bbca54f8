"""What is minimised: equation 7 for the five picture tasks, equation 8 for text-to-image (IRM, sec. 4.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from irm.embedder import encode_batch
from irm.losses import (
    adaptive_triplet_loss,
    contrastive_loss,
    identification_loss,
    match_pairs,
    matching_loss,
    outfit_loss,
)
from irm.models import IRM, IRMOutput
from omnireid.loading.batch import Batch
from omnireid.tasks import TASKS


@dataclass(frozen=True)
class LossBreakdown:
    """The terms of a loss as their equations have them, and the weighted sum that is minimised."""

    terms: dict[str, Tensor]
    total: Tensor

    def detach(self) -> LossBreakdown:
        """The same numbers without their graph."""
        return LossBreakdown({name: term.detach() for name, term in self.terms.items()}, self.total.detach())

    def is_finite(self) -> bool:
        """Whether every term is a number."""
        return bool(torch.stack([*self.terms.values(), self.total]).isfinite().all())

    def items(self) -> dict[str, float]:
        """The terms as Python numbers."""
        return {name: term.item() for name, term in self.terms.items()}


def weigh(terms: dict[str, Tensor], weights: Mapping[str, float]) -> LossBreakdown:
    """The breakdown of terms under the factors of their names."""
    return LossBreakdown(terms, torch.stack([weights[name] * term for name, term in terms.items()]).sum())


@dataclass(frozen=True)
class TripletRule:
    """How the adaptive triplet loss reads a batch (eqs. 5-6)."""

    margin: float = 0.3
    mining: Literal["all", "released"] = "all"
    squared: bool = False
    after_neck: bool = False  # of F_out: the released code gives it behind the neck


class Classifiers(nn.Module):
    """One linear classifier for F and one for each stream of F_out; they die with training."""

    def __init__(self, dim: int, num_classes: int, streams: int) -> None:
        super().__init__()
        self.edited = nn.Linear(dim, num_classes, bias=False)
        self.fused = nn.ModuleList(nn.Linear(dim, num_classes, bias=False) for _ in range(streams))
        for classifier in (self.edited, *self.fused):
            nn.init.normal_(classifier.weight, std=0.001)


class IdentityObjective(nn.Module):
    """L_atri(F) + L_id(F) + L_atri(F_out) + L_id(F_out) (eq. 7), with classifiers and necks for each domain.

    Terms on F_out are means over the fusion's streams. A term whose weight is zero is left out.
    """

    def __init__(
        self,
        num_classes: Mapping[str, int],
        *,
        dim: int,
        streams: int,
        weights: Mapping[str, float],
        triplet: TripletRule,
        label_smoothing: float = 0.0,
    ) -> None:
        """Make the classifiers.

        Args:
            num_classes: training people by domain.
            dim: width D of F and F_out.
            streams: how many F_out there are.
            weights: factors by term: identification, adaptive_triplet, both with _fused, outfit.
            triplet: how triplets are taken.
            label_smoothing: of the identification loss.
        """
        super().__init__()
        self.classifiers = nn.ModuleDict(
            {domain: Classifiers(dim, count, streams) for domain, count in num_classes.items()}
        )
        self.weights, self.triplet, self.label_smoothing = dict(weights), triplet, label_smoothing

    def forward(self, model: IRM, batch: Batch) -> LossBreakdown:
        """Loss terms of one batch of pictures with their instructions."""
        assert batch.images is not None and batch.instruction is not None
        output = model(batch.images, encode_batch(model, batch.instruction))
        terms = {**self._on_edited(model, batch, output), **self._on_fused(model, batch, output)}
        outfits, rows = batch.instruction.outfits, batch.instruction.clothes_rows
        if self.weights.get("outfit") and outfits is not None and len(outfits):
            assert output.instruction is not None
            terms["outfit"] = outfit_loss(output.instruction[rows], outfits)
        return weigh(terms, self.weights)

    def _on_edited(self, model: IRM, batch: Batch, output: IRMOutput) -> dict[str, Tensor]:
        terms = {}
        if self.weights["identification"]:
            necked = model.necks(output.edited, name=batch.domain, feature="edited")
            terms["identification"] = self._identify(self._heads(batch).edited, necked, batch)
        if self.weights["adaptive_triplet"]:
            terms["adaptive_triplet"] = self._rank(output.edited, batch, output)
        return terms

    def _on_fused(self, model: IRM, batch: Batch, output: IRMOutput) -> dict[str, Tensor]:
        streams = output.fused.unbind(dim=1)
        necked = [model.necks(stream, name=batch.domain, feature="fused") for stream in streams]
        terms = {}
        if self.weights["identification_fused"]:
            pairs = zip(self._heads(batch).fused, necked, strict=True)
            found = [self._identify(head, features, batch) for head, features in pairs]
            terms["identification_fused"] = torch.stack(found).mean()
        if self.weights["adaptive_triplet_fused"]:
            compared = necked if self.triplet.after_neck else streams
            found = [self._rank(features, batch, output) for features in compared]
            terms["adaptive_triplet_fused"] = torch.stack(found).mean()
        return terms

    def _heads(self, batch: Batch) -> Classifiers:
        heads = self.classifiers[batch.domain]
        assert isinstance(heads, Classifiers)
        return heads

    def _identify(self, head: nn.Module, necked: Float[Tensor, "B D"], batch: Batch) -> Float[Tensor, ""]:
        return identification_loss(head(necked), batch.labels, label_smoothing=self.label_smoothing)

    def _rank(self, features: Float[Tensor, "B D"], batch: Batch, output: IRMOutput) -> Float[Tensor, ""]:
        rule = self.triplet
        return adaptive_triplet_loss(
            features, batch.labels, output.instruction, rule.margin, rule.mining, squared=rule.squared
        )


class ImageTextObjective(nn.Module):
    """L_cl(F) + L_match(F_out) (eq. 8): a picture stands alone, its description is the query."""

    def __init__(self, *, weights: Mapping[str, float]) -> None:
        """Remember the factors of contrastive and matching; a term of weight zero is left out."""
        super().__init__()
        self.weights = dict(weights)

    def forward(self, model: IRM, batch: Batch) -> LossBreakdown:
        """Loss terms of one batch of pictures with their descriptions."""
        assert batch.images is not None and batch.texts is not None
        text = model.encode_sentences(batch.texts)
        output = model(batch.images)
        image_vectors, text_vectors = model.project_image(output.edited), model.project_text(text.pooled)
        terms = {}
        if self.weights["contrastive"]:
            terms["contrastive"] = contrastive_loss(
                image_vectors, text_vectors, batch.labels, temperature=model.temperature
            )
        if self.weights["matching"]:
            similarity = text_vectors @ image_vectors.T / model.temperature
            # The loop seeds the default generator for each step, so the draw is the step's own.
            pairs = match_pairs(similarity, batch.labels, torch.default_generator)
            images = model.match_tokens(output)[pairs.image_rows]
            logits = model.match(text.take(pairs.text_rows), images)
            terms["matching"] = matching_loss(logits, pairs.matches)
        return weigh(terms, self.weights)


class Objectives(nn.Module):
    """Each batch goes to the objective that its task names."""

    def __init__(self, identity: IdentityObjective, image_text: ImageTextObjective) -> None:
        super().__init__()
        self.by_name = nn.ModuleDict({"identity": identity, "image_text": image_text})

    def forward(self, model: IRM, batch: Batch) -> LossBreakdown:
        """Loss terms of one batch of any task."""
        breakdown: LossBreakdown = self.by_name[TASKS[batch.task].objective](model, batch)
        return breakdown
