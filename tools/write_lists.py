"""Write the OmniReID lists from the raw data sets: `python -m tools.write_lists --root data`."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from instructions.errors import InputError
from omnireid.datasets.catalog import DATASETS, dataset_named
from omnireid.datasets.list_table import LISTS
from omnireid.datasets.list_writer import write_lists
from tools._program import print_line, program_parser, run

EXAMPLE = """examples:
  python -m tools.write_lists --root data                              every data set under data/
  python -m tools.write_lists --root data --dataset market1501         one of them
  python -m tools.write_lists --root data --out lists                  leaves data/ unchanged

Existing lists are kept unless --replace is given. Grammar of the lists: docs/data.md."""


def main() -> None:
    """Parse, write each data set's lists, report what was left out."""
    parser = program_parser("write_lists", "Write the OmniReID lists from the raw data sets.", EXAMPLE)
    parser.add_argument(
        "--root", type=Path, required=True, metavar="DIR", help="folder that holds the data sets"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="output folder (default: the root)")
    parser.add_argument("--dataset", metavar="NAME", help=f"only this data set: {', '.join(_with_lists())}")
    parser.add_argument("--replace", action="store_true", help="overwrite existing lists")
    args = parser.parse_args()
    root = args.root.expanduser()
    if not root.is_dir():
        raise InputError(
            f"the data root {args.root} is not a folder; give the folder that holds the data sets"
        )
    names = _with_lists() if args.dataset is None else [dataset_named(args.dataset).card.name]
    if args.dataset is not None and args.dataset not in _with_lists():
        raise InputError(
            f"OmniReID has no lists of {args.dataset}; it has lists of {', '.join(_with_lists())}"
        )
    console, num_files = Console(markup=False), 0

    def written(path: Path, num_lines: int) -> None:
        nonlocal num_files
        num_files += 1
        print_line(console, f"{num_lines:>10,} lines  {path}")

    for name in names:
        if args.dataset is None and DATASETS[name].find(root) in (None, root):
            continue
        for sentence in write_lists(
            root, (args.out or root).expanduser(), name, replace=args.replace, written=written
        ):
            print_line(console, f"left out: {sentence}")
    if not num_files:
        raise InputError(
            f"nothing under {root} could be written as lists; docs/data.md describes the folder layout"
        )
    console.print(f"{num_files} files written", highlight=False)


def _with_lists() -> list[str]:
    return list(dict.fromkeys(name for name, _ in LISTS))


if __name__ == "__main__":
    run(main)
