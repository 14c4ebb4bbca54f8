"""k-reciprocal re-ranking (Zhong et al., CVPR 2017): those who choose each other count as near."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy import sparse
from torch import Tensor

from instructions.errors import InputError
from omnireid.metrics.distances import checked
from omnireid.metrics.nearest import nearest
from omnireid.metrics.ranking import Array, row_blocks


def re_rank(
    query_features: Array,
    gallery_features: Array,
    k1: int = 20,
    k2: int = 6,
    lambda_value: float = 0.3,
) -> Float[Tensor, "Q G"]:
    """Jaccard distance of reciprocal neighbourhoods, blended with the squared Euclidean one; in [0, 1].

    Queries and gallery form one pool of N images. Memory is (Q G) for the result and about N x k1 x k2
    numbers besides, never (N N).

    Args:
        query_features: (Q D), tensor or numpy array; L2-normalise first where cosine is meant.
        gallery_features: (G D).
        k1: Neighbours in which reciprocity is asked.
        k2: Neighbours over which neighbourhoods are averaged; 1 leaves them.
        lambda_value: Weight of the original distance, which is scaled by its largest value in each query's
            row over the whole pool.

    Raises:
        InputError: Features are not finite or do not fit, or a parameter is out of range.
    """
    query, gallery = checked(query_features, gallery_features)
    if k1 < 1 or k2 < 1 or not 0 <= lambda_value <= 1:
        raise InputError(
            f"k1 is {k1}, k2 {k2}, lambda_value {lambda_value}; two count from 1, the last is a share"
        )
    num_queries = len(query)
    pool = torch.cat([query, gallery]).cpu().double()
    neighbours, largest, original = _pool_neighbours(pool, num_queries, max(k1 + 1, k2))
    weights = _weights(_neighbourhoods(neighbours, k1), pool, largest)
    if k2 > 1:
        weights = _links(neighbours[:, :k2]) @ weights / min(k2, len(pool))
    columns = weights[num_queries:].tocsc()
    final = original.mul_(lambda_value)
    for row in range(num_queries):
        shared = torch.from_numpy(_overlap(weights[[row]], columns))
        final[row] += (1 - lambda_value) * (1 - shared / (2 - shared))
    return final.float()


def _pool_neighbours(
    pool: Float[Tensor, "N D"], num_queries: int, k: int
) -> tuple[Int[np.ndarray, "N k"], Float[np.ndarray, " N"], Float[Tensor, "Q G"]]:
    """Nearest k of everybody, everybody's largest squared distance, and the queries' rows scaled by it."""
    lengths = pool.square().sum(dim=1)
    original = pool.new_empty(num_queries, len(pool) - num_queries)
    largest = pool.new_empty(len(pool), 1)
    columns = []
    for rows in row_blocks(len(pool), len(pool)):
        squares = (lengths[rows, None] + lengths - 2 * pool[rows] @ pool.T).clamp_(min=0)
        own = torch.arange(rows.start, rows.stop)
        squares[own - rows.start, own] = 0
        columns.append(nearest(squares, k))
        peak = squares.amax(dim=1, keepdim=True)
        largest[rows] = torch.where(peak > 0, peak, 1.0)
        queries = max(0, min(rows.stop, num_queries) - rows.start)
        scaled = squares[:queries, num_queries:] / largest[rows][:queries]
        original[rows.start : rows.start + queries] = scaled
    return torch.cat(columns).numpy(), largest[:, 0].numpy(), original


def _links(neighbours: Int[np.ndarray, "N k"]) -> sparse.csr_array:
    """A with A[i, j] = 1 where j is a neighbour of i."""
    num, k = neighbours.shape
    links = sparse.csr_array(
        (np.ones(num * k), neighbours.flatten(), np.arange(0, num * k + 1, k)), shape=(num, num)
    )
    links.sort_indices()
    return links


def _neighbourhoods(neighbours: Int[np.ndarray, "N k"], k1: int) -> sparse.csr_array:
    """Reciprocal neighbours, joined by half neighbourhoods that lie mostly within; not 0 at members."""
    wide = _links(neighbours[:, : k1 + 1])
    wide = wide.multiply(wide.T).tocsr()
    half = _links(neighbours[:, : round(k1 / 2) + 1])  # half to even, as numpy rounds
    half = half.multiply(half.T).tocsr()
    half_sizes = half.sum(axis=1)
    expanded = []
    for rows in row_blocks(len(neighbours), neighbours.shape[1] ** 2):
        members = wide[rows]
        shared = (members @ half.T).multiply(members).tocoo()
        joins = 3 * shared.data > 2 * half_sizes[shared.col]
        joining = sparse.csr_array(
            (np.ones(int(joins.sum())), (shared.row[joins], shared.col[joins])), shape=members.shape
        )
        expanded.append(members + joining @ half)
    return sparse.vstack(expanded).tocsr()


def _weights(
    members: sparse.csr_array, pool: Float[Tensor, "N D"], largest: Float[np.ndarray, " N"]
) -> sparse.csr_array:
    """exp(-scaled squared distance) at members, each row summing to 1."""
    coordinates = members.tocoo()
    rows, columns = torch.from_numpy(coordinates.row).long(), torch.from_numpy(coordinates.col).long()
    squares = np.empty(len(rows))
    for part in row_blocks(len(rows), pool.shape[1]):
        squares[part] = (pool[rows[part]] - pool[columns[part]]).square().sum(dim=1).numpy()
    values = np.exp(-squares / largest[coordinates.row])
    sums = np.bincount(coordinates.row, weights=values, minlength=members.shape[0])
    values /= sums[coordinates.row]
    return sparse.csr_array((values, (coordinates.row, coordinates.col)), shape=members.shape)


def _overlap(query: sparse.csr_array, gallery: sparse.csc_array) -> Float[np.ndarray, " G"]:
    """Sum over the pool of the smaller weight, for one query and every gallery image."""
    starts = gallery.indptr[query.indices]
    sizes = gallery.indptr[query.indices + 1] - starts
    entries = np.repeat(starts - (sizes.cumsum() - sizes), sizes) + np.arange(sizes.sum())
    smaller = np.minimum(np.repeat(query.data, sizes), gallery.data[entries])
    return np.bincount(gallery.indices[entries], weights=smaller, minlength=gallery.shape[0])
