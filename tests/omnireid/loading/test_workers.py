"""Worker processes: order, errors, and shared memory."""

import logging
import time
from types import SimpleNamespace

import pytest

from instructions.errors import InputError
from omnireid.loading import workers as module
from omnireid.loading.workers import in_order


def slow_when_even(number: int) -> int:
    time.sleep(0.02 * (number % 2 == 0))
    if number == 9:
        raise InputError("nine is one too many")
    return number


@pytest.mark.parametrize("workers", [0, 2])
def test_results_come_in_order_and_errors_as_they_were_raised(workers):
    assert list(in_order(slow_when_even, range(3, 9), workers=workers)) == [3, 4, 5, 6, 7, 8]
    results = in_order(slow_when_even, range(8, 11), workers=workers)
    assert next(results) == 8
    with pytest.raises(InputError) as caught:
        next(results)
    assert str(caught.value) == "nine is one too many"


def test_without_shared_memory_the_main_process_does_the_work(monkeypatch, caplog):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: SimpleNamespace(free=64 * 2**20))
    with caplog.at_level(logging.WARNING):
        assert list(in_order(slow_when_even, range(2), workers=2, piece_bytes=2**26)) == [0, 1]
    assert [record.message.startswith("using 0 of 2 loader processes") for record in caplog.records] == [True]
    assert module._affordable_workers(2, 2**20) == 2
