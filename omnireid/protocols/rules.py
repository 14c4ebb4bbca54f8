"""What counts as right and what is junk, one function a rule (docs/protocols.md)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool

from instructions.errors import InputError
from omnireid.metrics.judging import LabelArrays

JUNK_PID = -1  # Market-1501's bad detections: no right answer and no wrong one
UNKNOWN = -1  # a clothes id that nobody wrote down


class Judgement(NamedTuple):
    """Right answers, and which pairs count at all; what does not count is junk, right or not."""

    relevant: Bool[np.ndarray, "Q G"]
    keep: Bool[np.ndarray, "Q G"]


Rule = Callable[[LabelArrays, LabelArrays], Judgement]


def other_camera(query: LabelArrays, gallery: LabelArrays) -> Judgement:
    """Same person; junk are pictures of them by the query's own camera, and detections of nobody."""
    agree = _Agreement(query, gallery)
    return Judgement(agree.pid, ~(agree.pid & agree.camid) & agree.somebody)


def other_clothes(query: LabelArrays, gallery: LabelArrays) -> Judgement:
    """Same person, other camera, other clothes; the same person otherwise is junk."""
    agree = _Agreement(query, gallery)
    return Judgement(agree.pid, ~(agree.pid & (agree.camid | agree.clothes())) & agree.somebody)


def same_clothes(query: LabelArrays, gallery: LabelArrays) -> Judgement:
    """Same person, other camera, same clothes; the same person otherwise is junk."""
    agree = _Agreement(query, gallery)
    return Judgement(agree.pid, ~(agree.pid & (agree.camid | ~agree.clothes())) & agree.somebody)


def wanted_outfit(query: LabelArrays, gallery: LabelArrays) -> Judgement:
    """Same person in the outfit that the query asks for; in another outfit a wrong answer, not junk."""
    agree = _Agreement(query, gallery)
    return Judgement(agree.pid & agree.clothes(), ~(agree.pid & agree.camid) & agree.somebody)


def anywhere(query: LabelArrays, gallery: LabelArrays) -> Judgement:
    """Same person; nothing is junk."""
    agree = _Agreement(query, gallery)
    return Judgement(agree.pid, np.ones_like(agree.pid))


def other_camera_only(query: LabelArrays, gallery: LabelArrays) -> Judgement:
    """As ``other_camera``, but detections of nobody are wrong answers: what the released evaluator does."""
    agree = _Agreement(query, gallery)
    return Judgement(agree.pid, ~(agree.pid & agree.camid))


@dataclass(frozen=True)
class _Agreement:
    """Where the labels of two sides agree, (Q G)."""

    query: LabelArrays
    gallery: LabelArrays

    @property
    def pid(self) -> Bool[np.ndarray, "Q G"]:
        return _equal(self.query.pids, self.gallery.pids)

    @property
    def camid(self) -> Bool[np.ndarray, "Q G"]:
        return _equal(self.query.camids, self.gallery.camids)

    @property
    def somebody(self) -> Bool[np.ndarray, "1 G"]:
        return (np.asarray(self.gallery.pids) != JUNK_PID)[None, :]

    def clothes(self) -> Bool[np.ndarray, "Q G"]:
        pids = np.asarray(self.query.pids)
        for side, labels, asked in (
            ("query", self.query, np.ones(len(pids), dtype=bool)),
            (
                "gallery",
                self.gallery,
                np.isin(self.gallery.pids, pids),
            ),  # a stranger's clothes decide nothing
        ):
            known: Any = labels.clothes_ids
            missing = asked if known is None else asked & (np.asarray(known) == UNKNOWN)
            if missing.any():
                raise InputError(
                    f"{int(missing.sum())} of {int(asked.sum())} {side} images have no clothes id, which this"
                    " protocol asks for; judge by person alone (clothes_general, market or instructed)"
                )
        return _equal(self.query.clothes_ids, self.gallery.clothes_ids)


def _equal(query: Any, gallery: Any) -> Bool[np.ndarray, "Q G"]:
    return np.asarray(query)[:, None] == np.asarray(gallery)[None, :]
