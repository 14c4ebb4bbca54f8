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
from irm.training.bench import Bench
from irm.training.checkpoint import find_checkpoint, load_checkpoint

# Schedules whose learning rates do not depend on the number of steps, which may therefore be raised.
OPEN_ENDED = ("constant", "steps")


def resume(
    run: RunSheet,
    out: Path,
    bench: Bench,
    *,
    read: Callable[[Path], Sheet],
    free: Collection[str],
    console: Console,
) -> dict[str, Any]:
    """Fill what trains from the newest whole checkpoint of a run folder.

    Args:
        run: the resolved sheet to continue with.
        out: the run folder.
        bench: whose state is filled.
        read: reads the sheet beside a checkpoint.
        free: settings, by dotted path, that may differ because nothing of them touches the losses.
        console: where complaints and the step are said.

    Returns:
        The facts of the checkpoint, ``step`` among them; step 0 alone where there is no checkpoint.

    Raises:
        InputError: no checkpoint can be read, or sheet or data have changed (more steps are
            asked for by a schedule that ends with them, say).
    """
    found = find_checkpoint(out / "checkpoints")
    for complaint in found.complaints:
        console.print(complaint, style="yellow", highlight=False, soft_wrap=True)
    if found.folder is None:
        if found.complaints:
            raise InputError(
                f"no checkpoint in {out} can be read ({found.complaints[0]}); start again in another --out"
            )
        return {"step": 0}
    _refuse_changes(read(found.folder / "config.yaml"), run, found.folder, free)
    facts = load_checkpoint(found.folder, bench.state)
    if facts["data"] != bench.fingerprint:
        raise InputError(
            f"the training pictures or their words are not those of {found.folder} (people, order or number "
            f"differ); a resumed run keeps its data, so use another --out"
        )
    console.print(f"resuming {out} after step {facts['step']}", highlight=False, soft_wrap=True)
    return facts


def _refuse_changes(before: Sheet, run: RunSheet, checkpoint: Path, free: Collection[str]) -> None:
    """A resumed run keeps its sheet, except for settings that affect no loss of the steps already taken."""
    for path, (old, new) in differences(before, run).items():
        if any(f"{path}.".startswith(f"{name}.") for name in free):
            continue
        is_longer = path == "optimizer.steps" and new > old
        if is_longer and run.optimizer.schedule in OPEN_ENDED:
            continue
        way = "a resumed run keeps its sheet, so use another --out"
        if is_longer:
            way = "its learning rates end with its steps; train on with model.start=RUN in another --out"
        raise InputError(f"{path} is {new!r} here but {old!r} in {checkpoint}; {way}")
