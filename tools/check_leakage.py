"""Find test people in training sets: `python -m tools.check_leakage --data DIR --train A --test B`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from tools._program import print_line, print_tables, program_parser, progress_bar, run, table, write_text

if TYPE_CHECKING:
    from omnireid.leakage import LeakageReport, People

EXAMPLE = """examples:
  python -m tools.check_leakage --data data/omnireid --train cuhk_pedes,rstpreid --test market1501,msmt17
  python -m tools.check_leakage --data data/omnireid --train rstpreid --test msmt17 --picture pairs.jpg
  python -m tools.check_leakage --data data/mine --train market1501 --test ltcc --look-at-all

Training removes these people automatically; this program only reports them. People are found by number, by
file, by file name and by appearance; the fingerprint of each image is kept in DIR/.fingerprints."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = program_parser(
        "check_leakage", "Find test people, and copies of test images, in training sets.", EXAMPLE
    )
    add = made.add_argument
    add("--data", type=Path, required=True, metavar="DIR", help="folder that contains the data sets")
    add("--train", required=True, metavar="NAME,...", help="training sets; NAME:variant for a variant")
    add("--test", required=True, metavar="NAME,...", help="test sets (query and gallery)")
    add(
        "--look-at-all",
        action="store_true",
        help="compare the images of all these sets, not only of known pairs",
    )
    add("--json", type=Path, metavar="FILE", help="also write every person found as JSON")
    add("--picture", type=Path, metavar="FILE", help="write suspected copies side by side, a JPEG")
    return made


def main() -> None:
    """Parse, read the sets, look, print the table, write the files."""
    args = parser().parse_args()
    from omnireid.leakage import FINGERPRINTS, drop_test_people
    from omnireid.leakage.people import COLUMNS

    console = Console(markup=False)
    train = [_people(args.data, name, "train") for name in args.train.split(",")]
    tests = [_people(args.data, name, "test") for name in args.test.split(",")]
    by_appearance: bool | frozenset[frozenset[str]] = True
    if args.look_at_all:
        by_appearance = frozenset(frozenset((one.dataset, other.dataset)) for one in train for other in tests)
    with progress_bar(console, 32) as bar:
        line = bar.add_task("", total=None)

        def show(what: str, done: int, total: int) -> None:
            bar.update(line, description=what, completed=done, total=total)

        _, report = drop_test_people(
            train, tests, by_appearance=by_appearance, cache=args.data / FINGERPRINTS, progress=show
        )
    if report.people:
        print_tables(
            console, table("test people in training sets", COLUMNS, report.rows(), num_text_columns=2)
        )
    for sentence in report.sentences():
        print_line(console, sentence)
    _write(args, report, console)


def _people(data: Path, name: str, part: str) -> "People":
    """One part of a data set, by whatever task can read it."""
    from instructions.errors import InputError
    from omnireid.datasets import load_split
    from omnireid.datasets.catalog import dataset_named
    from omnireid.leakage import People

    name, _, variant = name.strip().partition(":")
    refused: InputError | None = None
    for task in dataset_named(name).card.tasks:
        try:
            split = load_split(data, name, task, variant=variant or None)
        except InputError as error:
            refused = refused or error
            continue
        records = split.train if part == "train" else (*split.query, *split.gallery)
        if records:
            return People(name, records)
    raise refused or InputError(f"{name} under {data} has no {part} images")


def _write(args: argparse.Namespace, report: "LeakageReport", console: Console) -> None:
    from omnireid.files import write_whole
    from omnireid.leakage.pair_sheet import draw_pairs

    if args.json is not None:
        write_text(args.json, report.to_json())
        print_line(console, f"wrote the report to {args.json}")
    if args.picture is not None:
        sheet = draw_pairs(report.leaks)
        if sheet is None:
            console.print("no copies were found by appearance, so no sheet was written", highlight=False)
            return
        args.picture.parent.mkdir(parents=True, exist_ok=True)
        write_whole(args.picture, sheet)
        print_line(console, f"wrote the suspected copies to {args.picture}")


if __name__ == "__main__":
    run(main)
