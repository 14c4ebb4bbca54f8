"""Matches described images to the images of a ReID set, by file name or by pixels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import PurePath

import numpy as np
import torch
from jaxtyping import Float

from omnireid.loading.image import read_image
from omnireid.loading.resizing import resize

Progress = Callable[[int, int], None]  # images read, total
THUMBNAIL = (24, 12)  # height, width at which images are compared
# Mean difference of levels (0-255): another JPEG of the same image is below, a different image above.
SAME_IMAGE = 6.0
MARGIN = 1.5  # minimum ratio of the second-nearest distance to the nearest
BLOCK = 1024


def match_names(images: Sequence[str], targets: Sequence[str]) -> list[int | None]:
    """For each image, the target of the same file name, whatever its folder and format; None without one.

    A name shared by two targets matches neither.
    """
    places: dict[str, list[int]] = defaultdict(list)
    for place, target in enumerate(targets):
        places[PurePath(target).stem].append(place)
    found = (places.get(PurePath(image).stem, []) for image in images)
    return [each[0] if len(each) == 1 else None for each in found]


def match_pixels(
    images: Sequence[str], targets: Sequence[str], *, progress: Progress | None = None
) -> list[int | None]:
    """For each image, the target that looks the same; None if none is near or two are.

    Raises:
        InputError: when an image cannot be read.
    """
    if not images or not targets:
        return [None] * len(images)
    done = 0

    def thumbnails(paths: Sequence[str]) -> Float[torch.Tensor, "N P"]:
        nonlocal done
        rows = np.empty((len(paths), 3 * THUMBNAIL[0] * THUMBNAIL[1]), dtype=np.float32)
        for row, path in zip(rows, paths, strict=True):
            row[:] = resize(read_image(path), THUMBNAIL).reshape(-1)
            done += 1
            if progress is not None:
                progress(done, len(images) + len(targets))
        return torch.from_numpy(rows)

    wanted = thumbnails(targets)
    found: list[int | None] = []
    for block in torch.split(thumbnails(images), BLOCK):
        # The Euclidean distance finds candidates quickly; then levels are compared directly.
        near = torch.cdist(block, wanted).topk(min(2, len(wanted)), largest=False).indices
        gaps = (wanted[near] - block[:, None]).abs().mean(dim=-1)
        for places, gap in zip(near.tolist(), gaps.tolist(), strict=True):
            is_alone = len(gap) == 1 or gap[1] > MARGIN * gap[0] + 0.5
            found.append(places[0] if gap[0] < SAME_IMAGE and is_alone else None)
    return found
