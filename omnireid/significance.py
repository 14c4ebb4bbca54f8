"""Significance tests between two models: paired, on the same queries, resampling people.

The queries of one person tend to succeed or fail together, so people are permuted and resampled, not queries:
a test that treats queries as independent finds differences that are not there.
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
    """Second minus first, averaged over the queries that have an answer in both."""

    num_queries: int
    num_people: int
    first: float
    second: float
    difference: float
    low: float  # 95 % bootstrap interval of the difference, people drawn with replacement
    high: float
    p_value: float  # two-sided, of a permutation test that swaps the models person by person


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
        pids: Person of each query.
        num_draws: Number of permutations, and of bootstrap samples.
        seed: Of both.

    Raises:
        InputError: No query, or a single person, is left to compare.
    """
    answered = ~(np.isnan(first) | np.isnan(second))
    first, second, pids = first[answered], second[answered], pids[answered]
    people, rows = np.unique(pids, return_inverse=True)
    if len(people) < 2:
        raise InputError(
            f"{len(people)} people can be compared; the test resamples people and needs at least two"
        )
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
    """P value and ends of the interval, from each person's sum of differences and number of queries."""
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


@dataclass(frozen=True)
class Pair:
    """One search of two models; the labels of the instructions may differ, the queries do not."""

    first: Search
    second: Search
    precision: Comparison
    hits: Comparison


def compare_tables(first: Sequence[Scored], second: Sequence[Scored], *, seed: int = 0) -> list[Pair]:
    """AP and R1 of every search that both tables hold, in the order of the first.

    If no search of a row has the same instruction label in both (another model's feature file has no labels),
    the first search of each is compared: the one that the row is named after.

    Raises:
        InputError: The tables share no search, or their queries differ.
    """
    tables = [_by_search(table) for table in (first, second)]
    found = []
    for searches in _paired(*tables):
        sides = [table[search] for table, search in zip(tables, searches, strict=True)]
        queries = [[(line.query, line.pid) for line in side] for side in sides]
        if queries[0] != queries[1]:
            raise InputError(
                f"the queries of {searches[0].dataset} under {searches[0].protocol} differ between the two "
                "tables; evaluate both models on the same copy of the data set"
            )
        pids = np.array([line.pid for line in sides[0]])
        precision = [np.array([line.average_precision for line in side]) for side in sides]
        hits = [np.array([line.hit for line in side]) for side in sides]
        try:
            compared = [compare(one, other, pids, seed=seed) for one, other in (precision, hits)]
        except InputError as error:
            raise InputError(f"{' '.join(_place(searches[0]))}: {error}") from None
        found.append(Pair(*searches, *compared))
    if not found:
        held = [
            ", ".join(dict.fromkeys(" ".join(_place(search)) for search in table)) or "nothing"
            for table in tables
        ]
        raise InputError(
            "the two per-query tables share no task, data set and protocol: one holds "
            f"{'; the other holds '.join(held)}; evaluate both models alike (--dataset, --protocol)"
        )
    return found


def unpaired(first: Sequence[Scored], second: Sequence[Scored]) -> tuple[list[Search], list[Search]]:
    """The searches of each table that have no counterpart in the other."""
    tables = _by_search(first), _by_search(second)
    pairs = _paired(*tables)
    return (
        [search for search in tables[0] if search not in {one for one, _ in pairs}],
        [search for search in tables[1] if search not in {other for _, other in pairs}],
    )


Lines = dict[Search, list[Scored]]


def _paired(first: Lines, second: Lines) -> list[tuple[Search, Search]]:
    alike = {_place(search) for search in first if search in second}
    heads: list[dict[tuple[str, str, str], Search]] = [{}, {}]
    for head, table in zip(heads, (first, second), strict=True):
        for search in table:
            head.setdefault(_place(search), search)
    pairs = []
    for search in first:
        place = _place(search)
        if search in second:
            pairs.append((search, search))
        elif place not in alike and place in heads[1] and heads[0][place] == search:
            pairs.append((search, heads[1][place]))
    return pairs


def _place(search: Search) -> tuple[str, str, str]:
    return search.task, search.dataset, search.protocol


def _by_search(table: Sequence[Scored]) -> Lines:
    """Lines of each search; a bank's canonical sentence, evaluated twice by --every-sentence, counts once."""
    found: dict[Search, dict[int, Scored]] = {}
    for line in table:
        found.setdefault(line.search, {}).setdefault(line.query, line)
    return {search: list(lines.values()) for search, lines in found.items()}
