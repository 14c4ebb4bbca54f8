"""A complete training run of either paper: build, start or resume, train, save, write the result."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from rich.console import Console

from instructions.errors import InputError
from irm.build import choose_autocast, choose_device
from irm.config import dump
from irm.schema import OptimizerSheet, RunSheet
from irm.training.checkpoint import network_of
from irm.training.logs import RunLog
from irm.training.loop import LoopSettings, train
from irm.training.optimizer import learning_rate
from irm.training.pending_step import NonFiniteLossError
from irm.training.progress import TrainingProgress
from irm.training.ranks import max_over_ranks, process_group, this_rank
from irm.training.recorder import Best, Recorder
from irm.training.resuming import latest_checkpoint, restore
from irm.training.seeding import deterministic
from irm.training.setup import TrainingSetup, schedule_warnings
from irm.training.signals import StopRequest
from omnireid.files import replace_folder, sole_writer, write_whole

R = TypeVar("R", bound=RunSheet)


@dataclass(frozen=True)
class RunKind(Generic[R]):
    """What differs between the two kinds of training."""

    # From the sheet; and, where a checkpoint is to fill it and tells, from what it tells of the model.
    build: Callable[[R, torch.device, Path | None], TrainingSetup]
    read: Callable[[Path], R]
    free: tuple[str, ...]  # settings that may change on resuming, because they do not affect the losses


@dataclass(frozen=True)
class Summary:
    """How a run ended."""

    out: Path
    start: int
    step: int
    steps: int
    seconds: float
    losses: dict[str, float]  # of the last step, by domain; empty when there was none
    model: Path | None  # None when the run was stopped early
    rank: int = 0  # only the first of several processes reports

    @property
    def is_finished(self) -> bool:
        """Whether every step was taken."""
        return self.step == self.steps


def run_training(run: R, out: Path, kind: RunKind[R], *, resume: bool, console: Console) -> Summary:
    """Train as the sheet says, into a folder of its own.

    The folder gets `config.yaml`, `metrics.jsonl`, `tensorboard/`, `checkpoints/` and, at the end, `model/`;
    with people held out to validate on also `validation.jsonl` and `best/`, which `model/` then equals.

    Under `torchrun` each process calls this; the first one shows, logs and saves.

    Args:
        run: the resolved sheet.
        out: the run folder; new or empty, unless resuming.
        kind: which training it is.
        resume: go on from the newest intact checkpoint; in an empty folder, start.
        console: where progress is shown.

    Raises:
        InputError: for a folder in use, another run's folder, missing data, or a loss that is not finite.
    """
    device = choose_device(run.device)
    with process_group(device) as ranks, run_folder(out, resume) if ranks.is_first else nullcontext():
        if not ranks.is_first:
            console = Console(quiet=True)
        if ranks.world > 1 and device.type == "cuda":
            device = torch.device("cuda", ranks.local_rank)
        return _run_training(run, out, kind, device, console)


@contextmanager
def run_folder(out: Path, resume: bool) -> Iterator[None]:
    """Create a run's folder if need be and lock it; a new folder that stays empty is removed again.

    Raises:
        InputError: as ``check_folder``, or another process trains in it.
    """
    check_folder(out, resume)
    is_new = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    try:
        with sole_writer(
            out, f"another process is training in {out}; wait for it to finish, or use another --out"
        ):
            check_folder(out, resume)  # it may have ended meanwhile
            yield
    finally:
        if is_new and not any(out.iterdir()):
            out.rmdir()


def _run_training(run: R, out: Path, kind: RunKind[R], device: torch.device, console: Console) -> Summary:
    begun = time.perf_counter()
    checkpoint = latest_checkpoint(run, out, read=kind.read, free=kind.free, console=console)
    setup = kind.build(run, device, None if checkpoint is None else network_of(checkpoint))
    for note in (*setup.notes, *schedule_warnings(run.optimizer)):
        console.print(note, highlight=False, soft_wrap=True)
    facts: dict[str, Any] = {"step": 0} if checkpoint is None else restore(checkpoint, setup)
    start, best = int(facts["step"]), facts.get("best")
    if checkpoint is not None:
        console.print(f"resuming {out} after step {start}", highlight=False, soft_wrap=True)
    max_over_ranks(start)  # no rank writes before all have read
    model = out / "model"
    is_lengthened = start < run.optimizer.steps and model.is_dir()
    if this_rank().is_first and not is_lengthened:  # a model that is there keeps its own sheet until the end
        _write_sheet(out, run)
    step, losses = start, dict[str, float]()
    if start < run.optimizer.steps:
        setup.prepare()
        recorder = _train(run, out, setup, start, None if best is None else Best(**best), console)
        step, losses = recorder.step, recorder.losses
    is_finished = step == run.optimizer.steps
    if is_finished and max_over_ranks(
        int(start < step or not model.is_dir())
    ):  # a finished run has its model
        result = partial(shutil.copytree, out / "best") if setup.validate_every else setup.result()
        if this_rank().is_first:
            replace_folder(model, result)
            _write_sheet(out, run)
    seconds = time.perf_counter() - begun
    made = model if is_finished else None
    return Summary(out, start, step, run.optimizer.steps, seconds, losses, made, this_rank().rank)


def _write_sheet(out: Path, run: RunSheet) -> None:
    """Write the sheet that the run's model has, or will have."""
    write_whole(out / "config.yaml", dump(run).encode(), durable=True)


def check_folder(out: Path, resume: bool) -> None:
    """Refuse a run folder that holds anything, unless it is this kind of run and is to be resumed.

    Raises:
        InputError: with the way out.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; --out must be a folder for the run")
    left_by_a_kill = {".config.yaml.part"}
    if not out.is_dir() or {path.name for path in out.iterdir()} <= left_by_a_kill:
        return
    if not resume:
        raise InputError(
            f"the run folder {out} is not empty; add --resume to continue it, or use another --out"
        )
    if not (out / "config.yaml").is_file():
        raise InputError(
            f"{out} holds no run (no config.yaml), so there is nothing to resume; use another --out"
        )


def loop_settings(
    plan: OptimizerSheet, device: torch.device, weights: Mapping[str, float], seed: int, precision: str
) -> LoopSettings:
    """The settings of the training loop, from a sheet.

    Args:
        plan: schedule and clipping.
        device: of the model.
        weights: loss weights by domain.
        seed: of the run.
        precision: of the run.
    """
    names = ("lr", "warmup_from", "warmup_steps", "steps", "schedule", "lr_end", "milestones")
    schedule = {name: getattr(plan, name) for name in names}
    return LoopSettings(
        seed=seed,
        device=device,
        autocast=choose_autocast(precision, device),
        weights=weights,
        learning_rate=partial(learning_rate, **schedule),
        clip_grad_norm=plan.clip_grad_norm,
    )


def _train(
    run: RunSheet, out: Path, setup: TrainingSetup, start: int, best: Best | None, console: Console
) -> Recorder:
    steps = run.optimizer.steps
    settings = loop_settings(run.optimizer, setup.device, setup.weights, run.seed, run.precision)
    with (
        deterministic(setup.device),
        StopRequest() as stop,
        RunLog(out, start=start) if this_rank().is_first else nullcontext() as log,
        TrainingProgress(console, start=start, steps=steps) as progress,
    ):
        recorder = Recorder(run, out, setup, stop, log, progress, start, best)
        setup.state.optimizer.register_step_post_hook(lambda *_: setup.after_update())
        try:
            train(
                setup.model,
                setup.objectives,
                setup.state.optimizer,
                setup.batches(start, steps),
                start=start,
                settings=settings,
                after_step=recorder,
                must_wait=recorder.must_wait,
            )
        except NonFiniteLossError as error:
            raise InputError(_describe(error, out, setup)) from None
        except RuntimeError as error:
            # The loader's processes received the same signal and ended first; the last step is complete.
            if not stop.requested or "DataLoader worker" not in str(error):
                raise
            recorder.save()
    return recorder


def _describe(error: NonFiniteLossError, out: Path, setup: TrainingSetup) -> str:
    """Write down which images the non-finite loss came from; returns the error sentence."""
    rank = this_rank().rank  # each rank names its own share of the batch
    path = out / f"nonfinite-step-{error.step}{f'-rank-{rank}' if rank else ''}.json"
    batch = error.batch
    content = {
        "step": error.step,
        "domain": batch.domain,
        "terms": {name: str(value) for name, value in error.terms.items()},
        "records": [asdict(setup.records(batch.domain)[row]) for row in batch.indices.tolist()],
    }
    write_whole(path, json.dumps(content, indent=1).encode(), durable=True)
    return (
        f"the loss of {batch.domain} is not a finite number at step {error.step}; its images are listed "
        f"in {path}; lower optimizer.lr or set optimizer.clip_grad_norm=1, then start again in another --out"
    )
