"""Test people never train: they are dropped, also where a data set took over another's pictures (IRM, 5.2).

CUHK-PEDES holds pictures of Market-1501 and CUHK03, ICFG-PEDES those of MSMT17, under other person numbers. A
training person with any picture of a test person goes entirely. Pictures that were copied under new names are
not found here.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from omnireid.records import Record

Reason = Literal["same person", "same picture", "same person by name", "same file"]
NUM_EXAMPLES = 5


@dataclass(frozen=True)
class People:
    """Records of one data set: a training source, or the query and gallery of a test."""

    dataset: str
    records: Sequence[Record]


@dataclass(frozen=True)
class Borrowed:
    """Pictures that one data set took from another: where they lie, and who is in them by name."""

    folder: str  # part of the image path
    dataset: str
    person: re.Pattern[str] | None = None  # finds the owner data set's person in a file name


BORROWED: dict[str, tuple[Borrowed, ...]] = {
    "cuhk_pedes": (
        Borrowed("/Market/", "market1501", re.compile(r"(\d{4})_c\d")),
        Borrowed("/CUHK03/", "cuhk03", re.compile(r"(\d_\d{3})_\d_\d{2}$")),
    ),
    "icfg_pedes": (Borrowed("/imgs/", "msmt17"),),
}


@dataclass(frozen=True)
class Leak:
    """Why a training person was dropped: the first of their pictures that gave them away."""

    dataset: str
    pid: int
    image: str
    reason: Reason


@dataclass(frozen=True)
class LeakageReport:
    """How many records were looked at and dropped, per data set and reason, with a few examples."""

    num_records: int
    num_dropped: int
    people: Mapping[tuple[str, Reason], int]  # dropped people by (data set, reason)
    examples: tuple[Leak, ...]

    def sentences(self) -> tuple[str, ...]:
        """The report in words, one sentence a (data set, reason)."""
        if not self.num_dropped:
            return (f"none of {self.num_records} training pictures shows a test person",)
        counted = (
            f"{dataset}: {count} people dropped ({reason} as in a test set)"
            for (dataset, reason), count in self.people.items()
        )
        return (f"{self.num_dropped} of {self.num_records} training pictures dropped", *counted)


def drop_test_people(
    train: Sequence[People], tests: Sequence[People]
) -> tuple[tuple[People, ...], LeakageReport]:
    """The training sources without anybody who is in a test, in the order given, and what was dropped.

    A person is dropped if they have the number of a test person of the same data set, or if any of their
    pictures is a test picture: by its file name where one data set is known to have taken over another's, or
    because it is the same file on disk (links followed).
    """
    index = _TestIndex(tests)
    kept: list[People] = []
    leaks: list[Leak] = []
    num_records = num_dropped = 0
    for source in train:
        leaked = {leak.pid: leak for leak in reversed(list(index.leaks(source)))}
        staying = (
            [record for record in source.records if record.pid not in leaked] if leaked else source.records
        )
        leaks += sorted(leaked.values(), key=lambda leak: leak.pid)
        num_records += len(source.records)
        num_dropped += len(source.records) - len(staying)
        kept.append(People(source.dataset, staying))
    people = Counter((leak.dataset, leak.reason) for leak in leaks)
    report = LeakageReport(
        num_records, num_dropped, dict(sorted(people.items())), tuple(leaks[:NUM_EXAMPLES])
    )
    return tuple(kept), report


class _TestIndex:
    """What is known of the test people, for constant-time questions."""

    def __init__(self, tests: Iterable[People]) -> None:
        self.disk = _Disk()
        self.pids: dict[str, set[int]] = {}
        self.stems: dict[str, set[str]] = {}
        self.files: set[str] = set()
        owners = {borrowed.dataset for rows in BORROWED.values() for borrowed in rows}
        for test in tests:
            self.pids.setdefault(test.dataset, set()).update(record.pid for record in test.records)
            images = {record.image for record in test.records}
            self.files.update(map(self.disk.real_path, images))
            if test.dataset in owners:
                self.stems.setdefault(test.dataset, set()).update(map(stem, images))

    def leaks(self, source: People) -> Iterator[Leak]:
        """Every sign that a record of the source shows a test person, in record order."""
        pids = self.pids.get(source.dataset, set())
        borrowed = [(row, self.stems.get(row.dataset, set())) for row in BORROWED.get(source.dataset, ())]
        named = [(row, stems, _names(stems, row.person)) for row, stems in borrowed if stems]
        for record in source.records:
            reason: Reason | None = None
            if record.pid in pids:
                reason = "same person"
            elif self.files and self.disk.real_path(record.image) in self.files:
                reason = "same file"
            for row, stems, names in named:
                if reason is None and row.folder in record.image:
                    name = stem(record.image)
                    if name in stems:
                        reason = "same picture"
                    elif names and not names.isdisjoint(_names((name,), row.person)):
                        reason = "same person by name"
            if reason is not None:
                yield Leak(source.dataset, record.pid, record.image, reason)


def _names(stems: Iterable[str], person: re.Pattern[str] | None) -> set[str]:
    if person is None:
        return set()
    return {match[1] for match in map(person.match, stems) if match}


def stem(image: str) -> str:
    """A file name without folder and suffix, in lower case."""
    return image.rpartition("/")[2].rpartition(".")[0].lower()


class _Disk:
    """Where paths lead to; asks the file system once a folder, not once a file."""

    def __init__(self) -> None:
        self.folders: dict[str, tuple[str, Mapping[str, str]]] = {}

    def real_path(self, image: str) -> str:
        """The file that a path leads to, links followed."""
        folder, _, name = image.rpartition("/")
        known = self.folders.get(folder)
        if known is None:
            known = self.folders[folder] = self._look(folder)
        directory, links = known
        return links.get(name) or f"{directory}/{name}"

    @staticmethod
    def _look(folder: str) -> tuple[str, Mapping[str, str]]:
        try:
            with os.scandir(folder or ".") as entries:
                links = {entry.name: os.path.realpath(entry.path) for entry in entries if entry.is_symlink()}
        except OSError:  # not on this machine
            links = {}
        return os.path.realpath(folder), links
