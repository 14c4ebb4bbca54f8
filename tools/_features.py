"""The part of tools.evaluate that needs no run: evaluating features computed by another program."""

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from rich.console import Console

from tools._asked import HOW, protocols_of, re_ranking_of
from tools._outcome import warn, write_per_query
from tools._program import print_line, print_tables, refuse_unwritable, table, write_text

if TYPE_CHECKING:
    from omnireid.benchmark import RowResult
    from omnireid.records import Split


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that replace a RUN."""
    add = parser.add_argument_group("another model's features").add_argument
    add(
        "--features",
        type=Path,
        metavar="FILE",
        help=".npz or .safetensors with arrays query and gallery, or features",
    )
    add("--metric", metavar="M", help="cosine or euclidean (default: the file's, else cosine)")
    add("--ignore-extra", action="store_true", help="ignore rows whose name is not an image of the split")
    add("--order", type=Path, metavar="FILE", help="only write the split's image order to FILE and stop")


def refuse_beside_a_run(asked: argparse.Namespace) -> None:
    """Refuse options that do not apply to a run, rather than ignore them.

    Raises:
        InputError: one is given.
    """
    from instructions.errors import InputError

    for name in ("metric", "ignore_extra", "order"):
        if getattr(asked, name):
            raise InputError(
                f"--{name.replace('_', '-')} applies only to --features; the run {asked.run} determines this "
                "itself, so drop the option"
            )


def refuse_run(asked: argparse.Namespace, option: str) -> None:
    """Refuse a run together with an option that replaces it.

    Raises:
        InputError: it is given.
    """
    from instructions.errors import InputError

    if asked.run is not None:
        raise InputError(f"{option} cannot be combined with the run {asked.run}; give only one of them")


def main(asked: argparse.Namespace, console: Console) -> None:
    """Evaluate a feature file, or write the order that its rows must have."""
    from instructions.errors import InputError

    refuse_run(asked, "--features")
    re_ranking_of(asked)  # if it is not a number, it may be the RUN
    if asked.features is None and asked.order is None:
        raise InputError("nothing to evaluate; give a RUN folder, or --features FILE (see --help)")
    for name in ("tasks", "sheet", "untrained", "every_sentence", "save_features", "reuse"):
        if getattr(asked, name):
            raise InputError(f"--{name.replace('_', '-')} needs a RUN; features are evaluated as they are")
    for name in ("re_score", "match", "precision"):  # of what a model computes
        if getattr(asked, name) != HOW[name]:
            raise InputError(f"--{name.replace('_', '-')} needs a RUN; features are compared as they are")
    for name in ("data", "dataset", "task"):
        if getattr(asked, name) is None:
            raise InputError(f"--{name} is missing; a feature file needs --data DIR --dataset NAME --task t")
    split = _split(asked)
    if asked.order is not None:
        from omnireid.feature_file import order_table

        write_text(asked.order, order_table(split))
        print_line(
            console,
            f"{asked.order} lists {len(split.query)} queries and {len(split.gallery)} gallery images",
        )
        return
    _judge(asked, split, console)


def _split(asked: argparse.Namespace) -> "Split":
    from omnireid.datasets import load_split

    return load_split(asked.data, asked.dataset, asked.task, variant=asked.variant, source=asked.source)


def _judge(asked: argparse.Namespace, split: "Split", console: Console) -> None:
    from omnireid.files import sha256_of
    from omnireid.report import COLUMNS, INSTRUCTION_COLUMNS, Report, machine

    refuse_unwritable(asked.json, asked.html, asked.per_query)
    result = _result(asked, split)
    provenance = {
        "features": str(asked.features),
        "features_sha256": sha256_of(asked.features),
        "metric": result.headline.metric,
        "re_rank": asked.re_rank,
        "data": str(asked.data),
        **{
            name: "; ".join(told)
            for name, told in (("notes", result.notes), ("warnings", result.warnings))
            if told
        },
        **machine(),
        "time": time.strftime("%Y-%m-%d %H:%M:%S %z"),
    }
    report = Report(result.evaluations, provenance)
    shown = [place for place, name in enumerate(COLUMNS) if name not in INSTRUCTION_COLUMNS]
    rows = [[row[place] for place in shown] for row in report.rows()]
    heads = [COLUMNS[place] for place in shown]
    print_tables(console, table(f"{asked.features.name}, scores in percent", heads, rows))
    if asked.json is not None:
        write_text(asked.json, report.to_json())
        print_line(console, f"wrote the report to {asked.json}")
    if asked.per_query is not None:
        write_per_query(asked.per_query, [result])
        print_line(console, f"wrote per-query scores to {asked.per_query}")
    if asked.html is not None:
        from omnireid.html_report import html_page

        title = f"{asked.features.name} on {split.name}"
        page = html_page(title, [result], provenance=provenance, introduction=f"Data: {asked.data}.")
        write_text(asked.html, page)
        print_line(console, f"wrote the HTML page to {asked.html}")
    warn(result.warnings)


def _result(asked: argparse.Namespace, split: "Split") -> "RowResult":
    from instructions.errors import InputError, near_miss
    from omnireid.benchmark import Row, RowResult, ranked_lists
    from omnireid.evaluation import judge
    from omnireid.feature_file import read_features
    from omnireid.metrics import Metric
    from omnireid.tasks import TASKS

    metrics = get_args(Metric)
    if asked.metric not in (None, *metrics):
        hint = near_miss(asked.metric, metrics)
        raise InputError(f"--metric is {asked.metric!r}{hint}; known: {', '.join(metrics)}")
    protocols = protocols_of(asked, asked.dataset)
    re_ranking = re_ranking_of(asked)
    file, task = read_features(asked.features), TASKS[asked.task]
    query, gallery = (
        file.side(split, side, task, ignore_extra=asked.ignore_extra) for side in ("query", "gallery")
    )
    ways = dict.fromkeys((None, re_ranking if task.query == "image" else None))
    row = Row(asked.task, asked.dataset, protocols[0], asked.variant)
    evaluations = tuple(
        replace(judge(query, gallery, protocol, metric=asked.metric, re_ranking=way), dataset=row.name)
        for protocol in protocols
        for way in ways
    )
    instructions = None  # the file does not say what instructions the other model had
    lists = ranked_lists(split, instructions, evaluations[0], 3) if asked.html is not None else ()
    warnings = (*query.flaws("query"), *gallery.flaws("gallery"))
    return RowResult(row, evaluations, lists, split.notes, warnings, split.query)
