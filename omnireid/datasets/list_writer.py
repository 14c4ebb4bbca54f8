"""Writes the official OmniReID lists from the raw layouts: same names, same lines (IRM, appendix D)."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from instructions.errors import InputError
from omnireid.datasets.catalog import DATASETS
from omnireid.datasets.datalists import NO_INSTRUCTION
from omnireid.datasets.list_table import LISTS
from omnireid.records import Record, Split
from omnireid.synthetic.lists import GALLERY_KEY, IGNORED, WHITE_SHIRT
from omnireid.tasks import TASKS, TaskSpec

FLAT = ("llcm", "cuhk_pedes", "synth_pedes")  # their lists are beside the images, not in datalist/
# Whether the queries of a list of LTCC have a true match in the same clothes, or in other clothes.
SETTINGS = {"cc": False, "sc": True}

Written = Callable[[Path, int], None]


@dataclass(frozen=True)
class _Lines:
    """Turns records into lines of the lists of one (data set, task)."""

    folder: Path  # what the paths are relative to
    task: TaskSpec
    captions: dict[str, str]  # key to caption, filled while lines are made

    def lines(self, records: Iterable[Record], *, gallery: bool = False) -> Iterator[str]:
        """The lines of some records; for text-to-image, one per caption."""
        for record in records:
            image = self._relative(record.image)
            if self.task.query == "text":
                for key in [GALLERY_KEY] if gallery else self._keys(image, record):
                    yield f"{image} {key} {record.pid} {record.clothes_id}\n"
            else:
                camera = f" {record.camid}" if record.camid >= 0 else ""
                yield f"{image} {self._instruction(record)} {record.pid} {record.clothes_id}{camera}\n"

    def _instruction(self, record: Record) -> str:
        if self.task.instruction == "clothes":
            return NO_INSTRUCTION if record.clothes is None else self._relative(record.clothes)
        return WHITE_SHIRT if self.task.bank == "cc" else IGNORED[self.task.name]

    def _keys(self, image: str, record: Record) -> Iterator[str]:
        stem, _, suffix = image.replace("/", "_").rpartition(".")
        for caption in record.captions:
            number = 0  # captions of an image arrive one by one where each is a query
            while self.captions.setdefault(f"{stem}_{number}.{suffix}", caption) != caption:
                number += 1
            yield f"{stem}_{number}.{suffix}"

    def _relative(self, path: str) -> str:
        relative = os.path.relpath(path, self.folder) if ".." in path else self._below(path)
        if any(blank in relative for blank in " \t"):
            raise InputError(
                f"{path} contains a space, which separates the columns of an OmniReID list; rename it"
            )
        return relative

    def _below(self, path: str) -> str:
        prefix = f"{self.folder}/"
        return path[len(prefix) :] if path.startswith(prefix) else os.path.relpath(path, self.folder)


def write_lists(
    root: Path, out: Path, dataset: str, *, replace: bool = False, written: Written = lambda *_: None
) -> list[str]:
    """Write every list of a data set that can be made from its raw layout.

    Args:
        root: the data root with the raw layout.
        out: the data root to write the lists to; if another one, paths in the lists lead back to ``root``.
        dataset: a key of DATASETS.
        replace: overwrite existing lists.
        written: called with each file and how many lines it has.

    Returns:
        What could not be written, and why, one sentence each.

    Raises:
        InputError: for lists that exist already, or a path that a list cannot represent.
    """
    entry, left_out = DATASETS[dataset], []
    for (name, task), names in LISTS.items():
        if name != dataset:
            continue
        if task not in entry.raw_tasks:
            left_out.append(f"{dataset} {task}: its raw layout has no instructions")
            continue
        home = out / names.folders[0]
        folder = home if dataset in FLAT else home / "datalist"
        lines = _Lines(home.absolute(), TASKS[task], {})
        done: set[str] = set()
        for variant in names.test or ("",):
            known = variant if variant in entry.card.variants else None
            if entry.find(root, known) is None:
                left_out.append(f"{dataset} {task} {variant}: {entry.not_found(root, known)}")
                continue
            split = entry.read(root.absolute(), known, task)
            pairs = names.test.get(variant, ((),))
            for file, records, gallery in _files(split, names.train, pairs[0], variant):
                if file not in done and records:
                    done.add(file)
                    _write(folder / file, lines.lines(records, gallery=gallery), replace, written)
        if lines.captions and done:
            book = {**lines.captions, GALLERY_KEY: "an image"}
            _write(folder / names.captions[0], _dictionary(book), replace, written)
        if not done and entry.find(root) is not None:
            left_out.append(f"{dataset} {task}: the raw layout has no data for this task")
    return left_out


def _files(
    split: Split, train: Sequence[str], pair: Sequence[str], variant: str
) -> Iterator[tuple[str, Sequence[Record], bool]]:
    """File name, records and whether it is a gallery, for each list of one reading."""
    if train:
        yield train[0], split.train, False
    if pair:
        query = split.query
        if split.name == "ltcc" and variant in SETTINGS:
            query = _with_answer(split, same_clothes=SETTINGS[variant])
        yield pair[0], query, False
        yield pair[1], split.gallery, True


def _with_answer(split: Split, *, same_clothes: bool) -> list[Record]:
    """The queries whose person is in the gallery by another camera, in the same or in other clothes."""
    seen = defaultdict(set)
    for record in split.gallery:
        seen[record.pid].add((record.camid, record.clothes_id))
    return [
        query
        for query in split.query
        if any(
            camid != query.camid and (clothes_id == query.clothes_id) == same_clothes
            for camid, clothes_id in seen[query.pid]
        )
    ]


def _dictionary(captions: dict[str, str]) -> Iterator[str]:
    """One flat JSON object, an entry per line."""
    before = "{\n"
    for key, caption in captions.items():
        yield f"{before}{json.dumps(key)}: {json.dumps(caption)}"
        before = ",\n"
    yield "\n}\n"


def _write(path: Path, lines: Iterable[str], replace: bool, written: Written) -> None:
    """Write line by line to a temporary name: a list may be larger than memory."""
    if path.exists() and not replace:
        raise InputError(
            f"{path} already exists; use --replace to overwrite it or --out DIR to write elsewhere"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    num_lines = 0
    with part.open("w", encoding="utf-8", newline="\n") as file:
        for line in lines:
            file.write(line)
            num_lines += 1
    part.replace(path)
    written(path, num_lines)
