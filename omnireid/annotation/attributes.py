"""Attributes of pedestrians, 20 in 92 words, from a table or proposed by a model (IRM, 3 and table 7)."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import UInt8

from instructions.attributes import ATTRIBUTES, AttributeSet
from instructions.errors import InputError, near_miss
from omnireid.annotation.journal import Entry, Provenance
from omnireid.annotation.work import Progress, Work


@dataclass(frozen=True)
class Proposal:
    """Attributes predicted by a model: words of table 7, each with a confidence in [0, 1]."""

    words: Mapping[str, str]
    confidence: Mapping[str, float]


class AttributeProposer(Protocol):
    """A model that predicts attributes of a person; it omits those that it does not know."""

    @property
    def name(self) -> str:
        """Its name in the journal."""
        ...

    @property
    def version(self) -> str:
        """Hash of its weights."""
        ...

    def propose(self, pixels: UInt8[np.ndarray, "H W 3"]) -> Proposal:
        """Attributes of the person in the middle of the image."""
        ...


def propose(
    work: Work, proposer: AttributeProposer, *, now: str, progress: Progress | None = None
) -> tuple[int, int]:
    """Predict attributes of every image that the model has not seen; returns how many are new and unreadable.

    Raises:
        InputError: The model named a word that table 7 does not have.
    """
    by = Provenance("model", proposer.name, proposer.version, time=now)
    journal = work.journal("attributes")
    done = {entry.image for entry in journal.entries() if entry.by.source == by.source}
    images = [listed.image for listed in work.images() if listed.image not in done]
    num_unreadable = 0
    for image, pixels in work.pixels(images, progress):
        if pixels is None:
            num_unreadable += 1
            continue
        found = proposer.propose(pixels)
        words = AttributeSet(found.words).to_dict()
        confidence = {name: round(float(found.confidence[name]), 4) for name in words}
        journal.add(Entry(image, {"words": words, "confidence": confidence}, by))
    return len(images) - num_unreadable, num_unreadable


def import_table(work: Work, path: Path, *, now: str) -> int:
    """Take attributes from a CSV table, by hand or from elsewhere; returns how many images are new.

    Its first line names the columns: ``image``, as in the list of images, and any of the 20 attributes. An
    empty cell says nothing.

    Raises:
        InputError: A column, a word or an image is unknown; nothing is taken then.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a table: {error}") from None
    rows = list(csv.reader(io.StringIO(text, newline="")))
    if not rows or "image" not in rows[0]:
        raise InputError(f"{path} has no column 'image'; its first line should name the columns")
    for name in rows[0]:
        if name != "image" and name not in ATTRIBUTES:
            hint = near_miss(name, ATTRIBUTES)
            raise InputError(f"{path}: unknown column {name!r}{hint}; known: image, {', '.join(ATTRIBUTES)}")
    by = Provenance("table", path.name, hashlib.sha256(text.encode()).hexdigest()[:16], time=now)
    known = {listed.image for listed in work.images()}
    entries = [
        _entry(path, number, rows[0], row, known, by)
        for number, row in enumerate(rows[1:], start=2)
        if any(cell.strip() for cell in row)
    ]
    journal = work.journal("attributes")
    done = {entry.image for entry in journal.entries() if entry.by.source == by.source}
    entries = [entry for entry in entries if entry.image not in done]
    for entry in entries:
        journal.add(entry)
    return len(entries)


def _entry(
    path: Path, number: int, names: Sequence[str], cells: Sequence[str], known: set[str], by: Provenance
) -> Entry:
    if len(cells) > len(names):
        raise InputError(f"{path}: row {number} has {len(cells)} cells for {len(names)} columns")
    row = dict(zip(names, cells, strict=False))
    image = row.pop("image", "").strip()
    if image not in known:
        raise InputError(f"{path}:{number}: {image!r} is not in the list of images{near_miss(image, known)}")
    try:
        words = AttributeSet({name: word.strip() for name, word in row.items() if word.strip()})
    except InputError as error:
        raise InputError(f"{path}:{number}: {error}") from None
    return Entry(image, {"words": words.to_dict()}, by)
