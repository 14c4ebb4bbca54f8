"""What counts as right and what is junk, one function per rule (docs/protocols.md)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool

from instructions.errors import InputError
from omnireid.metrics.judging import LabelArrays
from omnireid.records import UNKNOWN

JUNK_PID = -1  # Market-1501's bad detections: no right answer and no wrong one
# Advice where clothes are unknown.
PERSON_ALONE = "use a protocol that ignores clothes (clothes_general, market or instructed)"


class Judgement(NamedTuple):
    """Which pairs are right and which are kept; pairs not kept are junk, whether right or not."""

    relevant: Bool[np.ndarray, "Q G"]
    keep: Bool[np.ndarray, "Q G"]


Rule = Callable[[LabelArrays, LabelArrays], Judgement]


def other_camera(query: LabelArrays, gallery: LabelArrays) -> Judgement:
    """Same person; junk are their images by the query's own camera, and bad detections (pid -1)."""
    agree = _Agreement(query, gallery)
    return Judgement(agree.pid, ~(agree.pid & agree.camid) & agree.not_junk)


def other_clothes(query: LabelArrays, gallery: LabelArrays) -> Judgement:
    """Same person, other camera, other clothes; all other images of the person are junk."""
    agree = _Agreement(query, gallery)
    return Judgement(agree.pid, ~(agree.pid & (agree.camid | agree.clothes())) & agree.not_junk)


def same_clothes(query: LabelArrays, gallery: LabelArrays) -> Judgement:
    """Same person, other camera, same clothes; all other images of the person are junk."""
    agree = _Agreement(query, gallery)
    return Judgement(agree.pid, ~(agree.pid & (agree.camid | ~agree.clothes())) & agree.not_junk)


def wanted_outfit(query: LabelArrays, gallery: LabelArrays) -> Judgement:
    """Same person in the outfit that the query asks for; in another outfit they are wrong, not junk."""
    agree = _Agreement(query, gallery)
    return Judgement(agree.pid & agree.clothes(), ~(agree.pid & agree.camid) & agree.not_junk)


def anywhere(query: LabelArrays, gallery: LabelArrays) -> Judgement:
    """Same person; nothing is junk."""
    agree = _Agreement(query, gallery)
    return Judgement(agree.pid, np.ones_like(agree.pid))


def other_camera_only(query: LabelArrays, gallery: LabelArrays) -> Judgement:
    """As ``other_camera``, but bad detections are wrong answers, as in the released evaluator."""
    agree = _Agreement(query, gallery)
    return Judgement(agree.pid, ~(agree.pid & agree.camid))


@dataclass(frozen=True)
class _Agreement:
    """Where the labels of queries and gallery agree, (Q G)."""

    query: LabelArrays
    gallery: LabelArrays

    @property
    def pid(self) -> Bool[np.ndarray, "Q G"]:
        return _equal(self.query.pids, self.gallery.pids)

    @property
    def camid(self) -> Bool[np.ndarray, "Q G"]:
        return _equal(self.query.camids, self.gallery.camids)

    @property
    def not_junk(self) -> Bool[np.ndarray, "1 G"]:
        return (np.asarray(self.gallery.pids) != JUNK_PID)[None, :]

    def clothes(self) -> Bool[np.ndarray, "Q G"]:
        for side, (bare, _) in count_bare(self.query, self.gallery).items():
            if bare:  # fitting.py reports how many, beforehand: here the queries may be only a part
                raise InputError(
                    f"some {side} images have no clothes id, which this protocol needs; {PERSON_ALONE}"
                )
        return _equal(self.query.clothes_ids, self.gallery.clothes_ids)


def count_bare(query: LabelArrays, gallery: LabelArrays) -> dict[str, tuple[int, int]]:
    """Images without a clothes id, and images, per side; of the gallery only people of the queries count."""
    counts = {}
    asked_of = {"query": np.ones(len(query.pids), dtype=bool), "gallery": np.isin(gallery.pids, query.pids)}
    for (side, asked), labels in zip(asked_of.items(), (query, gallery), strict=True):
        known: Any = labels.clothes_ids
        bare = asked if known is None else asked & (np.asarray(known) == UNKNOWN)
        counts[side] = int(bare.sum()), int(asked.sum())
    return counts


def _equal(query: Any, gallery: Any) -> Bool[np.ndarray, "Q G"]:
    return np.asarray(query)[:, None] == np.asarray(gallery)[None, :]
