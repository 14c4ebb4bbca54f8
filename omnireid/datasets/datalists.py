"""Reader of the official OmniReID lists: image, instruction, person, clothes, camera (IRM, appendix D)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from instructions.errors import InputError, near_miss
from omnireid.columns import Records, RecordsBuilder
from omnireid.datasets.captions import NO_BOOK, CaptionBook, query_per_caption, read_caption_book
from omnireid.datasets.card import NO_CAMERA, PARTS, Part
from omnireid.datasets.list_table import (
    LISTS,
    FoundLists,
    ListNames,
    expected_lists,
    find_lists,
    owner_of,
)
from omnireid.datasets.scan import is_image_name, text_lines
from omnireid.records import MODALITIES, UNKNOWN, Split
from omnireid.tasks import TASKS, TaskSpec

NO_INSTRUCTION = "-"  # our mark for an image without an instruction
# More digits do not fit into the columns of Records (64 and 32 bits)
INTEGERS = {"person": re.compile(r"[-+]?\d{1,18}"), "camera": re.compile(r"[-+]?\d{1,9}")}
UNSET = "-1"  # of a person: junk; of clothes: unknown
# Training people of a list are classes, numbered by first appearance and unrelated to the test's numbers.
# They have a range of their own, so that no class number is mistaken for a test person's number.
FIRST_LIST_PID = 10_000_000


class Line(NamedTuple):
    """One line of a list, as written."""

    number: int
    image: str
    instruction: str
    pid: str
    clothes: str
    camera: str | None


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of a list; blanks separate columns, and further columns and empty lines are ignored.

    Raises:
        InputError: for a line with fewer than four columns, or a file that is not text.
    """
    for number, text in text_lines(path):
        fields = text.split(maxsplit=5)
        if len(fields) < 4:
            raise InputError(
                f"{path}:{number}: expected 4 or 5 columns (image instruction person clothes camera),"
                f" got {len(fields)}: {text.strip()!r}"
            )
        image, instruction, pid, clothes = fields[:4]
        yield Line(number, image, instruction, pid, clothes, fields[4] if len(fields) > 4 else None)


@dataclass(frozen=True)
class ListReader:
    """Turns lines into records for one task; outfits are numbered in order of appearance."""

    dataset: str
    found: FoundLists
    task: TaskSpec
    names: ListNames
    book: CaptionBook
    keep_clothes_image: bool
    prefix: str  # root of every relative path
    outfits: dict[tuple[bool, str, str], int] = field(default_factory=dict)

    def records(self, part: Part, path: Path, notes: list[str]) -> Records:
        """The records of one list; junk (person -1) is left out.

        Raises:
            InputError: if the list is empty, is another data set's, or a line cannot be understood.
        """
        builder = RecordsBuilder(self.prefix, self.book.texts)
        classes: dict[str, int] = {}
        num_lines = 0
        for line in read_lines(path):
            num_lines += 1
            if num_lines == 1:
                self._refuse_another(path, line.image)
            if line.pid != UNSET:
                self._append(builder, part, path, line, classes)
        records = builder.finish()
        if not num_lines:
            raise InputError(
                f"{path} is empty; expected lines of image, instruction, person, clothes [camera]"
            )
        if num_lines > len(records):
            notes.append(f"{num_lines - len(records)} junk images (person -1) of {path.name} left out")
        return records

    def _refuse_another(self, path: Path, image: str) -> None:
        owner = owner_of(image, self.dataset, path.name)
        if owner is not None:
            raise InputError(
                f"{path} lists images of {owner} ({image}), so {self.dataset} is not read from it; "
                f"the lists of {self.dataset} go into {self.names.folders[0]}/datalist below the data root"
            )

    def _append(
        self, builder: RecordsBuilder, part: Part, path: Path, line: Line, classes: dict[str, int]
    ) -> None:
        if part == "train":
            pid = FIRST_LIST_PID + classes.setdefault(line.pid, len(classes))
        else:
            pid = _integer(line.pid, "person", path, line)
        camid = NO_CAMERA[part] if line.camera is None else _integer(line.camera, "camera", path, line)
        infrared = self.names.infrared is not None and self.names.infrared.search(line.image) is not None
        builder.append(
            self._path(line.image),
            pid,
            camid,
            self._clothes_id(part, line),
            "ir" if infrared else "rgb",
            self._captions(part, path, line),
            self._clothes(line),
        )

    def _clothes_id(self, part: Part, line: Line) -> int:
        # A list may number clothes within a person; person and clothes together are always one outfit.
        if line.clothes == UNSET:
            return UNKNOWN
        return self.outfits.setdefault((part == "train", line.pid, line.clothes), len(self.outfits))

    def _clothes(self, line: Line) -> str | None:
        wanted = self.task.instruction == "clothes" or (self.keep_clothes_image and self.task.bank == "cc")
        if not wanted or line.instruction == NO_INSTRUCTION:
            return None
        return self._path(line.instruction)

    def _path(self, written: str) -> str:
        # strings, not Path: lists have millions of lines; absolute paths stay, as in the released code
        return written if written.startswith("/") else f"{self.prefix}{written}"

    def _captions(self, part: Part, path: Path, line: Line) -> tuple[str, ...] | range:
        if self.task.query == "text":
            if part == "gallery":  # no captions, although the released lists name the key 001_1_c5_015874.png
                return ()
        elif self.task.instruction != "caption" or line.instruction == NO_INSTRUCTION:
            return ()
        rows = self.book.rows(line.instruction)
        if rows:
            return rows
        if rows is None and "_" in line.instruction and not is_image_name(line.instruction):
            return (line.instruction.replace("_", " "),)
        book = self.found.captions or f"any caption file ({', '.join(self.names.captions)})"
        raise InputError(f"{path}:{line.number}: no caption for the key {line.instruction!r} in {book}")


def _integer(text: str, what: str, path: Path, line: Line) -> int:
    if not INTEGERS[what].fullmatch(text):
        raise InputError(f"{path}:{line.number}: the {what} should be an integer, is {text!r}")
    return int(text)


def exchanged(records: dict[Part, Records], want_infrared: bool) -> bool:
    """Whether the query list is written for the other direction (visible to infrared, or back).

    Raises:
        InputError: if one side mixes visible and infrared images.
    """
    query, gallery = (
        {MODALITIES[number] for number in records[part].modalities} if part in records else set()
        for part in ("query", "gallery")
    )
    if len(query) > 1 or len(gallery) > 1 or (query and query == gallery):
        raise InputError(
            "the query and gallery lists should hold visible images on one side, infrared on the other"
        )
    return bool(query) and query != {"ir" if want_infrared else "rgb"}


def read_datalists(
    data_root: str | Path,
    dataset: str,
    task: str,
    variant: str | None = None,
    *,
    keep_clothes_image: bool = False,
) -> Split:
    """Read the official lists of one data set for one task.

    Args:
        data_root: the OmniReID tree, or the data set's folder in it (the one that holds ``datalist``).
        dataset: a key of DATASETS.
        task: a key of TASKS.
        variant: which lists, where there are several (LTCC), or which direction (LLCM).
        keep_clothes_image: give ``cc`` records the clothes image of column 2, as the released code does.

    Raises:
        InputError: if no list is there or a line cannot be understood; it names the file and the line.
    """
    names = LISTS.get((dataset, task))
    if names is None:
        offered = ", ".join(f"{known} for {its_task}" for known, its_task in LISTS)
        raise InputError(f"no OmniReID lists of {dataset!r} for task {task!r}; there are: {offered}")
    chosen = names.variant(variant)
    if chosen is None:
        close = near_miss(str(variant), names.test)
        held = ", ".join(held for held in names.test if held) or "one variant only"
        raise InputError(f"the lists of {dataset} do not hold variant {variant!r}{close}; they hold: {held}")
    found = find_lists(data_root, names, chosen)
    if found is None:
        raise InputError(
            f"no OmniReID list of {dataset} for {task}; expected {expected_lists(data_root, names, chosen)}"
        )
    if (found.query is None) != (found.gallery is None):
        partner = f"{found.query or found.gallery} has no counterpart"
        raise InputError(f"{partner}; expected {expected_lists(data_root, names, chosen)}")
    spec = TASKS[task]
    needs_book = spec.instruction == "caption" or spec.query == "text"
    book = read_caption_book(found.captions) if needs_book and found.captions else NO_BOOK
    reader = ListReader(dataset, found, spec, names, book, keep_clothes_image, f"{found.root}/")
    records, notes = _read_found(reader, chosen)
    del reader, book  # a million keys of a book take as much memory as their records
    if spec.query != "text":
        train, query, gallery = (records.get(part, ()) for part in PARTS)
        return Split(dataset, train, query, gallery, tuple(notes))
    # One record per image, with all its captions: the lists have a line per caption.
    train, gallery = (records[part].merged() if part in records else () for part in ("train", "gallery"))
    return Split(dataset, train, query_per_caption(records.get("query", ())), gallery, tuple(notes))


def _read_found(reader: ListReader, variant: str) -> tuple[dict[Part, Records], list[str]]:
    """The records of each part, and notes for the user."""
    paths, names = reader.found.paths(), reader.names
    lists = ", ".join(str(path) for path in paths.values())
    notes = [f"read from lists: {lists}" + (f" ({variant})" if variant else "")]
    offered = {"train": names.train, "query": names.test, "gallery": names.test}
    notes += [
        f"no {part} list in {reader.found.root}" for part in PARTS if offered[part] and part not in paths
    ]
    records = {part: reader.records(part, path, notes) for part, path in paths.items()}
    if names.infrared and exchanged(records, variant in names.query_is_infrared):
        notes.append("query and gallery lists swapped: they are written for the other direction")
        records["query"] = reader.records("query", paths["gallery"], notes)
        records["gallery"] = reader.records("gallery", paths["query"], notes)
    return records, notes
