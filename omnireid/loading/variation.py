"""How training pictures vary: a rule, and what it draws for each row of a batch (IRM, section 5.1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import numpy as np

from instructions.errors import InputError
from omnireid.loading.keyed import Purpose, generator, uniforms

OCCLUDED = 0.8  # of the shorter edge, at most, by a square: QAConv's RandomOcclusion
RGB = tuple[float, float, float]
Levels = tuple[int, int, int]


@dataclass(frozen=True)
class Augmentation:
    """How training pictures vary; probabilities in 0..1, areas as shares of the picture."""

    flip: float = 0.5
    pad: int = 10  # pixels of border at height 256, before a random crop of the original size
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
    "paper": Augmentation(),  # "random cropping, flipping, and erasing"; the numbers are the field's
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
    """One draw: what happens to one picture, so that a test can do the same with torchvision."""

    flip: bool
    down: int  # the picture moves down by so many pixels (up if negative); black comes in
    right: int
    erased: Box | None
    fill: Levels
    jitter: tuple[tuple[str, float], ...] = ()  # in order of application
    noise: int | None = None  # the key of normal noise that fills the rectangle, instead of ``fill``


class Drawing:
    """Draws what happens to pictures of one size; every draw comes from the row's own generator."""

    def __init__(self, rule: Augmentation, size: tuple[int, int], mean: RGB) -> None:
        """Prepare for pictures of a (height, width), whose levels have a mean between 0 and 1."""
        self._rule, self._size = rule, size
        self._pad = round(rule.pad * size[0] / 256)
        low, high = rule.erase_aspect
        self._elongations = math.log(low), math.log(high)
        red, green, blue = (int(level) for level in np.round(255 * np.array(mean)))
        self.mean: Levels = (red, green, blue)

    def draw(self, rng: np.random.Generator) -> Variation:
        """What will happen to one picture."""
        rule = self._rule
        # All at once, because numpy takes longer for a call than for a number.
        first = rng.random(4).tolist()
        levels = self.mean
        if rule.erase_fill == "colour":
            red, green, blue = rng.integers(0, 256, size=3).tolist()
            levels = (red, green, blue)
        elif rule.erase_fill == "white":
            levels = (255, 255, 255)
        erased = None
        if first[3] < rule.erase:
            boxes = (self._box(*rng.random(4).tolist()) for _ in range(10))
            erased = next((box for box in boxes if box is not None), None)
        jitter = () if rule.jitter is None else _draw_jitter(rng, rule.jitter)
        noise = int(rng.integers(2**63)) if rule.erase_fill == "pixel" else None
        return self._variation(first, erased, levels, jitter, noise)

    def draw_rows(self, seed: int, *, stream: int, step: int, rows: Sequence[int]) -> list[Variation]:
        """What will happen to a batch: as ``draw`` with each row's own generator, in a fifth of the time."""
        own = partial(generator, seed, Purpose.AUGMENTATION, stream=stream, step=step)
        if self._rule.erase_fill != "mean" or self._rule.jitter is not None:
            return [self.draw(own(row=row)) for row in rows]
        drawn = uniforms(seed, Purpose.AUGMENTATION, stream=stream, step=step, rows=rows, count=8)
        variations = []
        for row, numbers in zip(rows, drawn.tolist(), strict=True):
            erased = self._box(*numbers[4:]) if numbers[3] < self._rule.erase else None
            if erased is None and numbers[3] < self._rule.erase:  # rare: the first box does not fit
                variations.append(self.draw(own(row=row)))
            else:
                variations.append(self._variation(numbers, erased, self.mean, ()))
        return variations

    def _variation(
        self,
        numbers: list[float],
        erased: Box | None,
        fill: Levels,
        jitter: tuple[tuple[str, float], ...],
        noise: int | None = None,
    ) -> Variation:
        flip, down, right = numbers[:3]
        places = 2 * self._pad + 1
        return Variation(
            flip=flip < self._rule.flip,
            down=int(down * places) - self._pad,
            right=int(right * places) - self._pad,
            erased=erased,
            fill=fill,
            jitter=jitter,
            noise=noise,
        )

    def _box(self, share: float, elongation: float, top: float, left: float) -> Box | None:
        """The rectangle of four numbers in [0, 1), or None if it does not fit."""
        height, width = self._size
        if self._rule.erase_shape == "square":
            side = round(share * OCCLUDED * min(height, width))
            if not side:
                return None
            places = int(top * (height - side + 1)), int(left * (width - side + 1))
            return Box(*places, side, side)
        smallest, largest = self._rule.erase_area
        low, high = self._elongations
        area = height * width * (smallest + share * (largest - smallest))
        aspect = math.exp(low + elongation * (high - low))
        box_height, box_width = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if not (0 < box_height < height and 0 < box_width < width):
            return None
        return Box(
            top=int(top * (height - box_height + 1)),
            left=int(left * (width - box_width + 1)),
            height=box_height,
            width=box_width,
        )


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
