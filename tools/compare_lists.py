"""Ranked lists of two runs as a picture: `python -m tools.compare_lists RUN_A RUN_B --out FILE.png`."""

import argparse
import io
from dataclasses import replace
from pathlib import Path

from instructions.errors import InputError
from tools._program import program_parser, run

EXAMPLE = """example:
  python -m tools.compare_lists runs/reid/baseline runs/reid/ours --data data/omnireid --dataset market1501 \\
    --names baseline,MLLMReID --queries 6 --top 10 --out case_study.png

Without --rows the queries shown are those where the two differ most, whichever wins, one per person; this
rule and the comparison over all queries are printed in the picture. A run with a matcher is ranked by it."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = program_parser(
        "compare_lists",
        "The ranked lists of two runs for the same queries, one below the other, as a picture.",
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
    add("--out", type=Path, required=True, metavar="FILE", help="output picture, .png or .jpg")
    return made


def main() -> None:
    """Parse, evaluate both runs, draw, say what was drawn."""
    asked = parser().parse_args()
    names = _checked(asked)
    chosen = None if asked.rows is None else _numbers(asked.rows)
    # Heavy imports come after parsing, so that --help and mistyped options answer at once.
    from irm.build import asking_of
    from irm.evaluation import open_run, trained_embedder
    from omnireid.benchmark import Row, run_row
    from omnireid.case_study import RULE, Model, case_study, check_queries, most_different, summary
    from omnireid.extraction import Settings
    from omnireid.files import write_whole
    from omnireid.loading.instruct import query_instructions
    from omnireid.protocols import suited_protocol
    from omnireid.tasks import TASKS

    opened = [open_run(folder) for folder in asked.runs]
    data = asked.data or Path(opened[0].sheet.data)
    if asked.task not in TASKS:
        raise InputError(f"there is no task {asked.task!r}; known: {', '.join(TASKS)}")
    protocol = asked.protocol or suited_protocol(asked.task, asked.dataset, asked.variant)
    row = Row(asked.task, asked.dataset, protocol, asked.variant)
    searched = [replace(row, asking=asking_of(one.sheet)) for one in opened]  # each as its own sheet asks
    split = searched[0].split(data)
    settings = Settings(batch_size=asked.batch_size, workers=asked.workers, match=asked.match)
    first, second = (
        Model(name, run_row(trained_embedder(one), its, data, settings=settings, num_lists=0).headline)
        for name, one, its in zip(names, opened, searched, strict=True)
    )
    if chosen is None:
        rows, note = most_different(first.evaluation, second.evaluation, split, asked.queries), RULE
    else:
        rows, note = chosen, "shown: the queries given by --rows"
        check_queries(rows, first.evaluation)
    instructions = query_instructions(split, searched[0].asking.task(asked.task), "right")
    picture = case_study(first, second, split, instructions, rows, top=asked.top, note=note)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG" if asked.out.suffix.lower() == ".png" else "JPEG", quality=92)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(asked.out, buffer.getvalue())
    print(summary(first, second))
    print(note)
    for query in rows:
        scores = ", ".join(
            f"{one.name} AP {100 * one.evaluation.average_precision[query]:.1f}" for one in (first, second)
        )
        print(f"  query {query}, person {split.query[query].pid}: {scores}")
    print(f"wrote the picture to {asked.out}")


def _checked(asked: argparse.Namespace) -> list[str]:
    """The names of the two runs, after checking the options."""
    if asked.out.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise InputError(f"--out is {asked.out}; name a .png or .jpg file")
    for name, largest in (("queries", 100), ("top", 10), ("batch_size", 100_000)):
        value = getattr(asked, name)
        if not 1 <= value <= largest:
            raise InputError(f"--{name.replace('_', '-')} is {value}; it must lie within 1 to {largest}")
    names = [folder.name for folder in asked.runs] if asked.names is None else asked.names.split(",")
    if len(names) != 2:
        raise InputError(f"--names is {asked.names!r}; give two names, e.g. --names baseline,ours")
    return names


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--rows is {text!r}; give numbers, e.g. --rows 3,17") from None


if __name__ == "__main__":
    run(main)
