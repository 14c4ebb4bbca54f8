"""Where the images of a gallery come from: a folder of images, a table of them, or an OmniReID split."""

from __future__ import annotations

import csv
import datetime
import io
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from instructions.errors import InputError, near_miss
from instructions.numbers import whole_number
from omnireid.datasets.scan import IMAGE_SUFFIXES
from omnireid.loading.image import FORMATS
from omnireid.records import MODALITIES, UNKNOWN, Record

COLUMNS = ("path", "key", "pid", "camid", "time", "dataset", "clothes_id", "modality", "caption", "clothes")
# What the loader reads; then images that it does not, so that indexing names them as left out.
SUFFIXES = (
    *IMAGE_SUFFIXES, ".jpe", ".jfif", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".pbm", ".pnm",
    ".heic", ".heif", ".avif", ".jxl",
)  # fmt: skip
FIELDS = {  # fields of an ``Item``, by the column of a table
    "pid": "pid", "camid": "camid", "time": "taken", "dataset": "dataset", "clothes_id": "clothes_id",
    "modality": "modality", "caption": "captions", "clothes": "clothes",
}  # fmt: skip
# What file managers, network drives and macOS leave beside images: copies of them, or no images at all.
HIDDEN = ("@eaDir", "__MACOSX")  # and every name that begins with a dot
MORE = "more"  # cells of a row beyond the heading
YEAR_1, YEAR_10000 = -62135596800.0, 253402300800.0  # unix seconds; calendars end there


@dataclass(frozen=True)
class Item:
    """An image to be indexed. ``key`` is its name in the gallery: the same key again is the same image."""

    key: str
    path: str
    pid: int | None = None
    camid: int | None = None
    taken: float | None = None  # unix seconds
    dataset: str | None = None
    clothes_id: int | None = None
    modality: str = "rgb"
    captions: tuple[str, ...] = ()
    clothes: str | None = None
    unspecified: frozenset[str] = frozenset()  # fields that the source does not have; known values stay


def items_of_folder(folder: Path) -> list[Item]:
    """Every image in a folder and its subfolders, by name, except hidden ones; nothing more is known of them.

    Raises:
        InputError: there is no such folder, or no image in it.
    """
    return scan_folder(folder)[0]


def scan_folder(folder: Path) -> tuple[list[Item], int]:
    """As ``items_of_folder``, with the number of images left out because they or their folders are hidden."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give a folder of images, or a table (.csv or .tsv)")
    unspecified = frozenset(FIELDS.values())
    paths = list(_images_in(folder))
    items = [
        Item(path.as_posix(), str(folder / path), unspecified=unspecified)
        for path in paths
        if not _is_hidden(path)
    ]
    if not items:
        raise InputError(f"there is no image in {folder} (recognised suffixes: {', '.join(FORMATS)})")
    return items, len(paths) - len(items)


def _images_in(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if name.lower().endswith(SUFFIXES):
                yield Path(place, name).relative_to(folder)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") or part in HIDDEN for part in path.parts)


def items_of_table(file: Path) -> list[Item]:
    """The rows of a CSV or TSV file with a heading: ``path`` and any of the other ``COLUMNS``.

    Paths are relative to the file. Times are ISO 8601 (UTC where no zone is said) or unix seconds.

    Raises:
        InputError: a column is unknown or a cell cannot be understood; the sentence says which row.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read: {error}") from error
    comma = "\t" if file.suffix.lower() == ".tsv" else ","
    rows = csv.DictReader(io.StringIO(text, newline=""), restkey=MORE, delimiter=comma)
    for name in rows.fieldnames or ():
        if name not in COLUMNS:
            raise InputError(f"{file}: unknown column {name!r}{near_miss(name, COLUMNS)}; {_columns()}")
    if "path" not in (rows.fieldnames or ()):
        raise InputError(f"{file} has no column 'path'; {_columns()}")
    try:
        items = [_item(row, file, number) for number, row in enumerate(rows, start=2)]
    except csv.Error as error:
        raise InputError(
            f"{file} cannot be read as a table after row {rows.line_num} ({error}); check for an unclosed "
            "quote"
        ) from error
    if not items:
        raise InputError(f"{file} has a header but no rows")
    twice = [key for key, count in Counter(item.key for item in items).items() if count > 1]
    if twice:
        raise InputError(f"{file}: the key {twice[0]!r} occurs in several rows; give each image a unique key")
    return items


def items_of_records(records: Sequence[Record], dataset: str, root: Path) -> list[Item]:
    """One side of an OmniReID split, in its order."""
    items = []
    seen: Counter[str] = Counter()
    for record in records:
        name = f"{dataset}/{os.path.relpath(record.image, root)}"
        seen[name] += 1
        items.append(
            Item(
                key=name if seen[name] == 1 else f"{name}#{seen[name]}",
                path=record.image,
                pid=record.pid,
                camid=None if record.camid < 0 else record.camid,
                dataset=dataset,
                clothes_id=None if record.clothes_id == UNKNOWN else record.clothes_id,
                modality=record.modality,
                captions=record.captions,
                clothes=record.clothes,
            )
        )
    return items


def _columns() -> str:
    return f"known: {', '.join(COLUMNS)}"


def _item(row: Mapping[str, Any], file: Path, number: int) -> Item:
    cells = {name: (value or "").strip() for name, value in row.items() if name != MORE}
    where = f"{file}, row {number}"
    if any(cell.strip() for cell in row.get(MORE, ())):
        raise InputError(
            f"{where}: the row has more cells than the header ({row[MORE][-1].strip()!r} is the last); "
            'put a text that contains the delimiter in quotes: "a coat, red"'
        )
    if not cells.get("path"):
        raise InputError(f"{where}: no path")
    modality = cells.get("modality") or "rgb"
    if modality not in MODALITIES:
        raise InputError(f"{where}: there is no modality {modality!r}; use rgb or ir")
    return Item(
        key=cells.get("key") or cells["path"],
        path=str(file.parent / cells["path"]),
        pid=_number(cells, "pid", where),
        camid=_number(cells, "camid", where),
        taken=time_of(cells["time"], where) if cells.get("time") else None,
        dataset=cells.get("dataset") or None,
        clothes_id=_number(cells, "clothes_id", where),
        modality=modality,
        captions=(cells["caption"],) if cells.get("caption") else (),
        clothes=str(file.parent / cells["clothes"]) if cells.get("clothes") else None,
        unspecified=frozenset(field for column, field in FIELDS.items() if column not in cells),
    )


def _number(cells: Mapping[str, str], name: str, where: str) -> int | None:
    return whole_number(cells[name], f"{where}: {name}") if cells.get(name) else None


def time_of(text: str, where: str) -> float:
    """Unix seconds of a time as people or programs write it.

    Raises:
        InputError: it is neither, or beyond the calendar.

    >>> time_of("2026-01-01", "here")
    1767225600.0
    """
    seconds = _seconds(text, where)
    if not YEAR_1 <= seconds < YEAR_10000:  # nor is what is no number
        hint = "perhaps it is in milliseconds; " if seconds >= YEAR_10000 else ""
        raise InputError(
            f"{where}: the time {text!r} is outside the years 1 to 9999; {hint}write 2026-01-31T18:30 or "
            "Unix seconds"
        )
    return seconds


def _seconds(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise InputError(
            f"{where}: {text!r} is not a time; write 2026-01-31, 2026-01-31T18:30 or Unix seconds"
        ) from None
    zone = moment.tzinfo or datetime.UTC
    return moment.replace(tzinfo=zone).timestamp()


def unique(items: Iterable[Item]) -> list[Item]:
    """The items as a list.

    Raises:
        InputError: two have the same key.
    """
    found: dict[str, Item] = {}
    for item in items:
        if item.key in found:
            raise InputError(f"the key {item.key!r} is given twice; give each image a unique key")
        found[item.key] = item
    return list(found.values())
