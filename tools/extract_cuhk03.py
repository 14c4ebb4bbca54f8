"""Extract the images of CUHK03 from cuhk-03.mat: `python -m tools.extract_cuhk03 --root data/cuhk03`."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from omnireid.datasets.cuhk03_release import extract
from tools._program import print_line, program_parser, run

EXAMPLE = """example:
  python -m tools.extract_cuhk03 --root data/cuhk03        with data/cuhk03/cuhk03_release/cuhk-03.mat

Needs h5py. An interrupted run resumes where it stopped. docs/data.md says what else belongs there."""


def main() -> None:
    """Parse, extract, print the count."""
    parser = program_parser(
        "extract_cuhk03", "Extract the images and the classic splits of CUHK03 from cuhk-03.mat.", EXAMPLE
    )
    parser.add_argument(
        "--root", type=Path, required=True, metavar="DIR", help="folder that contains cuhk03_release"
    )
    root = parser.parse_args().root.expanduser()
    console = Console(markup=False)
    columns = (SpinnerColumn(), TextColumn("{task.completed} images"))
    errors = Console(stderr=True, markup=False)
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task("", total=None)
        num_images = extract(root, lambda done: bar.update(task, completed=done))
    print_line(console, f"{num_images} images and 20 classic splits are in {root}")


if __name__ == "__main__":
    run(main)
