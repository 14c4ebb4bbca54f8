"""People of a training set kept aside to choose among weights by; whoever is in a test is never asked."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from instructions.errors import InputError
from omnireid.loading.feed import Source
from omnireid.protocols import PROTOCOLS
from omnireid.records import Record, Split, labels_of
from omnireid.tasks import TaskSpec


@dataclass(frozen=True)
class Aside:
    """The people of one source that training does not see, as a small test of their own."""

    task: TaskSpec
    domain: str
    split: Split
    protocol: str


def keep_aside(
    sources: Sequence[Source], share: float, seed: int
) -> tuple[tuple[Source, ...], tuple[Aside, ...]]:
    """Take a share of the people out of every source, at least two; tasks on one data set keep the same ones.

    Args:
        sources: what would be trained on.
        share: of the people of each, 0..0.5; 0 takes nobody.
        seed: decides who.

    Raises:
        InputError: a source has too few people to give some away.
    """
    if not share:
        return tuple(sources), ()
    kept, asides = [], []
    for source in sources:
        pids = sorted({record.pid for record in source.records}, key=lambda pid: _lot(seed, source, pid))
        count = max(2, round(share * len(pids)))
        if len(pids) - count < 2:
            raise InputError(
                f"{source.domain} has {len(pids)} people, too few to keep {count} aside; "
                f"say validation.share=0"
            )
        chosen = frozenset(pids[:count])
        asides.append(_test_of(source, [record for record in source.records if record.pid in chosen]))
        kept.append(
            replace(source, records=tuple(record for record in source.records if record.pid not in chosen))
        )
    return tuple(kept), tuple(asides)


def _lot(seed: int, source: Source, pid: int) -> str:
    return hashlib.sha256(f"{seed}/{source.dataset}/{pid}".encode()).hexdigest()


def _test_of(source: Source, records: Sequence[Record]) -> Aside:
    """Every other picture of a person and camera searches the rest."""
    groups: dict[tuple[int, int], list[Record]] = defaultdict(list)
    for record in records:
        groups[record.pid, record.camid].append(record)
    query = [record for group in groups.values() for record in group[::2]]
    gallery = [record for group in groups.values() for record in group[1::2]] or query
    protocol = "text_to_image" if source.task.query == "text" else "market"
    relevant, keep = PROTOCOLS[protocol].judge(labels_of(query), labels_of(gallery))
    if not (relevant & keep).any():  # one camera, or none known: then the same camera will do
        if gallery is query:
            raise InputError(
                f"nobody of {source.domain} who would be kept aside has a second picture to be found by; "
                f"say validation.share=0"
            )
        query = [replace(record, camid=-1) for record in query]
        gallery = [replace(record, camid=-2) for record in gallery]
    return Aside(source.task, source.domain, Split(source.dataset, (), query, gallery), protocol)
