"""Evaluate a model: `python -m tools.evaluate RUN`, each task by its protocol; a table, JSON, a page."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from tools import _evaluate_options as wanted
from tools import _features as foreign
from tools import _outcome as outcome
from tools._compare import compare
from tools._program import (
    need_libraries,
    print_line,
    program_parser,
    progress_bar,
    refuse_unwritable,
    run,
    waiting,
)

if TYPE_CHECKING:
    from rich.progress import Progress

    from irm.evaluation import Callbacks, Candidate
    from omnireid.benchmark import Row, RowResult
    from omnireid.report import Fact, Report

EXAMPLE = """examples:
  python -m tools.evaluate runs/demo/run --untrained --html runs/demo/report.html
  python -m tools.evaluate runs/market --data data/omnireid --tasks trad --json market.json
  python -m tools.evaluate runs/omnireid --every-sentence      all twenty sentences of each bank
  python -m tools.evaluate runs/omnireid --re-rank             also re-ranked, with k1,k2,lambda = 20,6,0.3

One data set and task in place of the sheet's rows; a checkpoint; a converted model with the rows of a sheet:
  python -m tools.evaluate runs/omnireid --dataset cuhk03 --task trad --protocol market,irm_released
  python -m tools.evaluate runs/omnireid/checkpoints/step-00008000 --tasks trad
  python -m tools.evaluate weights/irm_market --sheet configs/irm/released.yaml --tasks trad --data DIR

Features of any other model, evaluated in the same way; --save-features writes those of a run:
  python -m tools.evaluate runs/omnireid --save-features features
  python -m tools.evaluate --features F.npz --data data/omnireid --dataset market1501 --task trad

F.npz holds one row per image, by image name or in the split's order (--order FILE writes it); in Python:
  np.savez("F.npz", query=qf, gallery=gf, query_images=q_paths, gallery_images=g_paths)

Is a difference significant? Compare two tables written by --per-query, of runs or features:
  python -m tools.evaluate --compare ours.csv theirs.csv

Exit code 0: every row was evaluated; 3: a report was written, but some rows were left out, for reasons that
are printed and recorded in the report; 2: nothing could be evaluated.
docs/protocols.md describes each protocol."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = program_parser(
        "evaluate",
        "Evaluate a model, or features of another model, on each task under its protocol.",
        EXAMPLE,
    )
    add = made.add_argument
    add(
        "run",
        type=Path,
        metavar="RUN",
        nargs="?",
        help="run folder of tools.train, one of its checkpoints, or a model",
    )
    add("--json", type=Path, metavar="FILE", help="JSON report (default: RUN/evaluation[-OPTIONS].json)")
    add(
        "--html",
        type=Path,
        metavar="FILE",
        help="also write an HTML page with tables, curves and ranked lists",
    )
    add("--per-query", type=Path, metavar="FILE", help="also write each query's AP and R1 as a CSV table")
    add(
        "--save-features",
        type=Path,
        metavar="DIR",
        help="also save each row's features, to be read with --features",
    )
    add("--compare", type=Path, nargs=2, metavar="FILE", help="compare two tables written by --per-query")
    add("--reuse", action="store_true", help="reuse an existing report of the same model and options")
    wanted.add_options(made)
    foreign.add_options(made)
    return made


def main() -> None:
    """Parse, evaluate, print the table, write the files."""
    args = parser().parse_args()
    console = Console(markup=False)
    if args.compare:
        foreign.refuse_run(args, "--compare")
        _refuse_beside_tables(args)
        compare(args.compare, console)
        return
    if args.run is None or args.features:
        foreign.main(args, console)
        return
    foreign.refuse_beside_a_run(args)
    with waiting("loading the libraries"):
        # Imported here, so that --help and usage errors come quickly.
        from irm.evaluation import open_candidate, sentences_of

    candidate = open_candidate(args.run)
    rows, data = wanted.rows_and_data(args, candidate)
    path = wanted.report_path(args, candidate, is_partial=False)
    if args.reuse and (kept := _kept(args, path, candidate)) is not None:
        outcome.print_report(console, *kept)
        print_line(console, f"reused the report {path}: same model, same options")
        return
    refuse_unwritable(path, args.html, args.per_query, folder=args.save_features)
    if args.html is not None:
        need_libraries("--html", ("matplotlib",), extra="report")
    results, untrained, left_out = _evaluate(args, candidate, rows, data, console)
    _conclude(args, candidate, (results, untrained), data, left_out, console)
    outcome.warn([warning for result in results for warning in result.warnings] + sentences_of(left_out))
    if left_out:
        sys.exit(outcome.LEFT_OUT)


def _refuse_beside_tables(args: argparse.Namespace) -> None:
    """Two tables are compared as they are, and printed; whatever else was asked would be passed over."""
    from instructions.errors import InputError

    bare = vars(parser().parse_args(["--compare", *map(str, args.compare)]))
    for name, value in vars(args).items():
        if value != bare[name]:
            raise InputError(
                f"--{name.replace('_', '-')} has no effect with --compare, which only prints a table; drop it"
            )


def _conclude(
    args: argparse.Namespace,
    candidate: "Candidate",
    results: "tuple[list[RowResult], list[RowResult]]",
    data: Path,
    left_out: dict[str, str],
    console: Console,
) -> None:
    """Print the tables and write the files; the reports come last, to record the digests of the others."""
    from irm.evaluation import report_of

    report, before = (
        report_of(candidate, part, data, asked=wanted.told(args), left_out=left_out) for part in results
    )
    outcome.print_report(console, report, before)
    beside: dict[str, Fact] = {}
    try:
        if args.per_query is not None:
            outcome.write_per_query(args.per_query, results[0])
            print_line(console, f"wrote per-query scores to {args.per_query}")
        if args.html is not None:
            outcome.write_page(args.html, results[0], before, candidate.folder, report)
            print_line(console, f"wrote the HTML page to {args.html}")
        if args.save_features is not None:
            print_line(console, f"saved each row's features in {args.save_features}")
        beside = outcome.digests(_beside(args))
    finally:  # a page that cannot be made does not cost the numbers; without its digest it is not reused
        path = wanted.report_path(args, candidate, is_partial=bool(left_out))
        path.parent.mkdir(parents=True, exist_ok=True)
        for file, one in ((_untrained_path(path), before), (path, report)):
            if one.evaluations:
                replace(one, provenance={**one.provenance, **beside}).write(file)
        print_line(console, f"wrote the report to {path}")


def _untrained_path(path: Path) -> Path:
    return path.with_name(f"{path.stem}-untrained{path.suffix}")


def _beside(args: argparse.Namespace) -> dict[str, Path]:
    """What is to be written beside the report, by option."""
    files = {name: getattr(args, name) for name in ("html", "per_query", "save_features")}
    return {name: file for name, file in files.items() if file is not None}


def _kept(args: argparse.Namespace, path: Path, candidate: "Candidate") -> "tuple[Report, Report] | None":
    """Reports on disk made of the same weights in the same way, whole, with the very files made with them."""
    from instructions.errors import InputError
    from omnireid.report import Report

    paths = [path, _untrained_path(path)] if args.untrained else [path]
    beside = _beside(args)
    if not all(file.exists() for file in (*paths, *beside.values())):
        return None
    try:
        reports = [Report.read(file) for file in paths]
    except InputError:
        return None
    made_of = {
        "model_sha256": candidate.fingerprint(),
        "asked": wanted.told(args),
        "left_out": None,
        **outcome.digests(beside),
    }
    if any(report.provenance.get(fact) != value for report in reports for fact, value in made_of.items()):
        return None
    return reports[0], reports[1] if args.untrained else Report(())


def _evaluate(
    args: argparse.Namespace, candidate: "Candidate", rows: "tuple[Row, ...]", data: Path, console: Console
) -> "tuple[list[RowResult], list[RowResult], dict[str, str]]":
    """Results of the model and of the one before training, and why other rows have none, by their labels."""
    from instructions.errors import InputError
    from irm.evaluation import evaluate_rows, readable_rows, trained_embedder, untrained_embedder

    settings = wanted.settings_of(args)
    before = untrained_embedder(candidate, precision=args.precision) if args.untrained else None
    present, left_out = readable_rows(rows, data)
    results: list[RowResult] = []
    untrained: list[RowResult] = []
    if present:
        if left_out:
            print_line(console, f"left out (reasons at the end): {', '.join(left_out)}")
        embedder = trained_embedder(candidate, precision=args.precision)
        with progress_bar(console, 28) as bar:
            callbacks = _callbacks(args, bar, left_out)
            results = evaluate_rows(
                embedder,
                present,
                data,
                settings=settings,
                every_sentence=args.every_sentence,
                callbacks=callbacks,
            )
            if before is not None:
                told = replace(
                    callbacks,
                    log=lambda text: print_line(console, f"{text} (untrained)"),
                    on_features=None,
                )
                again = [result.row for result in results]
                untrained = evaluate_rows(before, again, data, settings=settings, callbacks=told)
    if not results:
        raise InputError("; ".join(dict.fromkeys(left_out.values())))
    return results, untrained, left_out


def _callbacks(args: argparse.Namespace, bar: "Progress", left_out: dict[str, str]) -> "Callbacks":
    """Shows on a bar how rows go on, and notes in ``left_out`` why one failed."""
    from irm.evaluation import Callbacks

    line = bar.add_task("", total=None)

    def failed(row: "Row", error: ValueError) -> None:
        left_out[row.label] = str(error)
        print_line(bar.console, f"{row.label} is left out: {error}")

    return Callbacks(
        progress=lambda what, done, total: bar.update(line, description=what, completed=done, total=total),
        log=lambda text: print_line(bar.console, text),
        on_features=None if args.save_features is None else outcome.keep_features(args.save_features),
        on_failure=failed,
    )


if __name__ == "__main__":
    run(main)
