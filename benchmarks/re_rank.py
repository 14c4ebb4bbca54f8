"""CPU time and memory of k-reciprocal re-ranking: ours, a lower bound, and the usual implementation.

python -m benchmarks.re_rank --size market --torchreid ~/deep-person-reid

The lower bound is half of the products, tile by tile. torchreid contains the authors' Python program; it is
run if torchreid is installed or --torchreid names a checkout. At MSMT17 size a full matrix does not fit in
memory: ours passes rows to the evaluator one by one, and nothing else is run.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.measuring import Cost, measure
from benchmarks.random_features import SIZES, Side, draw_features
from omnireid.metrics import ExactDistances, RankingBuilder, re_rank, re_rank_blocks
from omnireid.protocols import PROTOCOLS
from tools import _program

TILE = 1024
MARKET = PROTOCOLS["market"]
COMPARED = 100  # queries whose values are compared
LIMIT, OURS, STREAMED, THEIRS = (
    "limit: half of the products",
    "ours",
    "ours, row by row to the evaluator",
    "torchreid",
)


@dataclass(frozen=True)
class Outcome:
    """The result of a case."""

    mean_ap: float
    head: np.ndarray  # of the matrix


def limit(query: Side, gallery: Side) -> None:
    """Each pair of the pool once, without using it."""
    pool = torch.from_numpy(np.concatenate([query.features, gallery.features]))
    tiles = pool.split(TILE)
    for number, rows in enumerate(tiles):
        for columns in tiles[number:]:
            rows @ columns.T


def ours(query: Side, gallery: Side) -> Outcome:
    return judge(re_rank(query.features, gallery.features).numpy(), query, gallery)


def streamed(query: Side, gallery: Side) -> Outcome:
    builder, head = RankingBuilder(), np.zeros((0, len(gallery.pids)), dtype=np.float32)
    for rows, distmat in re_rank_blocks(query.features, gallery.features):
        some = Side(query.features[rows], query.pids[rows], query.camids[rows])
        builder.add(ExactDistances(distmat.numpy()), *MARKET.judge(some, gallery))
        if len(head) < COMPARED:
            head = np.concatenate([head, distmat.numpy()])[:COMPARED]
    return Outcome(builder.ranking().mean_ap, head)


def theirs(re_ranking: Callable[..., np.ndarray], query: Side, gallery: Side) -> Outcome:
    left, right = (torch.from_numpy(side.features) for side in (query, gallery))
    between = (euclidean(*pair) for pair in ((left, right), (left, left), (right, right)))
    return judge(re_ranking(*between), query, gallery)


def euclidean(left: torch.Tensor, right: torch.Tensor) -> np.ndarray:
    squares = left.square().sum(dim=1, keepdim=True) + right.square().sum(dim=1) - 2 * left @ right.T
    return squares.clamp_(min=0).sqrt_().numpy()


def judge(distmat: np.ndarray, query: Side, gallery: Side) -> Outcome:
    """The mAP by the Market-1501 rule, one block of queries at a time."""
    builder = RankingBuilder()
    for first in range(0, len(distmat), COMPARED):
        rows = slice(first, first + COMPARED)
        some = Side(query.features[rows], query.pids[rows], query.camids[rows])
        builder.add(ExactDistances(distmat[rows]), *MARKET.judge(some, gallery))
    return Outcome(builder.ranking().mean_ap, distmat[:COMPARED].copy())


def find_reference(checkout: Path | None) -> Callable[..., np.ndarray] | None:
    """The re-ranking of torchreid, installed or from a checkout."""
    if checkout is not None:
        spec = importlib.util.spec_from_file_location(
            "rerank", checkout / "torchreid" / "utils" / "rerank.py"
        )
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.re_ranking
    try:
        return importlib.import_module("torchreid.utils.rerank").re_ranking
    except ImportError:
        return None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=SIZES, default="market")
    parser.add_argument("--torchreid", type=Path, help="a checkout")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    console = Console(width=110, markup=False)
    query, gallery = draw_features(SIZES[arguments.size])
    cases: dict[str, Callable[[Side, Side], object]] = {LIMIT: limit, STREAMED: streamed}
    if arguments.size != "msmt":
        cases[OURS] = ours
        reference = find_reference(arguments.torchreid)
        if reference is None:
            console.print("torchreid is not installed and --torchreid names no checkout: left out")
        else:
            cases[THEIRS] = partial(theirs, reference)
    little = tuple(Side(side.features[:200], side.pids[:200], side.camids[:200]) for side in (query, gallery))
    costs = {
        name: measure(partial(case, query, gallery), partial(case, *little)) for name, case in cases.items()
    }
    show(console, costs, len(query.pids), len(gallery.pids))
    if arguments.json:
        figures = {name: [cost.cpu_seconds, cost.megabytes] for name, cost in costs.items()}
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


def show(console: Console, costs: dict[str, Cost], num_query: int, num_gallery: int) -> None:
    """Print the table; the largest difference is taken over the first queries and the whole gallery."""
    table = Table(title=f"{num_query} + {num_gallery} images; time and memory with the ranking")
    for heading in ("", "CPU s", "× limit", "MB", "mAP", f"difference from {THEIRS}"):
        table.add_column(heading, justify="left" if not heading else "right")
    reference = costs[THEIRS].result if THEIRS in costs else None
    for name, cost in costs.items():
        found, difference = cost.result, ""
        if isinstance(found, Outcome) and isinstance(reference, Outcome):
            difference = f"{np.abs(found.head - reference.head).max():.1e}"
        table.add_row(
            name,
            f"{cost.cpu_seconds:.2f}",
            f"{cost.cpu_seconds / costs[LIMIT].cpu_seconds:.2f}",
            f"{cost.megabytes:.0f}",
            f"{found.mean_ap:.10f}" if isinstance(found, Outcome) else "",
            difference,
        )
    console.print(table)


if __name__ == "__main__":
    _program.run(main)
