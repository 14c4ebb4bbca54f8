"""How a trial draws its queries and gallery: all of them, or one random picture a person or camera."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
from jaxtyping import Int

from omnireid.metrics.judging import LabelArrays

# Rows of the queries and of the gallery that a trial searches.
Rows = tuple[Int[np.ndarray, " q"], Int[np.ndarray, " g"]]
Draw = Callable[[LabelArrays, LabelArrays, int], Rows]


def everything(query: LabelArrays, gallery: LabelArrays, trial: int) -> Rows:  # noqa: ARG001
    """Every query against every gallery image."""
    return np.arange(len(query.pids)), np.arange(len(gallery.pids))


def one_per_person(query: LabelArrays, gallery: LabelArrays, trial: int) -> Rows:
    """Every query against one random gallery image a person; people in the order of their ids."""
    return np.arange(len(query.pids)), _one_of_each(trial, gallery.pids)


def one_per_camera(query: LabelArrays, gallery: LabelArrays, trial: int) -> Rows:
    """Every query against one random gallery image a person and camera; people, then cameras, in order.

    From a gallery in the order of its file names this is the draw of the LLCM authors: one generator seeded
    with the trial, one choice a folder.
    """
    return np.arange(len(query.pids)), _one_of_each(trial, gallery.pids, gallery.camids)


def _one_of_each(trial: int, *keys: Int[np.ndarray, " N"]) -> Int[np.ndarray, " g"]:
    rng = random.Random(trial)
    groups: dict[tuple[int, ...], list[int]] = {}
    for row, key in enumerate(zip(*(np.asarray(column).tolist() for column in keys), strict=True)):
        groups.setdefault(key, []).append(row)
    return np.array([rng.choice(groups[key]) for key in sorted(groups)], dtype=np.int64)
