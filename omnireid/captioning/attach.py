"""Captions for the training images of a ReID set: matched, without test people, propagated (MLLM 4.1)."""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal

from instructions.errors import InputError
from omnireid.captioning.matching import Progress, match_names, match_pixels
from omnireid.captioning.sources import Described, by_pixels
from omnireid.files import write_whole
from omnireid.records import Record, Split

Via = Literal["own", "same_camera", "same_person"]
Reach = Literal["own", "same_camera", "same_person"]
FILE_NAME = "captions.jsonl"


@dataclass(frozen=True, slots=True)
class Caption:
    """The texts of one training image and their origin."""

    image: str  # relative to the data root
    pid: int
    captions: tuple[str, ...]
    source: str  # data set whose annotators wrote them
    via: Via  # "own": written for this very image; otherwise propagated from ``origin``
    origin: str  # the image that was described, relative to the data root


@dataclass(frozen=True)
class Coverage:
    """Statistics of captions and images."""

    num_described: int
    num_images: int
    num_people: int
    covered: Mapping[str, int]  # number of images by ``via``
    filtered: Mapping[str, int]  # number of described images by the reason for leaving them out

    def sentences(self) -> tuple[str, ...]:
        """The report in sentences."""
        total = sum(self.covered.values())
        ways = ", ".join(f"{count} {via.replace('_', ' ')}" for via, count in self.covered.items() if count)
        lines = [
            f"{total} of {self.num_images} training images ({self.num_people} people) "
            f"have captions: {ways or 'none'}"
        ]
        lines += [
            f"{count} of {self.num_described} described images left out: {reason}"
            for reason, count in self.filtered.items()
            if count
        ]
        return tuple(lines)


def attach_captions(
    split: Split,
    described: Mapping[str, Sequence[Described]],
    root: Path,
    *,
    reach: Reach = "same_camera",
    progress: Progress | None = None,
) -> tuple[tuple[Caption, ...], Coverage]:
    """Attach captions to the training images of a split.

    A described person with any test image is left out entirely. Then an image without a caption takes those
    of an image of the same person from the same camera, and with ``reach="same_person"`` of any image of the
    person; donors take turns.

    Args:
        split: the ReID set; its query and gallery are used only to exclude them.
        described: images of each caption source.
        root: the data root.
        reach: how far captions are propagated.
        progress: called with the number of images read, where pixels are compared.
    """
    targets = [record.image for record in (*split.train, *split.query, *split.gallery)]
    own: dict[int, Caption] = {}
    filtered: Counter[str] = Counter()
    places = _places(split.name, described, targets, progress)
    for name, images in described.items():
        is_test = [place is not None and place >= len(split.train) for place in places[name]]
        tested = {each.pid for each, found in zip(images, is_test, strict=True) if found}
        for each, place in zip(images, places[name], strict=True):
            reason = _reason(place, len(split.train), each.pid in tested)
            if reason is not None:
                filtered[f"{name}: {reason}"] += 1
                continue
            assert place is not None
            own[place] = _joined(own.get(place), each, name, split.train[place], root)
    rows = _propagated(split.train, own, root, reach)
    coverage = Coverage(
        num_described=sum(map(len, described.values())),
        num_images=len(split.train),
        num_people=len({record.pid for record in split.train}),
        covered=Counter(row.via for row in rows),
        filtered=dict(filtered),
    )
    return tuple(rows), coverage


def _places(
    dataset: str,
    described: Mapping[str, Sequence[Described]],
    targets: Sequence[str],
    progress: Progress | None,
) -> dict[str, list[int | None]]:
    """The target image of each described image of each source."""
    paths = {name: [each.image for each in images] for name, images in described.items()}
    compared = by_pixels(dataset, described)
    # All in one call, so that the targets, which are many, are read once.
    found = iter(
        match_pixels([path for name in compared for path in paths[name]], targets, progress=progress)
    )
    return {
        name: list(islice(found, len(each))) if name in compared else match_names(each, targets)
        for name, each in paths.items()
    }


def _joined(earlier: Caption | None, each: Described, name: str, record: Record, root: Path) -> Caption:
    """The captions of a training image, those of an earlier source first."""
    image = relative(record.image, root)
    words = each.captions if earlier is None else (*earlier.captions, *each.captions)
    sources = name if earlier is None else f"{earlier.source}, {name}"
    return Caption(image, record.pid, tuple(dict.fromkeys(words)), sources, "own", image)


def _reason(place: int | None, num_train: int, is_tested: bool) -> str | None:
    """The reason why a described image is left out, or None."""
    if place is not None and place >= num_train:
        return "it is a test image"
    if is_tested:
        return "another image of its person is a test image"
    return "it is not an image of this set" if place is None else None


def _propagated(
    records: Sequence[Record], own: Mapping[int, Caption], root: Path, reach: Reach
) -> list[Caption]:
    """Own and propagated captions, in the order of the images."""
    by_camera: dict[tuple[int, int], list[Caption]] = defaultdict(list)
    by_person: dict[int, list[Caption]] = defaultdict(list)
    for place, caption in sorted(own.items()):
        by_camera[records[place].pid, records[place].camid].append(caption)
        by_person[records[place].pid].append(caption)
    turns: Counter[tuple[str, int, int]] = Counter()
    rows = []
    for place, record in enumerate(records):
        if place in own:
            rows.append(own[place])
            continue
        near = by_camera.get((record.pid, record.camid), [])
        far = by_person.get(record.pid, [])
        via: Via = "same_camera" if near else "same_person"
        donors = near if near else far
        if not donors or reach == "own" or (via == "same_person" and reach == "same_camera"):
            continue
        turn = (via, record.pid, record.camid)
        donor = donors[turns[turn] % len(donors)]
        turns[turn] += 1
        rows.append(replace(donor, image=relative(record.image, root), via=via, origin=donor.image))
    return rows


def own_captions(records: Sequence[Record], root: Path, source: str) -> tuple[Caption, ...]:
    """The captions that a described set provides for its own images."""
    return tuple(
        Caption(
            relative(each.image, root), each.pid, each.captions, source, "own", relative(each.image, root)
        )
        for each in records
        if each.captions
    )


def relative(image: str, root: Path) -> str:
    """An image's path relative to the data root, so that a caption file is valid wherever the root is."""
    return os.path.relpath(image, root)


def write_captions(path: Path, captions: Sequence[Caption]) -> None:
    """Write one JSON object per line, atomically."""
    lines = "".join(json.dumps(asdict(caption), ensure_ascii=False) + "\n" for caption in captions)
    write_whole(path, lines.encode(), durable=True)


def read_captions(path: Path) -> dict[str, Caption]:
    """Captions by image.

    Raises:
        InputError: when the file is missing or damaged.
    """
    if not path.is_file():
        raise InputError(
            f"there is no caption file {path}; write it with python -m tools.write_continuations"
        )
    found = {}
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):  # str has more line breaks
        try:
            fields = json.loads(line)
            caption = Caption(**{**fields, "captions": tuple(fields["captions"])})
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path}:{number} is not a caption: {error}") from None
        found[caption.image] = caption
    return found
