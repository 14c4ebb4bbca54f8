"""Augmentation of training images: the settings, and what they draw for each row (IRM, section 5.1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int64

from instructions.errors import InputError
from omnireid.loading.keyed_random import Purpose, generator, uniforms

OCCLUDED = 0.8  # largest side of a square, as a share of the shorter edge: QAConv's RandomOcclusion
RGB = tuple[float, float, float]
Levels = tuple[int, int, int]


@dataclass(frozen=True)
class Augmentation:
    """Augmentation settings; probabilities in 0..1, areas as shares of the image."""

    flip: float = 0.5
    pad: int = 10  # border in pixels at height 256, before a random crop of the original size
    erase: float = 0.5
    erase_area: tuple[float, float] = (0.02, 0.2)
    erase_aspect: tuple[float, float] = (0.3, 10 / 3)  # height over width
    erase_shape: Literal["rectangle", "square"] = "rectangle"  # a square has a side of up to OCCLUDED
    erase_fill: Literal["mean", "colour", "pixel", "white"] = "mean"
    jitter: tuple[float, float, float, float] | None = None  # brightness, contrast, saturation, hue

    def __post_init__(self) -> None:
        for name, probability in (("flip", self.flip), ("erase", self.erase)):
            if not 0 <= probability <= 1:
                raise InputError(f"the probability of {name} is {probability}; it must lie in 0..1")
        if self.pad < 0:
            raise InputError(f"pad is {self.pad}; it must not be negative")
        low, high = self.erase_area
        if not 0 < low <= high < 1:
            raise InputError(f"erase_area is {self.erase_area}; it must be two rising shares between 0 and 1")


AUGMENTATIONS: dict[str, Augmentation] = {
    "paper": Augmentation(),  # "random cropping, flipping, and erasing"; the numbers are the field's defaults
    "released": Augmentation(erase=0.9, erase_fill="colour", jitter=(0.5, 0.5, 0.5, 0.4)),
    "none": Augmentation(flip=0.0, pad=0, erase=0.0),
}


class Box(NamedTuple):
    """A rectangle in pixels."""

    top: int
    left: int
    height: int
    width: int


class Variation(NamedTuple):
    """The augmentation drawn for one image, explicit so that a test can repeat it with torchvision."""

    flip: bool
    down: int  # shift down in pixels (up if negative); uncovered borders are black
    right: int
    erased: Box | None
    fill: Levels
    jitter: tuple[tuple[str, float], ...] = ()  # in order of application
    noise: int | None = None  # key of the normal noise that fills the rectangle, instead of ``fill``


@dataclass(frozen=True, eq=False)
class Variations:
    """The augmentations of a batch, stored by column; one row is a ``Variation``."""

    flips: Bool[np.ndarray, " B"]
    shifts: Int64[np.ndarray, "B 2"]  # down and right
    boxes: Int64[np.ndarray, "B 4"]  # as ``Box``; height 0 if nothing is erased
    fills: Int64[np.ndarray, "B 3"]
    jitters: Sequence[tuple[tuple[str, float], ...]] | None = None  # None: no row has any
    noises: Sequence[int | None] | None = None

    @classmethod
    def of(cls, rows: Sequence[Variation]) -> Variations:
        """The same augmentations, by column."""
        return cls(
            flips=np.array([row.flip for row in rows], dtype=bool),
            shifts=np.array([(row.down, row.right) for row in rows], dtype=np.int64).reshape(-1, 2),
            boxes=np.array([row.erased or (0, 0, 0, 0) for row in rows], dtype=np.int64).reshape(-1, 4),
            fills=np.array([row.fill for row in rows], dtype=np.int64).reshape(-1, 3),
            jitters=[row.jitter for row in rows] if any(row.jitter for row in rows) else None,
            noises=[row.noise for row in rows] if any(row.noise is not None for row in rows) else None,
        )

    def moves(self, width: int) -> Int64[np.ndarray, "B 6"]:
        """Down, right, top, left, height and width as applied before a flip that comes later."""
        moves = np.concatenate([self.shifts, self.boxes], axis=1)
        moves[self.flips, 1] *= -1
        moves[self.flips, 3] = width - moves[self.flips, 3] - moves[self.flips, 5]
        return moves

    def __len__(self) -> int:
        return len(self.flips)

    def __getitem__(self, row: int) -> Variation:
        box, (down, right) = Box(*self.boxes[row].tolist()), self.shifts[row].tolist()
        red, green, blue = self.fills[row].tolist()
        return Variation(
            flip=bool(self.flips[row]),
            down=down,
            right=right,
            erased=box if box.height else None,
            fill=(red, green, blue),
            jitter=() if self.jitters is None else self.jitters[row],
            noise=None if self.noises is None else self.noises[row],
        )


class Drawing:
    """Draws the augmentation of images of one size; every draw comes from the row's own generator."""

    def __init__(self, rule: Augmentation, size: tuple[int, int], mean: RGB) -> None:
        """Prepare for images of a (height, width), whose levels have a mean between 0 and 1."""
        self._rule, self._size = rule, size
        self._pad = round(rule.pad * size[0] / 256)
        low, high = rule.erase_aspect
        self._elongations = math.log(low), math.log(high)
        red, green, blue = (int(level) for level in np.round(255 * np.array(mean)))
        self.mean: Levels = (red, green, blue)

    def draw(self, rng: np.random.Generator) -> Variation:
        """The augmentation of one image."""
        rule = self._rule
        first = rng.random((1, 4))
        levels = self.mean
        if rule.erase_fill == "colour":
            red, green, blue = rng.integers(0, 256, size=3).tolist()
            levels = (red, green, blue)
        elif rule.erase_fill == "white":
            levels = (255, 255, 255)
        erased = None
        if first[0, 3] < rule.erase:
            boxes = (Box(*self._boxes(rng.random((1, 4)))[0].tolist()) for _ in range(10))
            erased = next((box for box in boxes if box.height), None)
        jitter = () if rule.jitter is None else _draw_jitter(rng, rule.jitter)
        noise = int(rng.integers(2**63)) if rule.erase_fill == "pixel" else None
        ((down, right),) = self._shifts(first).tolist()
        return Variation(bool(first[0, 0] < rule.flip), down, right, erased, levels, jitter, noise)

    def draw_rows(self, seed: int, *, stream: int, step: int, rows: Sequence[int]) -> Variations:
        """The augmentations of a batch: as ``draw`` with each row's own generator, in a fifth of the time."""
        own = partial(generator, seed, Purpose.AUGMENTATION, stream=stream, step=step)
        if self._rule.erase_fill != "mean" or self._rule.jitter is not None:
            return Variations.of([self.draw(own(row=row)) for row in rows])
        drawn = uniforms(seed, Purpose.AUGMENTATION, stream=stream, step=step, rows=rows, count=8)
        boxes, wanted = self._boxes(drawn[:, 4:]), drawn[:, 3] < self._rule.erase
        for place in np.flatnonzero(wanted & (boxes[:, 2] == 0)).tolist():  # rare: the first does not fit
            boxes[place] = self.draw(own(row=rows[place])).erased or (0, 0, 0, 0)
        boxes[~wanted] = 0
        fills = np.broadcast_to(np.array(self.mean), (len(rows), 3))
        return Variations(drawn[:, 0] < self._rule.flip, self._shifts(drawn), boxes, fills)

    def _shifts(self, drawn: Float[np.ndarray, "B n"]) -> Int64[np.ndarray, "B 2"]:
        """Shifts down and right from the second and third of each row's numbers in [0, 1)."""
        return (drawn[:, 1:3] * (2 * self._pad + 1)).astype(np.int64) - self._pad

    def _boxes(self, drawn: Float[np.ndarray, "B 4"]) -> Int64[np.ndarray, "B 4"]:
        """The rectangle from four numbers in [0, 1), of height 0 if it does not fit."""
        height, width = self._size
        share, elongation, top, left = drawn.T
        if self._rule.erase_shape == "square":
            tall = wide = np.rint(share * OCCLUDED * min(height, width))
            fits = tall > 0
        else:
            smallest, largest = self._rule.erase_area
            low, high = self._elongations
            area = height * width * (smallest + share * (largest - smallest))
            aspect = np.exp(low + elongation * (high - low))
            tall, wide = np.rint(np.sqrt(area * aspect)), np.rint(np.sqrt(area / aspect))
            fits = (tall > 0) & (wide > 0) & (tall < height) & (wide < width)
        places = [top * (height - tall + 1), left * (width - wide + 1), tall * fits, wide * fits]
        return np.stack(places, axis=1).astype(np.int64)


def _draw_jitter(
    rng: np.random.Generator, strengths: tuple[float, float, float, float]
) -> tuple[tuple[str, float], ...]:
    brightness, contrast, saturation, hue = strengths
    drawn = (
        ("brightness", float(rng.uniform(max(0, 1 - brightness), 1 + brightness))),
        ("contrast", float(rng.uniform(max(0, 1 - contrast), 1 + contrast))),
        ("saturation", float(rng.uniform(max(0, 1 - saturation), 1 + saturation))),
        ("hue", float(rng.uniform(-hue, hue))),
    )
    return tuple(drawn[i] for i in rng.permutation(4))
