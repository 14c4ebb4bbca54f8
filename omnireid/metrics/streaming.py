"""Rankings directly from features: one pass over the gallery for all protocols, in a few megabytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from instructions.errors import InputError
from omnireid.metrics.comparison import Comparison, Metric
from omnireid.metrics.identities import Identities
from omnireid.metrics.judging import LabelArrays, RankingProtocol
from omnireid.metrics.keys import MAX_ROWS
from omnireid.metrics.query_ranks import BlockRanks
from omnireid.metrics.ranking import Array, Ranking, RankingBuilder, row_blocks
from omnireid.metrics.sweep import count_strangers
from omnireid.metrics.targets import find_targets, first_right
from omnireid.metrics.tiles import BLOCK
from omnireid.metrics.top_lists import first_of_each

QUERY_NUMBERS = 1 << 20  # size of the copies of query features that are held besides the features


@dataclass(frozen=True)
class RankedLists:
    """How well each query's right answers were ranked, and the top of each list."""

    ranking: Ranking
    head: Int[np.ndarray, "Q k"]  # gallery indices, nearest first, junk left out; -1 past the end
    right: Bool[np.ndarray, "Q k"]


def rank_features(
    query_features: Array,
    gallery_features: Array,
    query: LabelArrays,
    gallery: LabelArrays,
    protocol: RankingProtocol,
    *,
    metric: Metric = "cosine",
    block: int | None = None,
    max_rank: int = 50,
) -> Ranking:
    """Exact CMC, mAP and mINP of features under a protocol, in tens of megabytes besides the features.

    The ranks are those of float64 distances: the same for every block size, thread count, device and (ties
    aside) order of the images. The gallery is used as given; drawing it is up to the caller
    (``evaluation.judge``).

    Args:
        query_features: (Q D), any norm, float16 and bfloat16 too; tensors or numpy arrays.
        gallery_features: (G D), on the same device.
        query: Integer arrays pids, camids, clothes_ids (or None), modalities (or None).
        gallery: The same of the gallery.
        protocol: An entry of ``omnireid.protocols.PROTOCOLS``.
        metric: The distance to rank by.
        block: Queries at a time; None picks a size that needs a few megabytes.
        max_rank: Number of ranks of the CMC.

    Raises:
        InputError: Features are not finite, or do not fit each other or their labels.
    """
    sides = query_features, gallery_features, query, gallery
    return rank_protocols(*sides, [protocol], metric=metric, block=block, max_rank=max_rank)[0]


def rank_protocols(
    query_features: Array,
    gallery_features: Array,
    query: LabelArrays,
    gallery: LabelArrays,
    protocols: Sequence[RankingProtocol],
    *,
    metric: Metric = "cosine",
    block: int | None = None,
    max_rank: int = 50,
) -> list[Ranking]:
    """As ``rank_features`` under each of several protocols, for little more than the cost of one.

    Protocols differ only in pairs of the same person; how many strangers are closer than a right answer is
    counted once for all of them.
    """
    check_lengths(query_features, gallery_features, query, gallery)
    comparison = Comparison(query_features, gallery_features, metric=metric)
    identities = Identities(query, gallery, protocols)
    builders = [RankingBuilder(max_rank=max_rank, ap_topk=protocol.ap_topk) for protocol in protocols]
    order, blocks = _blocks(query, comparison, block)
    for rows in blocks:
        search = _Search(comparison, identities, protocols, rows)
        for number, builder in enumerate(builders):
            builder.add_ranks(search.places(number))
    return [builder.ranking().take(order) for builder in builders]


def ranked_lists(
    query_features: Array,
    gallery_features: Array,
    query: LabelArrays,
    gallery: LabelArrays,
    protocol: RankingProtocol,
    *,
    head: int,
    metric: Metric = "cosine",
    block: int | None = None,
) -> RankedLists:
    """As ``rank_features``, with the first ``head`` images of each query's list from the same pass."""
    check_lengths(query_features, gallery_features, query, gallery)
    comparison = Comparison(query_features, gallery_features, metric=metric)
    identities = Identities(query, gallery, [protocol])
    builder = RankingBuilder(ap_topk=protocol.ap_topk)
    order, blocks = _blocks(query, comparison, block)
    heads, right = [], []
    for rows in blocks:
        search = _Search(comparison, identities, [protocol], rows, head=head)
        builder.add_ranks(search.places(0))
        heads.append(search.head(0))
        right.append(search.is_right(0, heads[-1]))
    ranking = builder.ranking().take(order)
    return RankedLists(ranking, np.concatenate(heads)[order], np.concatenate(right)[order])


def _blocks(
    query: LabelArrays, comparison: Comparison, block: int | None
) -> tuple[Int[np.ndarray, " Q"], list[Int[np.ndarray, " B"]]]:
    """Blocks of queries and the position of each query in them.

    Queries of one person are kept together, so that the person's gallery images are looked at once.
    """
    size = block or max(1, QUERY_NUMBERS // comparison.query.shape[1] // BLOCK) * BLOCK
    by_person = np.asarray(query.pids).argsort(kind="stable")
    parts = row_blocks(len(by_person), 1, min(size, MAX_ROWS))
    blocks = [np.sort(by_person[rows]) for rows in parts]
    return np.concatenate(blocks).argsort(), blocks


def check_lengths(
    query_features: Array, gallery_features: Array, query: LabelArrays, gallery: LabelArrays
) -> None:
    """Refuse features and labels of different numbers.

    Raises:
        InputError: The numbers differ.
    """
    if len(query.pids) != len(query_features) or len(gallery.pids) != len(gallery_features):
        raise InputError(
            f"{len(query_features)} query and {len(gallery_features)} gallery features came with "
            f"{len(query.pids)} and {len(gallery.pids)} labels"
        )


class _Search:
    """The search of a block of queries in the whole gallery."""

    def __init__(
        self,
        comparison: Comparison,
        identities: Identities,
        protocols: Sequence[RankingProtocol],
        rows: Int[np.ndarray, " B"],
        *,
        head: int = 0,
    ) -> None:
        self._rows, self._identities = rows, identities
        self._own = identities.own_pairs(rows, comparison)
        self._targets = find_targets(self._own, comparison, rows if head else None)
        by_identity = [number for number, protocol in enumerate(protocols) if protocol.cmc == "identity"]
        self._strangers = count_strangers(
            comparison,
            self._targets,
            self._own,
            identities.classes,
            people=identities.people,
            watched=[first_right(self._targets, self._own.right[number]) for number in by_identity],
            head=head,
        )
        self._closer = np.stack([part.closer for part in self._strangers])
        people = [part.people() for part in self._strangers]
        self._people = {
            number: [codes[index] for codes in people] for index, number in enumerate(by_identity)
        }

    def places(self, number: int) -> BlockRanks:
        """Ranks under one of the protocols."""
        own, right, kept = self._own, self._own.right[number], self._own.kept[number]
        rows = self._rows.searchsorted(own.rows)
        starts = rows.searchsorted(rows)
        kept_before = np.concatenate([[0], kept.cumsum()])
        own_before = kept_before[:-1] - kept_before[starts]
        classes = self._identities.kept_classes[number]
        closer, closer_raw = np.zeros((2, len(rows)), dtype=np.int64)
        closer[self._targets.pairs] = self._closer[classes].sum(axis=0)
        closer_raw[self._targets.pairs] = self._closer.sum(axis=0)
        ranks = (1 + own_before + closer)[right]
        counts = np.bincount(rows[right], minlength=len(self._rows))
        leading = (counts.cumsum() - counts)[counts > 0]
        first = np.zeros(len(self._rows), dtype=np.int64)
        if number in self._people:
            first[counts > 0] = 1 + (own_before[right][leading] > 0)
            first += self._people_before(number)
        else:
            first[counts > 0] = ranks[leading]
        strangers_kept = self._identities.strangers_kept[number]
        exceptions = kept.astype(np.int64) - strangers_kept[own.columns]
        num_kept = strangers_kept.sum() + np.bincount(rows, exceptions, len(self._rows)).astype(np.int64)
        return BlockRanks(
            counts=counts,
            ranks=ranks,
            raw_ranks=(1 + np.arange(len(rows)) - starts + closer_raw)[right],
            first=first,
            num_kept=num_kept,
        )

    def head(self, number: int) -> Int[np.ndarray, "B k"]:
        """The nearest of those that count under one of the protocols."""
        own, kept = self._own, self._own.kept[number]
        searched = self._rows.searchsorted(self._targets.rows)
        rows, columns = [self._rows.searchsorted(own.rows[kept])], [own.columns[kept]]
        distances, shape = [own.distances[kept]], (0, 0)
        classes = self._identities.kept_classes[number]
        for part, counts in zip(self._strangers, classes, strict=True):
            assert part.heads is not None
            shape = part.heads.columns.shape
            known = (part.heads.columns >= 0) & counts
            rows.append(searched[known.nonzero()[0]])
            columns.append(part.heads.columns[known])
            distances.append(part.heads.distances[known])
        parts = (np.concatenate(part) for part in (rows, columns, distances))
        return first_of_each(*parts, shape=shape)[0]

    def is_right(self, number: int, head: Int[np.ndarray, "B k"]) -> Bool[np.ndarray, "B k"]:
        """Which of some gallery images of each query are right under one of the protocols."""
        right, num_gallery = self._own.right[number], len(self._identities.people)
        pairs = self._rows.searchsorted(self._own.rows[right]) * num_gallery + self._own.columns[right]
        return (head >= 0) & np.isin(np.arange(len(head))[:, None] * num_gallery + head, pairs)

    def _people_before(self, number: int) -> Int[np.ndarray, " B"]:
        """Other people before each query's first right answer."""
        parts = zip(self._people[number], self._identities.kept_classes[number], strict=False)
        nobody = np.zeros(0, dtype=np.int64)  # where no stranger counts
        codes = np.unique(np.concatenate([nobody, *(part for part, kept in parts if kept)]))
        asking = self._targets.rows[codes // (int(self._identities.people.max()) + 1)]
        rows = self._rows.searchsorted(asking)
        return np.bincount(rows, minlength=len(self._rows))
