"""Reads captions: annotation arrays too long for memory, caption dictionaries, one query per caption."""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from jaxtyping import Int

from instructions.errors import InputError
from omnireid.records import Record
from omnireid.texts import Texts, TextsBuilder, bounds_of

CHUNK = 1 << 22  # characters read at a time
LONGEST_ENTRY = 1 << 26  # one entry longer than this is a broken file, not an entry
_BLANKS = re.compile(r"[ \t\r\n,]*")


def tidy(caption: str) -> str:
    """A caption on one line, without surrounding blanks; nothing else is changed."""
    # A printable string has no blanks but plain ones: a fast path, for it usually leaves nothing to do.
    if caption.isprintable() and "  " not in caption and not caption.startswith(" "):
        return caption.rstrip(" ")
    return " ".join(caption.split())


class _JsonReader:
    """Reads the values of a JSON file one after another, so that gigabytes are never held in memory."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self._path, self._file = path, file
        self._buffer, self._place = "", 0
        self._decode = json.JSONDecoder().raw_decode

    def character(self) -> str:
        """The next character that is neither blank nor a comma, without consuming it; empty at the end."""
        while True:
            self._place = _BLANKS.match(self._buffer, self._place).end()  # type: ignore[union-attr]
            if self._place < len(self._buffer):
                return self._buffer[self._place]
            self._buffer, self._place = self._more(), 0
            if not self._buffer:
                return ""

    def _more(self) -> str:
        try:
            return self._file.read(CHUNK)
        except UnicodeDecodeError as error:
            raise InputError(f"{self._path} is not UTF-8 text: {error}") from None

    def skip(self) -> None:
        """Consume that character."""
        self._place += 1

    def value(self, number: int) -> Any:
        """The value that begins here; ``number`` is for the error.

        Raises:
            InputError: if there is none.
        """
        while True:
            try:
                value, self._place = self._decode(self._buffer, self._place)
            except json.JSONDecodeError:
                more = self._more() if len(self._buffer) - self._place < LONGEST_ENTRY else ""
                if not more:
                    raise InputError(
                        f"{self._path}: entry {number} is not valid JSON, or the file ends too early"
                    ) from None
                self._buffer, self._place = self._buffer[self._place :] + more, 0
            else:
                return value


def iter_entries(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON array, one after another.

    Raises:
        InputError: if the file is not an array of objects.
    """
    with path.open(encoding="utf-8-sig") as file:
        reader = _JsonReader(path, file)
        if reader.character() != "[":
            raise InputError(f"{path} is not a JSON array of annotations")
        reader.skip()
        number = 0
        while reader.character() != "]":
            entry = reader.value(number)
            if not isinstance(entry, dict):
                raise InputError(f"{path}: entry {number} is not an object with captions and file_path")
            yield entry
            number += 1


@dataclass(frozen=True)
class CaptionBook:
    """Captions by key; each text is stored once, and each key refers to its texts."""

    texts: Texts
    places: Mapping[str, int]
    bounds: Int[np.ndarray, " N+1"]  # entry n has the texts bounds[n]..bounds[n+1]-1

    def rows(self, key: str) -> range | None:
        """Numbers of the texts of a key; None if the book does not have it."""
        place = self.places.get(key)
        return None if place is None else range(int(self.bounds[place]), int(self.bounds[place + 1]))

    def captions(self, key: str) -> tuple[str, ...]:
        """The captions of a key, none if the book does not have it."""
        return tuple(self.texts[row] for row in self.rows(key) or ())


NO_BOOK = CaptionBook(TextsBuilder().finish(), {}, np.zeros(1, dtype=np.int64))


def read_caption_book(path: Path) -> CaptionBook:
    """The flat dictionary key → caption (or list of captions) of the OmniReID lists.

    Raises:
        InputError: if the file is not such a dictionary.
    """
    texts, places, counts = TextsBuilder(), dict[str, int](), array("i")
    with path.open(encoding="utf-8-sig") as file:
        reader = _JsonReader(path, file)
        if reader.character() != "{":
            raise InputError(f"{path} is not a dictionary from key to caption")
        reader.skip()
        while reader.character() != "}":
            key = reader.value(len(counts))
            if not isinstance(key, str) or reader.character() != ":":
                raise InputError(f"{path} is not valid JSON: entry {len(counts)} is not a key with a caption")
            reader.skip()
            reader.character()
            captions = captions_of(reader.value(len(counts)), path, key)
            texts.extend(captions)
            places[key] = len(counts)  # the last one counts, as everywhere in JSON
            counts.append(len(captions))
    return CaptionBook(texts.finish(), places, bounds_of([np.frombuffer(counts, dtype=np.int32)]))


def captions_of(value: object, path: Path, entry: str | int) -> tuple[str, ...]:
    """One caption or a list of them as a tuple, without empty ones; ``path`` and ``entry`` are for the error.

    Raises:
        InputError: if the value is neither a string nor a list of strings.
    """
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not {*map(type, value)} <= {str}:
        raise InputError(f"{path}: entry {entry!r}: expected a caption or a list of them, got {value!r:.80}")
    return tuple(filter(None, map(tidy, value)))


LARGEST = 2**31 - 1  # of an integer in an annotation


def entry_field(entry: Mapping[str, Any], name: str, kind: type, path: Path, number: int) -> Any:
    """A field of an annotation, checked; ``path`` and ``number`` are for the error.

    Raises:
        InputError: if it is missing or of another kind.
    """
    value = entry.get(name)
    too_large = isinstance(value, int) and abs(value) > LARGEST
    if not isinstance(value, kind) or isinstance(value, bool) or too_large:
        raise InputError(
            f"{path}: entry {number}: field {name!r} should be {kind.__name__}, is {value!r:.80}"
        )
    return value


def query_per_caption(records: Iterable[Record]) -> tuple[Record, ...]:
    """Text queries: one record per caption, in the order of the images and of their captions."""
    return tuple(replace(record, captions=(caption,)) for record in records for caption in record.captions)
