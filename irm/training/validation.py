"""Validation on people held out from the training set, by which the best weights are chosen."""

from __future__ import annotations

from statistics import mean

from irm.embedder import IRMEmbedder
from irm.models import IRM
from omnireid.evaluation import evaluate
from omnireid.extraction import Asked, Settings
from omnireid.loading.aside import Aside
from omnireid.loading.instruct import gallery_instructions, query_instructions
from omnireid.loading.mixture import Mixture


def validate(model: IRM, mixture: Mixture, *, workers: int = 0) -> dict[str, float]:
    """Mean AP of the held-out people, by domain; the model's mode is restored.

    Args:
        model: whose features are compared; texts are not scored again by a match head.
        mixture: its `aside` holds the people.
        workers: processes that read pictures.
    """
    was_training = model.training
    embedder = IRMEmbedder(model)
    settings = Settings(workers=workers, re_score=0, cache=mixture.cache)
    try:
        return {aside.domain: _mean_ap(embedder, aside, settings) for aside in mixture.aside}
    finally:
        model.train(was_training)


def score(mean_aps: dict[str, float]) -> float:
    """One number for all domains: their mean."""
    return mean(mean_aps.values())


def _mean_ap(embedder: IRMEmbedder, aside: Aside, settings: Settings) -> float:
    evaluation = evaluate(
        embedder,
        aside.split,
        aside.task,
        aside.protocol,
        query=Asked("right", query_instructions(aside.split, aside.task)),
        gallery=Asked("own", gallery_instructions(aside.split, aside.task)),
        settings=settings,
    )
    return evaluation.mean_ap
