"""Embeds one side of a split; its features can then be evaluated by any number of protocols."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from instructions.errors import InputError
from instructions.instruction import Instruction
from omnireid.columns import labels_of
from omnireid.interfaces import Embedder, ImageMatching, PairScorer, PairStates, Side
from omnireid.loading.batch import Batch
from omnireid.loading.cache import ImageCache
from omnireid.loading.eval_batches import eval_batches
from omnireid.loading.instruct import query_texts
from omnireid.metrics import Metric, ReRanking
from omnireid.records import Labels, Record, Split
from omnireid.tasks import TaskSpec

Progress = Callable[[str, int, int], None]  # what is being done, how many are done, of how many


@dataclass(frozen=True)
class SideInstructions:
    """The instructions of one side's images, and their label in a table.

    ``instructions`` come from ``omnireid.loading.instruct``, one per record; None for tasks without any.
    """

    label: str = ""
    instructions: Sequence[Instruction] | None = None


NO_INSTRUCTIONS = SideInstructions()


@dataclass(frozen=True)
class Settings:
    """How an evaluation runs; only ``re_score``, ``match`` and ``re_rank`` change scores."""

    batch_size: int = 128  # images, or text-image pairs, at a time
    workers: int = 0  # processes that read images
    re_score: int = 128  # images that a PairScorer re-scores for each text; 0 keeps the cosine order
    match: int | None = None  # images that a matcher scores for each query image; None: all, 0: none
    re_rank: ReRanking | None = None  # image queries are judged once more, re-ranked
    cache: ImageCache | None = None  # keeps decoded images between evaluations

    def top(self, task: TaskSpec) -> int:
        """How many images are scored for each query of a task."""
        if task.query == "text":
            return self.re_score
        return sys.maxsize if self.match is None else self.match


DEFAULTS = Settings()


@dataclass(frozen=True, eq=False)
class Features:
    """The features of one side of a search; they can be combined with any other side of the same model."""

    task: TaskSpec
    dataset: str
    asked: str  # label of the images' instructions
    vectors: Float[Tensor, "N D"]
    labels: Labels
    states: PairStates | None  # of all images, where pairs can be re-scored
    seconds: float
    metric: Metric = "cosine"  # the model's own

    def __len__(self) -> int:
        return len(self.vectors)

    def flaws(self, side: Side) -> tuple[str, ...]:
        """A warning if vectors are all equal or zero, because ties are ranked in the order of the files."""
        num, num_zero = len(self), int((self.vectors == 0).all(dim=1).sum())
        place = f"{self.task.name}/{self.dataset} {side}"
        if num > 1 and bool((self.vectors == self.vectors[0]).all()):
            return (f"{place}: all {num} features are equal, so they cannot distinguish people",)
        if num_zero:
            return (f"{place}: {num_zero} of {num} features are all zero, so their ranks are meaningless",)
        return ()


def embed_side(
    embedder: Embedder,
    split: Split,
    side: Side,
    task: TaskSpec,
    *,
    asked: SideInstructions = NO_INSTRUCTIONS,
    settings: Settings = DEFAULTS,
    progress: Progress | None = None,
) -> Features:
    """Embed the queries or the gallery of a split; for t2i the queries are texts.

    Raises:
        InputError: The side is empty, an image cannot be read, or the task needs instructions and has none.
    """
    records = split.query if side == "query" else split.gallery
    _check(records, split, side, task, asked)
    started = time.perf_counter()
    scorer = pair_scorer(embedder, task) if settings.top(task) else None
    batches = eval_batches(
        records,
        embedder.preprocessing,
        task=task,
        domain=f"{task.name}/{split.name}",
        instructions=asked.instructions,
        texts=query_texts(split) if task.query == "text" and side == "query" else None,
        batch_size=settings.batch_size,
        workers=settings.workers,
        cache=settings.cache,
        device=getattr(embedder, "device", None),
    )
    vectors: list[Tensor] = []
    states: list[PairStates] = []
    for batch in batches:
        part = _embed(embedder, scorer, batch, side)
        vectors.append(part.features if isinstance(part, PairStates) else part)
        states += [part] if isinstance(part, PairStates) else []
        if progress is not None:
            progress(f"{task.name}/{split.name} {side}", sum(map(len, vectors)), len(records))
    return Features(
        task=task,
        dataset=split.name,
        asked=asked.label,
        vectors=torch.cat(vectors).float().cpu(),
        labels=labels_of(records),
        states=_joined(states) if states else None,
        seconds=time.perf_counter() - started,
        metric=getattr(embedder, "metric", "cosine") if task.query == "image" else "cosine",
    )


def pair_scorer(embedder: Embedder, task: TaskSpec) -> PairScorer | None:
    """The scorer of a task's pairs: the embedder itself for texts, its matcher for images, or None."""
    if task.query == "text":
        return embedder if isinstance(embedder, PairScorer) else None
    return embedder.image_scorer() if isinstance(embedder, ImageMatching) else None


@torch.no_grad()
def _embed(embedder: Embedder, scorer: PairScorer | None, batch: Batch, side: Side) -> Tensor | PairStates:
    return embedder.embed(batch, side) if scorer is None else scorer.states(batch, side)


def _check(
    records: Sequence[Record], split: Split, side: Side, task: TaskSpec, asked: SideInstructions
) -> None:
    if not records:
        raise InputError(f"{split.name} has no {side} images, so task {task.name} cannot be evaluated on it")
    if (task.instruction == "none") != (asked.instructions is None):
        needs = "takes no instructions" if task.instruction == "none" else "needs one instruction per image"
        raise InputError(f"task {task.name} {needs}; see omnireid.loading.instruct")


def _joined(states: Sequence[PairStates]) -> PairStates:
    """States of all batches; shorter ones are padded with masked tokens."""
    length = max(part.tokens.shape[1] for part in states)
    return PairStates(
        features=torch.cat([part.features for part in states]),
        tokens=torch.cat([F.pad(part.tokens, (0, 0, 0, length - part.tokens.shape[1])) for part in states]),
        mask=torch.cat([F.pad(part.mask, (0, length - part.mask.shape[1])) for part in states]),
    )
