"""Validation on people held out from the training set, by which the best weights are chosen."""

from __future__ import annotations

from statistics import mean

from irm.embedder import IRMEmbedder
from irm.models import IRM
from omnireid.evaluation import evaluate
from omnireid.extraction import Settings, SideInstructions
from omnireid.loading.held_out import HeldOut
from omnireid.loading.instruct import gallery_instructions, query_instructions
from omnireid.loading.mixture import Mixture


def validate(model: IRM, mixture: Mixture, *, workers: int = 0) -> dict[str, float]:
    """Mean AP of the held-out people, by domain; the model's mode is restored.

    Args:
        model: whose features are compared; texts are not re-scored by a match head.
        mixture: its `held_out` holds the people.
        workers: processes that read images.
    """
    was_training = model.training
    embedder = IRMEmbedder(model)
    settings = Settings(workers=workers, re_score=0, cache=mixture.cache)
    try:
        return {held_out.domain: _mean_ap(embedder, held_out, settings) for held_out in mixture.held_out}
    finally:
        model.train(was_training)


def score(mean_aps: dict[str, float]) -> float:
    """One number for all domains: their mean."""
    return mean(mean_aps.values())


def _mean_ap(embedder: IRMEmbedder, held_out: HeldOut, settings: Settings) -> float:
    evaluation = evaluate(
        embedder,
        held_out.split,
        held_out.task,
        held_out.protocol,
        query=SideInstructions("right", query_instructions(held_out.split, held_out.task)),
        gallery=SideInstructions("own", gallery_instructions(held_out.split, held_out.task)),
        settings=settings,
    )
    return evaluation.mean_ap
