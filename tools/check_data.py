"""Check the data sets under a root: layout, counts, ids, duplicates, missing and damaged images."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from instructions.errors import InputError
from omnireid.columns import column_of
from omnireid.datasets.card import PARTS
from omnireid.datasets.catalog import DATASETS, WITHDRAWN, dataset_named
from omnireid.datasets.check import (
    Finding,
    LoadedSplit,
    datasets_at_root,
    find_problems,
    load_every_way,
    misspelt_folders,
    unreadable,
)
from omnireid.datasets.counts import MANIFEST, Manifest, check_counts, read_manifest
from omnireid.datasets.images import ImageCheck, duplicate_images, image_paths, open_images, unreadable_images
from omnireid.datasets.ledger import NAME as LEDGER
from omnireid.datasets.ledger import Ledger
from omnireid.datasets.own import FOLDER, PREFIX, own_names
from omnireid.datasets.scan import refuse_unreadable, refusing_os_errors
from tools._program import print_line, program_parser, run

_EXAMPLES = """examples:
  python -m tools.check_data --root data
  python -m tools.check_data --root data --dataset market1501
  python -m tools.check_data --root data --dataset own/shop       a table of your own, data/own/shop.csv
  python -m tools.check_data --root data --limit 500 --workers 8

Every image is opened once. The results are kept in ROOT/.check_data: an interrupted check continues where it
stopped, and the next check opens only new and changed images. --afresh opens everything again.

Exit code 0: clean, or warnings only; 1: problems were found; 2: bad input. Folder layout: docs/data.md.
"""


@dataclass(frozen=True)
class Checked:
    """The findings about one data set."""

    name: str
    readings: tuple[LoadedSplit, ...]
    findings: tuple[Finding, ...]
    opened: ImageCheck


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = program_parser("check_data", __doc__, _EXAMPLES)
    parser.add_argument(
        "--root", type=Path, required=True, metavar="DIR", help="folder that contains the data sets"
    )
    known = ", ".join((*DATASETS, *WITHDRAWN, f"{PREFIX}NAME"))
    parser.add_argument("--dataset", metavar="NAME", help=f"only this data set: {known}")
    parser.add_argument(
        "--limit", type=int, metavar="N", help="open at most N images per data set (default: all)"
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=min(8, os.cpu_count() or 1),
        metavar="N",
        help="threads that open images",
    )
    parser.add_argument("--afresh", action="store_true", help="open every image again, also unchanged ones")
    parser.add_argument(
        "--ledger", type=Path, metavar="FILE", help=f"where results are kept (default: ROOT/{LEDGER})"
    )
    args = parser.parse_args(arguments)
    if args.limit is not None and args.limit < 0:
        raise InputError(f"--limit is {args.limit}; it must be at least 0")
    if args.workers < 1:
        raise InputError(f"--workers is {args.workers}; it must be at least 1")
    if not args.root.expanduser().is_dir():
        raise InputError(
            f"the data root {args.root} is not a folder; give the folder that holds the data sets"
        )
    with refusing_os_errors():
        refuse_unreadable(args.root.expanduser())
    return args


def _read(args: argparse.Namespace, bar: Progress) -> dict[str, tuple[list[LoadedSplit], list[Finding]]]:
    """Every data set under the root, by name."""
    root, only = args.root.expanduser(), args.dataset
    names = [*DATASETS] if only is None else [dataset_named(only).card.name]
    found: dict[str, tuple[list[LoadedSplit], list[Finding]]] = {}
    try:
        names += own_names(root) if only is None else []
    except OSError as error:
        found[FOLDER] = ([], [unreadable(FOLDER, error)])
    for name in names:
        task = bar.add_task(f"reading {name}", total=None)
        outcomes = list(load_every_way(name, root, named=only is not None))
        bar.remove_task(task)
        if outcomes:
            readings = [outcome for outcome in outcomes if isinstance(outcome, LoadedSplit)]
            found[name] = (readings, [outcome for outcome in outcomes if isinstance(outcome, Finding)])
    if not found and only is not None:
        raise InputError(dataset_named(only).not_found(root))
    if not found:
        near = "".join(f"; {finding.message}" for finding in misspelt_folders(root))
        itself = datasets_at_root(root)
        near += f"; this folder itself looks like that of {' or '.join(itself)}" if itself else ""
        raise InputError(
            f"no data set was found under {root}; docs/data.md describes the folder layout "
            f"(if this is a data set's own folder, add --dataset NAME){near}"
        )
    return found


def _check(name: str, readings: list[LoadedSplit], unread: list[Finding], manifest: Manifest | None,
           args: argparse.Namespace, ledger: Ledger, bar: Progress) -> Checked:  # fmt: skip
    findings = [*unread, *(finding for reading in readings for finding in find_problems(reading))]
    findings += check_counts(readings, manifest)
    paths = image_paths(readings, args.limit)
    task = bar.add_task(f"opening {name}", total=len(paths))
    opened = open_images(paths, args.workers, lambda more: bar.advance(task, more), ledger)
    findings += unreadable_images(name, opened)
    findings += [finding for reading in readings for finding in duplicate_images(reading, opened.contents)]
    return Checked(name, tuple(readings), tuple(dict.fromkeys(findings)), opened)


def _open_ledger(args: argparse.Namespace, console: Console) -> Ledger:
    path = args.ledger or args.root.expanduser() / LEDGER
    try:
        return Ledger(path, afresh=args.afresh)
    except OSError as error:
        if args.ledger is not None:
            raise InputError(f"--ledger {args.ledger} cannot be written: {error.strerror}") from None
        reason = f"{path} cannot be written ({error.strerror})"
        print_line(console, f"{reason}, so the next check starts over; --ledger FILE keeps results elsewhere")
        return Ledger(None)


def _distinct(reading: LoadedSplit, name: str) -> int:
    """The number of different people, cameras or outfits; negative numbers mean none."""
    values = np.concatenate([column_of(reading.part(part), name) for part in PARTS])
    nameless = (
        name == "camid" and reading.card.num_cameras is None and not reading.card.name.startswith(PREFIX)
    )
    return 0 if nameless else len(np.unique(values[values >= 0]))


def _table(checked: Sequence[Checked], root: Path) -> Table:
    table = Table(title=f"data sets under {escape(str(root))}")
    for heading in ("data set", "source", "task", "variant"):
        table.add_column(heading)
    for heading in (*PARTS, "people", "cameras", "outfits", "opened", "problems", "warnings"):
        table.add_column(heading, justify="right")
    for data in checked:
        num = {
            severity: sum(f.severity == severity for f in data.findings)
            for severity in ("problem", "warning")
        }
        totals = (str(data.opened.num_images), str(num["problem"]), str(num["warning"]))
        for row, reading in enumerate(data.readings):
            sizes = [str(len(reading.part(part))) for part in PARTS]
            kinds = (_distinct(reading, name) for name in ("pid", "camid", "clothes_id"))
            table.add_row(
                data.name if row == 0 else "", reading.source, reading.task.name, reading.variant, *sizes,
                *map(str, kinds), *(totals if row == 0 else ("", "", "")),
            )  # fmt: skip
        if not data.readings:
            table.add_row(data.name, "not readable", *[""] * 8, *totals)
    return table


def _print_findings(console: Console, checked: Sequence[Checked]) -> None:
    for severity, colour in (("problem", "red"), ("warning", "yellow")):
        findings = [f for data in checked for f in data.findings if f.severity == severity]
        for (dataset, fix), alike in groupby(findings, lambda finding: (finding.dataset, finding.fix)):
            for finding in alike:
                text = f"[{colour}]{severity}[/] {dataset}, {escape(finding.message)}"
                print_line(console, text)
            print_line(console, f"  how to fix: {escape(fix)}")


def _print_notes(console: Console, checked: Sequence[Checked]) -> None:
    for data in checked:
        for note in dict.fromkeys(note for reading in data.readings for note in reading.split.notes):
            if not note.startswith("read from"):
                print_line(console, f"[dim]note[/] {data.name}, {escape(note)}")


def main() -> None:
    """Parse, check each data set, print the table and what was found."""
    args = _parse(sys.argv[1:])
    console = Console()
    wide = console if console.is_terminal else Console(width=140)
    manifest = read_manifest(args.root.expanduser())
    columns = (
        TextColumn("{task.description:<20}"), BarColumn(), MofNCompleteColumn(), TextColumn("ETA"),
        TimeRemainingColumn(),
    )  # fmt: skip
    errors = Console(stderr=True)
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        found = _read(args, bar)
        with _open_ledger(args, console) as ledger:
            checked = [
                _check(name, *outcomes, manifest, args, ledger, bar) for name, outcomes in found.items()
            ]
    if args.dataset is None:
        checked += _folders(args.root.expanduser())
    wide.print(_table([data for data in checked if data.name], args.root))
    if manifest is not None:
        print_line(console, f"synthetic data: counts are checked against {MANIFEST}")
    _print_notes(console, checked)
    _print_findings(console, checked)
    _end(console, checked)


def _folders(root: Path) -> list[Checked]:
    findings = tuple(misspelt_folders(root))
    return [Checked("", (), findings, ImageCheck(0, 0, (), {}))] if findings else []


def _end(console: Console, checked: Sequence[Checked]) -> None:
    problems = sum(f.severity == "problem" for data in checked for f in data.findings)
    warnings = sum(f.severity == "warning" for data in checked for f in data.findings)
    known = sum(data.opened.num_known for data in checked)
    if known:
        unchanged = f"{known} images were opened by an earlier check and are unchanged"
        print_line(console, f"{unchanged}; --afresh opens them again")
    num_sets = sum(bool(data.name) for data in checked)
    console.print(f"{num_sets} data sets: {problems} problems, {warnings} warnings", highlight=False)
    if problems:
        sys.exit(1)


if __name__ == "__main__":
    run(main)
