"""The evaluation of one task: features, a protocol, and the numbers of a table row."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from instructions.errors import InputError
from omnireid.extraction import (
    DEFAULTS,
    NO_INSTRUCTIONS,
    Features,
    Progress,
    Settings,
    SideInstructions,
    embed_side,
    pair_scorer,
)
from omnireid.interfaces import Embedder, PairScorer
from omnireid.metrics import Metric, ReRanking, chance_mean_ap, chance_rank_1
from omnireid.protocols import Protocol, protocol_named
from omnireid.re_scoring import ReScorer
from omnireid.records import Split
from omnireid.tasks import TaskSpec
from omnireid.trial import Trial, query_means, run_trial

Stage = Literal["features", "matcher", "re-scored", "re-ranked"]

__all__ = ["Evaluation", "Stage", "evaluate", "judge", "mean_and_std", "pair_scorer"]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The scores of one search: shares in [0, 1], averaged over the protocol's draws, with their deviation.

    Deviations are population standard deviations over the draws, 0 for a single draw.
    """

    task: str
    dataset: str
    protocol: str  # name in PROTOCOLS
    stage: Stage  # which stage ordered the lists
    metric: Metric  # by which features are compared
    title: str  # of the protocol, with stage and metric, to be printed beside the numbers
    query_asked: str  # label of the queries' instructions
    gallery_asked: str
    mean_ap: float
    mean_ap_std: float
    rank_1: float
    rank_1_std: float
    rank_5: float
    rank_10: float
    mean_inp: float
    chance_ap: float  # exact expected mAP of a random order; nan where the protocol truncates AP
    chance_rank_1: float
    num_trials: int
    num_query: int
    num_gallery: int  # of the first draw
    num_valid_queries: int
    num_re_scored: int  # images per query, by a PairScorer
    seconds: float  # embedding both sides and judging
    cmc: Float[np.ndarray, " K"]
    average_precision: Float[np.ndarray, " Q"]  # nan where a query has no answer
    hits: Float[np.ndarray, " Q"]  # share of the draws whose first image is right; nan as above
    # Gallery rows at the top of the first draw's ranked lists, without junk; -1 past the end.
    shown: Int[np.ndarray, "Q T"]
    shown_right: Bool[np.ndarray, "Q T"]

    @property
    def is_matched(self) -> bool:
        """Whether images were compared by a matcher instead of by one vector each."""
        return self.stage == "matcher"


def evaluate(
    embedder: Embedder,
    split: Split,
    task: TaskSpec,
    protocol: str,
    *,
    query: SideInstructions = NO_INSTRUCTIONS,
    gallery: SideInstructions = NO_INSTRUCTIONS,
    settings: Settings = DEFAULTS,
    progress: Progress | None = None,
) -> Evaluation:
    """Embed both sides of a split and judge them: ``embed_side`` twice, ``judge`` once.

    Raises:
        InputError: As they do.
    """
    protocol_named(protocol)
    queries = embed_side(embedder, split, "query", task, asked=query, settings=settings, progress=progress)
    searched = embed_side(
        embedder, split, "gallery", task, asked=gallery, settings=settings, progress=progress
    )
    return judge(queries, searched, protocol, scorer=pair_scorer(embedder, task), settings=settings)


def judge(
    query: Features,
    gallery: Features,
    protocol: str,
    *,
    scorer: PairScorer | None = None,
    metric: Metric | None = None,
    re_ranking: ReRanking | None = None,
    settings: Settings = DEFAULTS,
) -> Evaluation:
    """Judge features by a protocol, over all its draws.

    Args:
        query: Features of the queries.
        gallery: Features of the gallery, by the same model.
        protocol: Name in PROTOCOLS.
        scorer: Re-scores the nearest images of each query, if both sides kept their states.
        metric: By default the features' own; the released IRM evaluator used "euclidean", without
            normalising.
        re_ranking: Re-ranks by k-reciprocal neighbours; then no pairs are re-scored.
        settings: Only ``re_score``, ``match`` and ``batch_size`` matter here.

    Raises:
        InputError: The protocol is unknown or lacks labels, features are not finite, or no query has an
            answer.
    """
    rules = protocol_named(protocol)
    started = time.perf_counter()
    re_scorer, top = None, settings.top(query.task)
    metric = metric or query.metric
    if re_ranking is not None:
        scorer = None
    if scorer is not None and top and query.states is not None and gallery.states is not None:
        re_scorer = ReScorer(scorer, query.states, gallery.states, top, settings.batch_size)
    trials = [
        run_trial(query, gallery, rules, trial, metric=metric, re_scorer=re_scorer, re_ranking=re_ranking)
        for trial in range(rules.num_trials)
    ]
    if not all(trial.ranking.num_valid_queries for trial in trials):
        raise InputError(
            f"no query of {query.dataset} has a true match in its gallery under the protocol "
            f"{rules.title!r}; check the pids and camids of queries and gallery"
        )
    num_re_scored = min(re_scorer.top, trials[0].num_gallery) if re_scorer else 0
    how = _How(_stage(query.task, re_scorer, re_ranking), metric, num_re_scored)
    seconds = query.seconds + gallery.seconds + time.perf_counter() - started
    return _evaluation(query, gallery, rules, trials, how=how, seconds=seconds)


def _stage(task: TaskSpec, re_scorer: ReScorer | None, re_ranking: ReRanking | None) -> Stage:
    if re_scorer is not None:
        return "matcher" if task.query == "image" else "re-scored"
    return "features" if re_ranking is None else "re-ranked"


@dataclass(frozen=True)
class _How:
    """How the lists were ordered."""

    stage: Stage
    metric: Metric
    num_re_scored: int

    def title(self, rules: Protocol) -> str:
        """The protocol's title, with everything that would make two numbers incomparable."""
        suffix = {
            "features": "",
            "matcher": ", matcher",
            "re-scored": f", top {self.num_re_scored} re-scored",
            "re-ranked": ", re-ranked",
        }
        is_usual = self.metric == "cosine" or self.stage == "matcher"
        return rules.title + suffix[self.stage] + ("" if is_usual else f", {self.metric.capitalize()}")


def _evaluation(
    query: Features, gallery: Features, rules: Protocol, trials: Sequence[Trial], *, how: _How, seconds: float
) -> Evaluation:
    """Means and deviations over the draws; shown lists and sizes are those of the first draw."""
    rankings = [trial.ranking for trial in trials]
    mean_ap, mean_ap_std = mean_and_std([ranking.mean_ap for ranking in rankings])
    rank_1, rank_1_std = mean_and_std([float(ranking.cmc[0]) for ranking in rankings])
    cmc = np.mean([ranking.cmc for ranking in rankings], axis=0)
    precision = query_means(len(query), trials, lambda ranking: ranking.average_precision)
    hits = query_means(len(query), trials, lambda ranking: (ranking.first_match == 1).astype(float))
    first = trials[0]
    return Evaluation(
        task=query.task.name,
        dataset=query.dataset,
        protocol=rules.name,
        stage=how.stage,
        metric=how.metric,
        title=how.title(rules),
        query_asked=query.asked,
        gallery_asked=gallery.asked,
        mean_ap=mean_ap,
        mean_ap_std=mean_ap_std,
        rank_1=rank_1,
        rank_1_std=rank_1_std,
        rank_5=float(cmc[4]),
        rank_10=float(cmc[9]),
        mean_inp=fmean(ranking.mean_inp for ranking in rankings),
        chance_ap=math.nan if rules.ap_topk else fmean(chance_mean_ap(ranking) for ranking in rankings),
        chance_rank_1=fmean(chance_rank_1(ranking) for ranking in rankings),
        num_trials=len(trials),
        num_query=len(query),
        num_gallery=first.num_gallery,
        num_valid_queries=int((~np.isnan(precision)).sum()),
        num_re_scored=how.num_re_scored,
        seconds=seconds,
        cmc=cmc,
        average_precision=precision,
        hits=hits,
        shown=first.shown,
        shown_right=first.shown_right,
    )


def mean_and_std(values: Sequence[float]) -> tuple[float, float]:
    """Mean and population standard deviation, of draws, of a bank's sentences, or of seeds."""
    return fmean(values), float(np.std(values))
