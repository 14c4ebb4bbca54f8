"""Random batches against graph sampling, one vector against a matcher, on data sets not trained on.

    python -m benchmarks.generalisable --out runs/generalisable

Draws three synthetic data sets, trains a small ViT (configs/mllm/reid_demo.yaml) on one of them in several
ways, and evaluates it on all three: MLLM's table 4 at small scale. In percent, one row per way.
"""

from __future__ import annotations

import argparse
import io
import json
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from irm.config import read_run
from irm.evaluation import evaluate_rows, open_run, rows_of, trained_embedder
from irm.training.run import train_run
from omnireid.files import write_whole
from omnireid.synthetic.presets import PRESETS, Counts
from omnireid.synthetic.write import write_omnireid
from tools import _program

SHEET = Path(__file__).parents[1] / "configs" / "mllm" / "reid_demo.yaml"
# As many people on either side as in the demo's Market-1501, so that a tenth of a point is not
# due to one person.
COUNTS = {
    "market1501": Counts(80, 40, 4, 2, 2, distractors=40, junk=16),
    "msmt17": Counts(80, 40, 4, 2, 2),
    "cuhk03": Counts(40, 40, 2, 2, 2),
}
MATCHER = ["model.matcher=64", "losses.weights.score_triplet=1"]
ALONE = ["losses.weights.identification=0", "losses.weights.adaptive_triplet=0"]
GRAPH = ["batch.sampling=graph"]
WAYS: dict[str, list[str]] = {
    "ID + triplet": [],
    "ID + triplet, graph": GRAPH,
    "QAConv": [*MATCHER, *ALONE],
    "QAConv, graph": [*MATCHER, *ALONE, *GRAPH],
    "both": MATCHER,
    "both, graph": [*MATCHER, *GRAPH],
}


@dataclass(frozen=True)
class Score:
    """One cell of the table."""

    way: str
    trained_on: str
    tested_on: str
    compared: str  # matcher or cosine
    seed: int
    mean_ap: float
    rank_1: float


def measure(way: str, trained_on: str, seed: int, out: Path, overrides: list[str]) -> list[Score]:
    """Train one way, or resume it, and evaluate it on all sets."""
    rows = [f"{{task: trad, dataset: {name}, protocol: market}}" for name in COUNTS]
    run = read_run(
        SHEET,
        [
            f"data={out / 'data'}",
            f"seed={seed}",
            f"mixture=[{{task: trad, dataset: {trained_on}}}]",
            f"evaluation=[{', '.join(rows)}]",
            *WAYS[way],
            *overrides,
        ],
    )
    folder = out / f"{way.replace(' ', '').replace('+', '-').replace(',', '-')}-{trained_on}-{seed}"
    train_run(run, folder, resume=True, console=Console(file=io.StringIO()))
    finished = open_run(folder)
    results = evaluate_rows(trained_embedder(finished), rows_of(finished), out / "data")
    return [
        Score(
            way,
            trained_on,
            result.row.dataset,
            "matcher" if one.is_matched else "cosine",
            seed,
            one.mean_ap,
            one.rank_1,
        )
        for result in results
        for one in result.evaluations
    ]


def main() -> None:
    """Measure every way and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of data, runs, scores")
    parser.add_argument("--ways", default=";".join(WAYS), metavar="w;...", help="which ways to train")
    parser.add_argument("--train", default="market1501,msmt17", metavar="d,...", help="sets to train on")
    parser.add_argument("--seeds", default="1", metavar="n,...", help="seeds of the runs")
    parser.add_argument("overrides", nargs="*", metavar="key.path=value", help="settings of every run")
    asked = parser.parse_intermixed_args()
    preset = replace(PRESETS["demo"], counts=COUNTS)
    if not (asked.out / "data").is_dir():
        write_omnireid(asked.out / "data", preset, seed=0, workers=1, datasets=list(COUNTS))
    for seed in map(int, asked.seeds.split(",")):
        for trained_on in asked.train.split(","):
            for way in asked.ways.split(";"):
                scores = measure(way, trained_on, seed, asked.out, asked.overrides)
                lines = "".join(json.dumps(vars(score)) + "\n" for score in scores)
                path = asked.out / f"scores-{way}-{trained_on}-{seed}.jsonl"
                write_whole(path, lines.encode())
                cells = " ".join(
                    f"{one.tested_on} {one.compared} {100 * one.mean_ap:.1f}/{100 * one.rank_1:.1f}"
                    for one in scores
                )
                print(f"{way:20} on {trained_on:10} seed {seed}: mAP/R1 {cells}", flush=True)


if __name__ == "__main__":
    _program.run(main)
