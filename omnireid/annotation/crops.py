"""Upper clothes cut out of each image by a human-parsing model (IRM, section 3: clothes cropping)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Bool, UInt8

from omnireid.annotation.journal import Entry, Provenance
from omnireid.annotation.work import Progress, Work

Box = tuple[int, int, int, int]  # left, top, right, bottom; the last two are outside
MIN_SHARE = 0.02  # of the image: anything smaller is noise
MARGIN = 0.04  # of the box on each side
BAND = (0.12, 0.16, 0.88, 0.55)  # left, top, right, bottom: where a shirt is in a tight pedestrian box


@dataclass(frozen=True)
class Parsed:
    """Where the upper clothes are."""

    upper: Bool[np.ndarray, "H W"]


class HumanParser(Protocol):
    """Segments the garments in an image."""

    @property
    def name(self) -> str:
        """Its name in the journal."""
        ...

    @property
    def version(self) -> str:
        """Hash of its weights."""
        ...

    def parse(self, pixels: UInt8[np.ndarray, "H W 3"]) -> Parsed:
        """The upper clothes of the person in the middle of the image."""
        ...


@dataclass(frozen=True)
class BandParser:
    """No model: the part of a tight pedestrian box where shirts are. For trees without a parser's weights."""

    name: str = "band"
    version: str = "1"

    def parse(self, pixels: UInt8[np.ndarray, "H W 3"]) -> Parsed:
        """The same part of every image."""
        height, width = pixels.shape[:2]
        upper = np.zeros((height, width), dtype=bool)
        left, top, right, bottom = BAND
        upper[round(top * height) : round(bottom * height), round(left * width) : round(right * width)] = True
        return Parsed(upper)


def upper_box(parsed: Parsed) -> Box | None:
    """The rectangle around the upper clothes with a small margin; None where hardly any were found.

    Stray pixels do not widen it: a row or column counts when it holds a tenth of what the fullest one does.
    """
    upper = parsed.upper
    if upper.mean() < MIN_SHARE:
        return None
    height, width = upper.shape
    sides = []
    for axis, size in ((0, width), (1, height)):
        counts = upper.sum(axis=axis)
        held = np.flatnonzero(counts >= 0.1 * counts.max())
        margin = round(MARGIN * (held[-1] + 1 - held[0]))
        sides.append((max(0, int(held[0]) - margin), min(size, int(held[-1]) + 1 + margin)))
    (left, right), (top, bottom) = sides
    return left, top, right, bottom


def crop_clothes(
    work: Work, parser: HumanParser, *, now: str, progress: Progress | None = None
) -> tuple[int, int, int]:
    """Crop every image that this parser has not seen.

    Returns:
        How many are new, how many of them show no upper clothes, and how many could not be read.
    """
    by = Provenance(
        "rule" if isinstance(parser, BandParser) else "model", parser.name, parser.version, time=now
    )
    journal = work.journal("crops")
    done = {entry.image for entry in journal.entries() if entry.by.source == by.source}
    images = [listed.image for listed in work.images() if listed.image not in done]
    num_empty = num_unreadable = 0
    for image, pixels in work.pixels(images, progress):
        if pixels is None:
            num_unreadable += 1
            continue
        box = upper_box(parser.parse(pixels))
        num_empty += box is None
        journal.add(Entry(image, {"box": box}, by))
    return len(images) - num_unreadable, num_empty, num_unreadable


def standing_boxes(work: Work) -> dict[str, Box]:
    """The valid box of each image's upper clothes: a person's over a model's over the band's."""
    boxes = {image: entry.value["box"] for image, entry in work.journal("crops").latest().items()}
    return {image: (box[0], box[1], box[2], box[3]) for image, box in boxes.items() if box is not None}


def cut(pixels: UInt8[np.ndarray, "H W 3"], box: Box) -> UInt8[np.ndarray, "h w 3"]:
    """The part of an image inside a box."""
    left, top, right, bottom = box
    return pixels[top:bottom, left:right]
