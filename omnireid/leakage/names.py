"""Finds test people by number, file and file name, also across data sets that share images (IRM, 5.2).

CUHK-PEDES holds images of Market-1501 and CUHK03, ICFG-PEDES those of MSMT17, under other person numbers.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from omnireid.columns import column_of, images_of
from omnireid.leakage.people import Leak, People, Reason


@dataclass(frozen=True)
class SharedImages:
    """Images that one data set took from another: where they are, and whom their file names identify."""

    folder: str  # part of the image path
    dataset: str
    person: re.Pattern[str] | None = None  # finds the owner data set's person in a file name


SHARED_IMAGES: dict[str, tuple[SharedImages, ...]] = {
    "cuhk_pedes": (
        SharedImages("/Market/", "market1501", re.compile(r"(\d{4})_c\d")),
        SharedImages("/CUHK03/", "cuhk03", re.compile(r"(\d_\d{3})_\d_\d{2}$")),
    ),
    "icfg_pedes": (SharedImages("/imgs/", "msmt17"),),
}


class TestPeople:
    """Index of the test people, for look-ups in constant time."""

    def __init__(self, tests: Iterable[People]) -> None:
        self.disk = _Disk()
        self.pids: dict[str, set[int]] = {}
        self.stems: dict[str, set[str]] = {}
        self.files: set[str] = set()
        owners = {borrowed.dataset for rows in SHARED_IMAGES.values() for borrowed in rows}
        for test in tests:
            self.pids.setdefault(test.dataset, set()).update(record.pid for record in test.records)
            images = {record.image for record in test.records}
            self.files.update(map(self.disk.real_path, images))
            if test.dataset in owners:
                self.stems.setdefault(test.dataset, set()).update(map(stem, images))

    def leaks(self, source: People) -> Iterator[Leak]:
        """Every indication that a record of the source shows a test person, in record order."""
        pids = self.pids.get(source.dataset, set())
        borrowed = [
            (row, self.stems.get(row.dataset, set())) for row in SHARED_IMAGES.get(source.dataset, ())
        ]
        named = [(row, stems, _names(stems, row.person)) for row, stems in borrowed if stems]
        numbers = column_of(source.records, "pid").tolist()
        for image, pid in zip(images_of(source.records), numbers, strict=True):  # creates no Records
            reason: Reason | None = None
            if pid in pids:
                reason = "same person"
            elif self.files and self.disk.real_path(image) in self.files:
                reason = "same file"
            for row, stems, names in named:
                if reason is None and row.folder in image:
                    name = stem(image)
                    if name in stems:
                        reason = "same picture"
                    elif names and not names.isdisjoint(_names((name,), row.person)):
                        reason = "same person by name"
            if reason is not None:
                yield Leak(source.dataset, pid, image, reason)


def _names(stems: Iterable[str], person: re.Pattern[str] | None) -> set[str]:
    if person is None:
        return set()
    return {match[1] for match in map(person.match, stems) if match}


def stem(image: str) -> str:
    """A file name in lower case, without folder and suffix."""
    return image.rpartition("/")[2].rpartition(".")[0].lower()


class _Disk:
    """Resolves links in paths with one file system access per folder, not per file."""

    def __init__(self) -> None:
        self.folders: dict[str, tuple[str, Mapping[str, str]]] = {}

    def real_path(self, image: str) -> str:
        """The path with links resolved."""
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
