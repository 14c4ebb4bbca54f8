"""The data types of the benchmark: an annotated image, a split, and the label arrays that protocols read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Int

Modality = Literal["rgb", "ir"]
MODALITIES: tuple[Modality, ...] = ("rgb", "ir")
UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class Record:
    """One annotated image.

    ``image`` and ``clothes`` are paths that can be opened as they are. ``camid`` is zero-based; where a data
    set has no cameras it is -1 for queries and -2 in the gallery, so that no pair is junk (OmniReID lists).
    ``clothes_id`` is unique over the whole data set (not only within a person), or ``UNKNOWN``. ``captions``
    describe this image; ``clothes`` is the image that is its instruction: a shop template for a query, its
    own crop for a gallery image.
    """

    image: str
    pid: int
    camid: int
    clothes_id: int = UNKNOWN
    modality: Modality = "rgb"
    captions: tuple[str, ...] = ()
    clothes: str | None = None


@dataclass(frozen=True)
class Split:
    """A data set as one task uses it; each part may be empty (test-only or training-only sets)."""

    name: str
    train: Sequence[Record] = ()  # a tuple, or columns (omnireid.columns) where there are very many
    query: Sequence[Record] = ()
    gallery: Sequence[Record] = ()
    notes: tuple[str, ...] = field(default=())  # notes of the reader to print: variant, tolerated quirks


@dataclass(frozen=True)
class Labels:
    """What a protocol may know about one side of a search: integer arrays, one row per image."""

    pids: Int[np.ndarray, " N"]
    camids: Int[np.ndarray, " N"]
    clothes_ids: Int[np.ndarray, " N"] | None = None
    modalities: Int[np.ndarray, " N"] | None = None

    def __len__(self) -> int:
        return len(self.pids)

    def take(self, rows: Int[np.ndarray, " M"]) -> Labels:
        """The same labels for some rows, in the order given."""
        return Labels(
            pids=self.pids[rows],
            camids=self.camids[rows],
            clothes_ids=None if self.clothes_ids is None else self.clothes_ids[rows],
            modalities=None if self.modalities is None else self.modalities[rows],
        )
