"""Ranked lists of two runs as a figure: `python -m tools.compare_lists RUN_A RUN_B --out FILE.png`."""

import argparse
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from instructions.errors import InputError
from tools._program import program_parser, progress_bar, refuse_unwritable, run

if TYPE_CHECKING:
    from irm.evaluation import Run
    from omnireid.benchmark import Row
    from omnireid.case_study import Model

EXAMPLE = """example:
  python -m tools.compare_lists runs/reid/baseline runs/reid/ours --data data/omnireid --dataset market1501 \\
    --names baseline,MLLMReID --queries 6 --top 10 --out case_study.png

Without --rows the queries shown are those where the two differ most, whichever wins, one per person; this
rule and the comparison over all queries are printed in the figure. A run with a matcher is ranked by it."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = program_parser(
        "compare_lists",
        "The ranked lists of two runs for the same queries, one below the other, as a figure.",
        EXAMPLE,
    )
    add = made.add_argument
    add("runs", type=Path, nargs=2, metavar="RUN", help="folders written by tools.train: baseline, then ours")
    add(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder that contains the data sets; default: the first sheet's",
    )
    add("--dataset", default="market1501", metavar="NAME", help="data set whose test is used (market1501)")
    add("--task", default="trad", metavar="t", help="trad, cc, vi, ctcc, li or t2i (trad)")
    add("--variant", metavar="NAME", help="variant of the data set (its first)")
    add("--protocol", metavar="p", help="protocol, see docs/protocols.md (the data set's default)")
    add("--names", metavar="A,B", help="names of the two runs (their folders' names)")
    add("--queries", type=int, default=6, metavar="N", help="queries to show (6)")
    add("--rows", metavar="n,...", help="these queries instead, counted from 0 in the split's order")
    add("--top", type=int, default=10, metavar="K", help="images per list, at most 10 (10)")
    add("--match", type=int, metavar="K", help="images that a matcher scores per query (all)")
    add("--batch-size", type=int, default=128, metavar="N", help="images per batch (128)")
    add("--workers", type=int, default=0, metavar="N", help="processes that read images (0)")
    add("--out", type=Path, required=True, metavar="FILE", help="output figure, .png or .jpg")
    return made


def main() -> None:
    """Parse, evaluate both runs, draw, print what was drawn."""
    args = parser().parse_args()
    names = _checked(args)
    chosen = None if args.rows is None else _numbers(args.rows)
    refuse_unwritable(args.out)
    # Heavy imports come after parsing, so that --help and mistyped options answer at once.
    from irm.build import instruction_settings_of
    from irm.evaluation import open_run
    from omnireid.benchmark import Row
    from omnireid.case_study import RULE, case_study, check_queries, most_different, summary
    from omnireid.files import write_whole
    from omnireid.loading.instruct import query_instructions
    from omnireid.protocols import suited_protocol
    from omnireid.tasks import TASKS

    opened = [open_run(folder) for folder in args.runs]
    data = args.data or Path(opened[0].sheet.data)
    if args.task not in TASKS:
        raise InputError(f"there is no task {args.task!r}; known: {', '.join(TASKS)}")
    protocol = args.protocol or suited_protocol(args.task, args.dataset, args.variant)
    row = Row(args.task, args.dataset, protocol, args.variant)
    searched = [
        replace(row, instruction_settings=instruction_settings_of(one.sheet)) for one in opened
    ]  # each as its own sheet asks
    split = searched[0].split(data)
    first, second = _evaluated(args, names, opened, searched, data)
    if chosen is None:
        rows, note = most_different(first.evaluation, second.evaluation, split, args.queries), RULE
    else:
        rows, note = chosen, "shown: the queries given by --rows"
        check_queries(rows, first.evaluation)
    instructions = query_instructions(split, searched[0].instruction_settings.task(args.task), "right")
    figure = case_study(first, second, split, instructions, rows, top=args.top, note=note)
    buffer = io.BytesIO()
    figure.save(buffer, "PNG" if args.out.suffix.lower() == ".png" else "JPEG", quality=92)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(args.out, buffer.getvalue())
    print(summary(first, second))
    print(note)
    for query in rows:
        scores = ", ".join(
            f"{one.name} AP {100 * one.evaluation.average_precision[query]:.1f}" for one in (first, second)
        )
        print(f"  query {query}, person {split.query[query].pid}: {scores}")
    print(f"wrote the figure to {args.out}")


def _evaluated(
    args: argparse.Namespace, names: Sequence[str], runs: "Sequence[Run]", rows: "Sequence[Row]", data: Path
) -> "tuple[Model, Model]":
    """Both runs, each evaluated on its row before the eyes of whoever waits."""
    from irm.evaluation import trained_embedder
    from omnireid.benchmark import run_row
    from omnireid.case_study import Model
    from omnireid.extraction import Settings

    settings = Settings(batch_size=args.batch_size, workers=args.workers, match=args.match)
    with progress_bar(Console(), 28) as bar:
        line = bar.add_task("", total=None)

        def show(what: str, done: int, total: int) -> None:
            bar.update(line, description=what, completed=done, total=total)

        results = [
            run_row(trained_embedder(one), row, data, settings=settings, num_lists=0, progress=show)
            for one, row in zip(runs, rows, strict=True)
        ]
    first, second = (Model(name, result.headline) for name, result in zip(names, results, strict=True))
    return first, second


def _checked(args: argparse.Namespace) -> list[str]:
    """The names of the two runs, after checking the options."""
    if args.out.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise InputError(f"--out is {args.out}; name a .png or .jpg file")
    for name, largest in (("queries", 100), ("top", 10), ("batch_size", 100_000)):
        value = getattr(args, name)
        if not 1 <= value <= largest:
            raise InputError(f"--{name.replace('_', '-')} is {value}; it must lie within 1 to {largest}")
    names = [folder.name for folder in args.runs] if args.names is None else args.names.split(",")
    if len(names) != 2:
        raise InputError(f"--names is {args.names!r}; give two names, e.g. --names baseline,ours")
    return names


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--rows is {text!r}; give numbers, e.g. --rows 3,17") from None


if __name__ == "__main__":
    run(main)
