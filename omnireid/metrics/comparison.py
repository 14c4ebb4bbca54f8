"""Distances between two sets of features: exact for a few pairs, fast with a bounded error for all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from instructions.errors import InputError
from omnireid.metrics.coded import Coding, is_plain, library, pair_products
from omnireid.metrics.distances import check_finite, shaped
from omnireid.metrics.ranking import Array, row_blocks

Metric = Literal["cosine", "euclidean"]
Rows = slice | Int[np.ndarray, " n"]
CELLS = 1 << 17  # float64 numbers processed at a time
KEY_ROUNDING = 2.0**-22  # rounding of a product, which lies within [-2.1, 2.1], to float32
NEARLY = 2.0**-36  # more than D roundings of float64, and those of adding a score to a query's number
UNIT_LENGTH = 2.0**-20  # how far lengths may be from 1 for features to be used unscaled


class Comparison:
    """Distances of features, smaller is closer.

    Exact distances are float64 and always summed in the same order, whichever pairs are computed together, so
    that an image's rank depends on nothing but the features. Cosine distances are the negated similarity,
    Euclidean distances are squared.

    Products are the entries of the matrix product of ``query_rows`` and ``gallery_rows``. Up to a factor and
    an addend per query (``scores``) they are distances, with an error of at most ``slack``.
    """

    def __init__(self, query_features: Array, gallery_features: Array, *, metric: Metric) -> None:
        if metric not in get_args(Metric):
            raise InputError(f"metric is {metric!r}; known are {', '.join(get_args(Metric))}")
        self.query, self.gallery = shaped(query_features, gallery_features)
        self.cosine = metric == "cosine"
        self.query_lengths = self._lengths(self.query, "query")
        self.gallery_lengths = self._lengths(self.gallery, "gallery")
        self.dtype = torch.float32 if _is_precise() else torch.float64
        lengths = np.concatenate([self.query_lengths, self.gallery_lengths])
        longest = lengths.max()
        # Such features are scaled in float64, where the scale cannot overflow.
        self._is_extreme = bool(longest > 2.0**60 or lengths.min(initial=1, where=lengths > 0) < 2.0**-60)
        # A power of two, so that Euclidean products stay near 1 and no digit changes.
        self._scale = 1.0 if self.cosine else float(2.0 ** -np.ceil(np.log2(max(longest, 2.0**-500))))

    def exact(self, rows: Rows, columns: Rows) -> Float[np.ndarray, "q g"]:
        """Distances of some queries to some gallery images."""
        query = _doubles(self.query, rows)
        distances = np.empty((len(query), len(self.gallery_lengths[columns])))
        indices = np.arange(len(self.gallery_lengths))[columns]
        for part in row_blocks(distances.shape[1], query.shape[1], max(1, CELLS // query.shape[1])):
            distances[:, part] = self._between(query, _doubles(self.gallery, indices[part]))
        if self.cosine:
            distances /= self.query_lengths[rows, None] * self.gallery_lengths[columns]
        return distances

    def exact_groups(
        self,
        rows: Int[np.ndarray, " q"],
        columns: Int[np.ndarray, " g"],
        groups: Iterable[tuple[slice, slice]],
    ) -> Float[np.ndarray, "q g"]:
        """Distances within groups of some queries and gallery images; nan between groups."""
        distances = np.full((len(rows), len(columns)), np.nan)
        if distances.shape[1] * self.gallery.shape[1] > 4 * CELLS:
            for group in groups:
                distances[group] = self.exact(rows[group[0]], columns[group[1]])
            return distances
        query, gallery = _doubles(self.query, rows), _doubles(self.gallery, columns)
        for group in groups:
            distances[group] = self._between(query[group[0]], gallery[group[1]])
        if self.cosine:
            distances /= self.query_lengths[rows, None] * self.gallery_lengths[columns]
        return distances

    def exact_pairs(
        self, rows: Int[np.ndarray, " n"], columns: Int[np.ndarray, " n"]
    ) -> Float[np.ndarray, " n"]:
        """Distances of some pairs, in the bits of ``exact``."""
        distances = np.empty(len(rows))
        for part in row_blocks(len(rows), self.query.shape[1], max(1, CELLS // self.query.shape[1])):
            query, gallery = _doubles(self.query, rows[part]), _doubles(self.gallery, columns[part])
            if self.cosine:
                distances[part] = -np.einsum("nd,nd->n", query, gallery)
            else:
                apart = gallery - query
                distances[part] = np.einsum("nd,nd->n", apart, apart)
        if self.cosine:
            distances /= self.query_lengths[rows] * self.gallery_lengths[columns]
        return distances

    def nearly_exact_pairs(
        self, rows: Int[np.ndarray, " n"], columns: Int[np.ndarray, " n"]
    ) -> Float[np.ndarray, " n"] | None:
        """Distances of pairs, with scores accurate to ``NEARLY``; None where that would save no time."""
        if self.coding is None or not is_plain(self.query) or not is_plain(self.gallery):
            return None
        products = pair_products(self.query, self.gallery, rows, columns)
        if self.cosine:
            return -products / (self.query_lengths[rows] * self.gallery_lengths[columns])
        return self.query_lengths[rows] ** 2 + self.gallery_lengths[columns] ** 2 - 2 * products

    def _between(
        self, query: Float[np.ndarray, "q D"], gallery: Float[np.ndarray, "g D"]
    ) -> Float[np.ndarray, "q g"]:
        """Distances of all pairs; cosine distances are multiplied by both lengths."""
        if self.cosine:
            return -np.einsum("qd,gd->qg", query, gallery)
        distances = np.empty((len(query), len(gallery)))
        for row, features in zip(distances, query, strict=True):
            apart = gallery - features
            row[:] = np.einsum("gd,gd->g", apart, apart)
        return distances

    def query_rows(self, rows: Rows) -> Float[Tensor, "q D"]:
        """Queries as the left operand of the matrix product: negated, so that small means close."""
        factors = -(1 / self.query_lengths[rows] if self.cosine else self._scale)
        return self._scaled(self.query, rows, factors)

    def gallery_rows(self, rows: Rows) -> Float[Tensor, "g D"]:
        """Gallery images as the right operand of the product; a view where they have unit length already."""
        lengths = self.gallery_lengths[rows]
        if self.gallery.dtype == self.dtype and (
            abs(lengths - 1).max() < UNIT_LENGTH if self.cosine else self._scale == 1.0
        ):
            return _taken(self.gallery, rows)
        return self._scaled(self.gallery, rows, 1 / lengths if self.cosine else self._scale)

    def addends(self, columns: Rows) -> Float[Tensor, " g"] | None:
        """What is to be added to a product, per gallery image."""
        if self.cosine:
            return None
        half = (self._scale * self.gallery_lengths[columns]) ** 2 / 2
        return torch.from_numpy(half).to(self.gallery.device, self.dtype)

    def scores(
        self, rows: Int[np.ndarray, " n"], distances: Float[np.ndarray, " n"]
    ) -> Float[np.ndarray, " n"]:
        """Exact distances on the scale of a product; within [-2, 2]."""
        if self.cosine:
            return distances
        return self._scale**2 * (distances - self.query_lengths[rows] ** 2) / 2

    def distances(self, products: Float[Tensor, "q g"], rows: slice) -> Float[np.ndarray, "q g"]:
        """Distances within ``distance_slack`` of the exact ones, from complete rows of products."""
        if not self.cosine:
            lengths = torch.from_numpy(self._scale * self.query_lengths[rows, None]) ** 2
            products = (2 * products + lengths.to(products.device, self.dtype)) / self._scale**2
        return products.cpu().numpy()

    def distance_slack(self, rows: Int[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Bound on the error of ``distances``."""
        return self.slack(rows) if self.cosine else 4 * self.slack(rows) / self._scale**2

    def slack(self, rows: Int[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Bound on the errors of a query's products: D roundings of the product of both lengths, and some."""
        unit = (self.query.shape[1] + 64) * (2.0**-24 if self.dtype == torch.float32 else 2.0**-51)
        unit /= 1 - unit
        if self.cosine:
            return np.full(len(rows), unit)
        longest = self._scale * self.gallery_lengths.max()
        return unit * longest * (self._scale * self.query_lengths[rows] + longest)

    def key_slack(self, rows: Int[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Bound on the errors of a query's products in a tile (``tiles``)."""
        return self.slack(rows) + KEY_ROUNDING + (0.0 if self.coding is None else self.coding.slack)

    @cached_property
    def coding(self) -> Coding | None:
        """How to quantise the features; None where products of codes cannot be computed."""
        if self.dtype != torch.float32 or self.gallery.device.type != "cpu" or library() is None:
            return None
        dim = self.gallery.shape[1]

        def sides() -> Iterator[Float[Tensor, "n D"]]:
            for features, take in ((self.query, self.query_rows), (self.gallery, self.gallery_rows)):
                yield from map(take, row_blocks(len(features), dim, max(1, CELLS // dim)))

        return Coding(sides, dim)

    def _scaled(self, side: Tensor, rows: Rows, factors: float | np.ndarray) -> Tensor:
        taken = _taken(side, rows)
        features = taken.double() if self._is_extreme else taken.to(self.dtype)
        if isinstance(rows, slice) and features.data_ptr() == taken.data_ptr():
            features = features.clone()  # a view of the caller's array
        if isinstance(factors, np.ndarray):
            features *= torch.from_numpy(factors).to(features.device, features.dtype)[:, None]
        else:
            features *= factors
        return features.to(self.dtype)

    def _lengths(self, features: Float[Tensor, "N D"], name: str) -> Float[np.ndarray, " N"]:
        """Norms in float64; for cosines 1 where the norm is 0, so that the similarity is 0."""
        lengths = np.empty(len(features))
        count, dim = features.shape
        for rows in row_blocks(count, dim, max(1, CELLS // dim)):
            block = _doubles(features, rows)
            lengths[rows] = np.sqrt(np.einsum("nd,nd->n", block, block))
        if not np.isfinite(lengths).all():
            check_finite(features, name)
            raise InputError(f"the {name} features are too large: their squares overflow; scale them down")
        return np.where(lengths > 0, lengths, 1.0) if self.cosine else lengths


def _is_precise() -> bool:
    """Whether float32 products are computed in float32; torch may be set to TF32 or bfloat16 for speed."""
    kinds: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul)  # type: ignore[attr-defined]
    return all(kind.fp32_precision in ("ieee", "none") for kind in kinds)  # older settings show here too


def _taken(features: Float[Tensor, "N D"], rows: Rows) -> Float[Tensor, "n D"]:
    if isinstance(rows, slice):
        return features[rows]
    return features.index_select(0, torch.from_numpy(rows).to(features.device))


def _doubles(features: Float[Tensor, "N D"], rows: Rows) -> Float[np.ndarray, "n D"]:
    return _taken(features, rows).cpu().double().numpy()
