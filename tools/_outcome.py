"""The results of tools.evaluate: tables on the console, a page, per-query scores, feature files."""

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from tools._program import print_tables, table, write_text

if TYPE_CHECKING:
    from omnireid.benchmark import OnFeatures, Row, RowResult
    from omnireid.extraction import Features
    from omnireid.html_report import Curve
    from omnireid.records import Split
    from omnireid.report import Fact, Report

LEFT_OUT = 3  # exit code: done, but some rows, images or queries had to be left out


def file_name(words: Iterable[str]) -> str:
    """A file name without suffix from several words; slashes in them (own/shop) make no folders."""
    return "-".join(words).replace(",", "+").replace("/", "_")


def warn(sentences: Sequence[str]) -> None:
    """Print sentences to stderr, apart from the tables."""
    for sentence in dict.fromkeys(sentences):
        print(f"warning: {' '.join(sentence.split())}", file=sys.stderr)


def print_report(console: Console, report: "Report", untrained: "Report") -> None:
    """Print the tables: all tasks, the effect of instructions, the different wordings."""
    from omnireid.summary import (
        HEADLINE_COLUMNS,
        SENTENCE_COLUMNS,
        STEERING_COLUMNS,
        headline_rows,
        sentence_rows,
        steering_rows,
    )

    rows = headline_rows(report.evaluations, untrained.evaluations)
    tables = [table("scores in percent", HEADLINE_COLUMNS, rows)]
    if steered := steering_rows(report.evaluations):
        title = "mAP of queries with the right, another person's (wrong) or a neutral (none) instruction"
        tables.append(table(title, STEERING_COLUMNS, steered))
    if worded := sentence_rows(report.evaluations):
        title = "over all sentences of a bank: mean ± standard deviation"
        tables.append(table(title, SENTENCE_COLUMNS, worded))
    print_tables(console, *tables)


def write_per_query(path: Path, results: "Sequence[RowResult]") -> None:
    """Write every query's scores, in the order of the rows."""
    from omnireid.per_query import per_query, to_csv

    lines = []
    for result in results:
        for evaluation in result.evaluations:
            lines += per_query(evaluation, result.queries)
    write_text(path, to_csv(lines))


def keep_features(folder: Path) -> "OnFeatures":
    """A callback that writes each row's features as a file that --features reads."""
    from omnireid.feature_file import features_npz
    from omnireid.files import write_whole

    def write(row: "Row", split: "Split", query: "Features", gallery: "Features") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = file_name(filter(None, (row.task, row.dataset, row.variant)))
        write_whole(folder / f"{name}.npz", features_npz(split, query, gallery))

    return write


def digests(files: Mapping[str, Path]) -> "dict[str, Fact]":
    """Facts that tell these very files, and the feature files of a folder, from any others."""
    from omnireid.files import sha256_of

    def digest(path: Path) -> str:
        if path.is_file():
            return sha256_of(path)
        held = [f"{file.name} {sha256_of(file)}\n" for file in sorted(path.glob("*.npz"))]
        return hashlib.sha256("".join(held).encode()).hexdigest()

    return {f"{name}_sha256": digest(path) for name, path in files.items()}


def write_page(
    path: Path, results: "Sequence[RowResult]", untrained: "Report", folder: Path, report: "Report"
) -> None:
    """Write an HTML page with tables, curves and ranked lists."""
    from omnireid.html_report import html_page

    count = len({result.row.task for result in results})
    page = html_page(
        f"One IRM on {count} task{'s' if count > 1 else ''}",
        results,
        untrained=untrained.evaluations,
        curves=_curves(folder),
        provenance=report.provenance,
        introduction=f"Data: {report.provenance['data']}. Scores in percent; green: correct, red: wrong.",
    )
    write_text(path, page)


def _curves(folder: Path) -> "dict[str, list[Curve]]":
    """Loss and, if people were held out, their mAP over the steps of a run, per task, from its logs."""
    told = {
        "loss per task": _lines(folder / "metrics.jsonl", "losses"),
        "mAP on the held-out people": _lines(folder / "validation.jsonl", "mean_ap"),
    }
    return {title: lines for title, lines in told.items() if lines}


def _lines(path: Path, part: str) -> "list[Curve]":
    from instructions.errors import InputError
    from omnireid.html_report import Curve

    if not path.is_file():
        return []
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        steps = [(row["step"], row[part]) for row in rows]
    except (ValueError, LookupError, TypeError) as error:
        raise InputError(f"{path} is damaged ({error}); move it away to write the page without it") from None
    curves = []
    for domain in dict.fromkeys(domain for _, values in steps for domain in values):
        points = [(step, values[domain]) for step, values in steps if domain in values]
        curves.append(Curve(domain, *zip(*points, strict=True)))
    return curves
