"""Pairs of the same person: the only ones that a protocol may call right or judge differently per query."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from instructions.errors import InputError
from omnireid.metrics.comparison import Comparison
from omnireid.metrics.judging import LabelArrays, RankingProtocol

PEOPLE = 16  # people judged at a time


@dataclass(frozen=True)
class Labels:
    """Labels of some images (``judging.LabelArrays``)."""

    pids: Int[np.ndarray, " N"]
    camids: Int[np.ndarray, " N"]
    clothes_ids: Int[np.ndarray, " N"] | None
    modalities: Int[np.ndarray, " N"] | None


@dataclass(frozen=True)
class OwnPairs:
    """Pairs of a query and a gallery image of its person: by query, nearest first, then lower index."""

    rows: Int[np.ndarray, " n"]  # of the queries
    columns: Int[np.ndarray, " n"]
    distances: Float[np.ndarray, " n"]  # exact
    right: Bool[np.ndarray, "P n"]  # by protocol
    kept: Bool[np.ndarray, "P n"]


class Identities:
    """Judges a search under several protocols, person by person."""

    def __init__(
        self, query: LabelArrays, gallery: LabelArrays, protocols: Sequence[RankingProtocol]
    ) -> None:
        self._query, self._gallery, self._protocols = query, gallery, protocols
        self._query_pids, self.pids = np.asarray(query.pids), np.asarray(gallery.pids)
        self._order = self.pids.argsort(kind="stable")
        self._sorted_pids = self.pids[self._order]
        self.people = np.unique(self.pids, return_inverse=True)[1]
        self.strangers_kept = np.stack([self._judge_strangers(protocol) for protocol in protocols])
        # Images that count for the same protocols form a class; one bit a protocol.
        bits = 1 << np.arange(len(protocols))
        codes, members = np.unique(bits @ self.strangers_kept, return_inverse=True)
        self.classes = [(members == number).nonzero()[0] for number in range(len(codes))]
        self.kept_classes: Bool[np.ndarray, "P C"] = (codes & bits[:, None]) > 0

    def own_pairs(self, rows: Int[np.ndarray, " B"], comparison: Comparison) -> OwnPairs:
        """Pairs of some queries with gallery images of their person.

        Raises:
            InputError: A protocol calls another person right, or junk for some queries only.
        """
        parts = list(self._people(rows, comparison))
        if not parts:
            nothing = np.zeros((len(self._protocols), 0), dtype=bool)
            return OwnPairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), nothing, nothing)
        rows, columns, distances, right, kept = (
            np.concatenate([part[field] for part in parts], axis=-1) for field in range(5)
        )
        # Stable, and a query's columns ascend.
        order = np.lexsort((distances, rows))
        return OwnPairs(rows[order], columns[order], distances[order], right[:, order], kept[:, order])

    def _people(self, rows: Int[np.ndarray, " B"], comparison: Comparison) -> Iterator[tuple[Any, ...]]:
        rows = rows[self._query_pids[rows].argsort(kind="stable")]
        pids = self._query_pids[rows]
        people = np.unique(pids)
        for first in range(0, len(people), PEOPLE):
            some = people[first : first + PEOPLE]
            asking = slice(*pids.searchsorted([some[0], some[-1] + 1]))
            # Of the gallery only these people: others may lie between them.
            starts, stops = (self._sorted_pids.searchsorted(some, side=side) for side in ("left", "right"))
            columns = np.concatenate(
                [self._order[start:stop] for start, stop in zip(starts, stops, strict=True)]
            )
            if len(columns):
                yield self._judged(rows[asking], columns, comparison)

    def _judged(
        self, rows: Int[np.ndarray, " q"], columns: Int[np.ndarray, " g"], comparison: Comparison
    ) -> tuple[Any, ...]:
        query, gallery = subset(self._query, rows), subset(self._gallery, columns)
        own = query.pids[:, None] == gallery.pids
        right, kept = [], []
        for protocol, strangers_kept in zip(self._protocols, self.strangers_kept, strict=True):
            relevant, keep = protocol.judge(query, gallery)
            if (relevant & ~own).any() or ((keep != strangers_kept[columns]) & ~own).any():
                raise InputError(
                    "this protocol counts images of other people as true matches, or as junk for some "
                    "queries only; judge the whole matrix and pass it to rank"
                )
            right.append((relevant & keep)[own])
            kept.append(keep[own])
        people = np.unique(query.pids)
        edges = (np.searchsorted(side.pids, [people, people + 1]).T for side in (query, gallery))
        groups = [(slice(*asking), slice(*asked)) for asking, asked in zip(*edges, strict=True)]
        exact = comparison.exact_groups(rows, columns, groups)
        query_index, gallery_index = own.nonzero()
        return rows[query_index], columns[gallery_index], exact[own], np.stack(right), np.stack(kept)

    def _judge_strangers(self, protocol: RankingProtocol) -> Bool[np.ndarray, " G"]:
        """Which gallery images count for queries of other people; sampled at the first two people."""
        first = np.arange(1)
        other = (self._query_pids != self._query_pids[0]).nonzero()[0][:1]
        keep = protocol.judge(subset(self._query, first), self._gallery)[1][0].copy()
        own = self.pids == self._query_pids[0]
        if len(other):
            keep[own] = protocol.judge(subset(self._query, other), self._gallery)[1][0, own]
        return keep


def subset(side: LabelArrays, rows: slice | Int[np.ndarray, " n"]) -> Labels:
    """Labels of some images."""
    names = ("pids", "camids", "clothes_ids", "modalities")
    arrays = {name: getattr(side, name, None) for name in names}
    parts: Any = {name: None if array is None else np.asarray(array)[rows] for name, array in arrays.items()}
    return Labels(**parts)
