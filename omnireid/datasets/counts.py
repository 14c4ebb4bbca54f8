"""Compares the counts of a copy with the published ones, or with the manifest of a synthetic tree."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from instructions.errors import InputError
from omnireid.columns import column_of, images_of
from omnireid.datasets.card import PARTS, Part
from omnireid.datasets.check import COPY_AGAIN, Finding, LoadedSplit
from omnireid.datasets.list_table import LISTS

MANIFEST = "synthetic.json"  # at the root of a tree of omnireid.synthetic
Manifest = Mapping[str, Mapping[str, int]]

_JUNK = re.compile(r"(\d+) junk images")


def read_manifest(root: Path) -> Manifest | None:
    """Counts of a synthetic tree by data set; None if the images are real.

    Raises:
        InputError: if the manifest cannot be understood.
    """
    path = root / MANIFEST
    if not path.exists():
        return None
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        return {
            name: {part: int(n) for part, n in counts.items()} for name, counts in content["datasets"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is not a manifest of tools.synthesize ({error!r}); run tools.synthesize again"
        ) from None


def check_counts(readings: Sequence[LoadedSplit], manifest: Manifest | None) -> Iterator[Finding]:
    """A warning for every part whose size is not the expected one; partial copies are allowed."""
    for reading in readings:
        if reading.again:
            continue
        if manifest is None:
            yield from _against_card(reading)
        elif reading.source == "raw" and reading.variant == reading.card.default_variant:
            yield from _against_manifest(reading, readings, manifest.get(reading.card.name, {}))


def offers(reading: LoadedSplit, part: Part) -> bool:
    """Whether this reading should yield the part at all."""
    if reading.source == "raw":
        return reading.card.published(part, reading.variant) is not None or bool(reading.part(part))
    names = LISTS[reading.card.name, reading.task.name]
    return bool(names.train if part == "train" else names.test)


def _against_card(reading: LoadedSplit) -> Iterator[Finding]:
    for part in PARTS:
        num_records, published = (
            len(reading.part(part)),
            reading.card.published(part, reading.variant or None),
        )
        if not offers(reading, part) or (published is not None and published.records == num_records):
            continue
        if not num_records:
            yield reading.find(
                "warning", f"the {part} part is empty", f"{COPY_AGAIN}, or use the data set without this part"
            )
        elif published is not None:
            num_pids = len(np.unique(column_of(reading.part(part), "pid")))
            known = f" of {published.pids} people" if published.pids else ""
            message = (
                f"{num_records} {part} records of {num_pids} people, but published are "
                f"{published.records}{known}"
            )
            fix = f"this may be a partial copy or another version: {COPY_AGAIN}"
            if reading.card.notes:
                fix += f". Known: {'; '.join(reading.card.notes)}"
            yield reading.find("warning", message, fix)


def _against_manifest(
    reading: LoadedSplit, readings: Sequence[LoadedSplit], expected: Mapping[str, int]
) -> Iterator[Finding]:
    variants = [other for other in readings if other.source == "raw" and other.card is reading.card]
    for part in PARTS:
        if part not in expected:
            continue
        # The manifest counts what is on disk: every variant's queries together, and junk with the gallery.
        plain = len(reading.part(part))
        together = len({image for other in variants for image in images_of(other.part(part))})
        junk = sum(int(match[1]) for note in reading.split.notes if (match := _JUNK.match(note)))
        if expected[part] not in {plain, together, plain + junk}:
            message = f"{plain} {part} records, but the synthetic tree was generated with {expected[part]}"
            yield reading.find("warning", message, "run tools.synthesize again with the same arguments")
