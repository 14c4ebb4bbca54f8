"""The part of tools.evaluate that needs no run: other models' features, and two models compared."""

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from tools._program import table, write_text

if TYPE_CHECKING:
    from omnireid.benchmark import RowResult
    from omnireid.records import Split


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that stand in for a RUN."""
    group = parser.add_argument_group("another model's features")
    add = group.add_argument
    add("--features", type=Path, metavar="FILE", help=".npz or .safetensors: query and gallery, or features")
    add("--dataset", metavar="NAME", help="whose test it is, e.g. market1501")
    add("--task", metavar="t", help="trad, cc, vi, ctcc, li or t2i")
    add("--variant", metavar="NAME", help="the data set's variant, e.g. ir_to_vis; else its first")
    add("--source", default="auto", metavar="S", help="lists or raw, where a data set has both (auto)")
    add("--protocol", metavar="p,...", help="one or more of docs/protocols.md; else the data set's own")
    add("--metric", default="cosine", metavar="M", help="cosine or euclidean (cosine)")
    add("--ignore-extra", action="store_true", help="leave out rows that name no picture of the split")
    add("--order", type=Path, metavar="FILE", help="only write the pictures in the split's order, then stop")
    add("--compare", type=Path, nargs=2, metavar="FILE", help="compare two tables that --per-query wrote")


def refuse_beside_a_run(asked: argparse.Namespace) -> None:
    """Refuse options that a run's own sheet answers, rather than pass them over.

    Raises:
        InputError: one is given.
    """
    from instructions.errors import InputError

    usual = {"source": "auto", "metric": "cosine", "ignore_extra": False}
    for name in ("dataset", "task", "variant", "source", "protocol", "metric", "ignore_extra", "order"):
        if getattr(asked, name) != usual.get(name):
            raise InputError(
                f"--{name.replace('_', '-')} goes with --features; a run is judged as its sheet says: choose "
                f"with --tasks, or change 'evaluation' in {asked.run}/config.yaml"
            )


def main(asked: argparse.Namespace) -> None:
    """Judge a feature file, write an order, or compare two tables."""
    from instructions.errors import InputError

    console = Console(markup=False)
    if asked.run is not None:
        wrong = "--features" if asked.features else "--compare"
        raise InputError(f"{wrong} is given together with the run {asked.run}; give one of them")
    if asked.compare:
        _compare(asked, console)
        return
    if asked.features is None and asked.order is None:
        raise InputError("nothing to evaluate; give a RUN folder, or --features FILE (see --help)")
    for name in ("data", "dataset", "task"):
        if getattr(asked, name) is None:
            raise InputError(f"--{name} is missing; a feature file needs --data DIR --dataset NAME --task t")
    split = _split(asked)
    if asked.order is not None:
        from omnireid.feature_file import order_table

        write_text(asked.order, order_table(split))
        console.print(
            f"{asked.order} lists {len(split.query)} queries and {len(split.gallery)} gallery pictures",
            highlight=False,
            soft_wrap=True,
        )
        return
    _judge(asked, split, console)


def _split(asked: argparse.Namespace) -> "Split":
    from omnireid.datasets import load_split

    return load_split(asked.data, asked.dataset, asked.task, variant=asked.variant, source=asked.source)


def _judge(asked: argparse.Namespace, split: "Split", console: Console) -> None:
    from omnireid.files import sha256_of
    from omnireid.per_query import per_query, to_csv
    from omnireid.report import COLUMNS, Report, machine

    result = _result(asked, split)
    provenance = {
        "features": str(asked.features),
        "features_sha256": sha256_of(asked.features),
        "metric": asked.metric,
        "data": "; ".join((str(asked.data), *split.notes)),
        **machine(),
        "time": time.strftime("%Y-%m-%d %H:%M:%S %z"),
    }
    report = Report(result.evaluations, provenance)
    wide = console if console.is_terminal else Console(width=150, markup=False)
    shown = [place for place, name in enumerate(COLUMNS) if name not in ("query asks", "gallery has")]
    rows = [[row[place] for place in shown] for row in report.rows()]
    wide.print(table(f"{asked.features.name}, scores in percent", [COLUMNS[place] for place in shown], rows))
    if asked.json is not None:
        write_text(asked.json, report.to_json())
        console.print(f"the report is {asked.json}", highlight=False, soft_wrap=True)
    if asked.per_query is not None:
        lines = [line for scored in result.evaluations for line in per_query(scored, split.query)]
        write_text(asked.per_query, to_csv(lines))
        console.print(f"every query's scores are in {asked.per_query}", highlight=False, soft_wrap=True)
    if asked.html is not None:
        from omnireid.html_report import html_page

        title = f"{asked.features.name} on {split.name}"
        page = html_page(title, [result], provenance=provenance, introduction=f"Data: {asked.data}.")
        write_text(asked.html, page)
        console.print(f"the page is {asked.html}", highlight=False, soft_wrap=True)


def _result(asked: argparse.Namespace, split: "Split") -> "RowResult":
    from instructions.errors import InputError, near_miss
    from omnireid.benchmark import Row, RowResult, ranked_lists
    from omnireid.evaluation import check_protocol, judge
    from omnireid.feature_file import read_features
    from omnireid.protocols import suited_protocol
    from omnireid.tasks import TASKS

    metrics = ("cosine", "euclidean")
    if asked.metric not in metrics:
        hint = near_miss(asked.metric, metrics)
        raise InputError(f"--metric is {asked.metric!r}{hint}; known are {', '.join(metrics)}")
    named = asked.protocol or suited_protocol(asked.task, asked.dataset, asked.variant)
    protocols = [check_protocol(name.strip()).name for name in named.split(",")]
    file, task = read_features(asked.features), TASKS[asked.task]
    query, gallery = (
        file.side(split, side, task, ignore_extra=asked.ignore_extra) for side in ("query", "gallery")
    )
    name = asked.dataset if asked.variant is None else f"{asked.dataset} {asked.variant}"
    evaluations = tuple(
        replace(judge(query, gallery, protocol, metric=asked.metric), dataset=name) for protocol in protocols
    )
    instructions = None  # what another model was told, the file does not say
    lists = ranked_lists(split, instructions, evaluations[0], 3) if asked.html is not None else ()
    return RowResult(Row(asked.task, asked.dataset, protocols[0], asked.variant), evaluations, lists)


def _compare(asked: argparse.Namespace, console: Console) -> None:
    from omnireid.per_query import read_csv
    from omnireid.protocols import PROTOCOLS
    from omnireid.significance import Comparison, compare_tables

    found = compare_tables(*(read_csv(path) for path in asked.compare))

    def cells(measure: str, scores: Comparison) -> tuple[str, ...]:
        percents = (scores.first, scores.second)
        interval = f"{100 * scores.low:+.1f} to {100 * scores.high:+.1f}"
        counts = (str(scores.num_queries), str(scores.num_people))
        return (
            measure,
            *(f"{100 * value:.1f}" for value in percents),
            f"{100 * scores.difference:+.1f}",
            interval,
            f"{scores.p_value:.4f}",
            *counts,
        )

    rows = []
    for search, pair in found.items():
        title = PROTOCOLS[search.protocol].title if search.protocol in PROTOCOLS else search.protocol
        for measure, scores in zip(("mAP", "R1"), pair, strict=True):
            asks = search.query_asked or "–"
            rows.append((f"{search.task} {search.dataset}", title, asks, *cells(measure, scores)))
    first, second = (path.name for path in asked.compare)
    columns = ("data set", "protocol", "query asks", "score", first, second, "difference", "95 %", "p")
    wide = console if console.is_terminal else Console(width=150, markup=False)
    wide.print(table(f"{second} minus {first}, by person", (*columns, "queries", "people"), rows))
