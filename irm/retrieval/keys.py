"""Checks of keys before indexing: names must be UTF-8, and a key keeps standing for the same image."""

from __future__ import annotations

import filecmp
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from instructions.errors import InputError
from irm.retrieval.catalog import Catalog, Image
from irm.retrieval.items import Item

READ = 1000  # keys looked up together


def split_undecodable(items: Iterable[Item]) -> tuple[list[Item], list[tuple[str, str]]]:
    """The items whose names are text, and key and reason of the others."""
    good: list[Item] = []
    failures: list[tuple[str, str]] = []
    for item in items:
        wrong = [name for name in (item.key, item.path, item.clothes or "") if not _is_text(name)]
        if wrong:
            failures.append(
                (
                    _readable(item.key),
                    f"the file name {_readable(wrong[0])} is not valid UTF-8; rename the file",
                )
            )
        else:
            good.append(item)
    return good, failures


def check_keys(items: Sequence[Item], catalog: Catalog) -> None:
    """Refuse a known key for a different image; the same image may have moved.

    Raises:
        InputError: Both files are there, and they differ.
    """
    for first in range(0, len(items), READ):
        part = items[first : first + READ]
        known = catalog.images_by_key([item.key for item in part])
        for item in part:
            if item.key in known:
                _refuse_another(item, known[item.key])


def _refuse_another(item: Item, known: Image) -> None:
    if str(Path(item.path).absolute()) == known.path or not _differ(known.path, item.path):
        return
    is_below = item.path.endswith(f"/{item.key}")
    folder = Path(item.path.removesuffix(item.key)).name if is_below else "NAME"
    raise InputError(
        f"the key {item.key!r} is already used for {known.path}, and {item.path} is a different image; "
        f"give the new images other keys, e.g. with --prefix {folder}, or erase the old one"
    )


def with_known_fields(item: Item, known: Image | None) -> Item:
    """The item, with what is known of its key wherever its source does not say."""
    if known is None:
        return item
    return replace(item, **{name: getattr(known, name) for name in item.unspecified})


def _differ(one: str, other: str) -> bool:
    """Whether two files are there and are not the same."""
    try:
        return not Path(one).samefile(other) and not filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False  # an unreadable file is reported when it is indexed


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _readable(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")
