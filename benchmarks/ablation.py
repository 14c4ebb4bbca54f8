"""Tables 2 to 5 at small scale: one sheet trained whole, without a part, and per task, over several seeds.

python -m tools.synthesize --out data/demo --preset demo
python -m benchmarks.ablation --data data/demo --out runs/ablation
python -m benchmarks.ablation --data data/demo --out runs/ablation --variants all no_editing --seeds 1 2

Each variant and seed is a run of its own (`single`: one per task). Finished runs are kept, so the same
command resumes where it was stopped; of a finished run the report is kept and the weights are deleted. Prints
mAP in percent, mean ± sample deviation over the seeds. `key.path=value` after `--` changes the sheet of every
run.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from instructions.errors import InputError
from irm.config import dump, read_run
from irm.evaluation import evaluate_rows, open_run, report_of, rows_of, trained_embedder
from irm.schema import IRMRun
from irm.training.run import train_run
from omnireid.evaluation import Evaluation
from omnireid.extraction import Settings
from omnireid.report import Report
from omnireid.summary import QUERY_MODES, headlines
from omnireid.tasks import TASKS
from tools import _program

# Changes of each variant to the sheet; "single" also takes one task of the mixture at a time (table 2's STL).
VARIANTS: dict[str, tuple[str, ...]] = {
    "all": (),
    "no_editing": ("model.editing=false",),
    "no_adaptive": ("losses.adaptive_triplet.adaptive=false",),
    "single": (),
}


@dataclass(frozen=True)
class Job:
    """One training run of the grid."""

    variant: str
    seed: int
    sheet: IRMRun
    folder: Path

    @property
    def report(self) -> Path:
        """The report, which is what is kept."""
        return self.folder / "report.json"


def jobs(
    config: Path,
    data: Path,
    out: Path,
    variants: Sequence[str],
    seeds: Sequence[int],
    overrides: Sequence[str],
) -> Iterator[Job]:
    """The grid, seed by seed, so that a stopped run leaves complete columns of few seeds."""
    for seed in seeds:
        for variant in variants:
            sheet = read_run(config, [*overrides, *VARIANTS[variant], f"seed={seed}"])
            sheet = sheet.model_copy(update={"data": str(data)})
            folder = out / variant / f"seed{seed}"
            if variant != "single":
                yield Job(variant, seed, sheet, folder)
                continue
            for task in dict.fromkeys(row.task for row in sheet.mixture):
                yield Job(variant, seed, of_task(sheet, task), folder / task)


def of_task(sheet: IRMRun, task: str) -> IRMRun:
    """The sheet with one task of its mixture."""
    parts: dict[str, object] = {
        "mixture": tuple(row for row in sheet.mixture if row.task == task),
        "evaluation": tuple(row for row in sheet.evaluation if row.task == task),
    }
    if TASKS[task].objective == "image_text":  # which has no classifier with a learning rate of its own
        rates = {name: rate for name, rate in sheet.optimizer.lr_multipliers.items() if name != "objectives"}
        parts["optimizer"] = sheet.optimizer.model_copy(update={"lr_multipliers": rates})
    return sheet.model_copy(update=parts)


def finish(job: Job, settings: Settings, console: Console) -> Report:
    """The report of a job, computed or read.

    Raises:
        InputError: the folder has the report of another sheet.
    """
    if job.report.is_file():
        report = Report.read(job.report)
        if report.provenance["config_sha256"] != hashlib.sha256(dump(job.sheet).encode()).hexdigest():
            raise InputError(f"{job.report} is of another sheet; choose another --out, or remove it")
        return report
    console.print(f"{job.folder}: {job.sheet.optimizer.steps} steps", highlight=False, soft_wrap=True)
    train_run(job.sheet, job.folder / "run", resume=True, console=console)
    run, data = open_run(job.folder / "run"), Path(job.sheet.data)
    results = evaluate_rows(trained_embedder(run), rows_of(run), data, settings=settings)
    report = report_of(run, results, data, asked="benchmarks.ablation")
    report.write(job.report)
    shutil.rmtree(run.folder)
    return report


def scores(evaluations: Sequence[Evaluation]) -> dict[str, float]:
    """The mAP of every row of the sheet, and the gain of the right instruction over a wrong one and none."""
    found: dict[str, float] = {}
    for scored in headlines(evaluations):  # the first of a row is its own, others repeat it differently
        found.setdefault(f"{scored.task}, {scored.dataset}, {scored.protocol}", 100 * scored.mean_ap)
    for asked, base in (("own", "wrong"), ("neutral", "none")):
        steered: dict[tuple[str, str], dict[str, float]] = {}
        for scored in evaluations:
            if scored.query_asked in QUERY_MODES and scored.gallery_asked.startswith(asked):
                place = (scored.task, scored.protocol)
                steered.setdefault(place, {})[scored.query_asked] = 100 * scored.mean_ap
        for (task, protocol), modes in steered.items():
            name = f"{task}, {asked} gallery, {protocol}: right − {base}"
            found[name] = modes["right"] - modes[base]
    return found


def table(found: dict[str, dict[int, dict[str, float]]]) -> str:
    """A Markdown table: one row per score, one column per variant, mean ± sample deviation over its seeds."""
    names = dict.fromkeys(
        name for by_seed in found.values() for scored in by_seed.values() for name in scored
    )
    lines = [f"| mAP, % | {' | '.join(found)} |", f"|---|{'--:|' * len(found)}"]
    for name in names:
        cells = [
            _cell([scored[name] for scored in by_seed.values() if name in scored])
            for by_seed in found.values()
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    seeds = [", ".join(map(str, by_seed)) for by_seed in found.values()]
    return "\n".join([*lines, f"| seeds | {' | '.join(seeds)} |"])


def _cell(values: Sequence[float]) -> str:
    if not values:
        return "-"
    mean = f"{statistics.fmean(values):.1f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, default=Path("configs/irm/demo.yaml"))
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the data sets")
    parser.add_argument(
        "--out", type=Path, required=True, help="output folder; one folder per variant and seed is kept in it"
    )
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--re-score", type=int, default=8, help="images re-scored per t2i query (8)")
    parser.add_argument("overrides", nargs="*", metavar="key.path=value")
    asked = parser.parse_args()
    console, settings = Console(markup=False), Settings(re_score=asked.re_score)
    found: dict[str, dict[int, dict[str, float]]] = {variant: {} for variant in asked.variants}
    for job in jobs(asked.config, asked.data, asked.out, asked.variants, asked.seeds, asked.overrides):
        report = finish(job, settings, console)
        found[job.variant].setdefault(job.seed, {}).update(scores(report.evaluations))
    print(table(found))


if __name__ == "__main__":
    _program.run(main)
