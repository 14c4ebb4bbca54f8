"""Going on with a run: its newest whole checkpoint, where sheet and data are still those of it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from rich.console import Console

from instructions.errors import InputError
from irm.config import differences
from irm.model_schema import Sheet
from irm.training.checkpoint import TrainingState, find_checkpoint, load_checkpoint


def resume(
    run: Sheet,
    out: Path,
    state: TrainingState,
    *,
    read: Callable[[Path], Sheet],
    free: Collection[str],
    check_data: Callable[[str, Path], None],
    console: Console,
) -> dict[str, Any] | None:
    """Fill the state from the newest whole checkpoint of a run folder.

    Args:
        run: the resolved sheet that is to go on.
        out: the run folder.
        state: what is filled.
        read: reads the sheet beside a checkpoint.
        free: settings, by dotted path, that may differ because nothing of them touches the losses.
        check_data: given the checkpoint's fingerprint of its data and its folder; raises ``InputError`` where
            the data are others.
        console: where complaints and the step are said.

    Returns:
        The facts of the checkpoint, ``step`` among them; None where there is no checkpoint.

    Raises:
        InputError: no checkpoint can be read, or sheet or data have changed.
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
    for path, (old, new) in differences(read(found.folder / "config.yaml"), run).items():
        if not any(f"{path}.".startswith(f"{name}.") for name in free):
            raise InputError(
                f"{path} is {new!r} here but {old!r} in {found.folder}; "
                f"a resumed run keeps its sheet, so use another --out"
            )
    facts = load_checkpoint(found.folder, state)
    check_data(facts["data"], found.folder)
    console.print(f"resuming {out} after step {facts['step']}", highlight=False, soft_wrap=True)
    return facts
