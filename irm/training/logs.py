"""A run's log: metrics.jsonl and TensorBoard scalars, by loss term and by task."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from omnireid.files import write_whole


@dataclass(frozen=True)
class StepReport:
    """One training step in numbers."""

    step: int  # finished steps, so the first is 1
    lr: float
    losses: dict[str, float]  # total by domain, e.g. "trad/market1501", before its share
    terms: dict[str, dict[str, float]]  # by domain, then by term
    gradient_norm: float
    images: int
    seconds: float
    wait_seconds: float  # of these, waiting for data


class RunLog:
    """Appends to `metrics.jsonl` and `tensorboard/`; on a full disk it falls silent, and training goes on."""

    def __init__(self, folder: Path, *, start: int) -> None:
        """Begin after `start` finished steps; rows of later steps, of an interrupted run, are removed."""
        from torch.utils.tensorboard import SummaryWriter

        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "metrics.jsonl"
        _keep_rows(path, start)
        _keep_rows(folder / "validation.jsonl", start)
        self._folder = folder
        self._rows = path.open("a", encoding="utf-8")
        self._scalars = SummaryWriter(str(folder / "tensorboard"), purge_step=start + 1)
        self._broken = False

    def write(self, report: StepReport) -> None:
        """Record one step."""
        if self._broken:
            return
        try:
            self._rows.write(json.dumps(asdict(report)) + "\n")
            self._rows.flush()
            for tag, value in _scalars(report):
                self._scalars.add_scalar(tag, value, report.step)
        except OSError as error:
            self._break_off(error)

    def write_validation(self, step: int, mean_aps: Mapping[str, float]) -> None:
        """Record the validation mAP after a step."""
        if self._broken:
            return
        try:
            with (self._folder / "validation.jsonl").open("a", encoding="utf-8") as rows:
                rows.write(json.dumps({"step": step, "mean_ap": dict(mean_aps)}) + "\n")
            for domain, mean_ap in mean_aps.items():
                self._scalars.add_scalar(f"validation/{domain}", mean_ap, step)
        except OSError as error:
            self._break_off(error)

    def _break_off(self, error: OSError) -> None:
        self._broken = True
        warnings.warn(f"training continues without its log: {error}", stacklevel=3)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._rows.close()
        self._scalars.close()


def _scalars(report: StepReport) -> list[tuple[str, float]]:
    rows = [("train/lr", report.lr), ("train/gradient_norm", report.gradient_norm)]
    rows += [("train/images_per_second", report.images / max(report.seconds, 1e-9))]
    rows += [("train/data_wait", report.wait_seconds / max(report.seconds, 1e-9))]
    for domain, total in report.losses.items():
        rows.append((f"loss/{domain}", total))
        rows += [(f"{term}/{domain}", value) for term, value in report.terms[domain].items()]
    return rows


def _keep_rows(path: Path, start: int) -> None:
    """Drop rows of steps after `start`, and a last row cut off in the middle."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row: dict[str, Any] = json.loads(line)
        except ValueError:
            continue
        if row["step"] <= start:
            kept.append(line + "\n")
    write_whole(path, "".join(kept).encode(), durable=True)
