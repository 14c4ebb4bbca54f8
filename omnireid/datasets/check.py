"""Checks a data set before training: wrong counts, duplicates, people in both train and test, gaps."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np

from instructions.errors import InputError
from omnireid.columns import column_of, images_of
from omnireid.datasets.card import NO_CAMERA, PARTS, DatasetCard, Part
from omnireid.datasets.catalog import DATASETS, WITHDRAWN, dataset_named
from omnireid.datasets.datalists import read_datalists
from omnireid.datasets.dataset import Dataset
from omnireid.datasets.list_table import LISTS, find_lists
from omnireid.datasets.own import FOLDER, PREFIX, missing_columns
from omnireid.datasets.scan import remedy_for, subfolders, unreadable_below, unreadable_path
from omnireid.protocols import PROTOCOLS, shortcoming, suited_protocol
from omnireid.records import Record, Split
from omnireid.tasks import TASKS, TaskSpec

Severity = Literal["problem", "warning"]
NUM_EXAMPLES = 3
COPY_AGAIN = "copy it again from the original archive"


@dataclass(frozen=True)
class Finding:
    """Something that is wrong (``problem``) or worth knowing (``warning``), and what to do about it."""

    severity: Severity
    dataset: str
    message: str
    fix: str


@dataclass(frozen=True)
class LoadedSplit:
    """A data set as read from its raw layout or from the lists of a task."""

    card: DatasetCard
    source: Literal["raw", "lists"]
    task: TaskSpec
    variant: str
    split: Split
    again: bool = False  # the same files again for another task: only what this task needs is checked

    def part(self, part: Part) -> Sequence[Record]:
        """The records of one part."""
        records: Sequence[Record] = getattr(self.split, part)
        return records

    def find(self, severity: Severity, message: str, fix: str) -> Finding:
        """A finding about this split."""
        way = " ".join(word for word in (self.source, self.task.name, self.variant) if word)
        return Finding(severity, self.card.name, f"{way}: {message}", fix)


def load_every_way(name: str, root: Path, *, named: bool) -> Iterator[LoadedSplit | Finding]:
    """Every reading of a data set that the files under the root allow; one that fails is a finding.

    Args:
        name: a key of DATASETS.
        root: the data root.
        named: whether the user named this data set, so that the root itself may be its folder.
    """
    try:
        entry = dataset_named(name)
    except InputError as error:  # an own table with an invalid name
        yield unreadable(name, error)
        return
    ways = chain(_load_raw_layouts(entry, root, named=named), _load_lists(entry, root, named=named))
    first = next(ways, None)
    if first is not None:
        yield from chain([first], ways)
        return
    try:
        yield from _unrecognised(entry, root)
    except OSError as error:
        yield unreadable(name, error)


def _load_raw_layouts(entry: Dataset, root: Path, *, named: bool) -> Iterator[LoadedSplit | Finding]:
    for variant in entry.card.variants if entry.raw_tasks else ():
        found = None
        try:
            found = entry.find(root, variant)
            if found is not None and (named or found != root):
                yield from _read_raw(entry, root, variant)
        except (InputError, OSError) as error:
            yield unreadable(entry.card.name, error, found)


def _load_lists(entry: Dataset, root: Path, *, named: bool) -> Iterator[LoadedSplit | Finding]:
    for task in entry.card.tasks:
        names = LISTS.get((entry.card.name, task))
        for variant in () if names is None else names.test or ("",):
            try:
                found = None if names is None else find_lists(root, names, variant)
                if found is not None and (named or found.root != root):
                    split = read_datalists(root, entry.card.name, task, variant or None)
                    yield LoadedSplit(entry.card, "lists", TASKS[task], variant, split)
            except (InputError, OSError) as error:
                yield unreadable(entry.card.name, error)


def _unrecognised(entry: Dataset, root: Path) -> Iterator[Finding]:
    """A finding if a folder has the data set's name but nothing in it is recognised."""
    for folder in {folder.partition("/")[0]: None for folder in entry.card.folders}:
        held = () if folder == FOLDER else sorted(path.name for path in _inside(root / folder))
        if held:
            kinds = [entry.marks(variant) for variant in entry.card.variants] if entry.raw_tasks else []
            examples = ", ".join(held[:NUM_EXAMPLES])
            message = f"the folder {folder} exists, but its contents are not recognised: it holds {examples}"
            wanted = " or ".join(dict.fromkeys(kinds)) or "the OmniReID lists"
            yield Finding("problem", entry.card.name, message, f"put {wanted} into it (docs/data.md)")


def _inside(folder: Path) -> Iterator[Path]:
    left_behind = ("Thumbs.db", "desktop.ini", "__MACOSX")  # written by other operating systems
    inside = folder.iterdir() if folder.is_dir() else iter(())
    return (path for path in inside if path.name[0] != "." and path.name not in left_behind)


def _read_raw(entry: Dataset, root: Path, variant: str) -> Iterator[LoadedSplit]:
    """The raw layout as read for its first task, and for each other task that it has annotations for."""
    first, *others = entry.raw_tasks
    split = entry.read(root, variant, first)
    missing: Mapping[str, str] = {}
    if entry.card.name.startswith(PREFIX):
        missing = missing_columns(split)
        unusable = (f"not usable for {task} without the column {column}" for task, column in missing.items())
        split = replace(split, notes=(*split.notes, *unusable))
    yield LoadedSplit(entry.card, "raw", TASKS[first], variant, split)
    for task in others if variant == entry.card.default_variant else ():
        again = entry.read(root, variant, task) if task in entry.readers_of else split
        if task not in missing and len(again.train) + len(again.query):
            yield LoadedSplit(entry.card, "raw", TASKS[task], variant, again, again=True)


def unreadable(name: str, error: InputError | OSError, folder: Path | None = None) -> Finding:
    """The finding for a data set that cannot be read; it names all folders without read permission."""
    if isinstance(error, InputError):
        fix = "correct the file or folder named here; docs/data.md describes the formats"
        return Finding("problem", name, str(error), fix)
    named = unreadable_path(error)
    closed = unreadable_below(named if folder is None else folder) or [named]
    examples = ", ".join(closed[:NUM_EXAMPLES])
    message = f"not read: {len(closed)} files or folders cannot be opened ({error.strerror}): {examples}"
    return Finding("problem", name, message, remedy_for(error))


def datasets_at_root(root: Path) -> list[str]:
    """The data sets whose own folder the data root could be."""
    return [name for name, entry in DATASETS.items() if entry.find(root) == root]


def misspelt_folders(root: Path) -> Iterator[Finding]:
    """Folders of the data root that no reader uses, but whose names are nearly those of known folders."""
    cards = [entry.card for entry in (*DATASETS.values(), *WITHDRAWN.values())]
    known = {folder.split("/")[0] for card in cards for folder in card.folders}
    known |= {folder for names in LISTS.values() for folder in names.folders}
    small = {name.lower(): name for name in sorted(known)}
    for name in subfolders(root):
        near = difflib.get_close_matches(name.lower(), small, n=1, cutoff=0.8) if name not in known else []
        if near:
            wanted = small[near[0]]
            message = f"the folder {name} is ignored: did you mean {wanted!r}?"
            yield Finding(
                "warning", "layout", message, f"rename it to {wanted}, or leave it if it is something else"
            )


def find_problems(reading: LoadedSplit) -> Iterator[Finding]:
    """All findings about a loaded split that do not require opening images."""
    once = (_numbers, _repetitions, _test_images_in_train, _shared_people)
    for check in (*(() if reading.again else once), _instructions, _answers):
        yield from check(reading)


def _numbers(reading: LoadedSplit) -> Iterator[Finding]:
    card = reading.card
    for part in PARTS:
        records = reading.part(part)
        wrong = np.flatnonzero(column_of(records, "pid") < 0)
        if len(wrong):
            example = records[int(wrong[0])].image
            message = f"{len(wrong)} {part} images have a negative person id, e.g. {example}"
            yield reading.find("problem", message, "number people from 0; only junk has a negative id (-1)")
        if card.num_cameras is None:
            continue
        camids = column_of(records, "camid")
        far = np.flatnonzero(~np.isin(camids, [*range(card.num_cameras), *NO_CAMERA.values()]))
        if len(far):
            first = records[int(far[0])]
            message = f"{len(far)} {part} images name an unknown camera ({first.camid + 1}: {first.image})"
            fix = f"{card.title} has cameras 1 to {card.num_cameras} (0 to {card.num_cameras - 1} in lists)"
            yield reading.find("problem", message, fix)


def _repetitions(reading: LoadedSplit) -> Iterator[Finding]:
    for part in PARTS:
        if part == "query" and reading.task.query == "text":  # several captions of one image
            continue
        counted = Counter(images_of(reading.part(part)))
        repeated = [image for image, count in counted.items() if count > 1]
        if repeated:
            message = f"{len(repeated)} {part} images are listed more than once, e.g. {repeated[0]}"
            yield reading.find("problem", message, "remove the repeated lines")


def _test_images_in_train(reading: LoadedSplit) -> Iterator[Finding]:
    images = {part: set(images_of(reading.part(part))) for part in PARTS}
    for part in ("query", "gallery"):
        shared = sorted(images["train"] & images[part])
        if shared:
            message = f"{len(shared)} training images are also in the {part}, e.g. {shared[0]}"
            yield reading.find("problem", message, "remove them from the training list")
    shared = sorted(images["query"] & images["gallery"])
    if shared and reading.task.query == "image":
        message = f"{len(shared)} query images are also in the gallery, e.g. {shared[0]}"
        yield reading.find(
            "warning", message, "harmless if the protocol ignores matches from the query's own camera"
        )


def _shared_people(reading: LoadedSplit) -> Iterator[Finding]:
    train, query, gallery = ({*column_of(reading.part(part), "pid").tolist()} for part in PARTS)
    both = sorted(train & (query | gallery))
    if both:
        message = f"{len(both)} people are in both the training and the test part, e.g. {both[0]}"
        yield reading.find("problem", message, f"training and test must not share people; {COPY_AGAIN}")
    lost = sorted(query - gallery)
    if lost and gallery:
        message = f"{len(lost)} query people are not in the gallery, e.g. {lost[0]}"
        yield reading.find(
            "warning", message, "their queries have no true match and are not counted; complete the copy"
        )


def _instructions(reading: LoadedSplit) -> Iterator[Finding]:
    task = reading.task
    parts: tuple[Part, ...] = PARTS
    if task.query == "text":  # gallery images have no captions
        what, parts = "caption", ("train", "query")
    elif task.instruction in ("clothes", "caption"):
        what = "clothes image" if task.instruction == "clothes" else "caption"
    else:
        return
    for part in parts:
        records = reading.part(part)
        if what == "caption":
            lacking = np.flatnonzero(column_of(records, "num_captions") == 0)
        else:
            lacking = np.flatnonzero([record.clothes is None for record in records])
        if len(lacking):
            message = f"{len(lacking)} {part} images have no {what}, e.g. {records[int(lacking[0])].image}"
            if part == "gallery":
                fix = "a neutral instruction is used instead; state this with the results"
                yield reading.find("warning", message, fix)
            else:  # an own table does not say which tasks it is for
                severity: Severity = "warning" if reading.card.name.startswith(PREFIX) else "problem"
                yield reading.find(severity, message, f"give each image a {what}, or remove it")


def _answers(reading: LoadedSplit) -> Iterator[Finding]:
    protocol = suited_protocol(reading.task.name, reading.card.name, reading.variant)
    if not (len(reading.split.query) and len(reading.split.gallery)):
        return
    lack = shortcoming(PROTOCOLS[protocol], reading.split)
    if lack is not None:
        message, _, fix = lack.partition("; ")
        yield reading.find("warning", f"protocol {protocol} cannot evaluate the test part: {message}", fix)
