"""Records by column: millions of annotated images in a few arrays and byte strings, not as many objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise, repeat
from typing import overload

import numpy as np
from jaxtyping import Int, Shaped, UInt8

from omnireid.records import MODALITIES, UNKNOWN, Modality, Record

_TYPES = (np.int64, np.int32, np.int64, np.uint8, np.int32)  # pid, camid, clothes id, modality, captions
CHUNK = 1 << 16  # records that wait as Python objects before they become columns


class Texts:
    """Many short strings in one block of bytes; each is decoded when it is asked for."""

    __slots__ = ("_block", "_bounds")

    def __init__(self, block: bytearray, bounds: Int[np.ndarray, " N+1"]) -> None:
        self._block, self._bounds = block, bounds

    def __len__(self) -> int:
        return len(self._bounds) - 1

    @property
    def num_bytes(self) -> int:
        """The length of all texts together."""
        return len(self._block)

    def __getitem__(self, row: int) -> str:
        return self._block[self._bounds[row] : self._bounds[row + 1]].decode("utf-8", "surrogateescape")

    def __iter__(self) -> Iterator[str]:
        for first in range(0, len(self), CHUNK):
            bounds = self._bounds[first : first + CHUNK + 1].tolist()
            piece = self._block[bounds[0] : bounds[-1]]
            if piece.isascii():  # then letters are bytes, and the whole piece is decoded at once
                letters, start = piece.decode("ascii"), bounds[0]
                for begin, end in pairwise(bounds):
                    yield letters[begin - start : end - start]
            else:
                yield from (self[row] for row in range(first, first + len(bounds) - 1))


def _bounds(lengths: Sequence[Int[np.ndarray, " n"]]) -> Int[np.ndarray, " N+1"]:
    """Where each of many pieces of these lengths begins, and where the last one ends."""
    return np.cumsum(np.concatenate([np.zeros(1, dtype=np.int32), *lengths]), dtype=np.int64)


class _TextColumn:
    """Texts in the making."""

    def __init__(self) -> None:
        self.waiting: list[str] = []
        self._block = bytearray()
        self._lengths: list[Int[np.ndarray, " n"]] = []

    def flush(self) -> None:
        encoded = [text.encode("utf-8", "surrogateescape") for text in self.waiting]
        self._lengths.append(np.fromiter(map(len, encoded), dtype=np.int32, count=len(encoded)))
        self._block += b"".join(encoded)
        self.waiting.clear()

    def finish(self) -> Texts:
        bounds = _bounds(self._lengths)
        small = len(self._block) < 2**32  # half the memory of the bounds
        block, self._block, self._lengths = self._block, bytearray(), []
        return Texts(block, bounds.astype(np.uint32) if small else bounds)


class RecordsBuilder:
    """Takes records one by one and makes columns of them."""

    def __init__(self, prefix: str = "") -> None:
        """Begin.

        Args:
            prefix: what (nearly) all image paths begin with, ending in a slash; it is stored once.
        """
        assert not prefix or prefix.endswith("/")
        self.prefix = prefix
        self._images, self._clothes, self._captions = _TextColumn(), _TextColumn(), _TextColumn()
        self._rows: list[tuple[int, int, int, int, int]] = []  # as in _TYPES
        self._columns: list[tuple[Int[np.ndarray, " n"], ...]] = []

    def append(
        self,
        image: str,
        pid: int,
        camid: int,
        clothes_id: int = UNKNOWN,
        modality: Modality = "rgb",
        captions: Sequence[str] = (),
        clothes: str | None = None,
    ) -> None:
        """Add one record; the arguments are its fields."""
        self._images.waiting.append(self._shortened(image))
        self._clothes.waiting.append("" if clothes is None else self._shortened(clothes))
        self._captions.waiting.extend(captions)
        self._rows.append((pid, camid, clothes_id, 0 if modality == "rgb" else 1, len(captions)))
        if len(self._rows) == CHUNK:
            self._flush()

    def _shortened(self, path: str) -> str:
        if not self.prefix:
            return path
        if path.startswith(self.prefix):
            return path[len(self.prefix) :]
        return f"\0{path}"  # stands elsewhere; no path begins with a zero byte

    def _flush(self) -> None:
        table = np.array(self._rows, dtype=np.int64).reshape(-1, len(_TYPES))
        self._columns.append(tuple(table[:, place].astype(kind) for place, kind in enumerate(_TYPES)))
        self._rows.clear()
        for texts in (self._images, self._clothes, self._captions):
            texts.flush()

    def finish(self) -> Records:
        """All records so far; the builder is empty afterwards."""
        self._flush()
        pids, camids, clothes_ids, modalities = (
            np.concatenate([columns[place] for columns in self._columns]) for place in range(4)
        )
        bounds = _bounds([columns[-1] for columns in self._columns])
        self._columns = []
        images, captions, clothes = (
            texts.finish() for texts in (self._images, self._captions, self._clothes)
        )
        return Records(
            self.prefix, images, pids, camids, clothes_ids, modalities, captions, bounds,
            clothes if clothes.num_bytes else None,
        )  # fmt: skip


class Records(Sequence[Record]):
    """An immutable sequence of records, each made when asked for; equal to any sequence of equal ones."""

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
        """Columns of records."""
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
        for start in range(0, len(self), CHUNK):  # so that the numbers are not all Python objects at once
            rows = zip(*(column[start : start + CHUNK].tolist() for column in columns), strict=True)
            for pid, camid, clothes_id, modality, count in rows:
                said = tuple(islice(captions, count)) if count else ()
                yield Record(next(images), pid, camid, clothes_id, MODALITIES[modality], said, next(clothes))

    def images(self) -> Iterator[str]:
        """The image paths, without making records."""
        return map(self._whole, self._images)

    def clothes(self) -> Iterator[str]:
        """The paths of the clothes pictures there are, without making records."""
        return iter(()) if self._clothes is None else map(self._whole, filter(None, self._clothes))

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
        known = {"pid": records.pids, "camid": records.camids, "clothes_id": records.clothes_ids}
        known |= {"modality": records.modalities, "num_captions": records.num_captions}
        return known[name].astype(np.int64, copy=False)
    if name == "modality":
        return np.array([MODALITIES.index(record.modality) for record in records], dtype=np.int64)
    if name == "num_captions":
        return np.array([len(record.captions) for record in records], dtype=np.int64)
    return np.array([getattr(record, name) for record in records], dtype=np.int64)


def images_of(records: Sequence[Record]) -> Iterator[str]:
    """The image path of every record."""
    return records.images() if isinstance(records, Records) else (record.image for record in records)


def clothes_of(records: Sequence[Record]) -> Iterator[str]:
    """The clothes pictures that records name."""
    if isinstance(records, Records):
        return records.clothes()
    return (record.clothes for record in records if record.clothes is not None)
