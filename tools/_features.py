"""The part of tools.evaluate that needs no run: evaluating features computed by another program."""

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from rich.console import Console

from tools._evaluate_options import HOW, protocols_of, re_ranking_of
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


def refuse_beside_a_run(args: argparse.Namespace) -> None:
    """Refuse options that do not apply to a run, rather than ignore them.

    Raises:
        InputError: one is given.
    """
    from instructions.errors import InputError

    for name in ("metric", "ignore_extra", "order"):
        if getattr(args, name):
            raise InputError(
                f"--{name.replace('_', '-')} applies only to --features; the run {args.run} determines this "
                "itself, so drop the option"
            )


def refuse_run(args: argparse.Namespace, option: str) -> None:
    """Refuse a run together with an option that replaces it.

    Raises:
        InputError: it is given.
    """
    from instructions.errors import InputError

    if args.run is not None:
        raise InputError(f"{option} cannot be combined with the run {args.run}; give only one of them")


def main(args: argparse.Namespace, console: Console) -> None:
    """Evaluate a feature file, or write the order that its rows must have."""
    from instructions.errors import InputError

    refuse_run(args, "--features")
    re_ranking_of(args)  # if it is not a number, it may be the RUN
    if args.features is None and args.order is None:
        raise InputError("nothing to evaluate; give a RUN folder, or --features FILE (see --help)")
    for name in ("tasks", "sheet", "untrained", "every_sentence", "save_features", "reuse"):
        if getattr(args, name):
            raise InputError(f"--{name.replace('_', '-')} needs a RUN; features are evaluated as they are")
    for name in ("re_score", "match", "precision"):  # of what a model computes
        if getattr(args, name) != HOW[name]:
            raise InputError(f"--{name.replace('_', '-')} needs a RUN; features are compared as they are")
    for name in ("data", "dataset", "task"):
        if getattr(args, name) is None:
            raise InputError(f"--{name} is missing; a feature file needs --data DIR --dataset NAME --task t")
    split = _split(args)
    if args.order is not None:
        from omnireid.feature_file import order_table

        write_text(args.order, order_table(split))
        print_line(
            console,
            f"{args.order} lists {len(split.query)} queries and {len(split.gallery)} gallery images",
        )
        return
    _judge(args, split, console)


def _split(args: argparse.Namespace) -> "Split":
    from omnireid.datasets import load_split

    return load_split(args.data, args.dataset, args.task, variant=args.variant, source=args.source)


def _judge(args: argparse.Namespace, split: "Split", console: Console) -> None:
    from omnireid.files import sha256_of
    from omnireid.report import COLUMNS, INSTRUCTION_COLUMNS, Report, machine

    refuse_unwritable(args.json, args.html, args.per_query)
    result = _result(args, split)
    provenance = {
        "features": str(args.features),
        "features_sha256": sha256_of(args.features),
        "metric": result.headline.metric,
        "re_rank": args.re_rank,
        "data": str(args.data),
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
    print_tables(console, table(f"{args.features.name}, scores in percent", heads, rows))
    if args.json is not None:
        write_text(args.json, report.to_json())
        print_line(console, f"wrote the report to {args.json}")
    if args.per_query is not None:
        write_per_query(args.per_query, [result])
        print_line(console, f"wrote per-query scores to {args.per_query}")
    if args.html is not None:
        from omnireid.html_report import html_page

        title = f"{args.features.name} on {split.name}"
        page = html_page(title, [result], provenance=provenance, introduction=f"Data: {args.data}.")
        write_text(args.html, page)
        print_line(console, f"wrote the HTML page to {args.html}")
    warn(result.warnings)


def _result(args: argparse.Namespace, split: "Split") -> "RowResult":
    from instructions.errors import InputError, near_miss
    from omnireid.benchmark import Row, RowResult, ranked_lists
    from omnireid.evaluation import judge
    from omnireid.feature_file import read_features
    from omnireid.metrics import Metric
    from omnireid.tasks import TASKS

    metrics = get_args(Metric)
    if args.metric not in (None, *metrics):
        hint = near_miss(args.metric, metrics)
        raise InputError(f"--metric is {args.metric!r}{hint}; known: {', '.join(metrics)}")
    protocols = protocols_of(args, args.dataset)
    re_ranking = re_ranking_of(args)
    file, task = read_features(args.features), TASKS[args.task]
    query, gallery = (
        file.side(split, side, task, ignore_extra=args.ignore_extra) for side in ("query", "gallery")
    )
    ways = dict.fromkeys((None, re_ranking if task.query == "image" else None))
    row = Row(args.task, args.dataset, protocols[0], args.variant)
    evaluations = tuple(
        replace(judge(query, gallery, protocol, metric=args.metric, re_ranking=way), dataset=row.name)
        for protocol in protocols
        for way in ways
    )
    instructions = None  # the file does not say what instructions the other model had
    lists = ranked_lists(split, instructions, evaluations[0], 3) if args.html is not None else ()
    warnings = (*query.flaws("query"), *gallery.flaws("gallery"))
    return RowResult(row, evaluations, lists, split.notes, warnings, split.query)
