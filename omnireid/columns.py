"""Records in columns: millions of annotated images in a few arrays and byte strings instead of objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, repeat
from typing import overload

import numpy as np
from jaxtyping import Bool, Int, Shaped, UInt8

from omnireid import texts
from omnireid.records import MODALITIES, UNKNOWN, Labels, Modality, Record
from omnireid.texts import Texts, TextsBuilder, bounds_of

_PLURALS = {"pid": "pids", "camid": "camids", "clothes_id": "clothes_ids", "modality": "modalities"}
_TYPES = (np.int64, np.int32, np.int64, np.uint8, np.int32)  # pid, camid, clothes id, modality, captions


class RecordsBuilder:
    """Collects records one by one into columns."""

    def __init__(self, prefix: str = "", book: Texts | None = None) -> None:
        """Begin.

        Args:
            prefix: the beginning of (nearly) all image paths, ending in a slash; it is stored once.
            book: texts that captions may refer to by row, so that they are not stored twice.
        """
        assert not prefix or prefix.endswith("/")
        self.prefix = prefix
        self._images, self._clothes, self._captions = TextsBuilder(), TextsBuilder(), TextsBuilder()
        self._book = book
        self._caption_rows: list[int] = []  # rows of the book
        self._flushed_rows: list[Int[np.ndarray, " n"]] = []
        self._rows: list[tuple[int, int, int, int, int]] = []  # as in _TYPES
        self._columns: list[tuple[Int[np.ndarray, " n"], ...]] = []

    def append(
        self,
        image: str,
        pid: int,
        camid: int,
        clothes_id: int = UNKNOWN,
        modality: Modality = "rgb",
        captions: Sequence[str] | range = (),
        clothes: str | None = None,
    ) -> None:
        """Add one record; the arguments are its fields, ``captions`` also as a range of rows of the book."""
        self._images.append(self._shortened(image))
        self._clothes.append("" if clothes is None else self._shortened(clothes))
        if isinstance(captions, range):
            self._caption_rows.extend(captions)
        elif self._book is not None and captions:  # not in the book: numbered after its last row
            first = len(self._book) + len(self._captions)
            self._caption_rows.extend(range(first, first + len(captions)))
            self._captions.extend(captions)
        else:
            self._captions.extend(captions)
        self._rows.append((pid, camid, clothes_id, 0 if modality == "rgb" else 1, len(captions)))
        if len(self._rows) == texts.CHUNK:
            self._flush()

    def _shortened(self, path: str) -> str:
        short = path[len(self.prefix) :] if path.startswith(self.prefix) else ""
        # A leading zero byte marks a path without the prefix; an empty string is no path.
        return f"\0{path}" if not short or short.startswith("\0") else short

    def _flush(self) -> None:
        table = np.array(self._rows, dtype=np.int64).reshape(-1, len(_TYPES))
        self._columns.append(tuple(table[:, place].astype(kind) for place, kind in enumerate(_TYPES)))
        self._flushed_rows.append(np.array(self._caption_rows, dtype=np.int32))
        self._rows.clear()
        self._caption_rows.clear()

    def finish(self) -> Records:
        """All records so far; the builder is empty afterwards."""
        self._flush()
        pids, camids, clothes_ids, modalities = (
            np.concatenate([columns[place] for columns in self._columns]) for place in range(4)
        )
        bounds = bounds_of([columns[-1] for columns in self._columns])
        self._columns = []
        images, captions, clothes = (
            builder.finish() for builder in (self._images, self._captions, self._clothes)
        )
        if self._book is not None:
            captions = self._book.followed_by(captions).take(np.concatenate(self._flushed_rows))
            self._flushed_rows = []
        return Records(
            self.prefix, images, pids, camids, clothes_ids, modalities, captions, bounds,
            clothes if clothes.num_bytes else None,
        )  # fmt: skip


class Records(Sequence[Record]):
    """An immutable sequence whose records are created on access; equal to any sequence of equal records."""

    def __init__(
        self,
        prefix: str,
        images: Texts,
        pids: Int[np.ndarray, " N"],
        camids: Int[np.ndarray, " N"],
        clothes_ids: Int[np.ndarray, " N"],
        modalities: UInt8[np.ndarray, " N"],
        captions: Texts,
        caption_bounds: Int[np.ndarray, " N+1"],
        clothes: Texts | None,
    ) -> None:
        self._prefix, self._images, self._clothes = prefix, images, clothes
        self.pids, self.camids, self.clothes_ids, self.modalities = pids, camids, clothes_ids, modalities
        self._captions, self._caption_bounds = captions, caption_bounds

    @classmethod
    def of(cls, records: Iterable[Record], prefix: str = "") -> Records:
        """Convert records to columns."""
        if isinstance(records, Records):
            return records
        builder = RecordsBuilder(prefix)
        for r in records:
            builder.append(r.image, r.pid, r.camid, r.clothes_id, r.modality, r.captions, r.clothes)
        return builder.finish()

    @property
    def num_captions(self) -> Int[np.ndarray, " N"]:
        """How many captions each record has."""
        return np.diff(self._caption_bounds)

    def __len__(self) -> int:
        return len(self.pids)

    @overload
    def __getitem__(self, row: int) -> Record: ...
    @overload
    def __getitem__(self, row: slice) -> tuple[Record, ...]: ...
    def __getitem__(self, row: int | slice) -> Record | tuple[Record, ...]:
        if isinstance(row, slice):
            return tuple(self._record(place) for place in range(*row.indices(len(self))))
        place = row + len(self) if row < 0 else row
        if not 0 <= place < len(self):
            raise IndexError(f"row {row} of {len(self)} records")
        return self._record(place)

    def _record(self, row: int) -> Record:
        first, last = self._caption_bounds[row : row + 2].tolist()
        return Record(
            self._whole(self._images[row]),
            int(self.pids[row]),
            int(self.camids[row]),
            int(self.clothes_ids[row]),
            MODALITIES[self.modalities[row]],
            tuple(self._captions[place] for place in range(first, last)),
            None if self._clothes is None else self._whole_or_none(self._clothes[row]),
        )

    def _whole(self, path: str) -> str:
        return path[1:] if path.startswith("\0") else f"{self._prefix}{path}"

    def _whole_or_none(self, path: str) -> str | None:
        return self._whole(path) if path else None

    def __iter__(self) -> Iterator[Record]:
        captions, images = iter(self._captions), self.images()
        clothes = repeat(None) if self._clothes is None else map(self._whole_or_none, self._clothes)
        columns = (self.pids, self.camids, self.clothes_ids, self.modalities, self.num_captions)
        # In pieces, so that not all numbers are Python objects at the same time.
        for start in range(0, len(self), texts.CHUNK):
            rows = zip(*(column[start : start + texts.CHUNK].tolist() for column in columns), strict=True)
            for pid, camid, clothes_id, modality, count in rows:
                own = tuple(islice(captions, count)) if count else ()
                yield Record(next(images), pid, camid, clothes_id, MODALITIES[modality], own, next(clothes))

    def images(self) -> Iterator[str]:
        """The image paths, without creating records."""
        return map(self._whole, self._images)

    def clothes(self) -> Iterator[str]:
        """The paths of all clothes images, without creating records."""
        return iter(()) if self._clothes is None else map(self._whole, filter(None, self._clothes))

    def take(self, rows: Int[np.ndarray, " n"]) -> Records:
        """These records in this order; texts are not copied."""
        return self._taken(rows, rows, np.arange(len(rows)))

    def merged(self) -> Records:
        """One record per image: its first one, with the captions of all its records."""
        hashes = np.fromiter(map(hash, self._images), dtype=np.int64, count=len(self))
        if len(np.unique(hashes)) == len(self):  # all differ: no dictionary of millions of paths needed
            return self
        first: dict[str, int] = {}
        groups = np.empty(len(self), dtype=np.int64)
        for row, image in enumerate(self._images):
            groups[row] = first.setdefault(image, len(first))
        firsts = np.unique(groups, return_index=True)[1]
        order = np.argsort(groups, kind="stable")
        return self._taken(firsts, order, groups[order])

    def _taken(
        self, rows: Int[np.ndarray, " n"], sources: Int[np.ndarray, " m"], groups: Int[np.ndarray, " m"]
    ) -> Records:
        """These rows; the captions of rows ``sources`` go to the groups (ascending) that they are in."""
        counts = self.num_captions[sources]
        begins = np.repeat(self._caption_bounds[:-1][sources], counts)
        within = np.arange(len(begins)) - np.repeat(np.cumsum(counts) - counts, counts)
        totals = np.zeros(len(rows), dtype=np.int64)
        np.add.at(totals, groups, counts)
        return Records(
            self._prefix, self._images.take(rows), self.pids[rows], self.camids[rows],
            self.clothes_ids[rows], self.modalities[rows], self._captions.take(begins + within),
            bounds_of([totals]), None if self._clothes is None else self._clothes.take(rows),
        )  # fmt: skip

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str | bytes):
            return NotImplemented
        return len(self) == len(other) and all(mine == its for mine, its in zip(self, other, strict=True))

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"Records({len(self)} of {len(np.unique(self.pids))} people)"


def column_of(records: Sequence[Record], name: str) -> Shaped[np.ndarray, " N"]:
    """One of pid, camid, clothes_id, num_captions and modality (its place in MODALITIES) of all records."""
    if isinstance(records, Records):
        return getattr(records, _PLURALS.get(name, name)).astype(np.int64, copy=False)
    if name == "modality":
        return np.array([MODALITIES.index(record.modality) for record in records], dtype=np.int64)
    if name == "num_captions":
        return np.array([len(record.captions) for record in records], dtype=np.int64)
    return np.array([getattr(record, name) for record in records], dtype=np.int64)


def labels_of(records: Sequence[Record]) -> Labels:
    """Label arrays of records; clothes ids are None when no record has one."""
    columns = (column_of(records, name) for name in ("pid", "camid", "clothes_id", "modality"))
    pids, camids, clothes_ids, modalities = columns
    return Labels(pids, camids, None if (clothes_ids == UNKNOWN).all() else clothes_ids, modalities)


def images_of(records: Sequence[Record]) -> Iterator[str]:
    """The image path of every record."""
    return records.images() if isinstance(records, Records) else (record.image for record in records)


def clothes_of(records: Sequence[Record]) -> Iterator[str]:
    """The clothes images that records name."""
    if isinstance(records, Records):
        return records.clothes()
    return (record.clothes for record in records if record.clothes is not None)


def selected(records: Sequence[Record], chosen: Bool[np.ndarray, " N"]) -> Sequence[Record]:
    """Some of the records, in their order; columns stay columns."""
    rows = np.flatnonzero(chosen)
    if isinstance(records, Records):
        return records.take(rows)
    return tuple(records[row] for row in rows.tolist())
