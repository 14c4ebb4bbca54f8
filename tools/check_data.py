"""Look over the data sets under a root: counts, wrong numbers, repetitions, gaps, damaged pictures."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from instructions.errors import InputError
from omnireid.datasets.card import PARTS
from omnireid.datasets.catalog import DATASETS, dataset_named
from omnireid.datasets.check import Finding, Reading, examine, read_every_way
from omnireid.datasets.counts import MANIFEST, Manifest, judge_counts, read_manifest
from omnireid.datasets.pictures import open_pictures, pictures_of, unopened
from omnireid.records import UNKNOWN
from tools._program import run

_EXAMPLES = """examples:
  python -m tools.check_data --root data
  python -m tools.check_data --root data --dataset market1501
  python -m tools.check_data --root data --limit 500 --workers 8

Exit code 0: clean, or warnings only; 1: problems were found; 2: bad input. docs/data.md says where things go.
"""


@dataclass(frozen=True)
class Checked:
    """What was found out about one data set."""

    name: str
    readings: tuple[Reading, ...]
    findings: tuple[Finding, ...]
    num_opened: int


class _Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are one sentence."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; --help shows examples")


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(
        prog="python -m tools.check_data",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--root", type=Path, required=True, metavar="DIR", help="the folder that holds the data sets"
    )
    parser.add_argument("--dataset", metavar="NAME", help=f"only this one: {', '.join(DATASETS)}")
    parser.add_argument(
        "--limit", type=int, metavar="N", help="open at most N pictures a data set (default: all)"
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=min(8, os.cpu_count() or 1),
        metavar="N",
        help="threads that open pictures",
    )
    asked = parser.parse_args(arguments)
    if asked.limit is not None and asked.limit < 0:
        raise InputError(f"--limit should be 0 or more, is {asked.limit}")
    if asked.workers < 1:
        raise InputError(f"--workers should be 1 or more, is {asked.workers}")
    if not asked.root.expanduser().is_dir():
        raise InputError(
            f"the data root {asked.root} is not a folder; give the folder that holds the data sets"
        )
    return asked


def _read(asked: argparse.Namespace) -> dict[str, tuple[list[Reading], list[Finding]]]:
    """Every data set under the root, by name."""
    root = asked.root.expanduser()
    names = list(DATASETS) if asked.dataset is None else [dataset_named(asked.dataset).card.name]
    found = {}
    for name in names:
        outcomes = list(read_every_way(name, root, named=asked.dataset is not None))
        if outcomes:
            readings = [outcome for outcome in outcomes if isinstance(outcome, Reading)]
            found[name] = (readings, [outcome for outcome in outcomes if isinstance(outcome, Finding)])
    if not found and asked.dataset is not None:
        raise InputError(DATASETS[asked.dataset].not_found(root))
    if not found:
        raise InputError(
            f"no data set was found under {root}; docs/data.md says where each goes "
            "(for a data set's own folder give its name with --dataset)"
        )
    return found


def _check(name: str, readings: list[Reading], unread: list[Finding], manifest: Manifest | None,
           asked: argparse.Namespace, bar: Progress) -> Checked:  # fmt: skip
    findings = [*unread, *(finding for reading in readings for finding in examine(reading))]
    findings += judge_counts(readings, manifest)
    paths = pictures_of(readings, asked.limit)
    task = bar.add_task(name, total=len(paths))
    opened = open_pictures(paths, asked.workers, lambda: bar.advance(task))
    findings += unopened(name, opened)
    return Checked(name, tuple(readings), tuple(dict.fromkeys(findings)), opened.num_pictures)


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
        totals = (str(data.num_opened), str(num["problem"]), str(num["warning"]))
        for row, reading in enumerate(data.readings):
            records = [record for part in PARTS for record in reading.part(part)]
            sizes = [str(len(reading.part(part))) for part in PARTS]
            cameras = {r.camid for r in records if r.camid >= 0 and reading.card.num_cameras is not None}
            outfits = {r.clothes_id for r in records} - {UNKNOWN}
            kinds = ({r.pid for r in records}, cameras, outfits)
            name = data.name if row == 0 else ""
            table.add_row(
                name, reading.source, reading.task.name, reading.variant, *sizes,
                *(str(len(kind)) for kind in kinds), *(totals if row == 0 else ("", "", "")),
            )  # fmt: skip
        if not data.readings:
            table.add_row(data.name, "not readable", *[""] * 8, *totals)
    return table


def _print_findings(console: Console, checked: Sequence[Checked]) -> None:
    for severity, colour in (("problem", "red"), ("warning", "yellow")):
        for data in checked:
            for finding in data.findings:
                if finding.severity == severity:
                    text = f"[{colour}]{severity}[/] {finding.dataset}, {escape(finding.message)}"
                    console.print(text, highlight=False, soft_wrap=True)
                    console.print(f"  how to fix: {escape(finding.fix)}", highlight=False, soft_wrap=True)


def main() -> None:
    """Parse, check each data set, print the table and what was found."""
    asked = _parse(sys.argv[1:])
    console = Console()
    wide = console if console.is_terminal else Console(width=140)
    found = _read(asked)
    manifest = read_manifest(asked.root.expanduser())
    columns = (
        TextColumn("opening {task.description:<12}"), BarColumn(), MofNCompleteColumn(), TextColumn("ETA"),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        checked = [_check(name, *outcomes, manifest, asked, bar) for name, outcomes in found.items()]
    wide.print(_table(checked, asked.root))
    if manifest is not None:
        console.print(
            f"drawn people ({MANIFEST}): counts are judged by that file", highlight=False, soft_wrap=True
        )
    _print_findings(console, checked)
    problems = sum(f.severity == "problem" for data in checked for f in data.findings)
    warnings = sum(f.severity == "warning" for data in checked for f in data.findings)
    console.print(f"{len(checked)} data sets: {problems} problems, {warnings} warnings", highlight=False)
    if problems:
        sys.exit(1)


if __name__ == "__main__":
    run(main)
