"""A data set's card: what it is, its terms of use, where its files are, and its expected counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

Part = Literal["train", "query", "gallery"]
PARTS: tuple[Part, ...] = ("train", "query", "gallery")
# The camid of an image whose camera is not known: query and gallery differ, so that no pair is ever junk.
NO_CAMERA: dict[Part, int] = {"train": 0, "query": -1, "gallery": -2}


@dataclass(frozen=True, slots=True)
class Published:
    """Published counts that were confirmed and add up; None where no source could be confirmed.

    ``queries`` counts records, where one image gives several (the captions of a text-to-image query).
    """

    images: int
    pids: int | None = None
    queries: int | None = None

    @property
    def records(self) -> int:
        """Number of records in a complete copy."""
        return self.images if self.queries is None else self.queries


Counts = Mapping[Part, Published]


@dataclass(frozen=True)
class DatasetCard:
    """What one should know before using a data set."""

    name: str  # key in DATASETS
    title: str
    tasks: tuple[str, ...]
    homepage: str
    access: str  # how to get it
    licence: str  # in the owners' words; "not stated" if we found no licence
    consent: str  # what is known about the consent of the people in the images
    citation: str
    folders: tuple[str, ...]  # names under a data root, most specific first; every toolkit's name is accepted
    num_cameras: int | None  # None: no cameras in the annotation
    counts: Mapping[str, Counts]  # by variant, then by part
    variants: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({"": "the only one"}))
    trained_on: str | None = None  # the data set with its training people, where it has none itself
    withdrawn: bool = False
    notes: tuple[str, ...] = ()

    @property
    def default_variant(self) -> str:
        """The first variant, taken when none is asked for."""
        return next(iter(self.variants))

    def published(self, part: Part, variant: str | None = None) -> Published | None:
        """The published count of one part, None where none is confirmed."""
        return self.counts.get(variant or self.default_variant, {}).get(part)
