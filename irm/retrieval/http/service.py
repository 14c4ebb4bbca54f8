"""One gallery in the service of many clients: queues before the model, decoders, and an orderly end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from irm.retrieval import Answer, Explanation, Gallery, Question
from irm.retrieval.http.batching import Batcher
from irm.retrieval.http.metrics import Metrics
from irm.retrieval.http.settings import ServerSettings
from irm.retrieval.http.uploads import Decoder


@dataclass(frozen=True)
class Asked:
    """A question with who asked it, or with the hit that is to be explained."""

    question: Question
    who: str
    image: int | None = None


class Service:
    """What the routes share; made once, started and ended with the application."""

    def __init__(self, gallery: Gallery, settings: ServerSettings) -> None:
        limits = settings.limits
        self.gallery, self.settings = gallery, settings
        self.decode = Decoder(limits, gallery.model.preprocessing)
        self.searches: Batcher[Asked, Answer] = Batcher(
            self._search, capacity=limits.queue, size=limits.batch, name="search"
        )
        self.explanations: Batcher[Asked, Explanation] = Batcher(
            self._explain, capacity=limits.explanations, size=1, name="explain"
        )
        self.metrics = Metrics(lambda: self.searches.waiting)
        self.is_closing = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Queues run inside; on the way out what was accepted is still answered."""
        runners = [asyncio.create_task(queue.run()) for queue in (self.searches, self.explanations)]
        try:
            yield
        finally:
            self.is_closing = True
            seconds = self.settings.limits.answer_seconds
            await asyncio.gather(
                self.searches.close(seconds=seconds), self.explanations.close(seconds=seconds)
            )
            for runner in runners:
                runner.cancel()
            await asyncio.gather(*runners, return_exceptions=True)
            self.decode.close()

    async def search(self, question: Question, *, who: str) -> Answer:
        """The answer to a question, from a batch with whatever else waits.

        Raises:
            BusyError: too many wait.
            InputError: the question cannot be asked of this gallery.
        """
        return await self.searches.ask(Asked(question, who), seconds=self.settings.limits.answer_seconds)

    async def explain(self, question: Question, image: int) -> Explanation:
        """What the model looked at.

        Raises:
            BusyError: too many wait.
            InputError: the question cannot be asked, or there is no such image.
        """
        asked = Asked(question, "", image)
        return await self.explanations.ask(asked, seconds=self.settings.limits.answer_seconds)

    def _search(self, jobs: Sequence[Asked]) -> list[Answer]:
        return self.gallery.search_many([job.question for job in jobs], who=[job.who for job in jobs])

    def _explain(self, jobs: Sequence[Asked]) -> list[Explanation]:
        return [self.gallery.explain(job.question, job.image) for job in jobs if job.image is not None]
