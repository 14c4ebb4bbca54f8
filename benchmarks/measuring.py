"""CPU seconds and peak memory of one case, measured in a process of its own."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path


@dataclass(frozen=True)
class Cost:
    """Cost and result of one run of a case."""

    cpu_seconds: float
    megabytes: float  # peak above the process's memory before the run
    result: object


def measure(case: Callable[[], object], warm_up: Callable[[], object]) -> Cost:
    """Run a case in a child process that shares our inputs; returns its result.

    Args:
        case: the function to measure.
        warm_up: the same on little data, so that library pages do not count.

    Raises:
        RuntimeError: the child died.
    """
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    child = context.Process(target=_run, args=(case, warm_up, sending))
    child.start()
    sending.close()
    try:
        cost = receiving.recv()
    except EOFError:
        cost = None
    child.join()
    if not isinstance(cost, Cost):
        raise RuntimeError(f"the case did not finish (exit code {child.exitcode}): {cost}")
    return cost


def _run(case: Callable[[], object], warm_up: Callable[[], object], sending: Connection) -> None:
    warm_up()
    # Resets the peak; what is shared with the parent counts as already used.
    Path("/proc/self/clear_refs").write_text("5")
    before, started = _status("VmRSS"), time.process_time()
    try:
        result = case()
    except Exception as error:  # returned as a sentence
        sending.send(f"{type(error).__name__}: {error}")
        return
    taken = time.process_time() - started
    sending.send(Cost(taken, (_status("VmHWM") - before) / 1024, result))


def _status(field: str) -> int:
    """Kilobytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1])
    raise RuntimeError(f"this system does not report {field}")
