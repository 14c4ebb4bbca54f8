"""Write a synthetic OmniReID: drawn people in every data set's real layout, with the official lists."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import nullcontext
from pathlib import Path

from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from instructions.attributes import near_misses
from instructions.errors import InputError
from omnireid.synthetic.contact_sheet import FILE_NAME as SHEET
from omnireid.synthetic.contact_sheet import write_contact_sheet
from omnireid.synthetic.layouts import LAYOUTS
from omnireid.synthetic.presets import PRESETS, Preset
from omnireid.synthetic.write import Progress as Done
from omnireid.synthetic.write import Report, Written, write_omnireid
from tools._program import print_line, print_tables, program_parser, run

_EXAMPLES = """examples:
  python -m tools.synthesize --out data/tiny --preset tiny
  python -m tools.synthesize --out data/demo --preset demo --seed 3
  python -m tools.synthesize --out data/large --preset large --workers 16
  python -m tools.synthesize --out data/demo --preset demo --datasets market1501,llcm

An interrupted run resumes when the same command is given again. The same preset and seed give the same
bytes, whatever the number of workers. See docs/synthetic.md.
"""
_PLAIN_EVERY = 5.0  # seconds between two lines without a terminal


def _parse(arguments: list[str]) -> tuple[argparse.Namespace, Preset]:
    parser = program_parser("synthesize", __doc__, _EXAMPLES)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="root of the tree")
    parser.add_argument("--preset", required=True, metavar="|".join(PRESETS), help="size of the data sets")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="random seed, 0 or more (default: 0)"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: one per core)")
    parser.add_argument(
        "--datasets", metavar="a,b", help=f"only these (others can be added later) of {', '.join(LAYOUTS)}"
    )
    args = parser.parse_args(arguments)
    if args.preset not in PRESETS:
        raise InputError(f"no preset is called {args.preset!r}; {near_misses(args.preset, PRESETS)}")
    return args, PRESETS[args.preset]


class _PlainLines:
    """Progress for a log file: a line from time to time."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.start = self.last = time.monotonic()

    def __call__(self, done: Done) -> None:
        now = time.monotonic()
        if done.total == 0 or (now - self.last < _PLAIN_EVERY and done.done < done.total):
            return
        self.last = now
        rate = done.done / max(now - self.start, 1e-6)
        left = (done.total - done.done) / rate
        self.console.print(
            f"drawn {done.done}/{done.total} ({done.dataset}), {rate:.0f} images/s, {left:.0f} s left",
            highlight=False,
        )


def _bar(console: Console) -> tuple[Progress, Report]:
    columns = (
        TextColumn("{task.description:<24}"), BarColumn(), MofNCompleteColumn(), TextColumn("images"),
        TimeElapsedColumn(), TextColumn("ETA"), TimeRemainingColumn(),
    )  # fmt: skip
    bar = Progress(*columns, console=console)
    task = bar.add_task("planning", total=None)

    def report(done: Done) -> None:
        if done.total == 0:
            bar.update(task, description=f"planning {done.dataset}")
        else:
            bar.update(task, description=f"drawing {done.dataset}", completed=done.done, total=done.total)

    return bar, report


def _summary(written: tuple[Written, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False)
    table.add_column("data set", no_wrap=True)
    for heading in ("ids", "train", "query", "gallery", "cameras", "files", "drawn", "s", "a second"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in written:
        counted = row.plan.summary
        ids = f"{counted['train_ids']}+{counted['test_ids']}"
        numbers = [counted.get(name, 0) for name in ("train", "query", "gallery", "cameras")]
        work = (f"{row.seconds:.1f}", f"{row.num_drawn / row.seconds:.0f}") if row.num_drawn else ("", "")
        table.add_row(row.plan.dataset, ids, *map(str, (*numbers, row.num_files, row.num_drawn)), *work)
    return table


def _conclusion(args: argparse.Namespace, written: tuple[Written, ...], seconds: float) -> str:
    num_drawn, num_files = sum(row.num_drawn for row in written), sum(row.num_files for row in written)
    if not num_drawn:
        tree = f"preset {args.preset}, seed {args.seed}"
        return f"nothing to draw: all {num_files} image files of {tree} already exist"
    reused = sum(row.num_reused for row in written)
    kept = f", {reused} files reused" if reused else ""
    return (
        f"{num_drawn} images drawn in {seconds:.1f} s ({num_drawn / seconds:.0f} a second){kept}: "
        f"{num_files} image files in {args.out}"
    )


def main() -> None:
    """Parse, write the tree and its contact sheet, print a summary."""
    args, preset = _parse(sys.argv[1:])
    console = Console(markup=False)
    start = time.monotonic()
    bar, report = _bar(console) if console.is_terminal else (nullcontext(), _PlainLines(console))
    names = None if args.datasets is None else [name.strip() for name in args.datasets.split(",")]
    with bar:
        written = write_omnireid(args.out, preset, args.seed, args.workers, report, datasets=names)
    seconds = time.monotonic() - start
    if any(row.num_drawn for row in written) or not (args.out / SHEET).exists():
        write_contact_sheet(args.out)
    print_tables(console, _summary(written))
    print_line(console, _conclusion(args, written, seconds))
    if (args.out / SHEET).exists():
        print_line(console, f"contact sheet: {args.out / SHEET}")


if __name__ == "__main__":
    run(main)
