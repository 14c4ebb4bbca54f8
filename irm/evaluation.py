"""A run judged by the rows of its own sheet: the trained model, beside it the network before training."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from instructions.errors import InputError
from irm.build import asking_of, build_irm, choose_autocast, choose_device
from irm.config import dump, read_run
from irm.embedder import IRMEmbedder
from irm.models import IRM
from irm.schema import IRMRun
from irm.training.seeding import seed_all
from omnireid.benchmark import Row, RowResult, run_row
from omnireid.extraction import DEFAULTS, Progress, Settings
from omnireid.files import sha256_of
from omnireid.report import Fact, Report, machine
from omnireid.synthetic.manifest import FILE_NAME as MANIFEST
from omnireid.tasks import TASKS

Say = Callable[[str], None]


@dataclass(frozen=True)
class Run:
    """A finished training run on disk."""

    folder: Path
    sheet: IRMRun

    @property
    def model_folder(self) -> Path:
        """Where the retrieval model lies."""
        return self.folder / "model"

    def fingerprint(self) -> str:
        """Hash of the model's weights."""
        return sha256_of(self.model_folder / "model.safetensors")


def open_run(folder: Path) -> Run:
    """A run folder that ``tools.train`` finished.

    Raises:
        InputError: it is none, or it did not finish.
    """
    if not (folder / "config.yaml").is_file():
        raise InputError(
            f"{folder} is not a run folder (no config.yaml); train one with python -m tools.train"
        )
    if not (folder / "model" / "model.safetensors").is_file():
        raise InputError(
            f"the run {folder} has no model yet; finish it with python -m tools.train ... --resume"
        )
    return Run(folder, read_run(folder / "config.yaml"))


def rows_of(run: Run, tasks: Sequence[str] | None = None) -> tuple[Row, ...]:
    """The benchmark rows of a run's sheet, of some tasks only where ``tasks`` names them.

    Raises:
        InputError: a task is unknown or has no row.
    """
    asking = asking_of(run.sheet)
    rows = tuple(Row(**sheet.model_dump(), asking=asking) for sheet in run.sheet.evaluation)
    if tasks is None:
        if not rows:
            raise InputError(f"the sheet of {run.folder} has no evaluation rows; add some to its config.yaml")
        return rows
    for task in tasks:
        if task not in TASKS:
            raise InputError(f"there is no task {task!r}; known: {', '.join(TASKS)}")
        if all(row.task != task for row in rows):
            known = ", ".join(dict.fromkeys(row.task for row in rows)) or "none"
            raise InputError(
                f"the sheet of {run.folder} has no evaluation row for task {task} (it has: {known})"
            )
    return tuple(row for row in rows if row.task in tasks)


def trained_embedder(run: Run, *, precision: str = "fp32") -> IRMEmbedder:
    """The run's model.

    Args:
        run: a finished one.
        precision: fp32, bf16, or auto, which is bf16 on a GPU.

    Raises:
        InputError: its files are damaged.
    """
    try:
        model = IRM.from_pretrained(run.model_folder)
    except ValueError as error:
        raise InputError(str(error)) from error
    device = choose_device(run.sheet.device)
    return IRMEmbedder(model.to(device), autocast=choose_autocast(precision, device))


def untrained_embedder(run: Run, *, precision: str = "fp32") -> IRMEmbedder:
    """The same network with the weights its training began with."""
    seed_all(run.sheet.seed)
    model, _ = build_irm(run.sheet)
    device = choose_device(run.sheet.device)
    return IRMEmbedder(model.to(device), autocast=choose_autocast(precision, device))


def evaluate_rows(
    embedder: IRMEmbedder,
    rows: Sequence[Row],
    data: Path,
    *,
    settings: Settings = DEFAULTS,
    every_sentence: bool = False,
    progress: Progress | None = None,
    say: Say | None = None,
) -> list[RowResult]:
    """Every row in turn.

    Raises:
        InputError: as ``run_row``.
    """
    results = []
    for row in rows:
        begun = time.perf_counter()
        results.append(
            run_row(embedder, row, data, settings=settings, every_sentence=every_sentence, progress=progress)
        )
        if say is not None:
            say(f"{row.task}/{row.dataset}: {time.perf_counter() - begun:.1f} s")
    return results


def report_of(run: Run, results: Sequence[RowResult], data: Path, *, asked: str) -> Report:
    """All evaluations with what made them; ``asked`` says how the program was asked."""
    evaluations = tuple(evaluation for result in results for evaluation in result.evaluations)
    return Report(evaluations, {**provenance(run, data), "asked": asked})


def provenance(run: Run, data: Path) -> dict[str, Fact]:
    """Sheet, seed, weights, data, commit, machine and time."""
    return {
        "run": str(run.folder),
        "config_sha256": hashlib.sha256(dump(run.sheet).encode()).hexdigest(),
        "model_sha256": run.fingerprint(),
        "seed": run.sheet.seed,
        "steps": run.sheet.optimizer.steps,
        "data": _data(data),
        "commit": _commit(),
        **machine(),
        "time": time.strftime("%Y-%m-%d %H:%M:%S %z"),
    }


def _data(data: Path) -> str:
    """The data root, and whether its people are drawn."""
    manifest = data / MANIFEST
    if not manifest.is_file():
        return str(data)
    content = json.loads(manifest.read_text(encoding="utf-8"))
    return f"{data}: synthetic people, preset {content['preset']}, seed {content['seed']}"


def _commit() -> str | None:
    """The commit of the code, marked where it was changed since; None without git or outside a checkout."""
    root = Path(__file__).parents[1]
    if not (root / ".git").exists():  # perhaps installed within another project's checkout
        return None
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        found = subprocess.run(command, cwd=root, capture_output=True, text=True)
    except OSError:
        return None
    return found.stdout.strip() or None
