"""Holds out training people for model selection; people of a test are never used for it."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from instructions.errors import InputError
from omnireid.columns import labels_of
from omnireid.loading.source_loader import Source
from omnireid.protocols import PROTOCOLS
from omnireid.records import Record, Split
from omnireid.tasks import TaskSpec


@dataclass(frozen=True)
class HeldOut:
    """The held-out people of one source, as a small validation split of their own."""

    task: TaskSpec
    domain: str
    split: Split
    protocol: str


def hold_out(
    sources: Sequence[Source], share: float, seed: int
) -> tuple[tuple[Source, ...], tuple[HeldOut, ...]]:
    """Hold out a share of each source's people, at least two; by their numbers, the same ones for all tasks.

    Args:
        sources: the sources to be trained on.
        share: fraction of the people of each, 0..0.5; 0 holds out none.
        seed: determines who is held out.

    Raises:
        InputError: a source has too few people to hold any out.
    """
    if not share:
        return tuple(sources), ()
    kept, held_out = [], []
    for source in sources:
        pids = sorted(
            {record.pid for record in source.records}, key=lambda pid: _hash_rank(seed, source, pid)
        )
        count = max(2, round(share * len(pids)))
        if len(pids) - count < 2:
            raise InputError(
                f"{source.domain} has {len(pids)} people, too few to hold out {count} for "
                f"validation; set validation.share=0"
            )
        chosen = frozenset(pids[:count])
        held_out.append(_test_of(source, [record for record in source.records if record.pid in chosen]))
        kept.append(
            replace(source, records=tuple(record for record in source.records if record.pid not in chosen))
        )
    return tuple(kept), tuple(held_out)


def _hash_rank(seed: int, source: Source, pid: int) -> str:
    return hashlib.sha256(f"{seed}/{source.dataset}/{pid}".encode()).hexdigest()


def _test_of(source: Source, records: Sequence[Record]) -> HeldOut:
    """Every other image of a person and camera is a query; the rest form the gallery."""
    groups: dict[tuple[int, int], list[Record]] = defaultdict(list)
    for record in records:
        groups[record.pid, record.camid].append(record)
    query = [record for group in groups.values() for record in group[::2]]
    gallery = [record for group in groups.values() for record in group[1::2]] or query
    protocol = "text_to_image" if source.task.query == "text" else "market"
    relevant, keep = PROTOCOLS[protocol].judge(labels_of(query), labels_of(gallery))
    if not (relevant & keep).any():  # one camera, or none known: then allow matches from the same camera
        if gallery is query:
            raise InputError(
                f"no person held out from {source.domain} has a second image to be retrieved; "
                f"set validation.share=0"
            )
        query = [replace(record, camid=-1) for record in query]
        gallery = [replace(record, camid=-2) for record in gallery]
    return HeldOut(source.task, source.domain, Split(source.dataset, (), query, gallery), protocol)
