"""A model judged by the rows of a sheet: the trained one, beside it the network before training."""

from __future__ import annotations

import hashlib
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from instructions.errors import InputError
from irm.build import instruction_settings_of
from irm.candidates import (
    Candidate,
    Run,
    open_candidate,
    open_run,
    step_of,
    trained_embedder,
    untrained_embedder,
)
from irm.config import dump
from irm.embedder import IRMEmbedder
from irm.schema import IRMRun
from omnireid.benchmark import Memory, OnFeatures, Row, RowResult, run_row
from omnireid.extraction import DEFAULTS, Progress, Settings
from omnireid.protocols import refuse_unfit
from omnireid.report import Fact, Report, machine
from omnireid.synthetic.manifest import Manifest
from omnireid.tasks import PAPER_INSTRUCTIONS, TASKS, InstructionSettings

__all__ = [
    "Callbacks",
    "Candidate",
    "Run",
    "evaluate_rows",
    "instruction_settings_for",
    "open_candidate",
    "open_run",
    "provenance",
    "readable_rows",
    "report_of",
    "rows_of",
    "sentences_of",
    "trained_embedder",
    "untrained_embedder",
]


@dataclass(frozen=True)
class Callbacks:
    """Callbacks of an evaluation; all optional."""

    progress: Progress | None = None  # after every batch
    log: Callable[[str], None] | None = None  # after every row
    on_features: OnFeatures | None = None  # both sides of every row
    on_failure: Callable[[Row, InputError], None] | None = None  # of a row; else it ends the evaluation


NO_CALLBACKS = Callbacks()
NONE_LEFT_OUT: Mapping[str, str] = MappingProxyType({})


def rows_of(
    candidate: Candidate, tasks: Sequence[str] | None = None, *, sheet: IRMRun | None = None
) -> tuple[Row, ...]:
    """The benchmark rows of a sheet, of some tasks only where ``tasks`` names them.

    Args:
        candidate: what is judged; asked as its own sheet says.
        tasks: names, or None for all.
        sheet: whose rows; else the candidate's own.

    Raises:
        InputError: there is no sheet, or a task is unknown or has no row.
    """
    chosen = sheet or candidate.sheet
    if chosen is None:
        raise InputError(
            f"{candidate.folder} is a model without its run, so it has no evaluation rows; pass --sheet "
            "FILE, or --dataset NAME --task TASK"
        )
    name = f"the sheet of {candidate.folder}" if sheet is None else "the given sheet"
    settings = instruction_settings_for(candidate, sheet)
    rows = tuple(Row(**row.model_dump(), instruction_settings=settings) for row in chosen.evaluation)
    if not rows and tasks is None:
        raise InputError(f"{name} has no evaluation rows; add some under 'evaluation:'")
    for task in tasks or ():
        if task not in TASKS:
            raise InputError(f"there is no task {task!r}; known: {', '.join(TASKS)}")
        if all(row.task != task for row in rows):
            known = ", ".join(dict.fromkeys(row.task for row in rows)) or "none"
            raise InputError(f"{name} has no evaluation row for task {task} (it has: {known})")
    return tuple(row for row in rows if tasks is None or row.task in tasks)


def instruction_settings_for(candidate: Candidate, sheet: IRMRun | None = None) -> InstructionSettings:
    """How a candidate is asked: as it was trained, else as a given sheet says, else as in the paper."""
    told = candidate.sheet or sheet
    return PAPER_INSTRUCTIONS if told is None else instruction_settings_of(told)


def readable_rows(rows: Sequence[Row], data: Path) -> tuple[tuple[Row, ...], dict[str, str]]:
    """Before the long work: the rows that can be judged, and why not, by the labels of the others."""
    found, left_out = [], {}
    for row in rows:
        try:
            refuse_unfit(row.protocol, row.split(data))
        except InputError as error:
            left_out[row.label] = str(error)
        else:
            found.append(row)
    return tuple(found), left_out


def sentences_of(left_out: Mapping[str, str]) -> list[str]:
    """What is said of rows that could not be judged."""
    return [f"{label} is left out: {reason}" for label, reason in left_out.items()]


def evaluate_rows(
    embedder: IRMEmbedder,
    rows: Sequence[Row],
    data: Path,
    *,
    settings: Settings = DEFAULTS,
    every_sentence: bool = False,
    callbacks: Callbacks = NO_CALLBACKS,
) -> list[RowResult]:
    """Every row in turn.

    Raises:
        InputError: as ``run_row``, unless ``on_failure`` handles it.
    """
    results = []
    memory: Memory = {}
    before: Row | None = None
    for row in rows:
        if before is None or replace(before, protocol=row.protocol) != row:
            memory = {}
        before, begun = row, time.perf_counter()
        try:
            result = run_row(
                embedder,
                row,
                data,
                settings=settings,
                every_sentence=every_sentence,
                progress=callbacks.progress,
                on_features=callbacks.on_features,
                memory=memory,
            )
        except InputError as error:
            if callbacks.on_failure is None:
                raise
            callbacks.on_failure(row, error)
            continue
        results.append(result)
        if callbacks.log is not None:
            callbacks.log(f"{row.task}/{row.dataset}: {time.perf_counter() - begun:.1f} s")
    return results


def report_of(
    candidate: Candidate,
    results: Sequence[RowResult],
    data: Path,
    *,
    asked: str,
    left_out: Mapping[str, str] = NONE_LEFT_OUT,
) -> Report:
    """All evaluations with what made them.

    Args:
        candidate: what was judged.
        results: of its rows.
        data: the folder of the data sets.
        asked: how the program was asked.
        left_out: why, by the labels of rows that could not be judged.
    """
    evaluations = tuple(evaluation for result in results for evaluation in result.evaluations)
    facts = {**provenance(candidate, data), "asked": asked}
    told = {
        "left_out": sentences_of(left_out),
        "warnings": [warning for result in results for warning in result.warnings],
        "notes": [f"{one.row.task}/{one.row.name}: {note}" for one in results for note in one.notes],
    }
    facts |= {name: "; ".join(dict.fromkeys(sentences)) for name, sentences in told.items() if sentences}
    return Report(evaluations, facts)


def provenance(candidate: Candidate, data: Path) -> dict[str, Fact]:
    """Sheet, seed, weights, data, commit, machine and time."""
    sheet, facts = candidate.sheet, dict[str, Fact]()
    if sheet is not None:
        facts = {
            "config_sha256": hashlib.sha256(dump(sheet).encode()).hexdigest(),
            "seed": sheet.seed,
            "steps": _steps(candidate.folder, sheet),
        }
    return {
        "run": str(candidate.folder),
        "model_sha256": candidate.fingerprint(),
        **facts,
        "data": _data(data),
        "commit": _commit(),
        **machine(),
        "time": time.strftime("%Y-%m-%d %H:%M:%S %z"),
    }


def _steps(folder: Path, sheet: IRMRun) -> int:
    """A checkpoint's own, else those of the whole run."""
    return step_of(folder) if (folder / "state.json").is_file() else sheet.optimizer.steps


def _data(data: Path) -> str:
    """The data root, and whether its people are drawn."""
    try:
        drawn = Manifest.read(data)
    except InputError as error:  # no score hangs on it
        return f"{data}: {error}"
    return (
        str(data) if drawn is None else f"{data}: synthetic people, preset {drawn.preset}, seed {drawn.seed}"
    )


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
