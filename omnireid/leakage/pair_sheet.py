"""Draws suspected copies side by side, training image on the left, for a person to check."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from omnireid.leakage.people import Leak
from omnireid.loading.image import read_image

TILE = (96, 192)  # width and height of one image
GAP, LABEL = 12, 26
COLUMNS, MAX_PAIRS = 6, 60  # pairs in a row, and in all


def draw_pairs(leaks: Sequence[Leak]) -> bytes | None:
    """A JPEG of an evenly spaced sample of the leaks found by appearance; None if there are none.

    Raises:
        InputError: An image can no longer be read.
    """
    pairs = [leak for leak in leaks if leak.test_image]
    if not pairs:
        return None
    if len(pairs) > MAX_PAIRS:
        pairs = [pairs[place] for place in np.linspace(0, len(pairs) - 1, MAX_PAIRS).round().astype(int)]
    width, height = TILE
    columns = min(COLUMNS, len(pairs))
    rows = -(-len(pairs) // columns)
    across, down = 2 * width + GAP, height + LABEL + GAP
    sheet = Image.new("RGB", (columns * across + GAP, rows * down + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for place, leak in enumerate(pairs):
        left, top = GAP + place % columns * across, GAP + place // columns * down
        for side, image in enumerate((leak.image, leak.test_image)):
            tile = Image.fromarray(read_image(image)).resize(TILE, Image.Resampling.BILINEAR)
            sheet.paste(tile, (left + side * width, top))
        draw.text((left, top + height + 2), f"{leak.dataset} {leak.pid}"[:30], fill="black")
        draw.text((left, top + height + 13), leak.test_image.rpartition("/")[2][:31], fill="gray")
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
