"""Captioned pictures in train, val and test, some training people being test people of another data set."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from omnireid.synthetic.captions import annotator_caption
from omnireid.synthetic.people import Take
from omnireid.synthetic.world import Draft

_VAL_SHARE = 3  # one validation person per this many test people


@dataclass(frozen=True)
class Captioned:
    """A picture and its captions: one entry of an annotation file."""

    split: str
    pid: int
    path: str  # below imgs
    captions: tuple[str, ...]
    original: str | None = None  # the other data set's test picture of which this one is a copy


def shoot_captioned(
    draft: Draft,
    path: Callable[[int, Take, str | None], str],
    borrowed: Mapping[int, Sequence[tuple[str, Take]]],
    folder: str,
    *,
    first_pid: int,
    num_captions: int,
    has_val: bool = True,
) -> list[Captioned]:
    """Plan all pictures; pids run through train, borrowed training people, val and test.

    Args:
        draft: the plan of the data set.
        path: of a picture below imgs, from its pid, its take, and its original's path if it is borrowed.
        borrowed: pictures of the other data set's test people, by their pids there.
        folder: the folder of borrowed pictures.
        first_pid: pid of the first person.
        num_captions: captions of each picture.
        has_val: whether there are validation people.
    """
    counts, cast, pid = draft.counts, draft.cast, first_pid
    people = [pictures for _, pictures in sorted(borrowed.items())][: counts.overlap_ids]
    assert len(people) == counts.overlap_ids, "the other data set has fewer test people than overlap_ids"
    rows = []
    for split, num_ids, shots in (
        ("train", counts.train_ids - counts.overlap_ids, counts.shots),
        ("borrowed", counts.overlap_ids, counts.shots),
        ("val", -(-counts.test_ids // _VAL_SHARE) if has_val else 0, counts.gallery_shots),
        ("test", counts.test_ids, counts.gallery_shots),
    ):
        for number in range(num_ids):
            pictures: Sequence[tuple[str | None, Take]]
            if split == "borrowed":
                pictures = people[number][:shots]
            else:
                pictures = [(None, draft.take(pid, 0, camera)) for camera in cast.itinerary(pid, 0, shots)]
            for original, take in pictures:
                name, source = path(pid, take, original), draft.world.casts[take.dataset]
                captions = tuple(
                    annotator_caption(source, take, number + 1) for number in range(num_captions)
                )
                copied = None if original is None else f"{folder}/{original}"
                rows.append(Captioned("train" if copied else split, pid, name, captions, copied))
                draft.shoot(take, f"imgs/{name}")
            pid += 1
    return rows


def write_annotations(draft: Draft, file: str, entries: Sequence[Mapping[str, object]]) -> None:
    """Plan an annotation file: a JSON array."""
    draft.texts[f"{draft.folder}/{file}"] = (json.dumps(entries) + "\n").encode("ascii")


def sizes_of(rows: Sequence[Captioned], *parts: str) -> dict[str, int]:
    """Size of these parts, as ``Draft.finish`` takes them: pictures, of queries captions."""
    test = [row for row in rows if row.split == "test"]
    sizes = {split: sum(row.split == split for row in rows) for split in ("train", "val")}
    sizes |= {"query": sum(len(row.captions) for row in test), "gallery": len(test)}
    return {part: sizes[part] for part in parts}


def overlaps_of(draft: Draft, rows: Sequence[Captioned]) -> dict[str, str]:
    """Each borrowed picture and its original, from the root of the tree."""
    return {f"{draft.folder}/imgs/{row.path}": row.original for row in rows if row.original}
