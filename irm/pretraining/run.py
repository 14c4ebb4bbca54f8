"""A whole run of the joint stage: build, resume or start, train, leave the tower behind."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import perf_counter

import torch
from rich.console import Console

from instructions.errors import InputError
from irm.build import choose_autocast, choose_device, fingerprint, shares
from irm.config import dump, read_sheet
from irm.mllm import VLM
from irm.mllm.tuning import TrainedPart, sizes
from irm.pretraining.build import (
    build_objective,
    build_pictures,
    build_vlm,
    corpus_of,
    image_sheet,
    preprocessing_of,
    read_words,
    trained_parameters,
)
from irm.pretraining.objective import JointObjective, Words
from irm.pretraining.schema import PretrainRun
from irm.training.checkpoint import TrainingState, save_checkpoint
from irm.training.logs import RunLog, StepReport
from irm.training.loop import NonFiniteLossError, train
from irm.training.optimizer import build_optimizer, parameter_groups
from irm.training.progress import TrainingProgress
from irm.training.resuming import resume
from irm.training.run import Summary, check_folder, loop_settings
from irm.training.seeding import repeatable, seed_all
from irm.training.signals import StopRequest
from omnireid.files import replace_folder, write_whole
from omnireid.loading.batch import Batch
from omnireid.loading.mixture import Mixture, mixture_loader
from omnireid.loading.transforms import Preprocessing

# What may change between a run and its resumption: nothing of it touches the losses.
FREE_ON_RESUME = (
    "data",
    "loader",
    "logging",
    "evaluation",
    "activation_checkpointing",
    "chunk",
    "words.folders",
)


@dataclass(frozen=True)
class Bench:
    """A joint run, ready to train."""

    model: VLM
    objective: JointObjective
    state: TrainingState  # what of the two trains, and the optimizer
    mixture: Mixture
    weights: dict[str, float]  # of the losses, by domain
    fingerprint: str  # of pictures and words
    notes: tuple[str, ...]
    device: torch.device
    workers: int

    def batches(self, start: int, stop: int) -> Iterator[tuple[Batch, ...]]:
        """The batches of steps start..stop-1."""
        return mixture_loader(self.mixture, start, stop, self.workers, device=self.device)


def read_pretrain(path: Path, overrides: Sequence[str] = ()) -> PretrainRun:
    """A sheet of the joint stage; as ``irm.config.read_run``."""
    return read_sheet(path, overrides, PretrainRun, {})


def build_bench(run: PretrainRun, device: torch.device) -> Bench:
    """Build everything of a run; equal seeds give equal weights.

    Raises:
        InputError: for parts, words or pictures that are not there or do not fit.
    """
    seed_all(run.seed)
    is_half = choose_autocast(run.precision, device) is not None
    # The words make a tiny tokenizer, so who is trained on is found out before there is a model.
    draft, _ = build_pictures(run, Preprocessing())
    words, word_notes = read_words(run, draft)
    vlm = build_vlm(run, corpus_of(words), frozen_dtype=torch.bfloat16 if is_half else torch.float32)
    mixture, notes = build_pictures(run, preprocessing_of(vlm))
    objective = build_objective(run, vlm, mixture, words)
    vlm.to(device)
    objective.to(device)
    plan = run.optimizer
    groups = parameter_groups(
        trained_parameters(vlm, objective),
        weight_decay=plan.weight_decay,
        decay=plan.decay,
        lr_multipliers=plan.lr_multipliers,
        bias_lr=plan.bias_lr,
    )
    optimizer = build_optimizer(
        groups, lr=plan.lr, name=plan.name, momentum=plan.momentum, nesterov=plan.nesterov
    )
    return Bench(
        model=vlm,
        objective=objective,
        state=TrainingState(TrainedPart(vlm), objective, optimizer),
        mixture=mixture,
        weights=shares(image_sheet(run)),
        fingerprint=_fingerprint(mixture, words, Path(run.data)),
        notes=(*notes, *word_notes, *map(str, sizes(vlm)), _reading(run, vlm)),
        device=device,
        workers=run.loader.workers,
    )


def pretrain_run(run: PretrainRun, out: Path, *, resume: bool, console: Console) -> Summary:
    """Train as the sheet says, into a folder of its own.

    The folder gets `config.yaml`, `metrics.jsonl`, `tensorboard/`, `checkpoints/` and, at the end, `model/`
    with the trained tower, the other trained weights and the tokenizer.

    Args:
        run: the resolved sheet.
        out: the run folder; new or empty, unless resuming.
        resume: go on from the newest whole checkpoint; an empty folder is a start.
        console: where progress is shown.

    Raises:
        InputError: for a folder in use, another run's folder, missing parts or data, a bad loss.
    """
    check_folder(out, resume)
    begun = perf_counter()
    bench = build_bench(run, choose_device(run.device))
    for note in bench.notes:
        console.print(note, highlight=False, soft_wrap=True)
    start = _resume(run, out, bench, console)
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "config.yaml", dump(run).encode(), durable=True)
    recorder = _Recorder(run, out, bench, start)
    if start < run.optimizer.steps:
        _train(recorder, console)
    model = None
    if recorder.step == run.optimizer.steps:
        model = out / "model"
        if start < recorder.step or not model.is_dir():  # a finished run has its model already
            replace_folder(model, bench.model.save_pretrained)
    seconds = perf_counter() - begun
    return Summary(out, start, recorder.step, run.optimizer.steps, seconds, recorder.losses, model)


def _resume(run: PretrainRun, out: Path, bench: Bench, console: Console) -> int:
    """Fill the bench from the newest whole checkpoint; the number of finished steps."""

    def check_data(fingerprint: str, folder: Path) -> None:
        if fingerprint != bench.fingerprint:
            raise InputError(
                f"pictures or words are not those of {folder}; a resumed run keeps them, so change --out"
            )

    facts = resume(
        run, out, bench.state, read=read_pretrain, free=FREE_ON_RESUME, check_data=check_data, console=console
    )
    return 0 if facts is None else int(facts["step"])


@dataclass
class _Recorder:
    """What is done after each step: show, log, save; and whether somebody wants to stop."""

    run: PretrainRun
    out: Path
    bench: Bench
    step: int  # finished so far
    losses: dict[str, float] = field(default_factory=dict)

    def note(self, report: StepReport, stop: StopRequest, log: RunLog, progress: TrainingProgress) -> bool:
        self.step, self.losses = report.step, report.losses
        progress.show(report)
        rhythm, is_last = self.run.logging, report.step == self.run.optimizer.steps
        if report.step % rhythm.every == 0 or is_last:
            log.write(report)
        if report.step % rhythm.checkpoint_every == 0 or is_last or stop.requested:
            self.save()
        return stop.requested

    def save(self) -> None:
        """Checkpoint the last finished step."""
        save_checkpoint(
            self.out / "checkpoints",
            self.step,
            self.bench.state,
            sheet=dump(self.run),
            facts={"data": self.bench.fingerprint, "versions": {"torch": torch.__version__}},
            keep=self.run.logging.keep,
        )


def _train(recorder: _Recorder, console: Console) -> None:
    run, bench, start = recorder.run, recorder.bench, recorder.step
    settings = loop_settings(run.optimizer, bench.device, bench.weights, run.seed, run.precision)
    with (
        repeatable(bench.device),
        StopRequest() as stop,
        RunLog(recorder.out, start=start) as log,
        TrainingProgress(console, start=start, steps=run.optimizer.steps) as progress,
    ):
        try:
            train(
                bench.model,
                bench.objective,
                bench.state.optimizer,
                bench.batches(start, run.optimizer.steps),
                start=start,
                settings=settings,
                after_step=partial(recorder.note, stop=stop, log=log, progress=progress),
            )
        except NonFiniteLossError as error:
            raise InputError(
                f"the loss of {error.batch.domain} is no finite number at step {error.step} ({error.terms}); "
                f"a smaller optimizer.lr or optimizer.clip_grad_norm=1 helps; then start in another --out"
            ) from None
        except RuntimeError as error:
            # Signalled with us, the loader's processes left first; all is as the last step left it.
            if not stop.requested or "DataLoader worker" not in str(error):
                raise
            recorder.save()


def _fingerprint(mixture: Mixture, words: Mapping[str, Words], root: Path) -> str:
    said = json.dumps({domain: [list(row) for row in rows] for domain, rows in words.items()})
    return hashlib.sha256(f"{fingerprint(mixture, root)} {said}".encode()).hexdigest()


def _reading(run: PretrainRun, vlm: VLM) -> str:
    height, width = vlm.image_size
    asked = "x".join(map(str, run.model.image_size))
    return (
        f"pictures are read whole at {height}x{width} (asked: {asked}): {vlm.num_image_tokens} image tokens"
    )
