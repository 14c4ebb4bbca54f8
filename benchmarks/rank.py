"""CPU time and memory of ranking from features: ours, a lower bound, and public evaluators.

python -m benchmarks.rank --size market --torchreid ~/deep-person-reid

All times include the distances. The lower bound is the tiled matrix product alone. torchreid's Cython
evaluator and torchmetrics are run if they are installed; --torchreid names a checkout in which
torchreid/metrics/rank_cylib has been built. At MSMT17 size they are run on --peer-queries queries and their
cost, which is linear in queries, is scaled up.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import statistics
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.measuring import Cost, measure
from benchmarks.random_features import SIZES, Side, draw_features
from omnireid.metrics import Ranking, rank, rank_features, rank_protocols
from omnireid.protocols import PROTOCOLS
from tools import _program

TILE = 512, 1024
MARKET = PROTOCOLS["market"]
ALL = [PROTOCOLS[name] for name in ("market", "clothes_general", "irm_released", "text_to_image")]
LIMIT, OURS, FOUR, CYTHON, TORCHMETRICS = (
    "limit: tiled product alone",
    "ours, exact",
    "ours, four protocols",
    "torchreid, Cython",
    "torchmetrics RetrievalMAP",
)


def limit(query: Side, gallery: Side) -> None:
    """Every product, without using it."""
    left, right = torch.from_numpy(query.features), torch.from_numpy(gallery.features)
    tile = torch.empty(TILE)
    for rows in left.split(TILE[0]):
        for columns in right.split(TILE[1]):
            out = tile if (len(rows), len(columns)) == TILE else torch.empty(len(rows), len(columns))
            torch.mm(rows, columns.T, out=out)


def ours(query: Side, gallery: Side) -> Ranking:
    return rank_features(query.features, gallery.features, query, gallery, MARKET)


def four(query: Side, gallery: Side) -> list[Ranking]:
    return rank_protocols(query.features, gallery.features, query, gallery, ALL)


def cosine_distances(query: Side, gallery: Side) -> np.ndarray:
    """As torchreid computes them: one product of all."""
    return (1 - torch.from_numpy(query.features) @ torch.from_numpy(gallery.features).T).numpy()


def torchreid_cython(evaluate: Callable) -> Callable[[Side, Side], float]:
    def run(query: Side, gallery: Side) -> float:
        distmat = cosine_distances(query, gallery)
        return evaluate(distmat, query.pids, gallery.pids, query.camids, gallery.camids, 50)[1]

    return run


def torchmetrics(query: Side, gallery: Side) -> float:
    """Mean AP with the camera rule applied by hand; the library does not have it."""
    from torchmetrics.retrieval import RetrievalMAP

    # It accepts only scores above 0.
    scores = torch.from_numpy(2 - cosine_distances(query, gallery))
    relevant, keep = (torch.from_numpy(mask) for mask in MARKET.judge(query, gallery))
    indexes = torch.arange(len(query.pids))[:, None].expand_as(keep)
    metric = RetrievalMAP(empty_target_action="skip")
    metric.update(scores[keep], relevant[keep], indexes=indexes[keep])
    return float(metric.compute())


def find_cython(checkout: Path | None) -> Callable | None:
    """The Cython evaluator of torchreid, installed or from a checkout."""
    if checkout is not None:
        built = sorted((checkout / "torchreid" / "metrics" / "rank_cylib").glob("rank_cy.*.so"))
        if not built:
            return None
        spec = importlib.util.spec_from_file_location("rank_cy", built[0])
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.evaluate_cy
    try:
        return importlib.import_module("torchreid.metrics.rank_cylib.rank_cy").evaluate_cy
    except ImportError:
        return None


def check_exact(query: Side, gallery: Side, ranking: Ranking, num: int) -> int:
    """Number of queries, among the given first ones, whose ranks differ from those of float64 distances."""
    some = first_rows(query, num)
    distmat = -(some.features.astype(np.float64) @ gallery.features.astype(np.float64).T)
    for side, axis in ((some, 1), (gallery, 0)):
        distmat /= np.expand_dims(np.linalg.norm(side.features.astype(np.float64), axis=1), axis)
    expected = rank(distmat, *MARKET.judge(some, gallery))
    same = np.equal(expected.average_precision, ranking.average_precision[:num])
    return int((~same & ~np.isnan(expected.average_precision)).sum())


def first_rows(query: Side, num: int) -> Side:
    return Side(query.features[:num], query.pids[:num], query.camids[:num])


def run_cases(
    cases: dict[str, Callable[[Side, Side], object]],
    query: Side,
    gallery: Side,
    repeats: int,
    peer_queries: int,
) -> dict[str, list[Cost]]:
    """Run the cases in turn, round after round."""
    costs: dict[str, list[Cost]] = {name: [] for name in cases}
    little = first_rows(query, 600), first_rows(gallery, 1200)
    for _ in range(repeats):
        for name, case in cases.items():
            asking = first_rows(query, peer_queries) if name in (CYTHON, TORCHMETRICS) else query
            share = len(query.pids) / len(asking.pids)
            cost = measure(partial(case, asking, gallery), partial(case, *little))
            costs[name].append(Cost(cost.cpu_seconds * share, cost.megabytes * share, cost.result))
    return costs


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=SIZES, default="market")
    parser.add_argument("--repeats", type=int, default=3, help="rounds; the median counts")
    parser.add_argument("--torchreid", type=Path, help="a checkout with the Cython evaluator built")
    parser.add_argument("--peer-queries", type=int, help="queries that peers are run on, scaled up; all")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    console = Console(width=110, markup=False)
    query, gallery = draw_features(SIZES[arguments.size])
    cases: dict[str, Callable[[Side, Side], object]] = {LIMIT: limit, OURS: ours, FOUR: four}
    evaluate = find_cython(arguments.torchreid)
    if evaluate is None:
        console.print(
            "torchreid's Cython evaluator is not installed and --torchreid names no built one: left out"
        )
    else:
        cases[CYTHON] = torchreid_cython(evaluate)
    if importlib.util.find_spec("torchmetrics"):
        cases[TORCHMETRICS] = torchmetrics
    else:
        console.print("torchmetrics is not installed: left out")
    peer_queries = arguments.peer_queries or len(query.pids)
    costs = run_cases(cases, query, gallery, arguments.repeats, peer_queries)
    show(console, costs, query, gallery, arguments)


def show(
    console: Console, costs: dict[str, list[Cost]], query: Side, gallery: Side, arguments: argparse.Namespace
) -> None:
    """Print the table, and write the figures if requested."""
    seconds = {name: statistics.median(cost.cpu_seconds for cost in runs) for name, runs in costs.items()}
    table = Table(
        title=f"{len(query.pids)} queries × {len(gallery.pids)} gallery images × {query.features.shape[1]}"
    )
    for heading in ("", "CPU s", "× limit", "ours is faster by", "MB", "mAP"):
        table.add_column(heading, justify="left" if not heading else "right")
    figures = {}
    for name, runs in costs.items():
        result = runs[-1].result
        found = result[0] if isinstance(result, list) else result
        mean_ap = found.mean_ap if isinstance(found, Ranking) else found
        memory = max(cost.megabytes for cost in runs)
        figures[name] = {"cpu_seconds": seconds[name], "megabytes": memory, "mean_ap": mean_ap}
        table.add_row(
            name,
            f"{seconds[name]:.2f}",
            f"{seconds[name] / seconds[LIMIT]:.2f}",
            f"{seconds[name] / seconds[OURS]:.1f}",
            f"{memory:.0f}",
            "" if mean_ap is None else f"{mean_ap:.10f}",
        )
    console.print(table)
    ranking = costs[OURS][0].result
    assert isinstance(ranking, Ranking)
    num = min(400, len(query.pids))
    wrong = check_exact(query, gallery, ranking, num)
    console.print(f"{wrong} of {num} queries have average precisions other than those of float64 distances")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    _program.run(main)
