"""Looks a data set over before anybody trains on it: wrong numbers, repetitions, shared people, gaps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from instructions.errors import InputError
from omnireid.datasets.card import PARTS, DatasetCard, Part
from omnireid.datasets.catalog import dataset_named
from omnireid.datasets.datalists import CAMID, read_datalists
from omnireid.datasets.list_table import LISTS, find_lists
from omnireid.records import Record, Split
from omnireid.tasks import TASKS, TaskSpec

Severity = Literal["problem", "warning"]
NO_CAMERA = frozenset(CAMID.values())  # what stands for "no camera" in the lists
COPY_AGAIN = "copy it again from its owners' archive"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong (``problem``) or worth knowing (``warning``), and the way out."""

    severity: Severity
    dataset: str
    message: str
    fix: str


@dataclass(frozen=True)
class Reading:
    """A data set read one way: from its raw layout or from the lists of a task."""

    card: DatasetCard
    source: Literal["raw", "lists"]
    task: TaskSpec
    variant: str
    split: Split

    def part(self, part: Part) -> tuple[Record, ...]:
        """The records of one part."""
        records: tuple[Record, ...] = getattr(self.split, part)
        return records

    def find(self, severity: Severity, message: str, fix: str) -> Finding:
        """A finding on this reading."""
        way = " ".join(word for word in (self.source, self.task.name, self.variant) if word)
        return Finding(severity, self.card.name, f"{way}: {message}", fix)


def read_every_way(name: str, root: Path, *, named: bool) -> Iterator[Reading | Finding]:
    """Every reading of a data set that the root allows; one that fails is a finding.

    Args:
        name: a key of DATASETS.
        root: the data root.
        named: the user asked for this data set, so the root itself may be its folder.
    """
    entry = dataset_named(name)
    for variant in entry.card.variants if entry.raw_tasks else ():
        found = entry.find(root, variant)
        if found is not None and (named or found != root):
            try:
                split = entry.read(root, variant)
                yield Reading(entry.card, "raw", TASKS[entry.raw_tasks[0]], variant, split)
            except InputError as error:
                yield _unreadable(name, error)
    for task in entry.card.tasks:
        names = LISTS.get((name, task))
        for variant in () if names is None else names.test or ("",):
            found_lists = None if names is None else find_lists(root, names, variant)
            if found_lists is None or not (named or found_lists.root != root):
                continue
            try:
                split = read_datalists(root, name, task, variant or None)
                yield Reading(entry.card, "lists", TASKS[task], variant, split)
            except InputError as error:
                yield _unreadable(name, error)


def _unreadable(name: str, error: InputError) -> Finding:
    return Finding(
        "problem", name, str(error), "correct the file or folder named here; docs/data.md has the forms"
    )


def examine(reading: Reading) -> Iterator[Finding]:
    """All findings on one reading that need no picture to be opened."""
    for check in (_numbers, _repetitions, _test_pictures_in_train, _shared_people, _instructions):
        yield from check(reading)


def _numbers(reading: Reading) -> Iterator[Finding]:
    card = reading.card
    for part in PARTS:
        wrong = [record for record in reading.part(part) if record.pid < 0]
        if wrong:
            message = f"{len(wrong)} {part} pictures with a negative person number, e.g. {wrong[0].image}"
            yield reading.find("problem", message, "only junk (-1) is negative; count people from 0")
        if card.num_cameras is None:
            continue
        known = range(card.num_cameras)
        far = [r for r in reading.part(part) if r.camid not in known and r.camid not in NO_CAMERA]
        if far:
            message = (
                f"{len(far)} {part} pictures of a camera there is not ({far[0].camid + 1}: {far[0].image})"
            )
            fix = f"{card.title} has cameras 1 to {card.num_cameras} (0 to {card.num_cameras - 1} in lists)"
            yield reading.find("problem", message, fix)


def _repetitions(reading: Reading) -> Iterator[Finding]:
    for part in PARTS:
        if part == "query" and reading.task.query == "text":  # several captions of one picture
            continue
        counted = Counter(record.image for record in reading.part(part))
        repeated = [image for image, count in counted.items() if count > 1]
        if repeated:
            message = f"{len(repeated)} {part} pictures are listed more than once, e.g. {repeated[0]}"
            yield reading.find("problem", message, "remove the repeated lines")


def _test_pictures_in_train(reading: Reading) -> Iterator[Finding]:
    images = {part: {record.image for record in reading.part(part)} for part in PARTS}
    for part in ("query", "gallery"):
        shared = sorted(images["train"] & images[part])
        if shared:
            message = f"{len(shared)} training pictures are also in the {part}, e.g. {shared[0]}"
            yield reading.find("problem", message, "take them out of the training list")
    shared = sorted(images["query"] & images["gallery"])
    if shared and reading.task.query == "image":
        message = f"{len(shared)} query pictures are also in the gallery, e.g. {shared[0]}"
        yield reading.find("warning", message, "harmless where the protocol ignores a query's own camera")


def _shared_people(reading: Reading) -> Iterator[Finding]:
    train, query, gallery = ({record.pid for record in reading.part(part)} for part in PARTS)
    both = sorted(train & (query | gallery))
    if both:
        message = f"{len(both)} people are both in train and in the test, e.g. {both[0]}"
        yield reading.find("problem", message, f"the parts of a data set share nobody; {COPY_AGAIN}")
    lost = sorted(query - gallery)
    if lost and gallery:
        message = f"{len(lost)} query people are not in the gallery, e.g. {lost[0]}"
        yield reading.find(
            "warning", message, "their queries have no answer and are not counted; complete the copy"
        )


def _instructions(reading: Reading) -> Iterator[Finding]:
    task = reading.task
    lacks: Callable[[Record], bool]
    if task.instruction == "clothes":
        what, lacks, parts = "clothes picture", lambda record: record.clothes is None, PARTS
    elif task.instruction == "caption":
        what, lacks, parts = "caption", lambda record: not record.captions, PARTS
    elif task.query == "text":  # a gallery picture stands alone
        what, lacks, parts = "caption", lambda record: not record.captions, ("train", "query")
    else:
        return
    for part in parts:
        lacking = [record.image for record in reading.part(part) if lacks(record)]
        if lacking:
            message = f"{len(lacking)} {part} pictures have no {what}, e.g. {lacking[0]}"
            if part == "gallery":
                yield reading.find(
                    "warning", message, "a neutral instruction stands in; say so beside the figures"
                )
            else:
                yield reading.find("problem", message, f"give each a {what}, or take it out")
