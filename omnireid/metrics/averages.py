"""Average precision: rounded once, or in the exact arithmetic of a public evaluator."""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Int

from instructions.errors import InputError

Compat = Literal["torchreid", "torchreid_cython"]


def check_compat(compat: str | None) -> None:
    """Refuse an evaluator whose arithmetic is not imitated here.

    Raises:
        InputError: It is unknown.
    """
    if compat is not None and compat not in get_args(Compat):
        raise InputError(f"compat is {compat!r}; known are {', '.join(get_args(Compat))}, or None")


def average_precisions(
    ranks: Int[np.ndarray, " n"],
    counts: Int[np.ndarray, " Q"],
    found: Int[np.ndarray, " Q"],
    num_kept: Int[np.ndarray, " Q"],
    *,
    compat: Compat | None,
) -> Float[np.ndarray, " Q"]:
    """Average precision of each query; nan where it has no right answer.

    Args:
        ranks: Ranks of the right answers, query by query, nearest first.
        counts: Number of right answers of each query.
        found: How many of them, nearest first, enter the average.
        num_kept: Length of each query's ranked list, without junk.
        compat: None rounds each average once, so that it does not depend on the order of additions.
            "torchreid" adds as numpy does over the whole list, "torchreid_cython" in float32, one by one.
    """
    starts = counts.cumsum() - counts
    hits = np.arange(len(ranks)) - np.repeat(starts, counts) + 1
    precisions = hits / ranks
    averages = np.full(len(counts), np.nan)
    held = precisions.tolist() if compat is None else []
    for row in counts.nonzero()[0].tolist():
        start, stop = int(starts[row]), int(starts[row] + found[row])
        if compat is None:
            averages[row] = math.fsum(held[start:stop]) / max(stop - start, 1)
        elif compat == "torchreid":
            whole = np.zeros(num_kept[row])
            whole[ranks[start:stop] - 1] = precisions[start:stop]
            averages[row] = whole.sum() / max(stop - start, 1)
        else:
            total = np.float32(0)
            for precision in precisions[start:stop]:
                total = np.float32(np.float64(total) + precision)
            averages[row] = total / np.float32(max(stop - start, 1))
    return averages


def mean(values: Float[np.ndarray, " Q"], *, compat: Compat | None = None) -> float:
    """Mean of the values that are not nan, rounded once: the order of the queries changes no bit of it."""
    valid = values[~np.isnan(values)]
    if not len(valid):
        return math.nan
    if compat == "torchreid":
        return float(valid.mean())
    if compat == "torchreid_cython":
        return float(np.add.accumulate(valid.astype(np.float32))[-1] / np.float32(len(valid)))
    return math.fsum(valid.tolist()) / len(valid)
