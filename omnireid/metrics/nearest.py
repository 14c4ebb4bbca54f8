"""The top of a ranked list; ties go to the lower gallery index, as in the metrics."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int
from torch import Tensor

from omnireid.metrics.query_ranks import Distances


def nearest(distances: Float[Tensor, "B G"], k: int) -> Int[Tensor, "B k"]:
    """Gallery indices of the k smallest distances of each row, nearest first; fewer columns where G < k.

    >>> import torch
    >>> nearest(torch.tensor([[0.5, 0.1, 0.1, 0.9]]), 2).tolist()
    [[1, 2]]
    """
    k = min(k, distances.shape[1])
    values, columns = distances.topk(k, dim=1, largest=False)
    columns, order = columns.sort(dim=1)
    columns = columns.gather(1, values.gather(1, order).argsort(dim=1, stable=True))
    # topk picks any of the ties at its edge: choose again in the rows where it had a choice.
    edge = distances.gather(1, columns[:, -1:])
    for row in ((distances <= edge).sum(dim=1) > k).nonzero()[:, 0].tolist():
        candidates = (distances[row] <= edge[row]).nonzero()[:, 0]
        columns[row] = candidates[distances[row, candidates].argsort(stable=True)[:k]]
    return columns


def nearest_exactly(
    distances: Distances, row: int, k: int, keep: Bool[np.ndarray, " G"] | None = None
) -> Int[np.ndarray, " k"]:
    """Gallery indices of a query's k nearest by exact distance, nearest first, without junk.

    Args:
        distances: Distances of the block that contains the query.
        row: The query's row in the block.
        k: At most how many.
        keep: False at junk; None keeps all.
    """
    values = distances.values[row]
    columns = np.arange(len(values)) if keep is None else keep.nonzero()[0]
    if k < len(columns):
        # The k nearest are among those whose value is within twice the slack of the k-th smallest value.
        reach = np.partition(values[columns], k - 1)[k - 1] + 2 * np.max(distances.slack(row))
        columns = columns[values[columns] <= reach]
    return columns[distances.exact(row, columns).argsort(kind="stable")[:k]]
