"""A split's features for TensorBoard's projector: a point per image, its labels, thumbnails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import UInt8

from instructions.errors import InputError
from omnireid.extraction import Progress, SideInstructions, embed_side
from omnireid.files import check_new_folder, replace_folder
from omnireid.interfaces import Embedder, Side
from omnireid.loading.image import read_image
from omnireid.loading.instruct import gallery_instructions, query_instructions
from omnireid.loading.resizing import resize
from omnireid.records import Record, Split
from omnireid.tasks import TaskSpec

THUMBNAIL = 64  # pixels each way; the projector takes square ones
MAX_SPRITE = 8192  # pixels each way, the projector's
COLUMNS = ("pid", "camid", "outfit", "modality", "task", "side", "instruction", "picture")


def write_projector(
    folder: Path,
    embedder: Embedder,
    split: Split,
    task: TaskSpec,
    *,
    thumbnails: bool = True,
    progress: Progress | None = None,
) -> int:
    """Write a folder for ``tensorboard --logdir``, whole or not at all; how many points it has.

    Args:
        folder: new or empty.
        embedder: whose features.
        split: whose queries and gallery.
        task: as which they are embedded, each with its own instruction, as the model's sheet asks it.
        thumbnails: also small images of the people.
        progress: called after every batch.

    Raises:
        InputError: there is something in the folder, an image cannot be read, or there are too many.
    """
    check_new_folder(folder)
    records = (*split.query, *split.gallery)
    most = (MAX_SPRITE // THUMBNAIL) ** 2
    if thumbnails and len(records) > most:
        raise InputError(
            f"{len(records)} thumbnails are too many for the projector, which shows at most {most}"
        )
    vectors, rows = _embedded(embedder, split, task, progress)
    images = _thumbnails(records) if thumbnails else None
    folder.parent.mkdir(parents=True, exist_ok=True)

    def write(place: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(str(place)) as writer:
            writer.add_embedding(
                vectors,
                metadata=rows,
                metadata_header=list(COLUMNS),
                label_img=images,
                tag=f"{task.name}_{split.name}",
            )

    replace_folder(folder, write)
    return len(rows)


def _embedded(
    embedder: Embedder, split: Split, task: TaskSpec, progress: Progress | None
) -> tuple[torch.Tensor, list[list[str]]]:
    """Features and facts of queries, then gallery."""
    asked = {"query": query_instructions(split, task), "gallery": gallery_instructions(split, task)}
    vectors, rows = [], []
    sides: tuple[tuple[Side, Sequence[Record]], ...] = (("query", split.query), ("gallery", split.gallery))
    for side, shown in sides:
        told = asked[side]
        found = embed_side(embedder, split, side, task, asked=SideInstructions(side, told), progress=progress)
        vectors.append(found.vectors)
        says = [""] * len(shown) if told is None else [one.sentence or "an image of clothes" for one in told]
        rows += [_row(record, task.name, side, said) for record, said in zip(shown, says, strict=True)]
    return torch.cat(vectors), rows


def thin_out(split: Split, limit: int) -> Split:
    """A test split; of a side with more than ``limit`` images, evenly spaced ones."""

    def some(records: Sequence[Record]) -> tuple[Record, ...]:
        if len(records) <= limit:
            return tuple(records)
        return tuple(records[int(place)] for place in np.linspace(0, len(records) - 1, limit))

    return replace(split, query=some(split.query), gallery=some(split.gallery))


def _row(record: Record, task: str, side: str, said: str) -> list[str]:
    facts = (record.pid, record.camid, record.clothes_id, record.modality, task, side, said)
    name = Path(record.image).name
    # The table's own signs have no place in a cell.
    return [" ".join(str(fact).split()) for fact in (*facts, name)]


def _thumbnails(records: Sequence[Record]) -> torch.Tensor:
    """Images in the middle of squares, 0..1."""
    squares: UInt8[np.ndarray, "N S S 3"] = np.full((len(records), THUMBNAIL, THUMBNAIL, 3), 245, np.uint8)
    for square, record in zip(squares, records, strict=True):
        image = read_image(record.image)
        scale = THUMBNAIL / max(image.shape[:2])
        height, width = (max(1, round(side * scale)) for side in image.shape[:2])
        top, left = (THUMBNAIL - height) // 2, (THUMBNAIL - width) // 2
        square[top : top + height, left : left + width] = resize(image, (height, width))
    return rearrange(torch.from_numpy(squares), "n h w c -> n c h w") / 255
