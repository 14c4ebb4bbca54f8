"""How a trial draws its queries and gallery: all of them, some cameras, or one random image of each."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Int

from omnireid.metrics.judging import LabelArrays

# Rows of the queries and of the gallery that a trial searches.
Rows = tuple[Int[np.ndarray, " q"], Int[np.ndarray, " g"]]
Draw = Callable[[LabelArrays, LabelArrays, int], Rows]
# Which of the pairs that count stay, given the gallery, those pairs, the queries' rows and the trial.
Thin = Callable[[LabelArrays, Bool[np.ndarray, "B G"], Int[np.ndarray, " B"], int], Bool[np.ndarray, "B G"]]


def everything(query: LabelArrays, gallery: LabelArrays, trial: int) -> Rows:  # noqa: ARG001
    """Every query against every gallery image."""
    return np.arange(len(query.pids)), np.arange(len(gallery.pids))


def one_per_person(query: LabelArrays, gallery: LabelArrays, trial: int) -> Rows:
    """Every query against one random gallery image per person; people in the order of their ids."""
    return np.arange(len(query.pids)), _one_of_each(trial, gallery.pids)


def one_per_camera(query: LabelArrays, gallery: LabelArrays, trial: int) -> Rows:
    """Every query against one random gallery image per person and camera; people, then cameras, in order.

    For a gallery in the order of its file names this is the draw of the LLCM authors: one generator seeded
    with the trial, one choice per folder.
    """
    return np.arange(len(query.pids)), _one_of_each(trial, gallery.pids, gallery.camids)


def queries_one_per_camera(query: LabelArrays, gallery: LabelArrays, trial: int) -> Rows:
    """One random query per person and camera, drawn as in ``one_per_camera``, against the whole gallery."""
    return _one_of_each(trial, query.pids, query.camids), np.arange(len(gallery.pids))


def cameras(*camids: int) -> Draw:
    """A draw that keeps only the images of some cameras, on both sides; camids count from 0."""

    def of_cameras(query: LabelArrays, gallery: LabelArrays, trial: int) -> Rows:  # noqa: ARG001
        sides = (np.flatnonzero(np.isin(side.camids, camids)) for side in (query, gallery))
        queries, searched = sides
        return queries, searched

    return of_cameras


def one_per_person_and_query(
    gallery: LabelArrays, keep: Bool[np.ndarray, "B G"], query_rows: Int[np.ndarray, " B"], trial: int
) -> Bool[np.ndarray, "B G"]:
    """For each query anew, one random image per person among those that count for it.

    Each query has its own generator, seeded with the trial and its row, so that the draw depends neither on
    the block size nor on the other queries.
    """
    pids = np.asarray(gallery.pids)
    kept = np.zeros_like(keep)
    for place, query_row in enumerate(query_rows.tolist()):
        columns = np.flatnonzero(keep[place])
        order = np.random.default_rng((trial, query_row)).random(len(pids))[columns]
        columns = columns[np.lexsort((order, pids[columns]))]
        firsts = np.unique(pids[columns], return_index=True)[1]
        kept[place, columns[firsts]] = True
    return kept


def _one_of_each(trial: int, *keys: Int[np.ndarray, " N"]) -> Int[np.ndarray, " g"]:
    rng = random.Random(trial)
    groups: dict[tuple[int, ...], list[int]] = {}
    for row, key in enumerate(zip(*(np.asarray(column).tolist() for column in keys), strict=True)):
        groups.setdefault(key, []).append(row)
    return np.array([rng.choice(groups[key]) for key in sorted(groups)], dtype=np.int64)
