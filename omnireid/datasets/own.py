"""Your own images: a table below ``own/``, CSV or JSON lines, that is read like any other data set."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, get_args

from instructions.errors import InputError, near_miss
from omnireid.columns import Records, RecordsBuilder, clothes_of, column_of
from omnireid.datasets.captions import captions_of, query_per_caption
from omnireid.datasets.card import NO_CAMERA, PARTS, DatasetCard, Part
from omnireid.datasets.dataset import Dataset
from omnireid.datasets.scan import is_unreadable
from omnireid.records import UNKNOWN, Modality, Split
from omnireid.tasks import TASKS

FOLDER = "own"
PREFIX = f"{FOLDER}/"  # prefix of the names of such data sets
COLUMNS = ("split", "image", "pid", "camera", "clothes_id", "modality", "captions", "clothes_image")
NEEDED = ("split", "image", "pid")
_NEEDED = frozenset(NEEDED)
BETWEEN_CAPTIONS = "|"  # in a CSV cell
JUNK = "-1"
UNSET = "-1"  # of a camera or clothes: unknown, as everywhere else
KINDS = (".csv", ".jsonl", ".CSV", ".JSONL")  # some systems write endings in capitals

Row = dict[str, Any]  # cells by column; a missing or empty cell is absent


def own_dataset(name: str) -> Dataset:
    """The data set ``own/NAME``: a table of that name, or a folder of that name with a table ``records``.

    Raises:
        InputError: if the name is not a plain folder name.
    """
    stem = name.removeprefix(PREFIX)
    if not stem or not stem.replace("-", "").replace("_", "").isalnum():
        raise InputError(
            f"{name!r} is not a valid name for your own data; use {PREFIX} and then letters, digits, - or _"
        )
    card = DatasetCard(
        name=name,
        title=f"{stem} (own data)",
        tasks=tuple(TASKS),
        homepage="none",
        access="own data",
        licence="your responsibility",
        consent="your responsibility",
        citation="none",
        folders=(FOLDER,),
        num_cameras=None,
        counts={},
    )
    tables = tuple(f"{stem}{place}{kind}" for place in ("", "/records") for kind in KINDS)
    reader = partial(_read, tables)
    searched = partial(_read_for_text, tables)
    return Dataset(card, reader, markers=tables, raw_tasks=tuple(TASKS), readers_of={"t2i": searched})


def own_names(root: str | Path) -> list[str]:
    """The names of the tables below a data root, sorted."""
    folder = Path(root).expanduser() / FOLDER
    paths = [path for path in folder.iterdir() if path.name[0] != "."] if folder.is_dir() else []
    found = {path.stem for path in paths if path.suffix in KINDS}
    found |= {path.name for path in paths if path.is_dir() and _may_hold_records(path)}
    return [PREFIX + stem for stem in sorted(found)]


def _may_hold_records(folder: Path) -> bool:
    """Whether a folder has a table, or may not be listed: then its reader reports that."""
    return is_unreadable(folder) or any((folder / f"records{kind}").exists() for kind in KINDS)


def missing_columns(split: Split) -> dict[str, str]:
    """The uses, especially tasks, that a table lacks columns for, and the column that each needs."""
    asked = (split.train, split.query)
    missing = {}
    modalities = chain.from_iterable(column_of(part, "modality") for part in (*asked, split.gallery))
    if len({*modalities}) < len(get_args(Modality)):
        missing["vi"] = "modality with both rgb and ir"
    if not any(True for part in asked for _ in clothes_of(part)):
        missing["ctcc"] = "clothes_image"
    if not any(column_of(part, "num_captions").any() for part in asked):
        missing |= {"li": "captions", "t2i": "captions"}
    if not any((column_of(part, "clothes_id") != UNKNOWN).any() for part in (*asked, split.gallery)):
        missing["protocols that consider clothes"] = "clothes_id"
    return missing


def _read(tables: Sequence[str], root: Path, variant: str) -> Split:  # noqa: ARG001  one signature for all readers
    """The table's records, unchanged."""
    path = next(root / table for table in tables if (root / table).exists())
    numbers = _Numbers.of(path)
    builders = {part: RecordsBuilder(f"{path.parent}/") for part in PARTS}
    num_junk = 0
    for line, row in read_rows(path):
        if row["pid"] == JUNK:
            num_junk += 1
        else:
            _append(builders, path, line, row, numbers)
    notes = [f"read from {path}"]
    if num_junk:
        notes.append(f"{num_junk} junk images (pid -1) left out")
    train, query, gallery = (builders[part].finish() for part in PARTS)
    stem = path.parent.name if path.stem == "records" else path.stem
    return Split(PREFIX + stem, train, query, gallery, tuple(notes))


def _read_for_text(tables: Sequence[str], root: Path, variant: str) -> Split:
    """The same for text-to-image search: a query per caption, a gallery without captions, no cameras."""
    split = _read(tables, root, variant)
    query = query_per_caption(replace(record, camid=NO_CAMERA["query"]) for record in split.query)
    gallery = (replace(record, camid=NO_CAMERA["gallery"], captions=()) for record in split.gallery)
    return replace(split, query=query, gallery=Records.of(gallery))


def read_rows(path: Path) -> Iterator[tuple[int, Row]]:
    """Line number and known cells of each row, checked for the columns that every row needs.

    Raises:
        InputError: if the text is not such a table, a column is misspelt, or a row lacks a needed cell.
    """
    rows = _csv_rows(path) if _is_csv(path) else _json_rows(path)
    try:
        for line, row in rows:
            if not row.keys() >= _NEEDED:
                column = next(column for column in NEEDED if column not in row)
                raise InputError(f"{path}:{line}: the column {column!r} is empty or missing")
            if row["split"] not in PARTS:
                near = near_miss(row["split"], PARTS)
                raise InputError(f"{path}:{line}: split {row['split']!r}{near}; use {', '.join(PARTS)}")
            for column in ("camera", "clothes_id"):
                if row.get(column) == UNSET:
                    del row[column]
            yield line, row
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text: {error}") from None


def _is_csv(path: Path) -> bool:
    return path.suffix.lower() == ".csv"


def _csv_rows(path: Path) -> Iterator[tuple[int, Row]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file)
        header = [name.strip() for name in next(rows, [])]
        _check_columns(path, header)
        try:
            for cells in rows:
                row = {
                    name: filled
                    for name, cell in zip(header, cells, strict=False)
                    if (filled := cell.strip())
                }
                if row:
                    yield rows.line_num, row
        except csv.Error as error:
            raise InputError(f"{path}:{rows.line_num}: {error}") from None


def _json_rows(path: Path) -> Iterator[tuple[int, Row]]:
    checked: set[str] = set()
    with path.open(encoding="utf-8-sig") as file:
        for number, text in enumerate(file, start=1):
            if not text.strip():
                continue
            try:
                row = json.loads(text)
            except ValueError as error:
                raise InputError(f"{path}:{number}: not a JSON object: {error}") from None
            if not isinstance(row, dict):
                raise InputError(f"{path}:{number}: not a JSON object: {text.strip():.80}")
            if not row.keys() <= checked:
                _check_columns(path, [*NEEDED, *row])
                checked.update(row)
            cells = {name: cell if name == "captions" else str(cell) for name, cell in row.items()}
            yield number, {name: cell for name, cell in cells.items() if cell not in ("", "None", None, [])}


def _check_columns(path: Path, names: Sequence[str]) -> None:
    if len(names) == 1 and (mark := next((mark for mark in ";\t" if mark in names[0]), None)):
        raise InputError(f"{path} has {mark!r} between its columns; save it with commas (CSV, UTF-8)")
    for column in NEEDED:
        if column not in names:
            raise InputError(
                f"{path} has no column {column!r}; it needs {', '.join(NEEDED)} and may have "
                f"{', '.join(COLUMNS[len(NEEDED) :])}"
            )
    for name in names:
        if name not in COLUMNS and near_miss(name, COLUMNS):
            raise InputError(f"{path}: column {name!r}{near_miss(name, COLUMNS)}")


@dataclass(frozen=True)
class _Numbers:
    """Numbers for the words of a column: the words themselves if all are integers, else their positions."""

    pids: Mapping[str, int]
    cameras: Mapping[str, int]
    outfits: Mapping[tuple[str, str], int]  # person and clothes together

    @classmethod
    def of(cls, path: Path) -> _Numbers:
        pids, cameras, outfits = set(), set(), set()
        for _, row in read_rows(path):
            pids.add(row["pid"])
            if "camera" in row:
                cameras.add(row["camera"])
            if "clothes_id" in row:
                outfits.add((row["pid"], row["clothes_id"]))
        pids.discard(JUNK)
        return cls(_numbered(pids, 18), _numbered(cameras, 9), {o: n for n, o in enumerate(sorted(outfits))})


def _numbered(words: set[str], most_digits: int) -> dict[str, int]:
    if all(word.isdecimal() and len(word) <= most_digits for word in words):
        return {word: int(word) for word in words}
    return {word: number for number, word in enumerate(sorted(words))}


def _append(
    builders: Mapping[Part, RecordsBuilder], path: Path, line: int, row: Row, numbers: _Numbers
) -> None:
    part: Part = row["split"]
    modality = row.get("modality", "rgb")
    if modality not in get_args(Modality):
        raise InputError(f"{path}:{line}: modality {modality!r}; use {' or '.join(get_args(Modality))}")
    captions = row.get("captions", ())
    if isinstance(captions, str) and _is_csv(path):
        captions = captions.split(BETWEEN_CAPTIONS)
    builders[part].append(
        _placed(path, row["image"]),
        numbers.pids[row["pid"]],
        numbers.cameras[row["camera"]] if "camera" in row else NO_CAMERA[part],
        numbers.outfits[row["pid"], row["clothes_id"]] if "clothes_id" in row else UNKNOWN,
        modality,
        captions_of(captions, path, line) if captions else (),
        _placed(path, row["clothes_image"]) if "clothes_image" in row else None,
    )


def _placed(table: Path, file: str) -> str:
    return file if file.startswith("/") else f"{table.parent}/{file}"
