"""The part of tools.evaluate that tests the difference between two `--per-query` tables for significance."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from tools._program import print_line, print_tables, table

if TYPE_CHECKING:
    from omnireid.per_query import Search
    from omnireid.significance import Comparison

COLUMNS = ("data set", "protocol", "query instruction", "score")


def compare(paths: Sequence[Path], console: Console) -> None:
    """Print how the results in two tables differ, and what is in only one of them."""
    from omnireid.per_query import read_csv
    from omnireid.significance import compare_tables, unpaired

    tables = [read_csv(path) for path in paths]
    rows = [
        (*_place(pair.first, pair.second), *_cells(measure, scores))
        for pair in compare_tables(*tables)
        for measure, scores in (("mAP", pair.precision), ("R1", pair.hits))
    ]
    first, second = (path.name if len({path.name for path in paths}) > 1 else str(path) for path in paths)
    columns = (*COLUMNS, first, second, "difference", "95 %", "p", "queries", "people")
    print_tables(console, table(f"{second} minus {first}, by person", columns, rows))
    for path, alone in zip(paths, unpaired(*tables), strict=True):
        if alone:
            print_line(console, f"{len(alone)} searches are only in {path} and were not compared")


def _place(first: "Search", second: "Search") -> tuple[str, str, str]:
    from omnireid.protocols import PROTOCOLS

    name, _, stage = first.protocol.partition(" ")
    title = PROTOCOLS[name].title if name in PROTOCOLS else name
    args = dict.fromkeys((first.query_asked or "–", second.query_asked or "–"))
    return f"{first.task} {first.dataset}", title + (stage and f", {stage}"), " / ".join(args)


def _cells(measure: str, scores: "Comparison") -> tuple[str, ...]:
    return (
        measure,
        f"{100 * scores.first:.1f}",
        f"{100 * scores.second:.1f}",
        f"{100 * scores.difference:+.1f}",
        f"{100 * scores.low:+.1f} to {100 * scores.high:+.1f}",
        f"{scores.p_value:.4f}",
        str(scores.num_queries),
        str(scores.num_people),
    )
