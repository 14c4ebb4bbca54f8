"""The benchmark table: a row is one task on one data set under one protocol, with several instructions.

A row with instructions of its own (``li``, ``ctcc``) is also evaluated with another person's instruction and
with none, against a gallery with its own annotations and one without, by person alone and by person and
outfit. Whether a model follows its instruction is a difference between these numbers, not one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from instructions.banks import BANKS
from instructions.instruction import Instruction
from omnireid.datasets import load_split
from omnireid.evaluation import Evaluation, judge, pair_scorer
from omnireid.extraction import (
    DEFAULTS,
    NO_INSTRUCTIONS,
    Features,
    Progress,
    Settings,
    SideInstructions,
    embed_side,
)
from omnireid.interfaces import Embedder
from omnireid.loading.instruct import gallery_instructions, query_instructions
from omnireid.protocols import PROTOCOLS, shortcoming
from omnireid.records import Record, Split
from omnireid.tasks import PAPER_INSTRUCTIONS, InstructionSettings, TaskSpec

# As in omnireid.summary.
QUERY_MODES: tuple[Literal["right", "wrong", "none"], ...] = ("right", "wrong", "none")
GALLERY_MODES: tuple[Literal["own", "neutral"], ...] = ("own", "neutral")
BY_PERSON_AND_OUTFIT = "instructed_outfit"


@dataclass(frozen=True)
class Row:
    """One row of the table that a run is evaluated on."""

    task: str
    dataset: str
    protocol: str
    variant: str | None = None
    source: Literal["auto", "lists", "raw"] = "auto"
    instruction_settings: InstructionSettings = PAPER_INSTRUCTIONS

    def split(self, data: Path) -> Split:
        """The split of the row.

        Raises:
            InputError: as ``load_split``.
        """
        keep = self.instruction_settings.keeps_clothes_image(self.task)
        return load_split(data, self.dataset, self.task, self.variant, self.source, keep_clothes_image=keep)

    @property
    def name(self) -> str:
        """The data set, with its variant if one is named."""
        return self.dataset if self.variant is None else f"{self.dataset} {self.variant}"

    @property
    def label(self) -> str:
        """A label that distinguishes it from other rows."""
        return f"{self.task}/{self.name} ({self.protocol})"


OnFeatures = Callable[[Row, Split, Features, Features], None]
Memory = dict[tuple[str, str], Features]  # by side, and by its instruction


@dataclass(frozen=True)
class RankedList:
    """The top of one query's ranked list, for display."""

    image: str | None  # the query image; None for a text query
    sentence: str | None
    clothes: str | None
    average_precision: float
    results: tuple[tuple[str, bool], ...]  # image, and whether it is a true match; nearest first


@dataclass(frozen=True, eq=False)
class RowResult:
    """All evaluations of a row, the paper's own first, and some ranked lists of the first."""

    row: Row
    evaluations: tuple[Evaluation, ...]
    lists: tuple[RankedList, ...]
    notes: tuple[str, ...] = ()  # of the data set's reader
    warnings: tuple[str, ...] = ()  # about the features of the first
    queries: Sequence[Record] = ()  # one per row of each evaluation's per-query scores

    @property
    def headline(self) -> Evaluation:
        """The evaluation after which the row is named."""
        return self.evaluations[0]


def run_row(
    embedder: Embedder,
    row: Row,
    data: Path,
    *,
    settings: Settings = DEFAULTS,
    every_sentence: bool = False,
    num_lists: int = 3,
    progress: Progress | None = None,
    on_features: OnFeatures | None = None,
    memory: Memory | None = None,
) -> RowResult:
    """Evaluate one row.

    Args:
        embedder: The model.
        row: The row.
        data: The folder that contains the data sets.
        settings: How to run it.
        every_sentence: Also evaluate each of a bank's twenty sentences (paper, appendix D.1).
        num_lists: Ranked lists to keep: evenly spaced from the best to the worst query.
        progress: Called after every batch.
        on_features: Called with both sides as the first evaluation compares them.
        memory: Features of an earlier row of the same model that differs only in its protocol, or empty;
            extended.

    Raises:
        InputError: The data is missing or cannot be read, or the protocol does not fit.
    """
    task, split = row.instruction_settings.task(row.task), row.split(data)
    searches = _Searches(
        embedder,
        split,
        task,
        settings,
        progress,
        on_features=None if on_features is None else partial(on_features, row, split),
        memory={} if memory is None else memory,
    )
    if task.instruction in ("caption", "clothes"):
        evaluations = tuple(searches.instructed(row.protocol))
    else:
        evaluations = tuple(searches.canonical(row.protocol))
        if every_sentence and task.bank is not None:
            evaluations += tuple(searches.each_sentence(row.protocol))
    evaluations = tuple(replace(evaluation, dataset=row.name) for evaluation in evaluations)
    lists = ranked_lists(split, query_instructions(split, task, "right"), evaluations[0], num_lists)
    return RowResult(row, evaluations, lists, split.notes, searches.warnings, split.query)


@dataclass
class _Searches:
    """The searches of a row: each side is embedded once per instruction, then every pair is evaluated."""

    embedder: Embedder
    split: Split
    task: TaskSpec
    settings: Settings
    progress: Progress | None
    on_features: Callable[[Features, Features], None] | None
    memory: Memory
    warnings: tuple[str, ...] = ()

    def canonical(self, protocol: str) -> Iterator[Evaluation]:
        """With a second stage if the model has one, and then, in any case, by features alone."""
        if self.task.instruction == "none":
            query, gallery = NO_INSTRUCTIONS, NO_INSTRUCTIONS
        else:
            query = self._constant(query_instructions(self.split, self.task, "right"))
            gallery = self._constant(gallery_instructions(self.split, self.task, "own"))
        sides = self._embed("query", query), self._embed("gallery", gallery)
        self._report(*sides)
        scored = self._judge(*sides, protocol)
        yield scored
        if scored.stage != "features":
            yield judge(*sides, protocol)
        yield from self._re_ranked(*sides, protocol)

    def each_sentence(self, protocol: str) -> Iterator[Evaluation]:
        assert self.task.bank is not None
        for number, label in enumerate(BANKS[self.task.bank]):
            query = SideInstructions(label, query_instructions(self.split, self.task, number))
            gallery = SideInstructions(label, gallery_instructions(self.split, self.task, number))
            sides = self._embed("query", query, keep=False), self._embed("gallery", gallery, keep=False)
            yield self._judge(*sides, protocol)

    def instructed(self, protocol: str) -> Iterator[Evaluation]:
        own = {"caption": "own caption", "clothes": "own clothes"}[self.task.instruction]
        names = {"own": own, "neutral": "neutral"}
        queries = {
            mode: self._embed(
                "query", SideInstructions(mode, query_instructions(self.split, self.task, mode))
            )
            for mode in QUERY_MODES
        }
        has_outfits = shortcoming(PROTOCOLS[BY_PERSON_AND_OUTFIT], self.split) is None
        rules = dict.fromkeys([protocol, BY_PERSON_AND_OUTFIT] if has_outfits else [protocol])
        for gallery_mode in GALLERY_MODES:
            asked = SideInstructions(
                names[gallery_mode], gallery_instructions(self.split, self.task, gallery_mode)
            )
            gallery = self._embed("gallery", asked)
            if gallery_mode == "own":
                self._report(queries["right"], gallery)
            for rule in rules:
                for mode in QUERY_MODES:
                    yield self._judge(queries[mode], gallery, rule)
            if gallery_mode == "own":
                yield from self._re_ranked(queries["right"], gallery, protocol)

    def _constant(self, instructions: Sequence[Instruction] | None) -> SideInstructions:
        """The same sentence, or the image of the lists, for every image of a side."""
        assert instructions  # neither task lacks them
        return SideInstructions(instructions[0].sentence or "the image of the lists", instructions)

    def _embed(
        self, side: Literal["query", "gallery"], asked: SideInstructions, *, keep: bool = True
    ) -> Features:
        """A side with one instruction, from memory if possible; sides not to be kept do not fill it."""
        found = self.memory.get((side, asked.label))
        if found is None:
            found = embed_side(
                self.embedder,
                self.split,
                side,
                self.task,
                asked=asked,
                settings=self.settings,
                progress=self.progress,
            )
            if keep:
                self.memory[side, asked.label] = found
        return found

    def _report(self, query: Features, gallery: Features) -> None:
        """Report the two sides after which the row is named."""
        self.warnings = (*query.flaws("query"), *gallery.flaws("gallery"))
        if self.on_features is not None:
            self.on_features(query, gallery)

    def _re_ranked(self, query: Features, gallery: Features, protocol: str) -> Iterator[Evaluation]:
        """Re-ranked, if requested; never across texts and images, which are not each other's neighbours."""
        if self.settings.re_rank is not None and self.task.query == "image":
            yield judge(query, gallery, protocol, re_ranking=self.settings.re_rank)

    def _judge(self, query: Features, gallery: Features, protocol: str) -> Evaluation:
        return judge(
            query, gallery, protocol, scorer=pair_scorer(self.embedder, self.task), settings=self.settings
        )


def ranked_lists(
    split: Split, instructions: Sequence[Instruction] | None, evaluation: Evaluation, count: int
) -> tuple[RankedList, ...]:
    """Queries evenly spaced by average precision, best first; those without a true match are left out."""
    answered = np.flatnonzero(~np.isnan(evaluation.average_precision))
    by_precision = answered[np.argsort(-evaluation.average_precision[answered], kind="stable")]
    places = np.unique(
        np.linspace(0, len(by_precision) - 1, min(count, len(by_precision))).round().astype(int)
    )
    return tuple(ranked_list(split, instructions, evaluation, int(query)) for query in by_precision[places])


def ranked_list(
    split: Split, instructions: Sequence[Instruction] | None, evaluation: Evaluation, query: int
) -> RankedList:
    """The top of the ranking of one query, given as a row of the split."""
    record = split.query[query]
    asked = None if instructions is None else instructions[query]
    is_text = instructions is None and bool(record.captions)
    return RankedList(
        image=None if is_text else record.image,
        sentence=record.captions[0] if is_text else asked.sentence if asked else None,
        clothes=asked.clothes if asked else None,
        average_precision=float(evaluation.average_precision[query]),
        results=tuple(
            (split.gallery[row].image, bool(right))
            for row, right in zip(evaluation.shown[query], evaluation.shown_right[query], strict=True)
            if row >= 0
        ),
    )
