"""Is one model better than another, or lucky? Paired, by person, over the same queries.

The pictures of one person succeed or fail together, so people are exchanged and drawn, not queries: a test
that treats queries as independent finds differences that are not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from instructions.errors import InputError
from omnireid.per_query import Scored, Search


@dataclass(frozen=True)
class Comparison:
    """Second minus first, averaged over the queries that both could answer."""

    num_queries: int
    num_people: int
    first: float
    second: float
    difference: float
    low: float  # 95 % interval of the difference, people drawn with replacement
    high: float
    p_value: float  # two-sided: how often such a difference comes about when models swap person by person


def compare(
    first: Float[np.ndarray, " Q"],
    second: Float[np.ndarray, " Q"],
    pids: Int[np.ndarray, " Q"],
    *,
    num_draws: int = 9_999,
    seed: int = 0,
) -> Comparison:
    """Compare two models on scores of the same queries, by scipy's permutation test and bootstrap.

    Args:
        first: Scores of one model, e.g. average precision; nan where a query has no answer.
        second: Scores of the other on the same queries.
        pids: Who each query shows.
        num_draws: Permutations, and bootstrap samples.
        seed: Of both.

    Raises:
        InputError: No query, or a single person, is left to compare.
    """
    answered = ~(np.isnan(first) | np.isnan(second))
    first, second, pids = first[answered], second[answered], pids[answered]
    people, rows = np.unique(pids, return_inverse=True)
    if len(people) < 2:
        raise InputError(f"{len(people)} people are left to compare; a test by person needs two or more")
    sums = np.bincount(rows, weights=second - first)
    counts = np.bincount(rows).astype(float)

    p_value, low, high = _tested(sums, counts, num_draws, seed)
    return Comparison(
        num_queries=len(first),
        num_people=len(people),
        first=float(first.mean()),
        second=float(second.mean()),
        difference=float(sums.sum() / counts.sum()),
        low=low,
        high=high,
        p_value=p_value,
    )


def _tested(
    sums: Float[np.ndarray, " P"], counts: Float[np.ndarray, " P"], num_draws: int, seed: int
) -> tuple[float, float, float]:
    """The p value, and the ends of the interval, from each person's sum of differences and queries."""
    from scipy import stats

    def difference(sums: np.ndarray, axis: int = -1) -> np.ndarray:
        return sums.sum(axis=axis) / counts.sum()

    def drawn_difference(sums: np.ndarray, counts: np.ndarray, axis: int = -1) -> np.ndarray:
        return sums.sum(axis=axis) / counts.sum(axis=axis)

    test = stats.permutation_test(
        (sums,),
        difference,
        permutation_type="samples",
        n_resamples=num_draws,
        batch=1_000,
        rng=np.random.default_rng(seed),
    )
    interval = stats.bootstrap(
        (sums, counts),
        drawn_difference,
        paired=True,
        n_resamples=num_draws,
        batch=1_000,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(test.pvalue), float(interval.low), float(interval.high)


def compare_tables(
    first: Sequence[Scored], second: Sequence[Scored], *, seed: int = 0
) -> dict[Search, tuple[Comparison, Comparison]]:
    """AP and R1 of every search that both tables hold, in the order of the first.

    Raises:
        InputError: The tables share no search, or their queries differ.
    """
    tables = [_by_search(table) for table in (first, second)]
    shared = [search for search in tables[0] if search in tables[1]]
    if not shared:
        raise InputError("the two per-query tables share no task, data set, protocol and instruction")
    found = {}
    for search in shared:
        lines = [table[search] for table in tables]
        if [(line.query, line.pid) for line in lines[0]] != [(line.query, line.pid) for line in lines[1]]:
            raise InputError(
                f"the queries of {search.dataset} under {search.protocol} differ between the two tables; "
                "evaluate both models on the same copy of the data set"
            )
        pids = np.array([line.pid for line in lines[0]])
        precision = [np.array([line.average_precision for line in side]) for side in lines]
        hits = [np.array([line.hit for line in side]) for side in lines]
        found[search] = (
            compare(precision[0], precision[1], pids, seed=seed),
            compare(hits[0], hits[1], pids, seed=seed),
        )
    return found


def _by_search(table: Sequence[Scored]) -> dict[Search, list[Scored]]:
    found: dict[Search, list[Scored]] = {}
    for line in table:
        found.setdefault(line.search, []).append(line)
    return found
