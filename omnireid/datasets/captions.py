"""Captions on disk: annotation arrays too long for memory, caption dictionaries, one query a caption."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from instructions.errors import InputError
from omnireid.records import Record

CHUNK = 1 << 22  # characters read at a time
LONGEST_ENTRY = 1 << 26  # one entry longer than this is a broken file, not an entry


def tidy(caption: str) -> str:
    """A caption on one line, without blanks at its ends; nothing else is changed."""
    # Printable means that the only blanks are plain ones: mostly there is nothing to do, ten million times.
    if caption.isprintable() and "  " not in caption and not caption.startswith(" "):
        return caption.rstrip(" ")
    return " ".join(caption.split())


def iter_entries(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON array, one after another; a file of gigabytes is never held whole.

    Raises:
        InputError: if the file is not an array of objects.
    """
    decoder = json.JSONDecoder()
    with path.open(encoding="utf-8-sig") as file:
        buffer = file.read(CHUNK).lstrip()
        if not buffer.startswith("["):
            raise InputError(f"{path} is not a JSON array of annotations")
        position, number = 1, 0
        while True:
            while position < len(buffer) and buffer[position] in " \t\r\n,":
                position += 1
            if buffer[position : position + 1] == "]":
                return
            try:
                entry, end = decoder.raw_decode(buffer, position)
            except ValueError:
                more = file.read(CHUNK) if len(buffer) - position < LONGEST_ENTRY else ""
                if not more:
                    raise InputError(
                        f"{path}: entry {number} is not valid JSON, or the file ends too early"
                    ) from None
                buffer, position = buffer[position:] + more, 0
                continue
            if not isinstance(entry, dict):
                raise InputError(f"{path}: entry {number} is not an object with captions and file_path")
            yield entry
            position, number = end, number + 1


def read_caption_book(path: Path) -> dict[str, tuple[str, ...]]:
    """The flat dictionary key → caption (or list of captions) of the OmniReID lists."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} is not a dictionary from key to caption")
    for key, value in content.items():  # in place: there may be ten million
        content[key] = captions_of(value, path, key)
    return content


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


def entry_field(entry: Mapping[str, Any], name: str, kind: type, path: Path, number: int) -> Any:
    """A field of an annotation, checked; ``path`` and ``number`` are for the error.

    Raises:
        InputError: if it is missing or of another kind.
    """
    value = entry.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise InputError(
            f"{path}: entry {number}: field {name!r} should be {kind.__name__}, is {value!r:.80}"
        )
    return value


def query_per_caption(records: Iterable[Record]) -> tuple[Record, ...]:
    """Text queries: one record a caption, in the order of the pictures and of their captions."""
    return tuple(replace(record, captions=(caption,)) for record in records for caption in record.captions)
