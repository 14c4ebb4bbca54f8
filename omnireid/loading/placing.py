"""Writes augmented images into a batch: all in one call of C, or each by numpy."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from omnireid.loading.resizing import Image
from omnireid.loading.variation import Variations
from omnireid.native import address, compiled

SOURCE = Path(__file__).with_name("place.c")


def place(images: Sequence[Image], variations: Variations, out: UInt8[np.ndarray, "B H W 3"]) -> None:
    """Shift and erase images while copying them into the rows of a batch; uncovered borders are black.

    Flips are left to the normalisation: on interleaved channels they take five times as long as the rest. An
    image that will be flipped is therefore shifted, and erased, on the mirrored side.

    Args:
        images: of the batch's height and width.
        variations: the augmentation of each; erasing with constant colours only, no jitter and no noise.
        out: destination; contiguous.
    """
    assert out.flags.c_contiguous, "a copy of it would be written, not it"
    assert len(images) == len(out) and all(image.shape == out.shape[1:] for image in images)
    count, height, width, _ = out.shape
    moves = variations.moves(width)
    made = library()
    if made is None:
        for image, move, fill, row in zip(images, moves.tolist(), variations.fills, out, strict=True):
            _place_one(image, move, fill, row)
        return
    kept = [np.ascontiguousarray(image) for image in images]  # alive until C is done with them
    told = np.empty((count, 8), dtype=np.int64)
    told[:, 0] = [image.ctypes.data for image in kept]
    told[:, 1:7] = moves
    told[:, 7] = variations.fills @ np.array([1, 1 << 8, 1 << 16])
    sizes = [ctypes.c_int64(size) for size in (count, height, width)]
    strip = np.empty((width, 3), dtype=np.uint8)
    made.place(address(told), *sizes, address(strip), address(out))


def library() -> ctypes.CDLL | None:
    """The compiled C code; None if it is not available."""
    return compiled(SOURCE)


def _place_one(image: Image, move: Sequence[int], fill: Int64[np.ndarray, 3], out: Image) -> None:
    """One image: all its bytes in one copy, then wrapped-around pixels are blackened."""
    height, width = image.shape[:2]
    down, right, top, left, tall, wide = move
    if abs(down) >= height or abs(right) >= width:
        out[:] = 0
    else:
        source, target = image.reshape(-1), out.reshape(-1)  # a whole block copies faster than its rows
        places = 3 * (down * width + right)
        if places >= 0:
            target[places:] = source[: source.size - places]
        else:
            target[:places] = source[-places:]
        rows = out.reshape(height, 3 * width)
        rows[_edge(down)] = 0
        rows[:, _edge(3 * right)] = 0
    out[top : top + tall, left : left + wide] = fill


def _edge(moved: int) -> slice:
    """The border left uncovered by a shift forward, or back if negative."""
    return slice(0, moved) if moved >= 0 else slice(moved, None)
