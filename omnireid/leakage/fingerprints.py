"""Finds copies of an image by appearance: a 64-bit perceptual hash, confirmed by a small colour thumbnail.

The hash is pHash: whether each of the lowest frequencies of the grey image's discrete cosine transform lies
above their median. All pedestrians look alike to it, so a pair with close hashes must also agree in colour.
Thresholds were measured on synthetic people (docs/log.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8, UInt64
from PIL import Image

MAX_BITS = 8  # bits of 64 that may differ between copies
MAX_COLOR = 6.0  # largest root mean square difference of the thumbnails of copies, in levels of 255
MIN_CONTRAST = 4.0  # deviation of the thumbnail; below it an image counts as empty and has no copies
SIDE = 32  # size of the grey image that is transformed
SMALL = (8, 16)  # width and height of the colour thumbnail
BLOCK = (16, 4096)  # pairs compared at a time: stays in the processor's cache


@dataclass(frozen=True, eq=False)
class Fingerprints:
    """Hashes and colour thumbnails of some images, in their order."""

    hashes: UInt64[np.ndarray, " N"]
    colors: UInt8[np.ndarray, "N 16 8 3"]
    seen: np.ndarray  # (N) bool: False where the image could not be read

    def __len__(self) -> int:
        return len(self.hashes)

    def informative(self) -> np.ndarray:
        """(N) bool: images with enough detail to be recognised."""
        return self.seen & (self.colors.reshape(len(self), -1).std(axis=1) >= MIN_CONTRAST)


class Copies(NamedTuple):
    """For each of the first images, its nearest copy among the second; -1 where there is none."""

    rows: Int[np.ndarray, " N"]
    bits: Int[np.ndarray, " N"]  # bits that differ between the hashes
    color: Float[np.ndarray, " N"]  # difference of the colour thumbnails


def fingerprint(pixels: UInt8[np.ndarray, "H W 3"]) -> tuple[int, UInt8[np.ndarray, "16 8 3"]]:
    """Hash and colour thumbnail of one image; the hash ignores the mean brightness."""
    from scipy.fft import dctn

    image = Image.fromarray(pixels)
    grey = np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR), dtype=np.float64)
    lowest = dctn(grey, norm="ortho").ravel()[_lowest_frequencies()]
    bits = lowest > np.median(lowest)
    color = np.asarray(image.resize(SMALL, Image.Resampling.BILINEAR))
    return int.from_bytes(np.packbits(bits).tobytes(), "big"), color


def find_copies(
    first: Fingerprints, second: Fingerprints, *, max_bits: int = MAX_BITS, max_color: float = MAX_COLOR
) -> Copies:
    """The nearest copy of each first image among the second: fewest differing bits, then nearest colours.

    The search is exhaustive, so nothing depends on an index: 10^10 pairs take about 8 s on one core.

    Args:
        first: Images to check, e.g. those of a training set.
        second: Images that they may be copies of.
        max_bits: How many of the 64 bits may differ.
        max_color: Largest root mean square difference of colours, in levels of 255.
    """
    rows = np.full(len(first), -1, dtype=np.int64)
    bits = np.full(len(first), 65, dtype=np.int64)
    color = np.full(len(first), np.inf)
    first_rows, second_rows = np.flatnonzero(first.informative()), np.flatnonzero(second.informative())
    for one, other, distances in _near(first.hashes[first_rows], second.hashes[second_rows], max_bits):
        one, other = first_rows[one], second_rows[other]
        differences = _color_difference(first.colors[one], second.colors[other])
        fits = np.flatnonzero(differences <= max_color)
        # The best pair of each row last, so that it is the one that stays.
        order = fits[np.lexsort((-other[fits], -differences[fits], -distances[fits].astype(np.int64)))]
        one, other, distances, differences = one[order], other[order], distances[order], differences[order]
        better = (distances < bits[one]) | ((distances == bits[one]) & (differences < color[one]))
        one, other = one[better], other[better]
        rows[one], bits[one], color[one] = other, distances[better], differences[better]
    return Copies(rows, bits, color)


def _near(
    first: UInt64[np.ndarray, " N"], second: UInt64[np.ndarray, " M"], max_bits: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Rows of both sides and differing bits of the pairs within ``max_bits``, a block at a time."""
    height, width = BLOCK
    different = np.empty(BLOCK, dtype=np.uint64)
    counts = np.empty(BLOCK, dtype=np.uint8)
    for top in range(0, len(first), height):
        some = first[top : top + height, None]
        for left in range(0, len(second), width):
            others = second[None, left : left + width]
            place = (slice(len(some)), slice(others.shape[1]))
            np.bitwise_xor(some, others, out=different[place])
            np.bitwise_count(different[place], out=counts[place])
            if counts[place].min() <= max_bits:
                one, other = np.nonzero(counts[place] <= max_bits)
                yield one + top, other + left, counts[place][one, other]


def _color_difference(
    first: UInt8[np.ndarray, "N 16 8 3"], second: UInt8[np.ndarray, "N 16 8 3"]
) -> Float[np.ndarray, " N"]:
    difference = first.astype(np.float32) - second.astype(np.float32)
    return np.sqrt(np.square(difference).reshape(len(difference), -1).mean(axis=1)).astype(np.float64)


def _lowest_frequencies() -> Int[np.ndarray, " 64"]:
    """Flat indices of the 64 lowest frequencies of the transform, without the mean."""
    down, across = np.mgrid[:SIDE, :SIDE]
    order = np.lexsort((across.ravel(), down.ravel(), (down**2 + across**2).ravel()))
    return order[1:65]
