"""Progress of a training run: a bar with ETA on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from irm.training.logs import StepReport


class TrainingProgress:
    """Shows step, images/s, share of the time spent waiting for data, loss by task, learning rate and ETA."""

    def __init__(self, console: Console, *, start: int, steps: int, line_seconds: float = 10.0) -> None:
        """Begin after `start` of `steps`; without a terminal a line is written every `line_seconds`."""
        self._console, self._start, self._steps, self._line_seconds = console, start, steps, line_seconds
        self._recent: deque[StepReport] = deque(maxlen=20)
        self._last_line = -line_seconds
        self._bar: Progress | None = None
        if console.is_terminal:
            columns = (BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("ETA"))
            self._bar = Progress(
                *columns,
                TimeRemainingColumn(),
                TextColumn("{task.description}"),
                console=console,
                transient=True,
            )
            self._task = self._bar.add_task("", total=steps, completed=start)

    def show(self, report: StepReport) -> None:
        """Show a finished step."""
        self._recent.append(report)
        if self._bar is not None:
            self._bar.update(self._task, completed=report.step, description=self._figures())
        elif report.step in (self._start + 1, self._steps) or self._is_time():
            self._last_line = time.monotonic()
            left = (self._steps - report.step) * sum(row.seconds for row in self._recent) / len(self._recent)
            self._console.print(
                f"step {report.step}/{self._steps}  {self._figures()}  ETA {_clock(left)}",
                highlight=False,
                soft_wrap=True,
            )

    def show_validation(self, step: int, mean_aps: Mapping[str, float], score: float, best: int) -> None:
        """Print the validation mAP, and which step's weights were the best."""
        domains = " ".join(f"{domain} {100 * mean_ap:.1f}" for domain, mean_ap in mean_aps.items())
        kept = "the best so far" if best == step else f"the best was step {best}"
        self._console.print(
            f"step {step}/{self._steps}  validation mAP {100 * score:.1f}  {domains}  {kept}",
            highlight=False,
            soft_wrap=True,
        )

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _is_time(self) -> bool:
        return time.monotonic() - self._last_line >= self._line_seconds

    def _figures(self) -> str:
        last = self._recent[-1]
        seconds = max(sum(row.seconds for row in self._recent), 1e-9)
        speed = sum(row.images for row in self._recent) / seconds
        wait = 100 * sum(row.wait_seconds for row in self._recent) / seconds
        losses = " ".join(f"{domain} {loss:.3f}" for domain, loss in last.losses.items())
        return f"{speed:.3g} img/s  data wait {wait:.0f}%  lr {last.lr:.2g}  loss {losses}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
