"""Leaks and their report: which people were dropped, why, and which images gave them away."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from omnireid.records import Record

Reason = Literal["same person", "same picture", "same person by name", "same file", "same picture by look"]
COLUMNS = ("training set", "reason", "people dropped", "for example", "test image")


@dataclass(frozen=True)
class People:
    """Records of one data set: a training source, or the query and gallery of a test."""

    dataset: str
    records: Sequence[Record]


@dataclass(frozen=True)
class Leak:
    """Why a training person was dropped, by the first of their images that matched a test person."""

    dataset: str
    pid: int
    image: str
    reason: Reason
    test_image: str = ""  # the image that it copies, if found by appearance


@dataclass(frozen=True)
class LeakageReport:
    """How many records were examined and dropped, whose, and which could not be examined."""

    num_records: int
    num_dropped: int
    people: Mapping[tuple[str, Reason], int]  # dropped people by (data set, reason)
    leaks: tuple[Leak, ...]  # one per dropped person, by data set in the order given, then by pid
    num_unreadable: int = 0  # images that could not be read, so that their appearance was not compared

    def sentences(self) -> tuple[str, ...]:
        """The report in words, one sentence per (data set, reason)."""
        unseen = (
            (f"{self.num_unreadable} images could not be read and were compared by name only",)
            if self.num_unreadable
            else ()
        )
        if not self.num_dropped:
            return (f"none of {self.num_records} training images shows a test person", *unseen)
        counted = (
            f"{dataset}: {count} people dropped, also found in a test set ({reason})"
            for (dataset, reason), count in self.people.items()
        )
        return (f"{self.num_dropped} of {self.num_records} training images dropped", *counted, *unseen)

    def rows(self) -> list[tuple[str, ...]]:
        """Table cells under COLUMNS, one row per (data set, reason)."""
        first: dict[tuple[str, Reason], Leak] = {}
        for leak in self.leaks:
            first.setdefault((leak.dataset, leak.reason), leak)
        return [
            (*place, str(count), first[place].image, first[place].test_image or "–")
            for place, count in self.people.items()
        ]

    def to_json(self) -> str:
        """The complete report, including every dropped person."""
        content = {
            "format": "instruct-reid leakage report",
            "num_records": self.num_records,
            "num_dropped": self.num_dropped,
            "num_unreadable": self.num_unreadable,
            "people": [
                {"dataset": dataset, "reason": reason, "people": count}
                for (dataset, reason), count in self.people.items()
            ],
            "leaks": [asdict(leak) for leak in self.leaks],
        }
        return json.dumps(content, ensure_ascii=False, indent=1) + "\n"
