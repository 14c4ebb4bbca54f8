"""Captioned images in train, val and test, some training people being those of another data set."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from omnireid.synthetic.captions import annotator_caption
from omnireid.synthetic.people import ShotKey
from omnireid.synthetic.plan import PlanBuilder, SyntheticSpec

_VAL_SHARE = 3  # one validation person per this many test people

Images = Sequence[tuple[str, ShotKey]]  # path below the data set's root, and take


@dataclass(frozen=True)
class Captioned:
    """An image and its captions: one entry of an annotation file."""

    split: str
    pid: int
    path: str  # below imgs
    captions: tuple[str, ...]
    original: str | None = None  # the other data set's test image of which this one is a copy


def plan_captioned(
    builder: PlanBuilder,
    path: Callable[[int, ShotKey, str | None], str],
    shots_of: Callable[[SyntheticSpec, str], Mapping[int, Images]],
    parts: tuple[str, str],
    root: str,
    *,
    first_pid: int,
    num_captions: int,
    has_val: bool = True,
) -> list[Captioned]:
    """Plan all images; pids run through train, borrowed training people, val and test.

    Args:
        builder: the plan of the data set.
        path: of an image below imgs, from its pid, its take, and its original's path if it is borrowed.
        shots_of: images of the other data set's people in one of its folders.
        parts: its folders of test and of training people.
        root: of the other data set, in the tree.
        first_pid: pid of the first person.
        num_captions: captions of each image.
        has_val: whether there are validation people.
    """
    counts = builder.counts
    tested, trained = (
        _borrowed(builder.spec, shots_of, part, num_ids)
        for part, num_ids in zip(parts, (counts.overlap_ids, counts.shared_ids), strict=True)
    )
    borrowed = [images[: counts.shots] for images in tested] + [images[::2] for images in trained]
    num_val = -(-counts.test_ids // _VAL_SHARE) if has_val else 0
    people: list[tuple[str, Images | None]] = [("train", None)] * (counts.train_ids - len(borrowed))
    people += [("train", images) for images in borrowed]
    people += [("val", None)] * num_val + [("test", None)] * counts.test_ids
    rows = []
    for pid, (split, images) in enumerate(people, first_pid):
        for original, key in images or _own(builder, pid, split):
            name, source = path(pid, key, original), builder.spec.populations[key.dataset]
            captions = tuple(annotator_caption(source, key, number + 1) for number in range(num_captions))
            copied = f"{root}/{original}" if original and original.startswith(f"{parts[0]}/") else None
            rows.append(Captioned(split, pid, name, captions, copied))
            builder.add_image(key, f"imgs/{name}")
    return rows


def _own(builder: PlanBuilder, pid: int, split: str) -> list[tuple[None, ShotKey]]:
    """Images of a person of the data set itself."""
    shots = builder.counts.shots if split == "train" else builder.counts.gallery_shots
    return [
        (None, builder.next_shot(pid, 0, camera))
        for camera in builder.population.cameras_of_outfit(pid, 0, shots)
    ]


def _borrowed(
    spec: SyntheticSpec,
    shots_of: Callable[[SyntheticSpec, str], Mapping[int, Images]],
    part: str,
    num_ids: int,
) -> list[Images]:
    """Images of the first people in a folder of the other data set."""
    people = [images for _, images in sorted(shots_of(spec, part).items())[:num_ids]] if num_ids else []
    assert len(people) == num_ids, f"the other data set has fewer than {num_ids} people in {part}"
    return people


def write_annotations(builder: PlanBuilder, file: str, entries: Sequence[Mapping[str, object]]) -> None:
    """Plan an annotation file: a JSON array."""
    builder.texts[f"{builder.folder}/{file}"] = (json.dumps(entries) + "\n").encode("ascii")


def sizes_of(rows: Sequence[Captioned], *parts: str) -> dict[str, int]:
    """Size of these parts, as ``PlanBuilder.finish`` takes them: images, of queries captions."""
    test = [row for row in rows if row.split == "test"]
    sizes = {split: sum(row.split == split for row in rows) for split in ("train", "val")}
    sizes |= {"query": sum(len(row.captions) for row in test), "gallery": len(test)}
    return {part: sizes[part] for part in parts}


def overlaps_of(builder: PlanBuilder, rows: Sequence[Captioned]) -> dict[str, str]:
    """Each borrowed image and its original, from the root of the tree."""
    return {f"{builder.folder}/imgs/{row.path}": row.original for row in rows if row.original}
