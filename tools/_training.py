"""Shared by `tools.train` and `tools.pretrain`: the command line of a run sheet, and how a run ended."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from instructions.errors import InputError
from tools._program import Parser, program_parser

if TYPE_CHECKING:
    from irm.schema import RunSheet
    from irm.training.run_training import Summary

R = TypeVar("R", bound="RunSheet")


def sheet_parser(name: str, description: str, example: str, *, sheet: str) -> Parser:
    """The command line of a program that trains from a run sheet."""
    # Not jsonargparse: it has no intermixed parsing, so `CONFIG --out RUN key=value` would be refused.
    made = program_parser(name, description, example)
    add = made.add_argument
    add("config", type=Path, metavar="CONFIG.yaml", help=f"run sheet, e.g. {sheet}")
    add("overrides", nargs="*", metavar="key.path=value", help="settings that override those of the sheet")
    add("--out", type=Path, metavar="RUN", help="folder to write the run to; new or empty")
    add("--data", metavar="DIR", help="folder that contains the data sets; same as data=DIR")
    add("--resume", action="store_true", help="continue from RUN's newest checkpoint; start if RUN is empty")
    add("--print-config", "--print_config", action="store_true", help="print the resolved sheet and stop")
    return made


def resolved_sheet(arguments: argparse.Namespace, read: Callable[[Path, Sequence[str]], R]) -> R | None:
    """The resolved sheet; None if it was only to be printed, which is done here."""
    from irm.config import dump

    sheet = read(arguments.config, arguments.overrides)
    if arguments.data is not None:
        sheet = sheet.model_copy(update={"data": arguments.data})
    if not arguments.print_config:
        return sheet
    print(dump(sheet), end="")
    return None


def run_folder(arguments: argparse.Namespace) -> Path:
    """The run folder.

    Raises:
        InputError: none is named.
    """
    if arguments.out is None:
        raise InputError("--out is missing; give the folder of the run, e.g. --out runs/tiny")
    out: Path = arguments.out
    return out


def print_summary(summary: "Summary", result: str, *, then: str | None = None) -> None:
    """Print how the run ended; of several processes only the first prints.

    Args:
        summary: what the run returned.
        result: what is in its model folder.
        then: what to do with it next.
    """
    if summary.rank:
        return
    if summary.start == summary.steps:
        print(f"{summary.out}: nothing left to train, all {summary.steps} steps are already done")
    elif summary.is_finished:
        minutes = summary.seconds / 60
        print(f"{summary.out}: {summary.step} steps in {minutes:.1f} min; saved {result} in {summary.model}")
        if then is not None:
            print(f"  next: {then}")
    else:
        print(f"{summary.out}: stopped after step {summary.step} of {summary.steps}; continue with --resume")
    for domain, loss in summary.losses.items():
        print(f"  {domain:<20} loss {loss:.4f}")
