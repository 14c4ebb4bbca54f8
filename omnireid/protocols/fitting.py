"""Whether a data set has the labels that a protocol needs, before anything is trained or embedded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from omnireid.columns import column_of, labels_of
from omnireid.protocols.protocol import Need, Protocol
from omnireid.protocols.rules import PERSON_ALONE, count_bare
from omnireid.records import MODALITIES, Labels, Record, Split

_OF = {"query": "", "gallery": "of people who are queried "}
_BLOCK = 256  # kinds of queries judged at a time


def shortcoming(protocol: Protocol, split: Split) -> str | None:
    """What a split lacks for a protocol, in half a sentence; None if nothing."""
    sides: dict[str, Sequence[Record]] = {"query": split.query, "gallery": split.gallery}
    empty = [name for name, records in sides.items() if not len(records)]
    if empty:
        return f"it has no {' and no '.join(empty)} images; evaluate on a data set with a test part"
    query, gallery = (labels_of(records) for records in sides.values())
    for need in protocol.needs:
        lack = _MISSING[need](split, query, gallery)
        if lack is not None:
            return lack
    if not any(_has_answer(protocol, query, gallery, trial) for trial in range(protocol.num_trials)):
        return (
            "no query has a true match under its rule; check the people, cameras and clothes of query and "
            "gallery, and the variant"
        )
    return None


def _without_clothes(split: Split, query: Labels, gallery: Labels) -> str | None:  # noqa: ARG001
    for side, (bare, asked) in count_bare(query, gallery).items():
        if bare:
            return f"{bare} of {asked} {side} images {_OF[side]}have no clothes id; {PERSON_ALONE}"
    return None


def _without_two_modalities(split: Split, query: Labels, gallery: Labels) -> str | None:  # noqa: ARG001
    sides = (column_of(side, "modality") for side in (split.query, split.gallery))
    seen = [{MODALITIES[number] for number in np.unique(side)} for side in sides]
    if len(seen[0]) == len(seen[1]) == 1 and seen[0] != seen[1]:
        return None
    held = " and the gallery ".join(" and ".join(sorted(side)) for side in seen)
    return (
        "one side must be visible (rgb) and the other infrared (ir), but the query images are "
        f"{held}; use the protocol market, or annotate the modality"
    )


def _without_texts(split: Split, query: Labels, gallery: Labels) -> str | None:  # noqa: ARG001
    bare = int((column_of(split.query, "num_captions") == 0).sum())
    if not bare:
        return None
    return f"{bare} of its {len(query)} queries have no caption; for image queries use the protocol market"


_MISSING: Mapping[Need, Callable[[Split, Labels, Labels], str | None]] = {
    "clothes": _without_clothes,
    "two modalities": _without_two_modalities,
    "texts": _without_texts,
}


def _has_answer(protocol: Protocol, query: Labels, gallery: Labels, trial: int) -> bool:
    """Whether any query that a trial draws has a right answer that counts; equal labels are judged once."""
    rows, searched = protocol.draw(query, gallery, trial)
    asked, found = _kinds(query.take(rows)), _kinds(gallery.take(searched))
    for start in range(0, len(asked), _BLOCK):
        relevant, keep = protocol.judge(asked.take(np.arange(len(asked))[start : start + _BLOCK]), found)
        if (relevant & keep).any():
            return True
    return False


def _kinds(labels: Labels) -> Labels:
    columns = (labels.pids, labels.camids, labels.clothes_ids, labels.modalities)
    known = np.stack([column for column in columns if column is not None], axis=1)
    return labels.take(np.unique(known, axis=0, return_index=True)[1])
