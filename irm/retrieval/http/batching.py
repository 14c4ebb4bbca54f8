"""A bounded queue before the model: whoever waits together is answered together, whoever comes last waits."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


class BusyError(Exception):
    """There is no room for another job; ``seconds`` says when to ask again."""

    def __init__(self, seconds: int, reason: str = "the server has as many requests as it can hold") -> None:
        super().__init__(f"{reason}; try again in {seconds} s")
        self.seconds = seconds


class Batcher(Generic[Job, Result]):
    """Jobs of an event loop, done by one thread in batches of whatever waits; results keep their jobs."""

    def __init__(
        self, work: Callable[[Sequence[Job]], Sequence[Result]], *, capacity: int, size: int, name: str
    ) -> None:
        """Make a queue; ``run`` must be started in an event loop.

        Args:
            work: does a batch, in the thread; what it raises reaches the jobs that caused it.
            capacity: jobs that may wait; one more is refused.
            size: jobs of a batch at most.
            name: of the thread.
        """
        self._work = work
        self._size = size
        self._waiting: asyncio.Queue[tuple[Job, asyncio.Future[Result]]] = asyncio.Queue(capacity)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._seconds_a_job = 0.05  # a running mean, to say when to come again
        self._is_closing = False

    @property
    def waiting(self) -> int:
        """Jobs in the queue."""
        return self._waiting.qsize()

    async def ask(self, job: Job, *, seconds: float) -> Result:
        """The result of a job.

        Args:
            job: what to do.
            seconds: how long the asker is ready to wait; a job that nobody waits for any more is left out.

        Raises:
            BusyError: the queue is full, closing, or slower than ``seconds``.
        """
        if self._is_closing:
            raise BusyError(5, "the server is shutting down")
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        try:
            self._waiting.put_nowait((job, future))
        except asyncio.QueueFull:
            raise BusyError(self._patience()) from None
        try:
            async with asyncio.timeout(seconds):
                return await future
        except TimeoutError:
            raise BusyError(self._patience(), f"the search was not answered within {seconds:g} s") from None

    async def run(self) -> None:
        """Do batch after batch, until cancelled."""
        while True:
            batch = [await self._waiting.get()]
            while len(batch) < self._size and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            wanted = [(job, future) for job, future in batch if not future.done()]
            if wanted:
                await self._do(wanted)
            for _ in batch:
                self._waiting.task_done()

    async def close(self, *, seconds: float) -> None:
        """Take no more jobs and wait, but not for ever, for those there are."""
        self._is_closing = True
        try:
            async with asyncio.timeout(seconds):
                await self._waiting.join()
        except TimeoutError:
            pass
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def _do(self, batch: list[tuple[Job, asyncio.Future[Result]]]) -> None:
        """One batch; if it fails, each of its jobs alone, so that one bad job harms no other."""
        begun = time.perf_counter()
        loop = asyncio.get_running_loop()
        try:
            results = await loop.run_in_executor(self._thread, self._work, [job for job, _ in batch])
        except Exception as error:
            if len(batch) > 1:
                for single in batch:
                    await self._do([single])
            elif not batch[0][1].done():
                batch[0][1].set_exception(error)
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)
        latest = (time.perf_counter() - begun) / len(batch)
        self._seconds_a_job += 0.1 * (latest - self._seconds_a_job)

    def _patience(self) -> int:
        """Seconds until what waits now is done, at the pace of late."""
        return max(1, min(60, math.ceil(self.waiting * self._seconds_a_job)))
