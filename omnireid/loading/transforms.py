"""From decoded pixels to network input: resize, flip, crop, erase, normalise (IRM, section 5.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from instructions.errors import InputError
from omnireid.loading.buffer_pool import BufferPool
from omnireid.loading.pixels import normalise
from omnireid.loading.placing import place
from omnireid.loading.resizing import Image, Resampling, resize
from omnireid.loading.variation import (
    AUGMENTATIONS,
    RGB,
    Augmentation,
    Box,
    Drawing,
    Variation,
    Variations,
)

__all__ = [
    "AUGMENTATIONS",
    "Augmentation",
    "Box",
    "Preprocessing",
    "TrainTransform",
    "Variation",
    "Variations",
    "empty_pixels",
]


@dataclass(frozen=True)
class Preprocessing:
    """Image sizes and statistics of a model, shared by training, evaluation and search.

    Sizes are (height, width) in pixels. Person images use ImageNet statistics, clothes images those of CLIP,
    as ALBEF's image encoder expects.
    """

    image_size: tuple[int, int] = (256, 128)
    mean: RGB = (0.485, 0.456, 0.406)
    std: RGB = (0.229, 0.224, 0.225)
    clothes_size: tuple[int, int] = (128, 128)
    clothes_mean: RGB = (0.48145466, 0.4578275, 0.40821073)
    clothes_std: RGB = (0.26862954, 0.26130258, 0.27577711)
    resize: Resampling = "bilinear"  # of person images

    def __post_init__(self) -> None:
        for name, size in (("image_size", self.image_size), ("clothes_size", self.clothes_size)):
            if len(size) != 2 or min(size) < 1:
                raise InputError(f"{name} is {size}; it must be two positive numbers of pixels, height first")
        for name, deviations in (("std", self.std), ("clothes_std", self.clothes_std)):
            if min(deviations) <= 0:
                raise InputError(f"{name} is {deviations}; deviations must be positive")

    def normalise(
        self,
        pixels: UInt8[Tensor, "B H W 3"],
        flipped: Bool[np.ndarray, " B"] | None = None,
        pool: BufferPool | None = None,
    ) -> Float[Tensor, "B 3 H W"]:
        """Normalise person images for the image encoder, flipping some; runs on the pixels' device.

        Args:
            pixels: of any images at the model's size.
            flipped: which images are flipped.
            pool: provides memory for the result if it is on the CPU; fresh memory by default.
        """
        return normalise(pixels, self.mean, self.std, flipped, pool)

    def normalise_clothes(
        self, pixels: UInt8[Tensor, "C h w 3"], pool: BufferPool | None = None
    ) -> Float[Tensor, "C 3 h w"]:
        """Normalise clothes images for the instruction encoder; runs on the pixels' device."""
        return normalise(pixels, self.clothes_mean, self.clothes_std, pool=pool)


class TrainTransform:
    """Resize, jitter, flip, pad and crop, erase; every draw comes from the row's own generator.

    Jitter follows the resize; in the released code it comes first. So pixels at target size can be cached.
    """

    def __init__(
        self, preprocessing: Preprocessing, augmentation: Augmentation = AUGMENTATIONS["paper"]
    ) -> None:
        self.preprocessing = preprocessing
        self.augmentation = augmentation
        self._drawing = Drawing(augmentation, preprocessing.image_size, preprocessing.mean)

    def draw_rows(self, seed: int, *, stream: int, step: int, rows: Sequence[int]) -> Variations:
        """The augmentation of each row of a batch; see ``Drawing``."""
        return self._drawing.draw_rows(seed, stream=stream, step=step, rows=rows)

    def place(
        self, images: Sequence[Image], variations: Variations, out: UInt8[np.ndarray, "B H W 3"]
    ) -> None:
        """Write resized, augmented images into a batch, except for the flip (``Preprocessing.normalise``)."""
        size, mode = self.preprocessing.image_size, self.preprocessing.resize
        images = [resize(image, size, mode) for image in images]
        if variations.jitters is not None:
            images = [_jitter(image, steps) for image, steps in zip(images, variations.jitters, strict=True)]
        place(images, variations, out)
        if variations.noises is not None:
            boxes = variations.moves(out.shape[2])[:, 2:].tolist()
            for row, key, (top, left, height, width) in zip(out, variations.noises, boxes, strict=True):
                if key is not None and height:
                    row[top : top + height, left : left + width] = self._noise(key, height, width)

    def _noise(self, key: int, height: int, width: int) -> Image:
        """Noise that is standard normal after normalisation, clipped to the 8-bit range."""
        rng = np.random.Generator(np.random.Philox(key=key))
        noise = rng.standard_normal((height, width, 3), dtype=np.float32)
        mean, std = (
            np.array(given, dtype=np.float32) for given in (self.preprocessing.mean, self.preprocessing.std)
        )
        levels = 255 * (noise * std + mean)
        return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


def empty_pixels(
    count: int, size: tuple[int, int], pool: BufferPool | None = None
) -> UInt8[np.ndarray, "B H W 3"]:
    """Uninitialised memory for the images of a batch, fresh or recycled; writing into it saves a copy."""
    shape = (count, *size, 3)
    return np.empty(shape, dtype=np.uint8) if pool is None else pool.take(shape, torch.uint8).numpy()


def _jitter(image: Image, steps: Sequence[tuple[str, float]]) -> Image:
    # Only the released recipe jitters; importing torchvision takes a second.
    from torchvision.transforms.v2 import functional

    adjust = {
        "brightness": functional.adjust_brightness,
        "contrast": functional.adjust_contrast,
        "saturation": functional.adjust_saturation,
        "hue": functional.adjust_hue,
    }
    # Cached images are read-only, which torch rejects.
    pixels = rearrange(torch.from_numpy(np.require(image, requirements=["C", "W"])), "h w c -> c h w")
    for name, amount in steps:
        pixels = adjust[name](pixels, amount)
    return np.ascontiguousarray(rearrange(pixels, "c h w -> h w c").numpy())
