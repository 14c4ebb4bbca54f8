"""From questions to ranked lists: embed, scan, re-rank or score again, and explain the scores."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8

from instructions.errors import InputError
from irm.retrieval.answer import Answer, Hit, Stage
from irm.retrieval.calibration import Calibrations
from irm.retrieval.catalog import Catalog, Image, SpaceRow
from irm.retrieval.model import SearchModel
from irm.retrieval.planning import Plan
from irm.retrieval.question import Filter, Question
from irm.retrieval.vector_store import Found, VectorStore
from irm.retrieval.views import VIEWS
from omnireid.metrics import re_rank

HEAD = 100  # images that k-reciprocal re-ranking reorders
AGAINST = 0.5  # weight of images of somebody else (Rocchio)
EMBEDDED = 64  # images of one forward pass

Pixels = UInt8[np.ndarray, "_H _W 3"]


@dataclass(frozen=True)
class _Clock:
    begun: float
    loading: float  # seconds
    embedding: float


@dataclass(frozen=True)
class Searcher:
    """The parts of a gallery that a search needs."""

    catalog: Catalog
    model: SearchModel
    store: VectorStore
    calibrations: Calibrations
    pixels_of: Callable[[int], Pixels]  # of a gallery image

    def answer(self, questions: Sequence[Question], plans: Sequence[Plan], now: float) -> list[Answer]:
        """An answer to each question; work is shared where possible."""
        begun = time.perf_counter()
        asked = list(zip(questions, plans, strict=True))
        for _, plan in asked:
            self.calibrations.of(plan.space)
        totals = [self.store.count(plan.space, where=one.where, now=now) for one, plan in asked]
        loaded = time.perf_counter()  # a view is read when a process first searches it
        vectors = self._embed(questions, plans)
        clock = _Clock(begun, loaded - begun, time.perf_counter() - loaded)
        found = self._find(questions, plans, vectors, now)
        rows = zip(questions, plans, vectors, found, totals, strict=True)
        return [self._answer(*row, clock) for row in rows]

    def load(self, space: SpaceRow) -> None:
        """Read everything that a search of a view needs into memory."""
        self.calibrations.of(space)
        self.store.count(space, where=Filter(), now=0.0)

    def _embed(self, questions: Sequence[Question], plans: Sequence[Plan]) -> list[Float[np.ndarray, " D"]]:
        """One vector per question."""
        parts: dict[int, list[Float[np.ndarray, " D"]]] = defaultdict(list)
        groups: dict[str, list[int]] = defaultdict(list)
        for number, plan in enumerate(plans):
            groups[plan.space.view].append(number)
        for view, numbers in groups.items():
            if plans[numbers[0]].is_text:
                rows = self.model.embed_texts([questions[number].text or "" for number in numbers])
                for number, row in zip(numbers, rows, strict=True):
                    parts[number].append(row)
                continue
            asked = [(number, pixels) for number in numbers for pixels in self._images(questions[number])]
            for first in range(0, len(asked), EMBEDDED):
                block = asked[first : first + EMBEDDED]
                vectors = self._embed_block(block, questions, plans, view)
                for (number, _), row in zip(block, vectors, strict=True):
                    parts[number].append(row)
        return [_combined(parts[number], question) for number, question in enumerate(questions)]

    def _embed_block(
        self,
        block: Sequence[tuple[int, Pixels]],
        questions: Sequence[Question],
        plans: Sequence[Plan],
        view: str,
    ) -> Float[np.ndarray, "B D"]:
        instructions = [plans[number].instruction for number, _ in block]
        clothes = [questions[number].clothes for number, _ in block]
        return self.model.embed(
            self.model.resized([pixels for _, pixels in block]),
            VIEWS[view],
            plans[block[0][0]].space.space.domain,
            [one for one in instructions if one is not None],
            [None if one is None else one.pixels for one in clothes],
        )

    def _images(self, question: Question) -> list[Pixels]:
        """Images of the wanted person, then of somebody else."""
        wanted = [*(one.pixels for one in question.images), *map(self.pixels_of, question.like)]
        others = [*(one.pixels for one in question.negatives), *map(self.pixels_of, question.unlike)]
        return [*wanted, *others]

    def _find(
        self,
        questions: Sequence[Question],
        plans: Sequence[Plan],
        vectors: Sequence[Float[np.ndarray, " D"]],
        now: float,
    ) -> list[Found]:
        """The ranked lists, as deep as the pages reach; questions of one view and filter share a scan."""
        groups: dict[object, list[int]] = defaultdict(list)
        for number, (question, plan) in enumerate(zip(questions, plans, strict=True)):
            groups[plan.space.id, question.where].append(number)
        found: dict[int, Found] = {}
        for numbers in groups.values():
            first = numbers[0]
            depth = max(_depth(questions[number], plans[number]) for number in numbers)
            lists = self.store.search(
                plans[first].space,
                np.stack([vectors[number] for number in numbers]),
                depth,
                where=questions[first].where,
                now=now,
            )
            found.update(zip(numbers, lists, strict=True))
        return [found[number] for number in range(len(questions))]

    def _answer(
        self,
        question: Question,
        plan: Plan,
        vector: Float[np.ndarray, " D"],
        found: Found,
        total: int,
        clock: _Clock,
    ) -> Answer:
        order, scores, stages = self._reorder(question, plan, vector, found)
        calibration = self.calibrations.of(plan.space)
        chances = calibration.chance(vector, found.scores)
        # Percentages were calibrated on pairs of gallery images, so the query must be embedded as they were.
        is_alike = VIEWS[plan.space.view].beside == "bank"
        is_single = not (question.negatives or question.unlike)
        page = order[question.first : question.depth]
        images = self.catalog.images([int(found.ids[place]) for place in page])
        hits = []
        for rank, place in enumerate(page, start=question.first + 1):
            image = images.get(int(found.ids[place]))
            if image is None:  # erased while this was computed
                continue
            percent = calibration.percent(float(found.scores[place])) if is_alike and is_single else None
            shown = float(scores[place]), stages[place], percent, float(chances[place])
            hits.append(_hit(rank, image, *shown))
        return Answer(
            hits=tuple(hits),
            total=total,
            task=plan.task,
            view=plan.space.view,
            instruction=plan.instruction_text,
            route=plan.route,
            warning=_join_warnings(
                self._truncation(question, plan), _warning(chances, total), _not_re_ranked(question, stages)
            ),
            space=plan.space.id[:12],
            engine=self.store.name,
            seconds=time.perf_counter() - clock.begun,
            load_seconds=clock.loading,
            embed_seconds=clock.embedding,
        )

    def _reorder(
        self, question: Question, plan: Plan, vector: Float[np.ndarray, " D"], found: Found
    ) -> tuple[Int[np.ndarray, " K"], Float[np.ndarray, " K"], list[Stage]]:
        """The final order and scores, and which stage placed each hit."""
        scores = found.scores.copy()
        order = np.arange(len(found.ids))
        stages: list[Stage] = ["cosine"] * len(order)
        if plan.is_text and question.re_score and self.model.can_match and len(order):
            found_pixels = {
                place: self._pixels(int(found.ids[place])) for place in order[: question.re_score]
            }
            shown = {place: one for place, one in found_pixels.items() if one is not None}
            if shown:
                scores[list(shown)] = self.model.match(question.text or "", list(shown.values()))
            order, stages = _move_up(order, list(shown), -scores[list(shown)], "re-scored")
        elif question.re_rank and len(order) > 2:
            ids, vectors = self.store.get(plan.space, [int(one) for one in found.ids[:HEAD]])
            rows = {int(one): row for row, one in enumerate(ids)}
            held = [place for place in order[:HEAD] if int(found.ids[place]) in rows]
            if held:
                distances = _re_ranked(vector, vectors[[rows[int(found.ids[place])] for place in held]])
                order, stages = _move_up(order, held, distances, "re-ranked")
        return order, scores, stages

    def _truncation(self, question: Question, plan: Plan) -> str | None:
        """A warning if the text is longer than the model reads."""
        is_read = plan.instruction is None or plan.instruction.sentence is not None
        if question.text is None or not is_read:
            return None
        words, read = len(question.text.split()), self.model.words_read(question.text)
        return None if read == words else f"only the first {read} of the {words} words of the text were read"

    def _pixels(self, image: int) -> Pixels | None:
        """The pixels of an image; None if it was erased meanwhile."""
        try:
            return self.pixels_of(image)
        except InputError:
            return None


def _move_up(
    order: Int[np.ndarray, " K"], places: Sequence[int], distances: Float[np.ndarray, " k"], stage: Stage
) -> tuple[Int[np.ndarray, " K"], list[Stage]]:
    """Some places of a list first, by their distances; the others, also erased ones, keep their order."""
    first = np.array(places, dtype=order.dtype)[np.argsort(distances, kind="stable")]
    stages: list[Stage] = ["cosine"] * len(order)
    stages[: len(first)] = [stage] * len(first)
    return np.concatenate([first, order[~np.isin(order, first)]]), stages


def _hit(rank: int, image: Image, score: float, stage: Stage, percent: int | None, chance: float) -> Hit:
    return Hit(
        rank=rank,
        image=image.id,
        score=score,
        stage=stage,
        percent=percent,
        chance=chance,
        key=image.key,
        pid=image.pid,
        camid=image.camid,
        taken=image.taken,
        dataset=image.dataset,
        modality=image.modality,
        width=image.width,
        height=image.height,
    )


def _depth(question: Question, plan: Plan) -> int:
    """How many of the nearest are needed to fill the page."""
    if plan.is_text and question.re_score:
        return max(question.depth, question.re_score)
    return max(question.depth, HEAD) if question.re_rank else question.depth


def _combined(parts: Sequence[Float[np.ndarray, " D"]], question: Question) -> Float[np.ndarray, " D"]:
    """The query vector: the mean of the positives minus half the mean of the negatives (Rocchio, 1971)."""
    others = len(question.negatives) + len(question.unlike)
    if len(parts) == 1:
        return parts[0]
    unit = [part / max(float(np.linalg.norm(part)), 1e-12) for part in parts]
    wanted = unit[: len(unit) - others]
    vector = np.mean(wanted, axis=0)
    if others:
        vector = vector - AGAINST * np.mean(unit[len(wanted) :], axis=0)
    return vector.astype(np.float32)


def _re_ranked(query: Float[np.ndarray, " D"], head: Float[np.ndarray, "K D"]) -> Float[np.ndarray, " K"]:
    sides = torch.from_numpy(np.array(query))[None], torch.from_numpy(np.array(head))
    unit = [torch.nn.functional.normalize(side.float(), dim=1) for side in sides]
    return re_rank(unit[0], unit[1], k1=min(20, len(head)), k2=min(6, len(head)))[0].numpy()


def _join_warnings(*warnings: str | None) -> str | None:
    return "; ".join(warning for warning in warnings if warning) or None


def _warning(chances: Float[np.ndarray, " K"], total: int) -> str | None:
    if not len(chances):
        return "no image matches the filters" if not total else None
    if total * float(chances.min()) < 1:
        return None
    return (
        f"even the best hit scores no better than the best of {total} images of other people would: "
        "the person is probably not in this gallery"
    )


def _not_re_ranked(question: Question, stages: Sequence[Stage]) -> str | None:
    if not question.re_rank or "re-scored" not in stages:
        return None
    return (
        "the list is not re-ranked by common neighbours: for a text alone the first hits are re-scored by "
        "the match head instead (--re-score 0 turns that off)"
    )
