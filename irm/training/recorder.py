"""What is done after each step of a run: show, log, validate, save, and check whether to stop."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from irm.config import dump
from irm.schema import RunSheet
from irm.training.checkpoint import save_checkpoint
from irm.training.logs import RunLog, StepReport
from irm.training.progress import TrainingProgress
from irm.training.ranks import max_over_ranks, this_rank
from irm.training.setup import TrainingSetup
from irm.training.signals import StopRequest
from irm.training.validation import score
from omnireid.files import replace_folder


@dataclass(frozen=True)
class Best:
    """The step whose weights had the best validation mAP."""

    step: int
    score: float


@dataclass
class Recorder:
    """Called after every step; only the first rank shows, logs and saves, but all stop together."""

    run: RunSheet
    out: Path
    setup: TrainingSetup
    stop: StopRequest
    log: RunLog | None
    progress: TrainingProgress
    step: int  # finished so far
    best: Best | None = None
    losses: dict[str, float] = field(default_factory=dict)  # of the last step
    launched: int = 0  # steps; the weights are those after them

    def must_wait(self, step: int) -> bool:
        """Whether a launched step is to be processed before the next: on a GPU, if anything is saved."""
        self.launched = step
        if self.setup.device.type != "cuda" or step == self.run.optimizer.steps or self._is_stopped():
            return True
        rhythms = (self.run.logging.checkpoint_every, self.setup.validate_every)
        return any(every is not None and step % every == 0 for every in rhythms)

    def __call__(self, report: StepReport) -> bool:
        """Process a finished step; True ends the training."""
        self.step, self.losses = report.step, report.losses
        self.progress.show(report)
        rhythm, is_last = self.run.logging, report.step == self.run.optimizer.steps
        if self.log is not None and (report.step % rhythm.every == 0 or is_last):
            self.log.write(report)
        every = self.setup.validate_every
        if every is not None and (report.step % every == 0 or is_last):
            self._validate()
        is_over = report.step == self.launched and self._is_stopped()
        if report.step % rhythm.checkpoint_every == 0 or is_last or is_over:
            self.save()
        return is_over

    def _is_stopped(self) -> bool:
        """Whether a signal asked any rank to stop."""
        return bool(max_over_ranks(int(self.stop.requested)))

    def _validate(self) -> None:
        """Validate, and keep the weights if they are the best so far."""
        if not this_rank().is_first:
            return
        assert self.log is not None
        found = self.setup.validate()
        self.log.write_validation(self.step, found)
        folder = self.out / "best"
        if self.best is None or score(found) > self.best.score or not folder.is_dir():
            self.best = Best(self.step, score(found))
            replace_folder(folder, self.setup.result())
        self.progress.show_validation(self.step, found, score(found), self.best.step)

    def save(self) -> None:
        """Checkpoint the last finished step."""
        contents = self.setup.state.contents()
        if not this_rank().is_first:
            return
        versions = {"python": platform.python_version(), "torch": torch.__version__}
        best = None if self.best is None else asdict(self.best)
        save_checkpoint(
            self.out / "checkpoints",
            self.step,
            contents,
            sheet=dump(self.run),
            facts={"data": self.setup.fingerprint, "versions": versions, "best": best},
            keep=self.run.logging.keep,
        )
