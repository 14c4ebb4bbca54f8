"""Millions of short strings (paths, captions) in one block of bytes instead of as many objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Int

CHUNK = 1 << 16  # texts or records buffered as Python objects


def bounds_of(lengths: Sequence[Int[np.ndarray, " n"]]) -> Int[np.ndarray, " N+1"]:
    """The start of each piece, given the lengths, and the end of the last one."""
    return np.cumsum(np.concatenate([np.zeros(1, dtype=np.int32), *lengths]), dtype=np.int64)


class Texts:
    """Strings in one block of bytes, or a selection of its pieces; each is decoded on access."""

    __slots__ = ("_block", "_bounds", "_rows")

    def __init__(
        self, block: bytearray, bounds: Int[np.ndarray, " P+1"], rows: Int[np.ndarray, " N"] | None = None
    ) -> None:
        """Wrap a block.

        Args:
            block: all texts, in UTF-8.
            bounds: the start of each piece, and the end of the last one.
            rows: the piece of each text; by default every piece once, in order.
        """
        self._block, self._bounds, self._rows = block, bounds, rows

    def __len__(self) -> int:
        return len(self._bounds) - 1 if self._rows is None else len(self._rows)

    @property
    def num_bytes(self) -> int:
        """The length of the block."""
        return len(self._block)

    def __getitem__(self, row: int) -> str:
        return self._piece(row if self._rows is None else int(self._rows[row]))

    def _piece(self, piece: int) -> str:
        return self._block[self._bounds[piece] : self._bounds[piece + 1]].decode("utf-8", "surrogateescape")

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), CHUNK):
            stop = min(start + CHUNK, len(self))
            rows = None if self._rows is None else self._rows[start:stop]
            if rows is None or (np.diff(rows) == 1).all():
                first = start if rows is None else int(rows[0])
                yield from self._consecutive(first, first + stop - start)
            else:
                yield from map(self._piece, rows.tolist())

    def _consecutive(self, first: int, stop: int) -> Iterator[str]:
        bounds = self._bounds[first : stop + 1].tolist()
        piece = self._block[bounds[0] : bounds[-1]]
        if piece.isascii():  # one byte per letter, so the whole piece can be decoded at once
            letters, start = piece.decode("ascii"), bounds[0]
            for begin, end in pairwise(bounds):
                yield letters[begin - start : end - start]
        else:
            yield from map(self._piece, range(first, stop))

    def take(self, rows: Int[np.ndarray, " n"]) -> Texts:
        """A selection of these texts, on the same block."""
        rows = rows.astype(np.int32) if self._rows is None else self._rows[rows]
        return Texts(self._block, self._bounds, rows)

    def followed_by(self, others: Texts) -> Texts:
        """These texts and then others, in one new block unless there are no others."""
        if not len(others):
            return self
        builder = TextsBuilder()
        for texts in (self, others):
            for text in texts:
                builder.append(text)
        return builder.finish()


class TextsBuilder:
    """Collects texts."""

    def __init__(self) -> None:
        self._waiting: list[str] = []
        self._block = bytearray()
        self._lengths: list[Int[np.ndarray, " n"]] = []
        self._num_done = 0

    def __len__(self) -> int:
        return self._num_done + len(self._waiting)

    def append(self, text: str) -> None:
        """Add one."""
        self._waiting.append(text)
        if len(self._waiting) >= CHUNK:
            self._flush()

    def extend(self, texts: Iterable[str]) -> None:
        """Add many."""
        self._waiting.extend(texts)
        if len(self._waiting) >= CHUNK:
            self._flush()

    def _flush(self) -> None:
        encoded = [text.encode("utf-8", "surrogateescape") for text in self._waiting]
        self._lengths.append(np.fromiter(map(len, encoded), dtype=np.int32, count=len(encoded)))
        self._block += b"".join(encoded)
        self._num_done += len(encoded)
        self._waiting.clear()

    def finish(self) -> Texts:
        """All texts so far; the builder is empty afterwards."""
        self._flush()
        bounds = bounds_of(self._lengths)
        small = len(self._block) < 2**32  # half the memory of the bounds
        block, self._block, self._lengths, self._num_done = self._block, bytearray(), [], 0
        return Texts(block, bounds.astype(np.uint32) if small else bounds)
