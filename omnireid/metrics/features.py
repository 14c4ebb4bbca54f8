"""Rankings straight from features: streamed over queries, exact whatever the block size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from instructions.errors import InputError
from omnireid.metrics.distances import checked
from omnireid.metrics.judging import Judge, LabelArrays
from omnireid.metrics.places import Number
from omnireid.metrics.ranking import Array, Ranking, RankingBuilder, row_blocks

Metric = Literal["cosine", "euclidean"]
ROUND = 2.0**-24  # unit roundoff of float32


class Block(NamedTuple):
    """The search of some queries: all their distances and how each pair is judged."""

    rows: slice
    distances: Screened
    relevant: Bool[np.ndarray, "B G"]
    keep: Bool[np.ndarray, "B G"]


@dataclass(frozen=True)
class _Rows:
    pids: Int[np.ndarray, " N"]
    camids: Int[np.ndarray, " N"]
    clothes_ids: Int[np.ndarray, " N"] | None
    modalities: Int[np.ndarray, " N"] | None


def rank_features(
    query_features: Array,
    gallery_features: Array,
    query: LabelArrays,
    gallery: LabelArrays,
    protocol: Judge,
    *,
    metric: Metric = "cosine",
    block: int | None = None,
    max_rank: int = 50,
) -> Ranking:
    """Exact CMC, mAP and mINP of features under a protocol; memory is one block of queries times the gallery.

    The ranks are those of float64 distances: the same for every block size, thread count and order of the
    images (but for ties). The gallery is taken as it is given; a protocol's draws are the caller's
    (``evaluation.judge``).

    Args:
        query_features: (Q D), any norm, float16 and bfloat16 too; tensors or numpy arrays.
        gallery_features: (G D).
        query: Integer arrays pids, camids, clothes_ids (or None), modalities (or None).
        gallery: The same of the gallery.
        protocol: An entry of ``omnireid.protocols.PROTOCOLS``.
        metric: What is small between images of one person.
        block: Queries at a time; None picks a size that stays within some tens of megabytes.
        max_rank: How far the CMC goes.

    Raises:
        InputError: Features are not finite, or do not fit each other or their labels.
    """
    identities = np.asarray(gallery.pids) if protocol.cmc == "identity" else None
    builder = RankingBuilder(max_rank=max_rank, ap_topk=protocol.ap_topk, identities=identities)
    for part in search(
        query_features, gallery_features, query, gallery, protocol, metric=metric, block=block
    ):
        builder.add(part.distances, part.relevant, part.keep)
    return builder.ranking()


def search(
    query_features: Array,
    gallery_features: Array,
    query: LabelArrays,
    gallery: LabelArrays,
    protocol: Judge,
    *,
    metric: Metric = "cosine",
    block: int | None = None,
) -> Iterator[Block]:
    """Blocks of queries in order, judged, with distances exact enough to rank (see ``FeatureDistances``)."""
    if len(query.pids) != len(query_features) or len(gallery.pids) != len(gallery_features):
        raise InputError(
            f"{len(query_features)} query and {len(gallery_features)} gallery features came with "
            f"{len(query.pids)} and {len(gallery.pids)} labels"
        )
    distances = FeatureDistances(query_features, gallery_features, metric=metric)
    for rows in row_blocks(len(query_features), len(gallery_features), block):
        yield Block(rows, distances.block(rows), *protocol.judge(_rows(query, rows), gallery))


class FeatureDistances:
    """Distances of features: one matrix product a block, and float64 for the pairs that it leaves in doubt.

    Float64 distances are computed one pair at a time in a fixed order of additions, so that the place of a
    right answer depends on nothing but the features. Cosine distances are minus the similarity, Euclidean
    ones squared.
    """

    def __init__(self, query_features: Array, gallery_features: Array, *, metric: Metric) -> None:
        if metric not in get_args(Metric):
            raise InputError(f"metric is {metric!r}; known are {', '.join(get_args(Metric))}")
        query_features, gallery_features = checked(query_features, gallery_features)
        # Reduced matrix precision is a training setting that the error bound does not cover.
        is_reduced = torch.get_float32_matmul_precision() != "highest"
        is_double = torch.float64 in (query_features.dtype, gallery_features.dtype)
        dtype = torch.float64 if is_reduced or is_double else torch.float32
        self.query, self.gallery = query_features.cpu().to(dtype), gallery_features.cpu().to(dtype)
        self.cosine = metric == "cosine"
        self.query_lengths, self.gallery_lengths = self._lengths(self.query), self._lengths(self.gallery)

    def block(self, rows: slice) -> Screened:
        """Distances of some queries to the whole gallery."""
        query, lengths = self.query[rows], self.query_lengths[rows, None]
        if self.cosine:
            values = (query / torch.from_numpy(-lengths).to(query.dtype)) @ self.gallery.T
            values /= torch.from_numpy(self.gallery_lengths).to(query.dtype)
        else:
            squares = torch.from_numpy(lengths**2 + self.gallery_lengths**2)
            values = (squares - 2 * (query @ self.gallery.T)).to(query.dtype)
        return Screened(values.numpy(), rows.start, self)

    def exact(self, row: int, columns: Int[np.ndarray, " M"]) -> Float[np.ndarray, " M"]:
        """Distances of one query to some gallery images, in float64."""
        query = self.query[row].double().numpy()
        distances = np.empty(len(columns))
        for part in row_blocks(len(columns), len(query)):
            gallery = self.gallery[torch.from_numpy(columns[part])].double().numpy()
            if self.cosine:
                lengths = self.query_lengths[row] * self.gallery_lengths[columns[part]]
                distances[part] = -(query * gallery).sum(axis=1) / lengths
            else:
                distances[part] = np.square(query - gallery).sum(axis=1)
        return distances

    def slack(self, row: int) -> Number:
        """Bound on the error of a block's values: D roundings of the product of two lengths, and a few."""
        unit = (self.query.shape[1] + 16) * ROUND
        if self.cosine:
            return unit
        sums = self.query_lengths[row] + self.gallery_lengths
        return unit * sums**2

    def _lengths(self, features: Float[Tensor, "N D"]) -> Float[np.ndarray, " N"]:
        """Norms in float64; for cosines 1 where the norm is 0, so that the similarity is 0."""
        lengths = np.empty(len(features))
        for rows in row_blocks(*features.shape):
            lengths[rows] = np.sqrt(np.square(features[rows].double().numpy()).sum(axis=1))
        return np.where(lengths > 0, lengths, 1.0) if self.cosine else lengths


@dataclass(frozen=True)
class Screened:
    """A block of a matrix product with the features behind it (``places.Distances``)."""

    values: Float[np.ndarray, "B G"]
    start: int
    features: FeatureDistances

    def slack(self, row: int) -> Number:
        """How far the values of a row may be off."""
        return self.features.slack(self.start + row)

    def exact(self, row: int, columns: Int[np.ndarray, " M"]) -> Float[np.ndarray, " M"]:
        """Float64 distances of some pairs."""
        return self.features.exact(self.start + row, columns)


def _rows(side: LabelArrays, rows: slice) -> _Rows:
    names = ("pids", "camids", "clothes_ids", "modalities")
    arrays = {name: getattr(side, name, None) for name in names}
    parts: Any = {name: None if array is None else np.asarray(array)[rows] for name, array in arrays.items()}
    return _Rows(**parts)
