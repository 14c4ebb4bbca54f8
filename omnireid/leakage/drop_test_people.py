"""Drops the people of all tests from the training data; on by default (IRM, 5.2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from omnireid.columns import column_of, selected
from omnireid.leakage.fingerprints import Fingerprints, find_copies
from omnireid.leakage.hash_cache import Progress, fingerprints_of
from omnireid.leakage.names import TestPeople
from omnireid.leakage.people import Leak, LeakageReport, People

# Data sets that share images, partly under unrelated names: compared by appearance, in both directions.
SHARED: frozenset[frozenset[str]] = frozenset(
    frozenset(pair)
    for pair in (
        ("cuhk_pedes", "market1501"),
        ("cuhk_pedes", "cuhk03"),
        ("rstpreid", "msmt17"),
        ("icfg_pedes", "msmt17"),
        ("rstpreid", "icfg_pedes"),
    )
)


def drop_test_people(
    train: Sequence[People],
    tests: Sequence[People],
    *,
    by_appearance: bool | frozenset[frozenset[str]] = True,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> tuple[tuple[People, ...], LeakageReport]:
    """The training sources, in order, without the people of any test, and a report of what was dropped.

    A person is dropped, with all of their images, if they have the number of a test person of the same data
    set, or if any of their images is a test image: by its file name if one data set is known to contain
    images of the other, because it is the same file on disk (links resolved), or because it looks the same.

    Args:
        train: The training sources.
        tests: The test sets.
        by_appearance: Compare appearance between the data sets known to share images (SHARED), between none,
            or between the given pairs.
        cache: Folder that keeps fingerprints of images; without it they are computed again each time.
        progress: Called while images are read.
    """
    index = TestPeople(tests)
    pairs = (
        by_appearance if isinstance(by_appearance, frozenset) else SHARED if by_appearance else frozenset()
    )
    looks = _AppearanceIndex(tests, pairs, cache, progress)
    kept: list[People] = []
    leaks: list[Leak] = []
    num_records = num_dropped = 0
    for source in train:
        leaked = {leak.pid: leak for leak in reversed(list(index.leaks(source)))}
        # Comparing appearance is slower than comparing names, so it skips people already dropped.
        leaked |= {leak.pid: leak for leak in reversed(list(looks.leaks(source, leaked)))}
        staying = source.records
        if leaked:
            pids = column_of(source.records, "pid")
            staying = selected(source.records, ~np.isin(pids, np.array(sorted(leaked), dtype=np.int64)))
        leaks += sorted(leaked.values(), key=lambda leak: leak.pid)
        num_records += len(source.records)
        num_dropped += len(source.records) - len(staying)
        kept.append(People(source.dataset, staying))
    people = Counter((leak.dataset, leak.reason) for leak in leaks)
    report = LeakageReport(
        num_records, num_dropped, dict(sorted(people.items())), tuple(leaks), looks.num_unreadable
    )
    return tuple(kept), report


class _AppearanceIndex:
    """Test images per data set, fingerprinted when a training source first needs them."""

    def __init__(
        self,
        tests: Sequence[People],
        pairs: frozenset[frozenset[str]],
        cache: Path | None,
        progress: Progress | None,
    ) -> None:
        self.pairs, self.cache, self.progress = pairs, cache, progress
        self.images: dict[str, dict[str, None]] = {}
        for test in tests:
            names = self.images.setdefault(test.dataset, {})
            names |= dict.fromkeys(record.image for record in test.records)
        self.num_unreadable = 0
        self._known: dict[str, Fingerprints] = {}

    def leaks(self, source: People, known: dict[int, Leak]) -> Iterator[Leak]:
        """Every image of the source that copies a test image, of people not already dropped; in order."""
        tested = [
            dataset
            for dataset in sorted(self.images)
            if frozenset((source.dataset, dataset)) in self.pairs and self.images[dataset]
        ]
        records = [record for record in source.records if record.pid not in known] if tested else []
        if not records:
            return
        looked = self._look([record.image for record in records], f"{source.dataset}-train")
        found: dict[int, str] = {}
        for dataset in tested:
            if dataset not in self._known:
                self._known[dataset] = self._look(list(self.images[dataset]), f"{dataset}-test")
            images = list(self.images[dataset])
            for row, other in enumerate(find_copies(looked, self._known[dataset]).rows.tolist()):
                if other >= 0:
                    found.setdefault(row, images[other])
        for row in sorted(found):
            record = records[row]
            yield Leak(source.dataset, record.pid, record.image, "same picture by look", found[row])

    def _look(self, images: list[str], name: str) -> Fingerprints:
        looked = fingerprints_of(images, cache=self.cache, name=name, progress=self.progress)
        self.num_unreadable += int((~looked.seen).sum())
        return looked
