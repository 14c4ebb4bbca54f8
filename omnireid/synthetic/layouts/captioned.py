"""Captioned images in train, val and test, some training people being those of another data set."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from omnireid.synthetic.captions import annotator_caption
from omnireid.synthetic.people import Take
from omnireid.synthetic.world import Draft, World

_VAL_SHARE = 3  # one validation person per this many test people

Images = Sequence[tuple[str, Take]]  # path below the data set's root, and take


@dataclass(frozen=True)
class Captioned:
    """An image and its captions: one entry of an annotation file."""

    split: str
    pid: int
    path: str  # below imgs
    captions: tuple[str, ...]
    original: str | None = None  # the other data set's test image of which this one is a copy


def shoot_captioned(
    draft: Draft,
    path: Callable[[int, Take, str | None], str],
    takes_of: Callable[[World, str], Mapping[int, Images]],
    parts: tuple[str, str],
    root: str,
    *,
    first_pid: int,
    num_captions: int,
    has_val: bool = True,
) -> list[Captioned]:
    """Plan all images; pids run through train, borrowed training people, val and test.

    Args:
        draft: the plan of the data set.
        path: of an image below imgs, from its pid, its take, and its original's path if it is borrowed.
        takes_of: images of the other data set's people in one of its folders.
        parts: its folders of test and of training people.
        root: of the other data set, in the tree.
        first_pid: pid of the first person.
        num_captions: captions of each image.
        has_val: whether there are validation people.
    """
    counts = draft.counts
    tested, trained = (
        _borrowed(draft.world, takes_of, part, num_ids)
        for part, num_ids in zip(parts, (counts.overlap_ids, counts.shared_ids), strict=True)
    )
    borrowed = [images[: counts.shots] for images in tested] + [images[::2] for images in trained]
    num_val = -(-counts.test_ids // _VAL_SHARE) if has_val else 0
    people: list[tuple[str, Images | None]] = [("train", None)] * (counts.train_ids - len(borrowed))
    people += [("train", images) for images in borrowed]
    people += [("val", None)] * num_val + [("test", None)] * counts.test_ids
    rows = []
    for pid, (split, images) in enumerate(people, first_pid):
        for original, take in images or _own(draft, pid, split):
            name, source = path(pid, take, original), draft.world.casts[take.dataset]
            captions = tuple(annotator_caption(source, take, number + 1) for number in range(num_captions))
            copied = f"{root}/{original}" if original and original.startswith(f"{parts[0]}/") else None
            rows.append(Captioned(split, pid, name, captions, copied))
            draft.shoot(take, f"imgs/{name}")
    return rows


def _own(draft: Draft, pid: int, split: str) -> list[tuple[None, Take]]:
    """Images of a person of the data set itself."""
    shots = draft.counts.shots if split == "train" else draft.counts.gallery_shots
    return [(None, draft.take(pid, 0, camera)) for camera in draft.cast.itinerary(pid, 0, shots)]


def _borrowed(
    world: World, takes_of: Callable[[World, str], Mapping[int, Images]], part: str, num_ids: int
) -> list[Images]:
    """Images of the first people in a folder of the other data set."""
    people = [images for _, images in sorted(takes_of(world, part).items())[:num_ids]] if num_ids else []
    assert len(people) == num_ids, f"the other data set has fewer than {num_ids} people in {part}"
    return people


def write_annotations(draft: Draft, file: str, entries: Sequence[Mapping[str, object]]) -> None:
    """Plan an annotation file: a JSON array."""
    draft.texts[f"{draft.folder}/{file}"] = (json.dumps(entries) + "\n").encode("ascii")


def sizes_of(rows: Sequence[Captioned], *parts: str) -> dict[str, int]:
    """Size of these parts, as ``Draft.finish`` takes them: images, of queries captions."""
    test = [row for row in rows if row.split == "test"]
    sizes = {split: sum(row.split == split for row in rows) for split in ("train", "val")}
    sizes |= {"query": sum(len(row.captions) for row in test), "gallery": len(test)}
    return {part: sizes[part] for part in parts}


def overlaps_of(draft: Draft, rows: Sequence[Captioned]) -> dict[str, str]:
    """Each borrowed image and its original, from the root of the tree."""
    return {f"{draft.folder}/imgs/{row.path}": row.original for row in rows if row.original}
