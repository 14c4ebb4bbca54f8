"""Evaluate a run: `python -m tools.evaluate RUN`, each task by its protocol; a table, JSON, one HTML page."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tools import _features as foreign
from tools._program import Parser, run, table, write_text

if TYPE_CHECKING:
    from irm.evaluation import Run
    from omnireid.benchmark import Row, RowResult
    from omnireid.html_report import Curve
    from omnireid.report import Report

EXAMPLE = """examples:
  python -m tools.evaluate runs/demo/run --untrained --html runs/demo/report.html
  python -m tools.evaluate runs/market --data data/omnireid --tasks trad --json market.json
  python -m tools.evaluate runs/omnireid --every-sentence      all twenty sentences of each bank

Features of any other model, judged in the same way:
  python -m tools.evaluate --features F.npz --data data/omnireid --dataset market1501 --task trad

F.npz holds one row a picture, by name or in the split's order (--order FILE writes that order); in Python:
  np.savez("F.npz", query=qf, gallery=gf, query_images=q_paths, gallery_images=g_paths)

Better, or lucky? Two tables that --per-query wrote, compared by person:
  python -m tools.evaluate --compare ours.csv theirs.csv

The rows of a run are those of its sheet's `evaluation:`; docs/protocols.md says what each protocol means."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = Parser(
        prog="python -m tools.evaluate",
        description="Evaluate a run, or another model's features, each task by its protocol.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("run", type=Path, metavar="RUN", nargs="?", help="folder that tools.train wrote")
    add("--data", type=Path, metavar="DIR", help="the folder that holds the data sets; else the sheet's")
    add("--tasks", metavar="t,...", help="only these tasks, e.g. trad,li")
    add("--json", type=Path, metavar="FILE", help="write the report (of a run: RUN/evaluation.json)")
    add("--html", type=Path, metavar="FILE", help="write one page with tables, curves and ranked lists")
    add("--per-query", type=Path, metavar="FILE", help="write every query's AP and R1 as a CSV table")
    add("--untrained", action="store_true", help="also evaluate the network before training")
    add(
        "--every-sentence",
        action="store_true",
        help="also each of a bank's twenty sentences, mean ± deviation",
    )
    add("--re-score", type=int, default=128, metavar="K", help="images that t2i scores again (128)")
    add("--precision", choices=("fp32", "bf16", "auto"), default="fp32", help="auto: bf16 on a GPU (fp32)")
    add("--match", type=int, metavar="K", help="pictures that a matcher scores for each picture; else all")
    add("--batch-size", type=int, default=128, metavar="N", help="pictures at a time (128)")
    add("--workers", type=int, default=0, metavar="N", help="processes that read pictures (0)")
    add("--reuse", action="store_true", help="keep a report that was made of this very model")
    foreign.add_options(made)
    return made


def main() -> None:
    """Parse, evaluate, print the table, write the files."""
    asked = parser().parse_args()
    if asked.run is None or asked.features or asked.compare:
        foreign.main(asked)
        return
    foreign.refuse_beside_a_run(asked)
    # Heavy imports wait until --help and mistyped options have had their say.
    from instructions.errors import InputError
    from irm.evaluation import open_run, report_of, rows_of

    for name in ("re_score", "match", "batch_size", "workers"):
        if (getattr(asked, name) or 0) < (1 if name == "batch_size" else 0):
            raise InputError(
                f"--{name.replace('_', '-')} is {getattr(asked, name)}; give a number above zero"
            )
    finished = open_run(asked.run)
    data = asked.data or Path(finished.sheet.data)
    rows = rows_of(
        finished, None if asked.tasks is None else [name.strip() for name in asked.tasks.split(",")]
    )
    path = asked.json or asked.run / "evaluation.json"
    console = Console(markup=False)
    if asked.reuse and (kept := _kept(asked, path, finished)) is not None:
        _print(console, *kept)
        console.print(f"{path} was made of this very model: reused", highlight=False, soft_wrap=True)
        return
    results, untrained = _evaluate(asked, finished, rows, data, console)
    report = report_of(finished, results, data, asked=_asked(asked))
    before = report_of(finished, untrained, data, asked=_asked(asked))
    path.parent.mkdir(parents=True, exist_ok=True)
    if untrained:
        before.write(_untrained_path(path))
    report.write(path)
    _print(console, report, before)
    if asked.per_query is not None:
        _write_per_query(asked.per_query, results, data)
        console.print(f"every query's scores are in {asked.per_query}", highlight=False, soft_wrap=True)
    if asked.html is not None:
        _write_page(asked.html, results, before, finished, report)
        console.print(f"the page is {asked.html}", highlight=False, soft_wrap=True)
    console.print(f"the report is {path}", highlight=False, soft_wrap=True)


def _asked(asked: argparse.Namespace) -> str:
    """What of the command line shapes a report."""
    names = ("tasks", "data", "re_score", "match", "every_sentence", "precision")
    return " ".join(f"{name}={getattr(asked, name)}" for name in names)


def _untrained_path(path: Path) -> Path:
    return path.with_name(f"{path.stem}-untrained{path.suffix}")


def _kept(asked: argparse.Namespace, path: Path, finished: "Run") -> "tuple[Report, Report] | None":
    """Reports on disk made of the same weights in the same way, with the page beside them."""
    from instructions.errors import InputError
    from omnireid.report import Report

    paths = [path, _untrained_path(path)] if asked.untrained else [path]
    wanted = [*paths, asked.html] if asked.html is not None else paths
    if not all(file.is_file() for file in wanted):
        return None
    try:
        reports = [Report.read(file) for file in paths]
    except InputError:
        return None
    made_of = {(report.provenance.get("model_sha256"), report.provenance.get("asked")) for report in reports}
    if made_of != {(finished.fingerprint(), _asked(asked))}:
        return None
    return reports[0], reports[1] if asked.untrained else Report(())


def _evaluate(
    asked: argparse.Namespace, finished: "Run", rows: "tuple[Row, ...]", data: Path, console: Console
) -> "tuple[list[RowResult], list[RowResult]]":
    from irm.evaluation import evaluate_rows, trained_embedder, untrained_embedder
    from omnireid.extraction import Settings

    settings = Settings(
        batch_size=asked.batch_size, workers=asked.workers, re_score=asked.re_score, match=asked.match
    )
    columns = (TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        line = bar.add_task("", total=None)

        def say(text: str) -> None:
            console.print(text, highlight=False)

        def show(what: str, done: int, total: int) -> None:
            bar.update(line, description=what, completed=done, total=total)

        results = evaluate_rows(
            trained_embedder(finished, precision=asked.precision),
            rows,
            data,
            settings=settings,
            every_sentence=asked.every_sentence,
            progress=show,
            say=say,
        )
        untrained = []
        if asked.untrained:
            embedder = untrained_embedder(finished, precision=asked.precision)
            untrained = evaluate_rows(
                embedder,
                rows,
                data,
                settings=settings,
                progress=show,
                say=lambda text: say(f"{text} (untrained)"),
            )
    return results, untrained


def _print(console: Console, report: "Report", untrained: "Report") -> None:
    from omnireid.summary import (
        HEADLINE_COLUMNS,
        SENTENCE_COLUMNS,
        STEERING_COLUMNS,
        headline_rows,
        sentence_rows,
        steering_rows,
    )

    wide = console if console.is_terminal else Console(width=150, markup=False)
    rows = headline_rows(report.evaluations, untrained.evaluations)
    wide.print(table("scores in percent", HEADLINE_COLUMNS, rows))
    if steered := steering_rows(report.evaluations):
        title = "mAP when the query carries the right instruction, somebody else's, or none"
        wide.print(table(title, STEERING_COLUMNS, steered))
    if worded := sentence_rows(report.evaluations):
        wide.print(table("every sentence of a bank: mean ± deviation", SENTENCE_COLUMNS, worded))


def _write_per_query(path: Path, results: "list[RowResult]", data: Path) -> None:
    from omnireid.per_query import per_query, to_csv

    lines = []
    for result in results:
        queries = result.row.split(data).query
        for evaluation in result.evaluations:
            lines += per_query(evaluation, queries)
    write_text(path, to_csv(lines))


def _write_page(
    path: Path, results: "list[RowResult]", untrained: "Report", finished: "Run", report: "Report"
) -> None:
    from omnireid.html_report import html_page

    page = html_page(
        f"One IRM on {len({result.row.task for result in results})} tasks",
        results,
        untrained=untrained.evaluations,
        curves=_curves(finished.folder / "metrics.jsonl"),
        provenance=report.provenance,
        introduction=f"Data: {report.provenance['data']}. Scores in percent; green is right, red is wrong.",
    )
    write_text(path, page)


def _curves(path: Path) -> "dict[str, list[Curve]]":
    """Loss of each task over the steps of a run, from its log."""
    from omnireid.html_report import Curve

    if not path.is_file():
        return {}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    domains = dict.fromkeys(domain for row in rows for domain in row["losses"])
    lines = [
        Curve(
            domain,
            [row["step"] for row in rows if domain in row["losses"]],
            [row["losses"][domain] for row in rows if domain in row["losses"]],
        )
        for domain in domains
    ]
    return {"loss of each task": lines}


if __name__ == "__main__":
    run(main)
