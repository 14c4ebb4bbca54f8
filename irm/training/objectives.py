"""What is minimised: equation 7 for the five image tasks, and who takes which batch (IRM, sec. 4.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from irm.embedder import run_batch
from irm.losses import (
    adaptive_triplet_loss,
    batch_hard_triplet_loss,
    composition_loss,
    identification_loss,
    outfit_loss,
    score_triplet_loss,
)
from irm.models import IRM, IRMOutput
from irm.models.output import Necked
from irm.training.breakdown import LossBreakdown, weigh
from irm.training.global_batch import encode_rows, gather_batch
from irm.training.image_text import ImageTextObjective
from irm.training.lessons import Lessons
from omnireid.loading.batch import Batch
from omnireid.tasks import TASKS


@dataclass(frozen=True)
class TripletRule:
    """How triplets are formed in a batch: adaptive ones (eqs. 5-6), or classic ones without instructions."""

    margin: float | None = 0.3  # None is TransReID's soft margin, of batch-hard mining only
    mining: Literal["all", "released", "batch_hard"] = "all"
    squared: bool = False
    after_neck: bool = False  # triplets of F_out after the neck, as in the released code
    adaptive: bool = True  # False leaves the instructions out: the classic triplet loss of table 5
    score_margin: float = 16.0  # margin of triplets on a matcher's scores (QAConv)


class Classifiers(nn.Module):
    """One linear classifier for F and one for each stream of F_out; needed in training only."""

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
        composition_temperature: float = 0.1,
        parts: int = 1,
        own: Mapping[str, nn.Module] | None = None,
    ) -> None:
        """Make the classifiers.

        Args:
            num_classes: training people by domain.
            dim: width D of F and F_out.
            streams: how many F_out there are.
            weights: factors by term: identification, adaptive_triplet, both with _fused, composition,
                outfit, score_triplet.
            triplet: how triplets are taken.
            label_smoothing: of the identification loss.
            composition_temperature: divides the cosines of the composition loss.
            parts: pieces in which a batch is encoded.
            own: further terms by domain (``irm.training.terms``).
        """
        super().__init__()
        self.parts, self.own = parts, nn.ModuleDict(own)
        self.classifiers = nn.ModuleDict(
            {domain: Classifiers(dim, count, streams) for domain, count in num_classes.items()}
        )
        self.weights, self.triplet, self.label_smoothing = dict(weights), triplet, label_smoothing
        self.composition_temperature = composition_temperature

    def forward(self, model: IRM, batch: Batch) -> LossBreakdown:
        """Loss terms of one batch of images with their instructions."""
        output = encode_rows(partial(self._encode, model), batch, self.parts)
        batch = gather_batch(batch)
        necked = model.neck(output, view=batch.domain)
        terms = {
            **self._on_edited(batch, output, necked),
            **self._on_fused(batch, output, necked),
            **self._on_outfits(batch, output, model.joined(necked)),
            **self._on_scores(batch, output, model),
            **{name: term(output, necked, batch) for name, term in self._own(batch)},
        }
        return weigh(terms, self.weights)

    def _encode(self, model: IRM, batch: Batch) -> IRMOutput:
        output = run_batch(model, batch)
        if self.weights.get("score_triplet") or self._own(batch):
            return output
        return replace(output, patch_tokens=output.patch_tokens[:, :0])  # not needed by any loss

    def _on_edited(self, batch: Batch, output: IRMOutput, necked: Necked) -> dict[str, Tensor]:
        terms = {}
        if self.weights["identification"]:
            terms["identification"] = self._identify(self._heads(batch).edited, necked.edited, batch)
        if self.weights["adaptive_triplet"]:
            terms["adaptive_triplet"] = self._rank(output.edited, batch, output)
        return terms

    def _on_fused(self, batch: Batch, output: IRMOutput, necked: Necked) -> dict[str, Tensor]:
        streams, necked_streams = output.fused.unbind(dim=1), necked.fused.unbind(dim=1)
        terms = {}
        if self.weights["identification_fused"]:
            pairs = zip(self._heads(batch).fused, necked_streams, strict=True)
            found = [self._identify(head, features, batch) for head, features in pairs]
            terms["identification_fused"] = torch.stack(found).mean()
        if self.weights["adaptive_triplet_fused"]:
            compared = necked_streams if self.triplet.after_neck else streams
            found = [self._rank(features, batch, output) for features in compared]
            terms["adaptive_triplet_fused"] = torch.stack(found).mean()
        return terms

    def _on_outfits(
        self, batch: Batch, output: IRMOutput, compared: Float[Tensor, "B J"]
    ) -> dict[str, Tensor]:
        """Our two terms on outfits worn and asked for; none where a data set does not annotate outfits."""
        given, terms = batch.instruction, {}
        assert given is not None
        if self.weights.get("composition") and not (given.asked < 0).all():
            marks = (batch.labels, given.asked, batch.worn, given.bare)
            terms["composition"] = composition_loss(
                compared,
                *(_on_device_of(mark, compared) for mark in marks),
                temperature=self.composition_temperature,
            )
        outfits = given.asked[given.clothes_rows]
        if self.weights.get("outfit") and len(outfits) and not (outfits < 0).any():
            assert output.instruction is not None
            clothes = output.instruction[_on_device_of(given.clothes_rows, output.instruction)]
            terms["outfit"] = outfit_loss(clothes, _on_device_of(outfits, clothes))
        return terms

    def _on_scores(self, batch: Batch, output: IRMOutput, model: IRM) -> dict[str, Tensor]:
        """The loss of the matcher, if the model has one (MLLM, table 4)."""
        if not self.weights.get("score_triplet"):
            return {}
        assert model.matcher is not None
        places = model.matcher.places(output.patch_tokens)
        scores = model.matcher(places, places)
        return {"score_triplet": score_triplet_loss(scores, batch.labels, self.triplet.score_margin)}

    def _own(self, batch: Batch) -> list[tuple[str, nn.Module]]:
        return list(self.own[batch.domain].named_children()) if batch.domain in self.own else []

    def _heads(self, batch: Batch) -> Classifiers:
        heads = self.classifiers[batch.domain]
        assert isinstance(heads, Classifiers)
        return heads

    def _identify(self, head: nn.Module, necked: Float[Tensor, "B D"], batch: Batch) -> Float[Tensor, ""]:
        return identification_loss(head(necked), batch.labels, label_smoothing=self.label_smoothing)

    def _rank(self, features: Float[Tensor, "B D"], batch: Batch, output: IRMOutput) -> Float[Tensor, ""]:
        rule = self.triplet
        if rule.mining == "batch_hard":
            return batch_hard_triplet_loss(features, batch.labels, rule.margin)
        assert rule.margin is not None
        instructions = output.instruction if rule.adaptive else None
        return adaptive_triplet_loss(
            features, batch.labels, instructions, rule.margin, rule.mining, squared=rule.squared
        )


def _on_device_of(mark: Tensor, beside: Tensor) -> Tensor:
    """A tensor of the host on the device of another, without a wait."""
    return mark.to(beside.device, non_blocking=True)


class Objectives(nn.Module):
    """Passes each batch to the objective of its task."""

    def __init__(self, identity: IdentityObjective, image_text: ImageTextObjective) -> None:
        super().__init__()
        self.by_name = nn.ModuleDict({"identity": identity, "image_text": image_text})

    @property
    def lessons(self) -> Lessons | None:
        """What the released code adds for text-to-image, if anything."""
        image_text = self.by_name["image_text"]
        assert isinstance(image_text, ImageTextObjective)
        return image_text.lessons

    def forward(self, model: IRM, batch: Batch) -> LossBreakdown:
        """Loss terms of one batch of any task."""
        breakdown: LossBreakdown = self.by_name[TASKS[batch.task].objective](model, batch)
        return breakdown
