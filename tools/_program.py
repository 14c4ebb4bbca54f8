"""Shared by all programs: bad input ends with one sentence and exit code 2, never with a traceback."""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from instructions import numbers
from instructions.errors import InputError

DEVICES = ("auto", "cpu", "cuda")  # auto: a GPU where there is one
WIDE = 1000  # characters per table line where the output is not a terminal


class Parser(argparse.ArgumentParser):
    """An argument parser that reports errors in one sentence."""

    def error(self, message: str) -> NoReturn:
        """Report a usage error like any other bad input.

        Raises:
            InputError: always.
        """
        raise InputError(f"{message}; --help shows examples")


def program_parser(program: str, description: str | None, examples: str) -> Parser:
    """The command line of ``python -m tools.PROGRAM``; its examples keep their line breaks."""
    return Parser(
        prog=f"python -m tools.{program}",
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def whole_number(text: str) -> int:
    """``type`` of an argument: a whole number that a gallery store can hold."""
    try:
        return numbers.whole_number(text, "the number")
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def run(main: Callable[[], None]) -> NoReturn:
    """Run a program; bad input ends with one sentence on stderr and exit code 2, Ctrl-C with 130.

    A reader of the output that has had enough, such as ``head``, ends it silently with 141, as SIGPIPE does.

    ``INSTRUCT_REID_DEBUG=1`` shows the traceback instead.
    """
    if not sys.stderr.isatty():  # progress bars of transformers would fill a log with one long line
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        main()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # takes what is still to be flushed
        sys.exit(141)
    except (InputError, OSError) as error:
        if os.environ.get("INSTRUCT_REID_DEBUG"):
            raise
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt as interrupt:
        print(str(interrupt) or "interrupted", file=sys.stderr)
        sys.exit(130)
    sys.exit(0)


def need_libraries(purpose: str, names: Sequence[str], *, extra: str) -> None:
    """Check before the long work that optional libraries are installed.

    Args:
        purpose: what needs them, in the sentence that says one is missing.
        names: of the modules.
        extra: of pyproject.toml, which installs all of them.

    Raises:
        InputError: one is missing.
    """
    for name in names:
        try:
            import_module(name)
        except ImportError as error:
            raise InputError(
                f"{purpose} needs {error.name}, which is not installed; run pip install -e '.[{extra}]'"
            ) from None


def refuse_unwritable(*files: Path | None, folder: Path | None = None) -> None:
    """Check before the long work that its results can be written to their paths.

    Raises:
        InputError: a file is a folder, its folder is a file, or there is no permission to write there.
    """
    for path in (*files, folder):
        if path is None:
            continue
        whole = path.absolute()
        nearest = next(above for above in (whole, *whole.parents) if above.exists())
        if nearest.is_dir() != (path is folder or nearest != whole):
            kind = "folder" if nearest.is_dir() else "file"
            raise InputError(f"{path} cannot be written: {nearest} is a {kind}; choose another path")
        # A file is replaced by its folder's leave; a device or a pipe is written to.
        if not os.access(nearest.parent if nearest.is_file() else nearest, os.W_OK):
            raise InputError(
                f"{path} cannot be written: no permission to write to {nearest}; choose another path"
            )


def print_line(console: Console, sentence: str, **style: Any) -> None:
    """Print a sentence on one line, however narrow the terminal; numbers and paths are not coloured."""
    console.print(sentence, highlight=False, soft_wrap=True, **style)


def waiting(what: str) -> AbstractContextManager[object]:
    """Show on a terminal, beside the output, what takes seconds before anything can be counted."""
    return Console(stderr=True).status(f"{what} ...")


def progress_bar(console: Console, width: int) -> Progress:
    """A progress bar with room for ``width`` letters before it; shown on a terminal only, until the end."""
    columns = (
        TextColumn(f"{{task.description:<{width}}}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, num_text_columns: int = 3
) -> Table:
    """A table with numbers aligned to the right."""
    made = Table(title=title)
    for place, heading in enumerate(columns):
        made.add_column(heading, justify="left" if place < num_text_columns else "right")
    for row in rows:
        made.add_row(*row)
    return made


def print_tables(console: Console, *tables: Table) -> None:
    """Print tables; where no terminal limits the width, as in a file or a pipe, no cell is broken."""
    wide = console if console.is_terminal else Console(width=WIDE, markup=False)
    for one in tables:
        wide.print(one)


def write_text(path: Path, text: str) -> None:
    """Write a result file atomically, and create its folder if needed."""
    from omnireid.files import write_whole

    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text.encode(), durable=True)
