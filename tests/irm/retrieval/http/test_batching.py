"""The queue before the model: batches of what waits, refusals when it is full, and an orderly end."""

import asyncio
import threading
from contextlib import asynccontextmanager

import pytest

from irm.retrieval.http.batching import Batcher, BusyError


@asynccontextmanager
async def running(work, *, capacity=8, size=4):
    queue = Batcher(work, capacity=capacity, size=size, name="test")
    runner = asyncio.create_task(queue.run())
    try:
        yield queue
    finally:
        await queue.close(seconds=5)
        runner.cancel()
        await asyncio.gather(runner, return_exceptions=True)


def test_everybody_gets_the_result_of_their_own_job_and_batches_are_bounded():
    sizes = []

    def square(jobs):
        sizes.append(len(jobs))
        return [job * job for job in jobs]

    async def main():
        async with running(square, capacity=20) as queue:
            return await asyncio.gather(*(queue.ask(number, seconds=5) for number in range(15)))

    assert asyncio.run(main()) == [number * number for number in range(15)]
    assert max(sizes) == 4


def test_a_bad_job_harms_no_other():
    def invert(jobs):
        return [1 / job for job in jobs]

    async def main():
        async with running(invert) as queue:
            asked = (queue.ask(number, seconds=5) for number in (1, 0, 2))
            return await asyncio.gather(*asked, return_exceptions=True)

    one, bad, half = asyncio.run(main())
    assert (one, half) == (1.0, 0.5)
    assert isinstance(bad, ZeroDivisionError)


def test_a_full_queue_refuses_and_says_when_to_come_again():
    gate = threading.Event()

    def wait(jobs):
        gate.wait(10)
        return list(jobs)

    async def main():
        async with running(wait, capacity=2, size=1) as queue:
            first = asyncio.create_task(queue.ask("first", seconds=10))
            await asyncio.sleep(0.05)  # the first is being worked on, two fit in the queue
            waiting = [asyncio.create_task(queue.ask(number, seconds=10)) for number in range(2)]
            await asyncio.sleep(0)
            with pytest.raises(BusyError) as refused:
                await queue.ask("too many", seconds=10)
            gate.set()
            return refused.value.seconds, await asyncio.gather(first, *waiting)

    seconds, answers = asyncio.run(main())
    assert seconds >= 1
    assert answers == ["first", 0, 1]


def test_what_nobody_waits_for_any_more_is_not_done():
    done = []
    gate = threading.Event()

    def wait(jobs):
        gate.wait(10)
        done.extend(jobs)
        return list(jobs)

    async def main():
        async with running(wait, size=1) as queue:
            first = asyncio.create_task(queue.ask("first", seconds=10))
            await asyncio.sleep(0.05)
            with pytest.raises(BusyError, match="not answered within"):
                await queue.ask("gone", seconds=0.05)
            gate.set()
            await first

    asyncio.run(main())
    assert done == ["first"]


def test_what_was_accepted_is_answered_before_the_end():
    async def main():
        async with running(lambda jobs: list(jobs), size=1) as queue:
            asked = [asyncio.create_task(queue.ask(number, seconds=5)) for number in range(5)]
            await asyncio.sleep(0)
            await queue.close(seconds=5)
            with pytest.raises(BusyError, match="shutting down"):
                await queue.ask("late", seconds=5)
            return await asyncio.gather(*asked)

    assert asyncio.run(main()) == list(range(5))
