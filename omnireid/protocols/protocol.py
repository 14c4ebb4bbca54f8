"""A protocol: what is right, what is junk, how the gallery is drawn, and which CMC and AP are reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int

from instructions.errors import InputError
from omnireid.metrics.judging import LabelArrays
from omnireid.protocols.draws import Draw, Rows, Thin, everything
from omnireid.protocols.rules import Judgement, Rule

Need = Literal["clothes", "two modalities", "texts"]  # labels that a rule or a title presupposes


@dataclass(frozen=True)
class Protocol:
    """The rules of one search; ``title`` and ``description`` are printed beside its numbers."""

    name: str
    title: str
    description: str
    rule: Rule
    drawn: Draw = everything  # which queries and gallery images a trial searches
    thinned: Thin | None = None  # what a trial leaves of each query's own gallery; None is all of it
    num_trials: int = 1  # draws whose scores are averaged
    cmc: Literal["image", "identity"] = "image"  # what the CMC counts
    needs: tuple[Need, ...] = ()
    ap_topk: int | None = None  # None is the full AP; see omnireid.metrics.rank

    def judge(self, query: LabelArrays, gallery: LabelArrays) -> Judgement:
        """Which pairs are right and which are kept (not junk).

        Raises:
            InputError: The rule needs clothes ids that are missing.
        """
        return self.rule(query, gallery)

    def draw(self, query: LabelArrays, gallery: LabelArrays, trial: int = 0) -> Rows:
        """Rows of the queries and of the gallery in a trial; trials count from 0.

        The draw depends on the trial, the labels and the order of the gallery, so a reader must sort its
        files.
        """
        if not 0 <= trial < self.num_trials:
            raise InputError(f"trial {trial} of {self.name}; it has trials 0 to {self.num_trials - 1}")
        return self.drawn(query, gallery, trial)

    def thin(
        self,
        gallery: LabelArrays,
        keep: Bool[np.ndarray, "B G"],
        query_rows: Int[np.ndarray, " B"],
        trial: int = 0,
    ) -> Bool[np.ndarray, "B G"]:
        """The kept pairs that remain in a trial, for a block of queries given by their rows."""
        return keep if self.thinned is None else self.thinned(gallery, keep, query_rows, trial)
