"""Builds everything an IRM run trains with from its sheet: model, objectives, optimizer and data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch

from instructions.banks import BANKS
from instructions.instruction import NEUTRAL_SENTENCE
from irm.build import build_irm, domain_of, named_parameters, word_head_of
from irm.embedder import preprocessing_of
from irm.mixing import build_mixture, fingerprint, refuse_single_images, shares
from irm.models import IRM
from irm.models.match_weights import load_word_head
from irm.schema import IRMRun
from irm.training.checkpoint import TrainingState
from irm.training.class_graphs import ClassGraphs
from irm.training.image_text import ImageTextObjective
from irm.training.lessons import LessonRule, Lessons
from irm.training.moving_average import MovingAverage
from irm.training.objectives import IdentityObjective, Objectives, TripletRule
from irm.training.seeding import seed_all
from irm.training.setup import TrainingSetup, optimizer_of
from irm.training.terms import (
    make_pair_terms,
    make_picture_terms,
    refuse_idle_objectives,
    refuse_unknown_terms,
)
from irm.training.validation import validate
from omnireid.loading.batch import Batch
from omnireid.loading.mixture import Mixture
from omnireid.tasks import TASKS


@dataclass(frozen=True)
class IRMSetup(TrainingSetup):
    """Everything a run of IRM trains with."""

    model: IRM
    objectives: Objectives

    def batches(self, start: int, stop: int) -> Iterator[tuple[Batch, ...]]:
        """The batches of steps start..stop-1; class graphs are rebuilt at the start of each pass."""
        graphs = self.state.graphs
        while start < stop:
            end = stop
            if graphs is not None:
                graphs.refresh(start)
                end = graphs.valid_until(start, stop)
            yield from super().batches(start, end)
            start = end

    @property
    def chosen(self) -> IRM:
        """The model to validate and to save: the moving average where there is one."""
        average = self.state.average
        if average is None:
            return self.model
        assert isinstance(average.module, IRM)
        return average.module

    def after_update(self) -> None:
        """Update the moving average and the teacher of the lessons."""
        super().after_update()
        lessons = self.objectives.lessons
        if lessons is not None:
            lessons.update_teacher(self.model)

    def prepare(self) -> None:
        """Encode the instructions ahead, and the texts too, if the encoder is frozen and the cache has room.

        Loading weights clears the cache. Features are the same bits after a resume only if the same set of
        sentences is encoded in the same way.
        """
        room = self.model.reading.cache
        if not self.model.sentence_encoder.caches:
            return
        ahead: set[str] = set()
        for sentences in (instructions_of(self.mixture), texts_of(self.mixture)):
            wider = ahead.union(islice(_distinct(sentences), room + 1))
            if len(wider) <= room:
                ahead = wider
        self.model.precompute(ahead)

    def validate(self) -> dict[str, float]:
        """Mean AP of the held-out people, by domain."""
        return validate(self.chosen, self.mixture, workers=self.workers)

    def result(self) -> Callable[[Path], object]:
        """The retrieval model."""
        return self.chosen.save_pretrained


def build_irm_setup(run: IRMRun, device: torch.device, described: Path | None = None) -> IRMSetup:
    """Build everything of a run; equal seeds give equal weights.

    Args:
        run: the sheet.
        device: where all trains.
        described: as in ``build_irm``; for a run that a checkpoint is to fill.

    Raises:
        InputError: for weights or data that are missing or do not fit.
    """
    seed_all(run.seed)
    model, model_notes = build_irm(run, described=described)
    mixture, data_notes = build_mixture(run, preprocessing_of(model))
    objectives = build_objectives(run, model, mixture, begins=described is None)
    model.to(device)
    objectives.to(device)
    optimizer = optimizer_of(run.optimizer, named_parameters(model=model, objectives=objectives))
    average = None
    if run.optimizer.average is not None:
        average = MovingAverage(model, run.optimizer.average, use_buffers=True)
    graphs = ClassGraphs(model, mixture) if mixture.graph_samplers() else None
    state = TrainingState(model, objectives, optimizer, average, graphs, describe=model.save_description)
    if run.compile:
        model.editing_transformer.compile()
        model.fusion.compile()
    return IRMSetup(
        model=model,
        objectives=objectives,
        state=state,
        mixture=mixture,
        weights=shares(run),
        fingerprint=fingerprint(mixture, Path(run.data)),
        notes=(*model_notes, *data_notes, _size(model, mixture, device)),
        device=device,
        workers=run.loader.workers,
        validate_every=run.validation.every if mixture.held_out else None,
    )


def instructions_of(mixture: Mixture) -> Iterator[str]:
    """Every sentence that may be an image's instruction in the mixture, possibly several times."""
    for source in mixture.sources:
        if source.task.sentence is not None:
            yield source.task.sentence
        elif source.task.bank is not None:
            yield from BANKS[source.task.bank]
        elif source.task.instruction in ("caption", "clothes"):
            yield NEUTRAL_SENTENCE
        if source.task.instruction == "caption":
            yield from (caption for record in source.records for caption in record.captions)


def texts_of(mixture: Mixture) -> Iterator[str]:
    """Every description that is a text query in the mixture, possibly several times."""
    for source in mixture.sources:
        if source.task.objective == "image_text":
            yield from (caption for record in source.records for caption in record.captions)


def _distinct(sentences: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for sentence in sentences:
        if sentence not in seen:
            seen.add(sentence)
            yield sentence


def build_objectives(run: IRMRun, model: IRM, mixture: Mixture, *, begins: bool = True) -> Objectives:
    """Losses as the sheet weighs them, with classifiers for each domain that tells identities apart.

    Args:
        run: the sheet.
        model: what is trained.
        mixture: on what.
        begins: with weights that the sheet names, where it names any; else a checkpoint is to fill all.
    """
    losses, rule = run.losses, run.losses.adaptive_triplet
    refuse_unknown_terms(losses.own)
    weights = losses.weights.model_dump() | losses.own
    refuse_idle_objectives(weights, {TASKS[row.task].objective for row in run.mixture})
    own = [name for name, factor in losses.own.items() if factor]
    if any(weights[name] for name in ("adaptive_triplet", "adaptive_triplet_fused", "score_triplet")):
        refuse_single_images(mixture)
    identity = IdentityObjective(
        {domain: mixture.num_classes(domain) for domain in model.necks.names},
        dim=model.editing_transformer.embed_dim,
        streams=model.fusion.streams,
        weights=weights,
        triplet=TripletRule(
            margin=None if rule.margin == "soft" else rule.margin,
            mining=rule.mining,
            squared=rule.squared,
            after_neck=losses.triplet_after_neck,
            adaptive=rule.adaptive,
            score_margin=losses.score_margin,
        ),
        label_smoothing=losses.label_smoothing,
        composition_temperature=losses.composition_temperature,
        parts=run.batch.parts,
        own=make_picture_terms(own, model, mixture),
    )
    image_text = ImageTextObjective(
        weights=weights,
        parts=run.batch.parts,
        lessons=_lessons(run, model, begins),
        own=make_pair_terms(own, model),
    )
    return Objectives(identity, image_text)


def _lessons(run: IRMRun, model: IRM, begins: bool) -> Lessons | None:
    """What the released code adds for text-to-image, where the sheet asks for it."""
    domains = tuple(domain_of(row) for row in run.mixture if TASKS[row.task].objective == "image_text")
    if run.losses.lessons is None or not domains:
        return None
    lessons = Lessons(model, LessonRule(**run.losses.lessons.model_dump()), domains=domains)
    folder = word_head_of(run.model) if begins else None
    if folder is not None:
        load_word_head(lessons.words, folder)
    lessons.update_teacher(model)  # the teacher starts as a copy
    return lessons


def _size(model: IRM, mixture: Mixture, device: torch.device) -> str:
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    whole = sum(parameter.numel() for parameter in model.parameters())
    rows = ", ".join(
        f"{source.domain} ({mixture.num_classes(source.domain)} people, {len(source.records)} images)"
        for source in mixture.sources
    )
    return f"{trained / 1e6:.1f} of {whole / 1e6:.1f} M parameters train on {device}: {rows}"
