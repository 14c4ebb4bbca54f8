"""Evaluate a model: `python -m tools.evaluate RUN`, each task by its protocol; a table, JSON, a page."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tools import _asked as wanted
from tools import _features as foreign
from tools import _outcome as outcome
from tools._compare import compare
from tools._program import Parser, run, say

if TYPE_CHECKING:
    from irm.embedder import IRMEmbedder
    from irm.evaluation import Candidate
    from omnireid.benchmark import Row, RowResult
    from omnireid.extraction import Settings
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
    made = Parser(
        prog="python -m tools.evaluate",
        description="Evaluate a model, or features of another model, on each task under its protocol.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
    asked = parser().parse_args()
    console = Console(markup=False)
    if asked.compare:
        foreign.refuse_run(asked, "--compare")
        _refuse_beside_tables(asked)
        compare(asked.compare, console)
        return
    if asked.run is None or asked.features:
        foreign.main(asked, console)
        return
    foreign.refuse_beside_a_run(asked)
    # Heavy imports wait until --help and mistyped options have had their say.
    from irm.evaluation import open_candidate, sentences_of

    candidate = open_candidate(asked.run)
    rows, data = wanted.rows_and_data(asked, candidate)
    path = wanted.report_path(asked, candidate, is_partial=False)
    if asked.reuse and (kept := _kept(asked, path, candidate)) is not None:
        outcome.print_tables(console, *kept)
        say(console, f"reused the report {path}: same model, same options")
        return
    outcome.refuse_unwritable(path, asked.html, asked.per_query, folder=asked.save_features)
    results, untrained, left_out = _evaluate(asked, candidate, rows, data, console)
    report, before = _reports(asked, candidate, (results, untrained), data, left_out)
    path = wanted.report_path(asked, candidate, is_partial=bool(left_out))
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, report, before, {})
    outcome.print_tables(console, report, before)
    if asked.per_query is not None:
        outcome.write_per_query(asked.per_query, results)
        say(console, f"wrote per-query scores to {asked.per_query}")
    if asked.html is not None:
        outcome.write_page(asked.html, results, before, candidate.folder, report)
        say(console, f"wrote the HTML page to {asked.html}")
    if asked.save_features is not None:
        say(console, f"saved each row's features in {asked.save_features}")
    if beside := outcome.digests(_beside(asked)):  # the numbers were written before what may fail
        _write(path, report, before, beside)
    say(console, f"wrote the report to {path}")
    outcome.warn([warning for result in results for warning in result.warnings] + sentences_of(left_out))
    if left_out:
        sys.exit(outcome.LEFT_OUT)


def _refuse_beside_tables(asked: argparse.Namespace) -> None:
    """Two tables are compared as they are, and printed; whatever else was asked would be passed over."""
    from instructions.errors import InputError

    bare = vars(parser().parse_args(["--compare", *map(str, asked.compare)]))
    for name, value in vars(asked).items():
        if value != bare[name]:
            raise InputError(
                f"--{name.replace('_', '-')} has no effect with --compare, which only prints a table; drop it"
            )


def _reports(
    asked: argparse.Namespace,
    candidate: "Candidate",
    results: "tuple[list[RowResult], list[RowResult]]",
    data: Path,
    left_out: dict[str, str],
) -> "tuple[Report, Report]":
    from irm.evaluation import report_of

    trained, untrained = (
        report_of(candidate, part, data, asked=wanted.told(asked), left_out=left_out) for part in results
    )
    return trained, untrained


def _untrained_path(path: Path) -> Path:
    return path.with_name(f"{path.stem}-untrained{path.suffix}")


def _beside(asked: argparse.Namespace) -> dict[str, Path]:
    """What is to be written beside the report, by option."""
    files = {name: getattr(asked, name) for name in ("html", "per_query", "save_features")}
    return {name: file for name, file in files.items() if file is not None}


def _write(path: Path, report: "Report", before: "Report", beside: "Mapping[str, Fact]") -> None:
    """Both reports, where there are two, with the digests of the files that were made with them."""
    for file, one in ((_untrained_path(path), before), (path, report)):
        if one.evaluations:
            replace(one, provenance={**one.provenance, **beside}).write(file)


def _kept(asked: argparse.Namespace, path: Path, candidate: "Candidate") -> "tuple[Report, Report] | None":
    """Reports on disk made of the same weights in the same way, whole, with the very files made with them."""
    from instructions.errors import InputError
    from omnireid.report import Report

    paths = [path, _untrained_path(path)] if asked.untrained else [path]
    beside = _beside(asked)
    if not all(file.exists() for file in (*paths, *beside.values())):
        return None
    try:
        reports = [Report.read(file) for file in paths]
    except InputError:
        return None
    made_of = {
        "model_sha256": candidate.fingerprint(),
        "asked": wanted.told(asked),
        "left_out": None,
        **outcome.digests(beside),
    }
    if any(report.provenance.get(fact) != value for report in reports for fact, value in made_of.items()):
        return None
    return reports[0], reports[1] if asked.untrained else Report(())


def _evaluate(
    asked: argparse.Namespace, candidate: "Candidate", rows: "tuple[Row, ...]", data: Path, console: Console
) -> "tuple[list[RowResult], list[RowResult], dict[str, str]]":
    """Results of the model and of the one before training, and why other rows have none, by their labels."""
    from instructions.errors import InputError
    from irm.evaluation import readable_rows, trained_embedder, untrained_embedder

    settings = wanted.settings_of(asked)
    before = untrained_embedder(candidate, precision=asked.precision) if asked.untrained else None
    present, left_out = readable_rows(rows, data)
    results: list[RowResult] = []
    untrained: list[RowResult] = []
    if present:
        if left_out:
            say(console, f"left out (reasons at the end): {', '.join(left_out)}")
        embedder = trained_embedder(candidate, precision=asked.precision)
        judge = _Judge(asked, settings, data, console, left_out)
        results = judge.judge(embedder, present)
        if before is not None:
            untrained = judge.judge(before, [result.row for result in results], " (untrained)")
    if not results:
        raise InputError("; ".join(dict.fromkeys(left_out.values())))
    return results, untrained, left_out


class _Judge:
    """Judges rows before the eyes of whoever waits, and notes those that fail."""

    def __init__(
        self,
        asked: argparse.Namespace,
        settings: "Settings",
        data: Path,
        console: Console,
        left_out: dict[str, str],
    ) -> None:
        self.asked, self.settings, self.data = asked, settings, data
        self.console, self.left_out = console, left_out

    def judge(self, embedder: "IRMEmbedder", rows: "Sequence[Row]", which: str = "") -> "list[RowResult]":
        """Every row in turn; ``which`` stands behind the time that it took."""
        from irm.evaluation import Listener, evaluate_rows

        folder = None if which else self.asked.save_features
        columns = (
            TextColumn("{task.description:<28}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        is_seen = self.console.is_terminal
        with Progress(*columns, console=self.console, transient=True, disable=not is_seen) as bar:
            line = bar.add_task("", total=None)

            def show(what: str, done: int, total: int) -> None:
                bar.update(line, description=what, completed=done, total=total)

            def failed(row: "Row", error: ValueError) -> None:
                self.left_out[row.label] = str(error)
                say(self.console, f"{row.label} is left out: {error}")

            listener = Listener(
                progress=show,
                say=lambda text: say(self.console, text + which),
                on_features=None if folder is None else outcome.keep_features(folder),
                on_failure=failed,
            )
            return evaluate_rows(
                embedder,
                rows,
                self.data,
                settings=self.settings,
                every_sentence=self.asked.every_sentence and not which,
                listener=listener,
            )


if __name__ == "__main__":
    run(main)
