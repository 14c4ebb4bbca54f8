"""What every program does at its edges: one sentence and exit code 2 for bad input, never a traceback."""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NoReturn

from rich.table import Table

from instructions import numbers
from instructions.errors import InputError


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are one sentence."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong as every other bad input is said.

        Raises:
            InputError: always.
        """
        raise InputError(f"{message}; --help shows examples")


def whole_number(text: str) -> int:
    """A whole number on the command line that a store can hold; as ``type`` of an argument."""
    try:
        return numbers.whole_number(text, "the number")
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def run(main: Callable[[], None]) -> NoReturn:
    """Run a program; bad input ends with one sentence on stderr and exit code 2, Ctrl-C with 130.

    ``INSTRUCT_REID_DEBUG=1`` shows the traceback instead.
    """
    try:
        main()
    except (InputError, OSError) as error:
        if os.environ.get("INSTRUCT_REID_DEBUG"):
            raise
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    sys.exit(0)


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, num_text_columns: int = 3
) -> Table:
    """Rows under their headings, numbers to the right."""
    made = Table(title=title)
    for place, heading in enumerate(columns):
        made.add_column(heading, justify="left" if place < num_text_columns else "right")
    for row in rows:
        made.add_row(*row)
    return made


def write_text(path: Path, text: str) -> None:
    """A result file, whole or not at all, its folder made."""
    from omnireid.files import write_whole

    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text.encode(), durable=True)
