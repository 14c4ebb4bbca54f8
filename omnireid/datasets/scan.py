"""Folder scanning shared by the readers: sorted names, one directory listing per folder, no stat per file."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from instructions.errors import InputError
from omnireid.records import Record

GRANT_ACCESS = "grant read permission (chmod -R u+rX), or move it away"
NUMBER = re.compile(r"\d{1,9}")  # a person or a camera; more digits do not fit into an array
PERSON = NUMBER  # a folder named after a person
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")


def is_image_name(name: str) -> bool:
    """Whether a file name is an image's; hidden files such as ``._0002_c1s1_000451_03.jpg`` are not."""
    return name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")


def image_names(folder: str | Path) -> list[str]:
    """Names of the images directly inside a folder, sorted; a missing folder has none."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if is_image_name(entry.name))
    except (FileNotFoundError, NotADirectoryError):
        return []


def subfolders(folder: str | Path) -> list[str]:
    """Names of the folders directly inside a folder, sorted; a missing folder has none."""
    try:
        with os.scandir(folder) as entries:
            return sorted(
                entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()
            )
    except (FileNotFoundError, NotADirectoryError):
        return []


def named_subfolders(folder: str | Path, pattern: re.Pattern[str], notes: list[str]) -> list[str]:
    """The subfolders whose names match a pattern; others, e.g. ``005 (copy)``, are reported in ``notes``."""
    names = subfolders(folder)
    strangers = [name for name in names if not pattern.fullmatch(name) and name != "__MACOSX"]
    if strangers:
        notes.append(
            f"{len(strangers)} folders in {folder} skipped: name not recognised, e.g. {strangers[0]!r}"
        )
    return [name for name in names if pattern.fullmatch(name)]


def is_unreadable(folder: str | Path) -> bool:
    """Whether a folder may not be listed or entered, which would make it look empty."""
    return not _has_access(folder, os.R_OK | os.X_OK)


def refuse_unreadable(folder: str | Path) -> None:
    """Refuse a folder that the current user may not read.

    Raises:
        PermissionError: it is.
    """
    if is_unreadable(folder):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


def _has_access(path: str | Path, what: int) -> bool:
    return os.access(path, what, effective_ids=os.access in os.supports_effective_ids)


def unreadable_path(error: OSError) -> str:
    """The path that could not be opened: the file, or the folder above it that may not be entered."""
    if error.filename is None:  # a read that failed half-way
        return "a file"
    above = reversed(Path(error.filename).parents)
    return str(next((folder for folder in above if not _has_access(folder, os.X_OK)), error.filename))


def remedy_for(error: OSError) -> str:
    """What to do about an operating system error."""
    return GRANT_ACCESS if isinstance(error, PermissionError) else "check the disk, or copy it again"


def unreadable_below(folder: str | Path) -> list[str]:
    """Every unreadable folder at or below this one, or the one above that makes it unreadable; sorted."""
    closed: list[str] = []
    for _ in os.walk(folder, onerror=lambda error: closed.append(unreadable_path(error))):
        pass
    return sorted({*closed})


@contextmanager
def refusing_os_errors() -> Iterator[None]:
    """Turn operating system errors into one-sentence input errors.

    Raises:
        InputError: if a file or folder could not be read.
    """
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{unreadable_path(error)} cannot be read ({error.strerror}); {remedy_for(error)}"
        ) from None


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text file that are not blank, with their numbers (from 1).

    Raises:
        InputError: if it is not UTF-8 text.
    """
    try:
        with path.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, line
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text: {error}") from None


def matched(
    folder: str | Path, pattern: re.Pattern[str], notes: list[str]
) -> Iterator[tuple[str, re.Match[str]]]:
    """Path and parsed name of each image of a folder, in name order.

    Images whose names do not match the pattern are left out and reported in ``notes``.

    Raises:
        InputError: if the folder has images but none matches.
    """
    names = image_names(folder)
    prefix = f"{folder}/"
    strangers: list[str] = []
    for name in names:
        match = pattern.match(name)
        if match is None:
            strangers.append(name)
        else:
            yield prefix + name, match
    if names and len(strangers) == len(names):
        raise InputError(
            f"{folder} holds {len(names)} images, but no name matches {pattern.pattern!r}, e.g. "
            f"{strangers[0]!r} does not; is this the right folder?"
        )
    if strangers:
        notes.append(
            f"{len(strangers)} images of {folder} skipped: name not recognised, e.g. {strangers[0]!r}"
        )


def note_missing(parts: Mapping[str, Path], notes: list[str]) -> None:
    """Report which folders of a layout are missing; an incomplete copy can still be read."""
    notes.extend(f"no {part}: {path} does not exist" for part, path in parts.items() if not path.exists())


class OutfitImage(NamedTuple):
    """An image whose outfit is a name; outfits are numbered once all parts are read."""

    image: str
    pid: int
    camid: int
    outfit: str


def number_outfits(parts: Sequence[Sequence[OutfitImage]]) -> list[tuple[Record, ...]]:
    """Records of each part; outfits get integers unique over the data set, in name order."""
    names = sorted({row.outfit for part in parts for row in part})
    number = {name: index for index, name in enumerate(names)}
    return [
        tuple(Record(row.image, row.pid, row.camid, number[row.outfit]) for row in part) for part in parts
    ]
