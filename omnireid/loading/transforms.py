"""From decoded pixels to what a network sees: resize, flip, crop, erase, normalise (IRM, section 5.1)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from instructions.errors import InputError

Image = UInt8[np.ndarray, "_H _W 3"]  # of any size
RGB = tuple[float, float, float]


@dataclass(frozen=True)
class Preprocessing:
    """Sizes and statistics a model was trained with; training, evaluation and search share one.

    Sizes are (height, width) in pixels. Person pictures carry ImageNet statistics, clothes pictures CLIP's,
    as ALBEF's image encoder expects.
    """

    image_size: tuple[int, int] = (256, 128)
    mean: RGB = (0.485, 0.456, 0.406)
    std: RGB = (0.229, 0.224, 0.225)
    clothes_size: tuple[int, int] = (128, 128)
    clothes_mean: RGB = (0.48145466, 0.4578275, 0.40821073)
    clothes_std: RGB = (0.26862954, 0.26130258, 0.27577711)

    def __post_init__(self) -> None:
        for name, size in (("image_size", self.image_size), ("clothes_size", self.clothes_size)):
            if len(size) != 2 or min(size) < 1:
                raise InputError(f"{name} is {size}; it must be two positive numbers of pixels, height first")
        for name, deviations in (("std", self.std), ("clothes_std", self.clothes_std)):
            if min(deviations) <= 0:
                raise InputError(f"{name} is {deviations}; deviations must be positive")

    def normalise(self, pixels: UInt8[Tensor, "B H W 3"]) -> Float[Tensor, "B 3 H W"]:
        """Person pictures as the image encoder wants them; runs on the pixels' device."""
        return _normalise(pixels, self.mean, self.std)

    def normalise_clothes(self, pixels: UInt8[Tensor, "C h w 3"]) -> Float[Tensor, "C 3 h w"]:
        """Clothes pictures as the instruction encoder wants them; runs on the pixels' device."""
        return _normalise(pixels, self.clothes_mean, self.clothes_std)


def _normalise(pixels: UInt8[Tensor, "B H W 3"], mean: RGB, std: RGB) -> Float[Tensor, "B 3 H W"]:
    # Levels change their order while they are small, and change in place once they are large.
    images = rearrange(pixels, "b h w c -> b c h w").contiguous().float()
    scale = torch.tensor([[[1 / (255 * deviation)]] for deviation in std], device=pixels.device)
    shift = torch.tensor(
        [[[-m / deviation]] for m, deviation in zip(mean, std, strict=True)], device=pixels.device
    )
    return images.mul_(scale).add_(shift)


def resize(image: Image, size: tuple[int, int]) -> Image:
    """Bilinear with antialiasing, as Pillow does it (within one level), several times faster."""
    if image.shape[:2] == size:
        return image
    # A batch of one: only so does torch see that channels lie innermost, which is three times faster.
    pixels = rearrange(_as_tensor(image)[None], "b h w c -> b c h w")
    resized = F.interpolate(pixels, size=size, mode="bilinear", antialias=True)
    return np.ascontiguousarray(rearrange(resized, "1 c h w -> h w c").numpy())


def _as_tensor(image: Image) -> UInt8[Tensor, "H W 3"]:
    return torch.from_numpy(np.require(image, requirements=["C", "W"]))  # cached pictures are read-only


@dataclass(frozen=True)
class Augmentation:
    """How training pictures vary; probabilities in 0..1, areas as shares of the picture."""

    flip: float = 0.5
    pad: int = 10  # pixels of border at height 256, before a random crop of the original size
    erase: float = 0.5
    erase_area: tuple[float, float] = (0.02, 0.2)
    erase_aspect: tuple[float, float] = (0.3, 10 / 3)  # height over width
    erase_fill: Literal["mean", "colour"] = "mean"
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


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class Variation:
    """One draw: what happens to one picture, so that a test can do the same with torchvision."""

    flip: bool
    down: int  # the picture moves down by so many pixels (up if negative); black comes in
    right: int
    erased: Box | None
    fill: tuple[int, int, int]
    jitter: tuple[tuple[str, float], ...] = ()  # in order of application


class TrainTransform:
    """Resize, jitter, flip, pad and crop, erase, normalise; every draw comes from the row's own generator.

    Jitter follows the resize here, where the released code has it first: pixels at target size can be cached.
    """

    def __init__(
        self, preprocessing: Preprocessing, augmentation: Augmentation = AUGMENTATIONS["paper"]
    ) -> None:
        self.preprocessing = preprocessing
        self.augmentation = augmentation
        self._pad = round(augmentation.pad * preprocessing.image_size[0] / 256)

    def draw(self, rng: np.random.Generator) -> Variation:
        """What will happen to one picture."""
        rule = self.augmentation
        # All at once, because numpy takes longer for a call than for a number.
        flip, down, right, erase = rng.random(4).tolist()
        places = 2 * self._pad + 1
        levels = np.round(255 * np.array(self.preprocessing.mean))
        if rule.erase_fill == "colour":
            levels = rng.integers(0, 256, size=3)
        return Variation(
            flip=flip < rule.flip,
            down=int(down * places) - self._pad,
            right=int(right * places) - self._pad,
            erased=self._draw_erased(rng) if erase < rule.erase else None,
            fill=(int(levels[0]), int(levels[1]), int(levels[2])),
            jitter=() if rule.jitter is None else _draw_jitter(rng, rule.jitter),
        )

    def _draw_erased(self, rng: np.random.Generator) -> Box | None:
        height, width = self.preprocessing.image_size
        smallest, largest = self.augmentation.erase_area
        low, high = (math.log(aspect) for aspect in self.augmentation.erase_aspect)
        for _ in range(10):
            share, elongation, top, left = rng.random(4).tolist()
            area = height * width * (smallest + share * (largest - smallest))
            aspect = math.exp(low + elongation * (high - low))
            box_height, box_width = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < box_height < height and 0 < box_width < width:
                return Box(
                    top=int(top * (height - box_height + 1)),
                    left=int(left * (width - box_width + 1)),
                    height=box_height,
                    width=box_width,
                )
        return None

    def apply(self, image: Image, variation: Variation, out: Image | None = None) -> Image:
        """The picture, resized and varied; the picture given is left as it was.

        Args:
            image: of any size.
            variation: what to do.
            out: where to put the result, a row of a batch.
        """
        image = resize(image, self.preprocessing.image_size)
        if variation.jitter:
            image = _jitter(image, variation.jitter)
        if variation.flip:
            image = torch.flip(_as_tensor(image), (1,)).numpy()  # numpy takes eight times as long
        out = np.empty_like(image) if out is None else out
        _shift(image, variation.down, variation.right, out)
        if variation.erased is not None:
            box = variation.erased
            out[box.top : box.top + box.height, box.left : box.left + box.width] = variation.fill
        return out

    def __call__(
        self, images: Iterable[Image], rngs: Sequence[np.random.Generator]
    ) -> Float[Tensor, "B 3 H W"]:
        """A training batch of decoded pictures of any size, with one generator each."""
        pixels = empty_pixels(len(rngs), self.preprocessing.image_size)
        for image, rng, row in zip(images, rngs, pixels, strict=True):
            self.apply(image, self.draw(rng), row)
        return self.preprocessing.normalise(torch.from_numpy(pixels))


class EvalTransform:
    """Resize and normalise; nothing is drawn."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        self.preprocessing = preprocessing

    def __call__(self, images: Sequence[Image]) -> Float[Tensor, "B 3 H W"]:
        """An evaluation batch of decoded pictures of any size."""
        return self.preprocessing.normalise(_resized(images, self.preprocessing.image_size))

    def clothes(self, images: Sequence[Image]) -> Float[Tensor, "C 3 h w"]:
        """A batch of decoded clothes pictures of any size, in training as in evaluation."""
        return self.preprocessing.normalise_clothes(_resized(images, self.preprocessing.clothes_size))


def empty_pixels(count: int, size: tuple[int, int]) -> UInt8[np.ndarray, "B H W 3"]:
    """Room for the pictures of a batch; writing each where it belongs spares a copy of all."""
    return np.empty((count, *size, 3), dtype=np.uint8)


def _resized(images: Sequence[Image], size: tuple[int, int]) -> UInt8[Tensor, "B H W 3"]:
    pixels = empty_pixels(len(images), size)
    for image, row in zip(images, pixels, strict=True):
        row[:] = resize(image, size)
    return torch.from_numpy(pixels)


def _shift(image: Image, down: int, right: int, out: Image) -> None:
    """Pad with black and crop, in one copy."""
    height, width = image.shape[:2]
    inner_height, inner_width = max(0, height - abs(down)), max(0, width - abs(right))
    top, left, from_top, from_left = max(down, 0), max(right, 0), max(-down, 0), max(-right, 0)
    out[:top], out[top + inner_height :] = 0, 0
    out[:, :left], out[:, left + inner_width :] = 0, 0
    out[top : top + inner_height, left : left + inner_width] = image[
        from_top : from_top + inner_height, from_left : from_left + inner_width
    ]


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


def _jitter(image: Image, steps: Sequence[tuple[str, float]]) -> Image:
    # Only the released recipe jitters; torchvision takes a second to import.
    from torchvision.transforms.v2 import functional

    adjust = {
        "brightness": functional.adjust_brightness,
        "contrast": functional.adjust_contrast,
        "saturation": functional.adjust_saturation,
        "hue": functional.adjust_hue,
    }
    pixels = rearrange(_as_tensor(image), "h w c -> c h w")
    for name, amount in steps:
        pixels = adjust[name](pixels, amount)
    return np.ascontiguousarray(rearrange(pixels, "c h w -> h w c").numpy())
