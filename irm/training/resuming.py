"""Resuming a run from its newest intact checkpoint, provided that sheet and data have not changed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from rich.console import Console

from instructions.errors import InputError
from irm.config import differences
from irm.model_schema import Sheet
from irm.schema import RunSheet
from irm.training.checkpoint import find_checkpoint, load_checkpoint
from irm.training.setup import TrainingSetup

# Schedules whose learning rates do not depend on the number of steps, which may therefore be raised.
OPEN_ENDED = ("constant", "steps")


def latest_checkpoint(
    run: RunSheet, out: Path, *, read: Callable[[Path], Sheet], free: Collection[str], console: Console
) -> Path | None:
    """The newest whole checkpoint of a run folder; None where there is none yet.

    Args:
        run: the resolved sheet to continue with.
        out: the run folder.
        read: reads the sheet beside a checkpoint.
        free: settings, by dotted path, that may differ because nothing of them touches the losses.
        console: where complaints are printed.

    Raises:
        InputError: no checkpoint can be read, or the sheet has changed (more steps are asked for by a
            schedule that ends with them, say).
    """
    found = find_checkpoint(out / "checkpoints")
    for complaint in found.complaints:
        console.print(complaint, style="yellow", highlight=False, soft_wrap=True)
    if found.folder is None:
        if found.complaints:
            raise InputError(
                f"no checkpoint in {out} can be read ({found.complaints[0]}); start again in another --out"
            )
        return None
    _refuse_changes(read(found.folder / "config.yaml"), run, found.folder, free)
    return found.folder


def restore(checkpoint: Path, setup: TrainingSetup) -> dict[str, Any]:
    """Load the checkpoint that ``latest_checkpoint`` found; returns its facts, ``step`` among them.

    Raises:
        InputError: it is of another model, or the data have changed.
    """
    facts = load_checkpoint(checkpoint, setup.state)
    if facts["data"] != setup.fingerprint:
        raise InputError(
            f"the training images or their texts differ from those of {checkpoint} (people, order or "
            "number); a resumed run must keep its data, so start a new run in another --out"
        )
    return facts


def _refuse_changes(before: Sheet, run: RunSheet, checkpoint: Path, free: Collection[str]) -> None:
    """A resumed run keeps its sheet, except for settings that affect no loss of the steps already taken."""
    for path, (old, new) in differences(before, run).items():
        if any(f"{path}.".startswith(f"{name}.") for name in free):
            continue
        is_longer = path == "optimizer.steps" and new > old
        if is_longer and run.optimizer.schedule in OPEN_ENDED:
            continue
        way = "a resumed run must keep its sheet, so start a new run in another --out"
        if is_longer:
            way = (
                "its learning-rate schedule ends with its last step; to train longer, set model.start=RUN "
                "and use another --out"
            )
        raise InputError(f"{path} is {new!r} here but {old!r} in {checkpoint}; {way}")
