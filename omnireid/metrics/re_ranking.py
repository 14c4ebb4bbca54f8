"""k-reciprocal re-ranking (Zhong et al., CVPR 2017): images among each other's neighbours count as near."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy import sparse
from torch import Tensor

from instructions.errors import InputError
from omnireid.metrics.distances import checked
from omnireid.metrics.neighbours import TILE, Neighbours, Pool, find_neighbours
from omnireid.metrics.ranking import Array, row_blocks


@dataclass(frozen=True)
class ReRanking:
    """Parameters of ``re_rank``; the defaults are the published ones."""

    k1: int = 20
    k2: int = 6
    lambda_value: float = 0.3


def re_rank(
    query_features: Array, gallery_features: Array, k1: int = 20, k2: int = 6, lambda_value: float = 0.3
) -> Float[Tensor, "Q G"]:
    """Jaccard distance of reciprocal neighbourhoods, blended with the squared Euclidean distance; in [0, 1].

    Queries and gallery form one pool of N images. Memory holds the (Q G) result, the pool in float32 and a
    few times k1 numbers per image, never an (N N) matrix.

    Args:
        query_features: (Q D), tensor or numpy array; L2-normalise first where cosine is meant.
        gallery_features: (G D).
        k1: Number of nearest neighbours among which reciprocity is tested.
        k2: Number of neighbours over which neighbourhoods are averaged; 1 for no averaging.
        lambda_value: Weight of the original distance, which is divided by its largest value in each query's
            row over the whole pool.

    Raises:
        InputError: Features are not finite or do not fit, or a parameter is out of range.
    """
    query, gallery = checked(query_features, gallery_features)
    distmat = torch.empty(len(query), len(gallery))
    re_ranker = ReRanker(query, gallery, k1, k2, lambda_value, into=distmat)
    for rows in row_blocks(*distmat.shape):
        re_ranker.blend(distmat[rows], rows)
    return distmat


def re_rank_blocks(
    query_features: Array, gallery_features: Array, k1: int = 20, k2: int = 6, lambda_value: float = 0.3
) -> Iterator[tuple[slice, Float[Tensor, "B G"]]]:
    """The matrix of ``re_rank`` a block of rows at a time, for when it would not fit into memory.

    The products of queries and gallery are computed twice.
    """
    query, gallery = checked(query_features, gallery_features)
    re_ranker = ReRanker(query, gallery, k1, k2, lambda_value)
    for rows in row_blocks(len(query), len(gallery)):
        yield rows, re_ranker.block(rows)


class ReRanker:
    """A pool with its reciprocal neighbourhoods computed."""

    def __init__(
        self,
        query: Float[Tensor, "Q D"],
        gallery: Float[Tensor, "G D"],
        k1: int,
        k2: int,
        lambda_value: float,
        *,
        into: Float[Tensor, "Q G"] | None = None,
    ) -> None:
        """Arguments as in ``re_rank``; ``into`` takes the squared distances of queries to gallery images."""
        if k1 < 1 or k2 < 1 or not 0 <= lambda_value <= 1:
            raise InputError(
                f"k1 is {k1}, k2 {k2}, lambda_value {lambda_value}; k1 and k2 must be at least 1, "
                "lambda_value from 0 to 1"
            )
        _refuse_overflow(query, gallery)
        self._pool = Pool(query.cpu(), gallery.cpu())
        self._lambda = lambda_value
        neighbours = find_neighbours(self._pool, min(max(k1 + 1, k2), len(self._pool)), into=into)
        self._farthest = neighbours.farthest
        weights = _weights(_neighbourhoods(neighbours.images, k1), neighbours, self._pool)
        if k2 > 1:
            weights = _links(neighbours.images[:, :k2]) @ weights / min(k2, len(self._pool))
        self._query = weights[: len(query)].tocsr()
        self._columns = weights[len(query) :].tocsc()

    def block(self, rows: slice) -> Float[Tensor, "B G"]:
        """Distances of some queries."""
        num_queries, num_gallery = self._pool.num_queries, len(self._pool) - self._pool.num_queries
        distmat = torch.empty(rows.stop - rows.start, num_gallery)
        for columns in row_blocks(num_gallery, 1, TILE):
            shifted = slice(columns.start + num_queries, columns.stop + num_queries)
            distmat[:, columns] = self._pool.distances(rows, shifted)
        return self.blend(distmat, rows)

    def blend(self, squares: Float[Tensor, "B G"], rows: slice) -> Float[Tensor, "B G"]:
        """Turn the squared distances of some queries into the blended ones, in place."""
        scale = torch.from_numpy(self._lambda / self._farthest[rows]).float()
        # Without a common neighbour the Jaccard distance is 1.
        squares.mul_(scale[:, None]).add_(1 - self._lambda)
        values = squares.numpy()
        for row, query in enumerate(range(rows.start, rows.stop)):
            part = slice(*self._query.indptr[query : query + 2])
            columns, shared = _overlap(self._query.indices[part], self._query.data[part], self._columns)
            values[row, columns] -= (1 - self._lambda) * shared / (2 - shared)
        return squares


def _refuse_overflow(*sides: Float[Tensor, "N D"]) -> None:
    """Refuse features so long that squared distances overflow float32."""
    largest = max(float(bound.abs()) for side in sides for bound in side.aminmax())
    if 4 * sides[0].shape[1] * largest**2 > torch.finfo(torch.float32).max:
        raise InputError(
            "the features are too large to be re-ranked: their squares overflow; scale them down"
        )


def _links(neighbours: Int[np.ndarray, "N k"]) -> sparse.csr_array:
    """A with A[i, j] = 1 where j is a neighbour of i."""
    num, k = neighbours.shape
    links = sparse.csr_array(
        (np.ones(num * k), neighbours.flatten(), np.arange(0, num * k + 1, k)), shape=(num, num)
    )
    links.sort_indices()
    return links


def _neighbourhoods(neighbours: Int[np.ndarray, "N k"], k1: int) -> sparse.csr_array:
    """Reciprocal neighbours, expanded by the half-size neighbourhoods mostly within; nonzero at members."""
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


def _weights(members: sparse.csr_array, neighbours: Neighbours, pool: Pool) -> sparse.csr_array:
    """exp(-scaled squared distance) at members, each row summing to 1."""
    num, k = neighbours.images.shape
    # One more than the distance, for 0 would be no entry.
    shape = (neighbours.distances.astype(np.float64).ravel() + 1, neighbours.images.ravel())
    known = sparse.csr_array((*shape, np.arange(0, num * k + 1, k)), shape=(num, num))
    known = known.maximum(known.T)
    members = (members != 0).astype(np.float64)
    known = members.multiply(known).tocsr()
    unknown = (members - (known != 0)).tocoo()
    asked = unknown.data > 0
    rows, columns = unknown.row[asked], unknown.col[asked]
    found = sparse.csr_array((pool.exact(rows, columns) + 1, (rows, columns)), shape=(num, num))
    weights = (known + found).tocsr()
    owners = np.repeat(np.arange(num), np.diff(weights.indptr))
    weights.data = np.exp((1 - weights.data) / neighbours.farthest[owners])
    weights.data /= np.bincount(owners, weights=weights.data, minlength=num)[owners]
    return weights


def _overlap(
    members: Int[np.ndarray, " m"], weights: Float[np.ndarray, " m"], gallery: sparse.csc_array
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Sum over the pool of the smaller weight of a query and each gallery image; only where it is not 0."""
    starts = gallery.indptr[members]
    sizes = gallery.indptr[members + 1] - starts
    entries = np.repeat(starts - (sizes.cumsum() - sizes), sizes) + np.arange(sizes.sum())
    smaller = np.minimum(np.repeat(weights, sizes), gallery.data[entries])
    images, index = np.unique(gallery.indices[entries], return_inverse=True)
    return images, np.bincount(index, weights=smaller)
