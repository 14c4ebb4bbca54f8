"""Opens every picture of a data set once, in parallel, and says which cannot be opened."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from instructions.errors import InputError
from omnireid.datasets.card import PARTS
from omnireid.datasets.check import COPY_AGAIN, Finding, Reading
from omnireid.loading.image import read_image

NUM_EXAMPLES = 3


@dataclass(frozen=True)
class Opened:
    """How many pictures were opened, and those that could not be, with the reason."""

    num_pictures: int
    failures: tuple[tuple[str, str], ...]  # path, reason


def pictures_of(readings: Iterable[Reading], limit: int | None = None) -> list[str]:
    """Every picture that the readings name, clothes pictures too, each once; evenly thinned to ``limit``."""
    named: dict[str, None] = {}
    for reading in readings:
        for part in PARTS:
            for record in reading.part(part):
                named[record.image] = None
                if record.clothes is not None:
                    named[record.clothes] = None
    paths = list(named)
    if limit is None or limit >= len(paths):
        return paths
    return [paths[index * len(paths) // limit] for index in range(limit)]


def open_pictures(paths: Sequence[str], workers: int, progress: Callable[[], None]) -> Opened:
    """Decode each picture; ``progress`` is called after each."""

    def attempt(path: str) -> str | None:
        try:
            read_image(path)
        except InputError as error:
            return str(error)
        return None

    failures = []
    with ThreadPoolExecutor(max_workers=workers) as pool:
        for path, reason in zip(paths, pool.map(attempt, paths), strict=True):
            progress()
            if reason is not None:
                failures.append((path, reason))
    return Opened(len(paths), tuple(failures))


def unopened(dataset: str, opened: Opened) -> list[Finding]:
    """The finding for pictures that are missing or damaged."""
    if not opened.failures:
        return []
    examples = "; ".join(reason for _, reason in opened.failures[:NUM_EXAMPLES])
    message = f"{len(opened.failures)} of {opened.num_pictures} pictures cannot be read: {examples}"
    fix = (
        f"the data set's copy is damaged or not complete: {COPY_AGAIN}, or take their lines out of the lists"
    )
    return [Finding("problem", dataset, message, fix)]
