"""Opens every image of a data set once, in parallel, to find unreadable and duplicate ones."""

from __future__ import annotations

import errno
import filecmp
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from instructions.errors import InputError
from omnireid.columns import clothes_of, images_of
from omnireid.datasets.card import PARTS
from omnireid.datasets.check import COPY_AGAIN, NUM_EXAMPLES, Finding, LoadedSplit
from omnireid.datasets.ledger import Ledger, key_of, number_of
from omnireid.datasets.scan import GRANT_ACCESS, is_unreadable
from omnireid.loading.image import decode_image, read_image

_CHUNK = 64  # images per job of a thread
_AHEAD = 4  # jobs queued per thread: creating a million futures would take longer than the work

# Kind of failure, phrase of read_image's message that identifies it, and remedy; the last is for all others.
KINDS: tuple[tuple[str, str, str], ...] = (
    ("missing", "there is no such file", f"{COPY_AGAIN}, or remove their lines and captions"),
    ("empty", "the file is empty", f"the copy was cut off: {COPY_AGAIN}"),
    ("not images", "not an image of a known kind", "replace them by the actual images, or remove them"),
    (
        "too large",
        "more than the limit",
        "these are not person crops: crop the people, or remove the images",
    ),
    ("closed", os.strerror(errno.EACCES), GRANT_ACCESS),
    ("damaged", "", f"the copy is damaged: {COPY_AGAIN}, or remove the images"),
)


@dataclass(frozen=True)
class ImageCheck:
    """How many images were checked, which could not be opened, and a hash of each one's bytes."""

    num_images: int
    num_known: int  # opened by an earlier run and not changed since
    failures: tuple[tuple[str, str], ...]  # path, reason
    contents: Mapping[str, int]  # path to the hash of its bytes


def image_paths(readings: Iterable[LoadedSplit], limit: int | None = None) -> list[str]:
    """Every distinct image in the readings, clothes images included; evenly thinned to ``limit``."""
    named: dict[str, None] = {}
    for reading in readings:
        for part in PARTS:
            named.update(dict.fromkeys(images_of(reading.part(part))))
            named.update(dict.fromkeys(clothes_of(reading.part(part))))
    paths = list(named)
    if limit is None or limit >= len(paths):
        return paths
    return [paths[index * len(paths) // limit] for index in range(limit)]


def open_images(
    paths: Sequence[str], workers: int, progress: Callable[[int], None], ledger: Ledger | None = None
) -> ImageCheck:
    """Decode each image that is not in the ledger; ``progress`` is called with the number newly done.

    If interrupted, it saves what is done to the ledger and stops at once.
    """
    ledger = Ledger(None) if ledger is None else ledger
    failures: list[tuple[str, str]] = []
    contents: dict[str, int] = {}
    num_known = 0
    for outcomes in _in_threads(paths, workers, ledger):
        for outcome in outcomes:
            if outcome.reason is not None:
                failures.append((outcome.path, outcome.reason))
                continue
            contents[outcome.path] = outcome.content
            if outcome.known:
                num_known += 1
            else:
                ledger.enter(outcome.key, outcome.content)
        progress(len(outcomes))
    ledger.flush()
    return ImageCheck(len(paths), num_known, tuple(failures), contents)


@dataclass(frozen=True, slots=True)
class _Outcome:
    path: str
    key: int = 0
    content: int = 0
    known: bool = False
    reason: str | None = None


def _in_threads(paths: Sequence[str], workers: int, ledger: Ledger) -> Iterator[list[_Outcome]]:
    chunks = (paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK))
    pool = ThreadPoolExecutor(max_workers=workers)
    waiting = []
    try:
        for chunk in chunks:
            waiting.append(pool.submit(lambda some: [_attempt(path, ledger) for path in some], chunk))
            if len(waiting) >= workers * _AHEAD:
                yield waiting.pop(0).result()
        while waiting:
            yield waiting.pop(0).result()
    finally:
        pool.shutdown(cancel_futures=True)


def _attempt(path: str, ledger: Ledger) -> _Outcome:
    try:
        key = key_of(path)
        content = ledger.content(key)
        if content is not None and os.access(path, os.R_OK):  # lost permissions do not change the key
            return _Outcome(path, key, content, known=True)
        data = Path(path).read_bytes()
        decode_image(data, name=path)
        return _Outcome(path, key, number_of(data))
    except InputError as error:
        return _Outcome(path, reason=str(error))
    except (OSError, ValueError):
        try:
            read_image(path)  # its message says what is wrong
        except InputError as error:
            return _Outcome(path, reason=str(error))
        return _Outcome(path)  # it came back in the meantime


def unreadable_images(dataset: str, opened: ImageCheck) -> list[Finding]:
    """A finding per kind of failure, for the images that cannot be read."""
    of_kind: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
    for path, reason in opened.failures:
        kind = next(kind for kind in KINDS if kind[1] in reason)
        of_kind.setdefault(kind, []).append((path, reason))
    findings = []
    for (name, _, fix), failures in of_kind.items():
        examples = "; ".join(reason + _neighbour(path, name) for path, reason in failures[:NUM_EXAMPLES])
        message = f"{len(failures)} of {opened.num_images} images cannot be read ({name}): {examples}"
        findings.append(Finding("problem", dataset, message, fix))
    return findings


def _neighbour(path: str, kind: str) -> str:
    """A file beside a missing one with the same name and another suffix, e.g. ``.JPG`` for ``.jpg``."""
    place = Path(path)
    if kind == "missing" and place.is_symlink():
        return f" (a link to {place.readlink()}, which does not exist)"
    if kind == "missing" and "\\" in path:
        return " (use / instead of \\ between folders)"
    if kind != "missing" or not place.parent.is_dir() or is_unreadable(place.parent):
        return ""
    stem = place.stem.lower()
    near = sorted(other.name for other in place.parent.iterdir() if other.stem.lower() == stem)
    return f" (did you mean {near[0]!r}?)" if near else ""


def duplicate_images(reading: LoadedSplit, contents: Mapping[str, int]) -> Iterator[Finding]:
    """Findings for images in two parts under different names that are identical byte for byte."""
    owners = {
        part: {contents[path]: path for path in images_of(reading.part(part)) if contents.get(path)}
        for part in PARTS
    }
    for part, other in combinations(PARTS, 2):
        pairs = [
            (path, owners[other][content])
            for content, path in owners[part].items()
            if owners[other].get(content, path) != path
        ]
        pairs = [pair for pair in pairs if filecmp.cmp(*pair, shallow=False)]
        if pairs:
            example = " and ".join(pairs[0])
            message = f"{len(pairs)} {part} images are in the {other} too under another name, e.g. {example}"
            if part == "train":
                yield reading.find(
                    "problem", message, "remove them from the training part: it leaks test images"
                )
            else:
                yield reading.find(
                    "warning", message, "such a query finds its own copy; remove one of the two"
                )
