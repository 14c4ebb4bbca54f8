"""A gallery: images indexed once, then searched by an image, a sentence, clothes, or all of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

import numpy as np
from jaxtyping import UInt8

from irm.retrieval import audit
from irm.retrieval.answer import Answer, Explanation, Route
from irm.retrieval.calibration import Calibrations
from irm.retrieval.catalog import Catalog, sole_indexer
from irm.retrieval.database import explain_full_disk
from irm.retrieval.explain import explain
from irm.retrieval.gallery_store import GalleryStore, clock
from irm.retrieval.images import image_of, pixels_of
from irm.retrieval.indexing import Indexer
from irm.retrieval.info import Added, Facets, facets_of, indexed_views
from irm.retrieval.items import Item
from irm.retrieval.model import SearchModel
from irm.retrieval.opening import check_place, model_of, prepare, same_space, space_of
from irm.retrieval.planning import plan_query
from irm.retrieval.question import Question
from irm.retrieval.routing import Router
from irm.retrieval.searching import Searcher
from irm.retrieval.views import VIEWS, Space, View
from omnireid.extraction import Progress


class Gallery(GalleryStore):
    """A store together with its model; thread-safe."""

    def __init__(self, catalog: Catalog, model: SearchModel, engine: str = "local") -> None:
        """Join a catalog with its model; use ``open`` or ``create``, which check that they fit."""
        super().__init__(catalog, engine)
        self.model = model
        self.router = Router(model)
        self._searcher = Searcher(catalog, model, self.store, Calibrations(catalog), self._pixels)
        self._facets: tuple[int, Facets] | None = None  # with the revision that they stand at

    @classmethod
    def open(
        cls,
        folder: str | Path,
        *,
        run: str | Path | None = None,
        engine: str = "local",
        model: SearchModel | None = None,
    ) -> Self:
        """Open an existing store.

        Args:
            folder: The store.
            run: Where the model is, if it moved.
            engine: "local", or where else the vectors are searched: "postgresql://...", "http://host:6333"
                (Qdrant), "edge:FOLDER" (Qdrant in this process).
            model: Already loaded.

        Raises:
            InputError: There is no store, no model, or they do not belong together.
            BrokenError: The store cannot be written, so that no search could be entered in the audit.
        """
        catalog = Catalog(Path(folder))
        catalog.check_writable()
        return cls(catalog, model_of(catalog, run, model), engine)

    @classmethod
    def create(
        cls,
        folder: str | Path,
        run: str | Path | SearchModel,
        *,
        views: Sequence[str] | None = None,
        dataset: str | None = None,
        engine: str = "local",
    ) -> Self:
        """Create a store, or open the one that is there if it belongs to the same model.

        Args:
            folder: The store.
            run: The model: a run, a model's folder, or a loaded model.
            views: Names of ``VIEWS``; by default those that the model's tasks need. More can be added later.
            dataset: Whose batch-norm statistics to prefer if the model has several for a task.
            engine: As in ``open``.

        Raises:
            InputError: The folder belongs to another model or holds something else, or a view is unknown.
        """
        check_place(Path(folder))
        model = run if isinstance(run, SearchModel) else SearchModel.load(Path(run))
        prepare(Path(folder), model, views, dataset)
        return cls.open(folder, model=model, engine=engine)

    @property
    def views(self) -> tuple[View, ...]:
        """The views for which every suitable image gets a vector."""
        return tuple(VIEWS[name] for name in json.loads(self.catalog.metadata("views") or "[]"))

    def space(self, view: View) -> Space:
        """The space of a view of this gallery."""
        return space_of(self.model, view, self.catalog.metadata("dataset") or None)

    def add(
        self,
        items: Iterable[Item],
        *,
        progress: Progress | None = None,
        keep_days: float | None = None,
        batch_size: int = 128,
        again: bool = False,
        now: float | None = None,
    ) -> Added:
        """Index images: new ones are added, changed ones embedded again, the others left alone.

        Each batch is durable when the next begins; repeat an interrupted call to continue it.

        Args:
            items: See ``irm.retrieval.items``.
            progress: Called after every batch.
            batch_size: Images per forward pass and per transaction.
            keep_days: Images expire this many days after they were added.
            again: Also take in what was erased or had expired, which otherwise stays out.
            now: Unix seconds; by default the clock's.

        Raises:
            InputError: Another process is indexing, the disk is full, a key is given twice or not free.
        """
        with (
            explain_full_disk("the last batch was not saved; all batches before it were"),
            sole_indexer(self.catalog.folder),
        ):
            for row in self.catalog.spaces().values():
                self._check(row.space)
            indexer = Indexer(
                catalog=self.catalog,
                model=self.model,
                views=self.views,
                space_of=self.space,
                mirror=None if self.store is self.local else self.store,
                mirrored=self._followed,
                batch_size=batch_size,
                again=again,
                now=clock(now),
                keep_days=keep_days,
            )
            return indexer.add(items, progress)

    def search(
        self,
        question: Question,
        *,
        who: str = "local",
        purpose: str = "",
        keep_question: bool = False,
        now: float | None = None,
    ) -> Answer:
        """The requested page of the ranked list.

        Args:
            question: What is asked.
            who: The caller's name, for the audit.
            purpose: The reason, for the audit.
            keep_question: Keep its text and small images with its line of the audit, until one of the
                images that it shows or finds is erased.
            now: Unix seconds; by default the clock's.

        Raises:
            InputError: The question contradicts itself, or the gallery cannot answer it.
            FullError: There is no room for its line of the audit.
        """
        return self.search_many([question], who=who, purpose=purpose, keep_question=keep_question, now=now)[0]

    def search_many(
        self,
        questions: Sequence[Question],
        *,
        who: str | Sequence[str] = "local",
        purpose: str = "",
        keep_question: bool = False,
        now: float | None = None,
    ) -> list[Answer]:
        """``search`` for several questions in one forward pass and one scan; ``who`` may be one for each."""
        moment = clock(now)
        held = indexed_views(self.catalog)
        plans = [plan_query(question, held, self.router) for question in questions]
        for plan in plans:
            self._check(plan.space.space)
        answers = self._searcher.answer(questions, plans, moment)
        names = [who] * len(questions) if isinstance(who, str) else list(who)
        asked = list(zip(questions, answers, strict=True))
        lines = [audit.line_of(name, purpose, *pair) for name, pair in zip(names, asked, strict=True)]
        keep = [audit.kept_question_of(*pair) for pair in asked] if keep_question else []
        with explain_full_disk("a search is answered only after it has been written to the audit trail"):
            audit.write(self.catalog, lines, moment, keep)
        return answers

    def warm(self, progress: Progress | None = None) -> None:
        """Load what the first questions would wait for: every view, and the features of the banks."""
        held = indexed_views(self.catalog)
        for done, one in enumerate(held.values(), start=1):
            self._searcher.load(one.row)
            if progress is not None:
                progress("reading", done, len(held))
        self.router.warm()

    def route(self, text: str) -> Route:
        """Which view a sentence given with an image would be searched in."""
        route = plan_query(Question(like=(0,), text=text), indexed_views(self.catalog), self.router).route
        assert route is not None
        return route

    def explain(self, question: Question, image: int) -> Explanation:
        """What the model attended to, in the question's first image and in a gallery image."""
        plan = plan_query(question, indexed_views(self.catalog), self.router)
        first = question.images[0].pixels if question.images else None
        if first is None and question.like:
            first = self._pixels(question.like[0])
        clothes = None if question.clothes is None else question.clothes.pixels
        record, pixels = image_of(self.catalog, image).record(), self._pixels(image)
        return explain(self.model, plan, question.text, first, clothes, record, pixels)

    def facets(self) -> Facets:
        """The values that filters can choose from."""
        revision = self.catalog.revision()
        if self._facets is None or self._facets[0] != revision:
            self._facets = revision, facets_of(self.catalog)
        return self._facets[1]

    def _check(self, space: Space) -> None:
        same_space(space, self.space(VIEWS[space.view]), self.catalog.folder)

    def _pixels(self, image: int) -> UInt8[np.ndarray, "H W 3"]:
        return pixels_of(self.catalog, image)
