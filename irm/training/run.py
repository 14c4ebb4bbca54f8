"""A whole run: build what the sheet says, resume or start, train, save, leave a model behind."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from rich.console import Console

from instructions.errors import InputError
from irm.build import choose_autocast, choose_device
from irm.config import dump, read_run
from irm.schema import IRMRun, OptimizerSheet
from irm.training.logs import RunLog
from irm.training.loop import LoopSettings, NonFiniteLossError, train
from irm.training.optimizer import learning_rate
from irm.training.progress import TrainingProgress
from irm.training.ranks import joined_ranks, largest, this_rank
from irm.training.recorder import Best, Recorder
from irm.training.resuming import resume
from irm.training.seeding import repeatable
from irm.training.signals import StopRequest
from irm.training.workshop import Workshop, build_workshop
from omnireid.files import replace_folder, write_whole

# What may change between a run and its resumption: nothing of it touches the losses.
FREE_ON_RESUME = ("data", "loader", "logging", "evaluation", "activation_checkpointing", "compile")


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
    rank: int = 0  # of several processes only the first need speak

    @property
    def is_finished(self) -> bool:
        """Whether every step was taken."""
        return self.step == self.steps


def train_run(run: IRMRun, out: Path, *, resume: bool, console: Console) -> Summary:
    """Train as the sheet says, into a folder of its own.

    The folder gets `config.yaml`, `metrics.jsonl`, `tensorboard/`, `checkpoints/` and, at the end, `model/`;
    with people kept aside to validate on also `validation.jsonl` and `best/`, which `model/` then equals.

    Under `torchrun` each process calls this; the first one shows, logs and saves.

    Args:
        run: the resolved sheet.
        out: the run folder; new or empty, unless resuming.
        resume: go on from the newest whole checkpoint; an empty folder is a start.
        console: where progress is shown.

    Raises:
        InputError: for a folder in use, another run's folder, missing data, or a loss that is no number.
    """
    device = choose_device(run.device)
    with joined_ranks(device) as ranks:
        if ranks.is_first:
            check_folder(out, resume)
        else:
            console = Console(quiet=True)
        if ranks.world > 1 and device.type == "cuda":
            device = torch.device("cuda", ranks.local_rank)
        return _train_run(run, out, device, console)


def _train_run(run: IRMRun, out: Path, device: torch.device, console: Console) -> Summary:
    begun = time.perf_counter()
    workshop = build_workshop(run, device)
    for note in workshop.notes:
        console.print(note, highlight=False, soft_wrap=True)
    start, best = _resume(run, out, workshop, console)
    largest(start)  # nobody writes before all have looked
    if this_rank().is_first:
        out.mkdir(parents=True, exist_ok=True)
        write_whole(out / "config.yaml", dump(run).encode(), durable=True)
    step, losses = start, dict[str, float]()
    if start < run.optimizer.steps:
        workshop.read_ahead()
        recorder = _train(run, out, workshop, start, best, console)
        step, losses = recorder.step, recorder.losses
    model = None
    if step == run.optimizer.steps:
        model = out / "model"
        if this_rank().is_first and (start < step or not model.is_dir()):  # a finished run has its model
            if workshop.mixture.aside:
                replace_folder(model, partial(shutil.copytree, out / "best"))
            else:
                replace_folder(model, workshop.result.save_pretrained)
    seconds = time.perf_counter() - begun
    return Summary(out, start, step, run.optimizer.steps, seconds, losses, model, this_rank().rank)


def check_folder(out: Path, resume: bool) -> None:
    """Refuse a run folder that holds anything, unless it is this kind of run and is to be resumed.

    Raises:
        InputError: with the way out.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; --out names a folder for the run")
    if not out.is_dir() or not any(out.iterdir()):
        return
    if not resume:
        raise InputError(
            f"the run folder {out} is not empty; add --resume to go on with it, or name another --out"
        )
    if not (out / "config.yaml").is_file():
        raise InputError(
            f"{out} holds no run (no config.yaml), so there is nothing to resume; name another --out"
        )


def _resume(run: IRMRun, out: Path, workshop: Workshop, console: Console) -> tuple[int, Best | None]:
    """Fill the workshop from the newest whole checkpoint; the finished steps and the best of them."""

    def check_data(fingerprint: str, folder: Path) -> None:
        if fingerprint != workshop.fingerprint:
            raise InputError(
                f"the training pictures are not those of {folder} (people, order or number differ); "
                f"a resumed run keeps its data, so use another --out"
            )

    facts = resume(
        run, out, workshop.state, read=read_run, free=FREE_ON_RESUME, check_data=check_data, console=console
    )
    if facts is None:
        return 0, None
    best = facts.get("best")
    return int(facts["step"]), None if best is None else Best(**best)


def loop_settings(
    plan: OptimizerSheet, device: torch.device, weights: Mapping[str, float], seed: int, precision: str
) -> LoopSettings:
    """What the loop needs to know of a sheet.

    Args:
        plan: schedule and clipping.
        device: where the model lies.
        weights: of the losses, by domain.
        seed: the run's.
        precision: the run's.
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
    run: IRMRun, out: Path, workshop: Workshop, start: int, best: Best | None, console: Console
) -> Recorder:
    steps = run.optimizer.steps
    settings = loop_settings(run.optimizer, workshop.device, workshop.weights, run.seed, run.precision)
    with (
        repeatable(workshop.device),
        StopRequest() as stop,
        RunLog(out, start=start) if this_rank().is_first else nullcontext() as log,
        TrainingProgress(console, start=start, steps=steps) as progress,
    ):
        recorder = Recorder(run, out, workshop, stop, log, progress, start, best)
        try:
            train(
                workshop.model,
                workshop.objectives,
                workshop.state.optimizer,
                workshop.batches(start, steps),
                start=start,
                settings=settings,
                after_step=recorder,
            )
        except NonFiniteLossError as error:
            raise InputError(_describe(error, out, workshop)) from None
        except RuntimeError as error:
            # Signalled with us, the loader's processes left first; all is as the last step left it.
            if not stop.requested or "DataLoader worker" not in str(error):
                raise
            recorder.save()
    return recorder


def _describe(error: NonFiniteLossError, out: Path, workshop: Workshop) -> str:
    """Save which pictures made the bad loss, and say so."""
    rank = this_rank().rank  # each names its own share of the batch
    path = out / f"nonfinite-step-{error.step}{f'-rank-{rank}' if rank else ''}.json"
    batch = error.batch
    content = {
        "step": error.step,
        "domain": batch.domain,
        "terms": {name: str(value) for name, value in error.terms.items()},
        "records": [asdict(workshop.records(batch.domain)[row]) for row in batch.indices.tolist()],
    }
    write_whole(path, json.dumps(content, indent=1).encode(), durable=True)
    return (
        f"the loss of {batch.domain} is not a finite number at step {error.step}; its pictures are named in "
        f"{path}; a smaller optimizer.lr or optimizer.clip_grad_norm=1 helps; then start in another --out"
    )
