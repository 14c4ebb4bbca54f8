"""Runs work in order on helper processes; errors arrive as they were raised."""

from __future__ import annotations

import logging
import shutil
import signal
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from instructions.errors import InputError

T = TypeVar("T")
log = logging.getLogger(__name__)

PREFETCH = 2  # results that each worker keeps ready
_SHARED_MEMORY = Path("/dev/shm")


class _Jobs(Dataset[Any], Generic[T]):
    """Calls a function; returns an InputError as a value, or the DataLoader would bury it in a traceback."""

    def __init__(self, work: Callable[[int], T]) -> None:
        self.work = work

    def __getitem__(self, number: int) -> T | InputError:
        try:
            return self.work(number)
        except InputError as error:
            return error


def in_order(
    work: Callable[[int], T], numbers: range, *, workers: int = 0, piece_bytes: int = 0, pin: bool = False
) -> Generator[T, None, None]:
    """``work(number)`` for each number, in their order, whatever the number of workers.

    Stopping early closes the generator, which ends the workers.

    Args:
        work: the function; depends on the number alone, and can be pickled where processes are spawned.
        numbers: its arguments.
        workers: number of processes; 0 runs in this one.
        piece_bytes: size of one result, to stay within shared memory (containers often have 64 MB of it).
        pin: put results into page-locked memory, for a GPU.

    Raises:
        InputError: as ``work`` raised it.
    """
    workers = min(workers, len(numbers), _affordable_workers(workers, piece_bytes))
    loader = DataLoader(
        _Jobs(work),
        batch_size=None,
        sampler=numbers,
        num_workers=workers,
        collate_fn=_unchanged,
        worker_init_fn=_outlive_signals,
        prefetch_factor=PREFETCH if workers else None,
        pin_memory=pin,
        generator=torch.Generator(),  # or else the loader would draw its seed from the training's generator
    )
    for result in loader:
        if isinstance(result, InputError):
            raise result
        yield result


def _outlive_signals(_number: int) -> None:
    """Ignore Ctrl-C and SIGTERM, which reach the whole group: the main program decides when workers end."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _unchanged(result: T) -> T:
    return result


def _affordable_workers(workers: int, piece_bytes: int) -> int:
    """As many workers as shared memory allows; with too little they would die of a bus error."""
    if not workers or not piece_bytes or not _SHARED_MEMORY.is_dir():
        return workers
    free = shutil.disk_usage(_SHARED_MEMORY).free
    affordable = free // (piece_bytes * (PREFETCH + 1))
    if affordable < workers:
        log.warning(
            "using %d of %d loader processes: %s has no room for more; give the container more shared memory",
            affordable,
            workers,
            _SHARED_MEMORY,
        )
    return min(workers, affordable)
