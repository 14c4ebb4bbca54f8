"""A journal of findings about images, one per line: the value, its source and the time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from instructions.errors import InputError

Kind = Literal["rule", "model", "table", "person"]  # whose word counts for more comes later
KINDS: tuple[Kind, ...] = ("rule", "model", "table", "person")


@dataclass(frozen=True)
class Provenance:
    """Where a finding comes from, in enough detail to reproduce it."""

    kind: Kind
    name: str  # of the model, the rule, the table's file, or the person
    version: str  # hash of weights or file, or a version number
    seed: int | None = None
    time: str = ""

    @property
    def source(self) -> tuple[str, str, int | None]:
        """Two findings of one source on one image are the same finding."""
        return (self.name, self.version, self.seed)


@dataclass(frozen=True)
class Entry:
    """One finding about one image."""

    image: str  # as the list of images writes it
    value: Mapping[str, Any]
    by: Provenance

    def takes_precedence_over(self, other: Entry) -> bool:
        """Whether this finding is kept although the other one came later."""
        return KINDS.index(self.by.kind) > KINDS.index(other.by.kind)


class Journal:
    """A file of findings that only grows, so that an interrupted step goes on where it was.

    A line counts once its line break is on disk; half a line, left by a killed run, is cut off when the next
    one writes. Opened files are not shared between processes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self) -> Iterator[Entry]:
        """Every finding, in the order written.

        Raises:
            InputError: A line is not a finding.
        """
        if not self.path.is_file():
            return
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.endswith(b"\n"):
                    yield self._entry(number, line)

    def latest(self) -> dict[str, Entry]:
        """The valid finding for each image: the last of the kind with the highest priority."""
        standing: dict[str, Entry] = {}
        for entry in self.entries():
            before = standing.get(entry.image)
            if before is None or not before.takes_precedence_over(entry):
                standing[entry.image] = entry
        return standing

    def add(self, entry: Entry) -> None:
        """Write a finding at the end."""
        self._cut_half_a_line()
        line = json.dumps(
            {"image": entry.image, "value": dict(entry.value), "by": asdict(entry.by)}, ensure_ascii=False
        )
        with self.path.open("ab") as file:
            file.write(line.encode() + b"\n")

    def _cut_half_a_line(self) -> None:
        if not self.path.is_file():
            return
        with self.path.open("rb+") as file:
            end = file.seek(0, 2)
            if not end:
                return
            file.seek(end - 1)
            if file.read(1) == b"\n":
                return
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)

    def _entry(self, number: int, line: bytes) -> Entry:
        try:
            content = json.loads(line)
            by = Provenance(**content["by"])
            if by.kind not in KINDS:
                raise ValueError(f"unknown kind {by.kind!r}")
            return Entry(content["image"], content["value"], by)
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{self.path}:{number} is not a finding of this pipeline ({error})") from None
