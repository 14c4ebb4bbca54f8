"""Sequential batches of records: one side of a test, or a gallery to index."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import torch

from instructions.errors import InputError
from instructions.instruction import Instruction
from omnireid.loading.batch import Batch
from omnireid.loading.buffer_pool import BufferPool
from omnireid.loading.cache import ImageCache
from omnireid.loading.collate import RawBatch, Sample, collate
from omnireid.loading.transforms import Preprocessing, empty_pixels
from omnireid.loading.workers import in_order
from omnireid.records import Record
from omnireid.tasks import TaskSpec


@dataclass(frozen=True)
class _EvalBatches:
    records: Sequence[Record]
    preprocessing: Preprocessing
    task: str
    domain: str
    instructions: Sequence[Instruction] | None
    texts: Sequence[str] | None
    batch_size: int
    cache: ImageCache

    def __post_init__(self) -> None:
        for name, rows in (("instructions", self.instructions), ("texts", self.texts)):
            if rows is not None and len(rows) != len(self.records):
                raise ValueError(f"{len(rows)} {name} for {len(self.records)} records")
        if self.batch_size < 1:
            raise ValueError(f"a batch of {self.batch_size} rows")

    def batch(self, number: int) -> RawBatch:
        first = number * self.batch_size
        rows = range(first, min(first + self.batch_size, len(self.records)))
        pixels = None
        if self.texts is None:
            pixels = empty_pixels(len(rows), self.preprocessing.image_size)
            paths = [self.records[row].image for row in rows]
            given = self.preprocessing
            images = self.cache.read_each(paths, given.image_size, given.resize)
            for image, out in zip(images, pixels, strict=True):
                if isinstance(image, InputError):
                    raise image
                out[:] = image
        return collate([self._sample(row) for row in rows], pixels, task=self.task, domain=self.domain)

    def _sample(self, row: int) -> Sample:
        record = self.records[row]
        instruction = None if self.instructions is None else self.instructions[row]
        clothes = None
        if instruction is not None and instruction.clothes is not None:
            clothes = self.cache.read(instruction.clothes, self.preprocessing.clothes_size)
        return Sample(
            index=row,
            record=record,
            label=record.pid,
            instruction=instruction,
            clothes=clothes,
            text=None if self.texts is None else self.texts[row],
        )


def eval_batches(
    records: Sequence[Record],
    preprocessing: Preprocessing,
    *,
    task: TaskSpec,
    domain: str,
    instructions: Sequence[Instruction] | None,
    texts: Sequence[str] | None = None,
    batch_size: int = 128,
    workers: int = 0,
    cache: ImageCache | None = None,
    device: torch.device | None = None,
) -> Iterator[Batch]:
    """All records in order, without augmentation; the last batch may be smaller; labels are the pids.

    Args:
        records: one side of a test.
        preprocessing: what the model expects.
        task: written into the batches.
        domain: written into the batches: whose batch-norm statistics apply, e.g. "trad/market1501".
        instructions: one per record (``query_instructions``, ``gallery_instructions``), or None.
        texts: one per record where texts are the queries; no image is read then.
        batch_size: rows of a batch.
        workers: processes that read ahead.
        cache: keeps decoded images between sweeps.
        device: where images are normalised, and stay; the CPU by default.

    Raises:
        InputError: an image cannot be read; it is never replaced in a test.
        ValueError: instructions or texts do not match the records in number.
    """
    cache = ImageCache() if cache is None else cache
    sweep = _EvalBatches(records, preprocessing, task.name, domain, instructions, texts, batch_size, cache)
    if workers and cache.max_bytes and texts is None:
        images = (record.image for record in records)
        cache.fill(images, preprocessing.image_size, threads=workers, mode=preprocessing.resize)
    row_bytes = 3 * (math.prod(preprocessing.image_size) + math.prod(preprocessing.clothes_size))
    raws = in_order(
        sweep.batch,
        range(-(-len(records) // batch_size)),
        workers=workers,
        piece_bytes=batch_size * row_bytes,
        pin=device is not None and device.type == "cuda",
    )
    pool = BufferPool()
    with closing(raws):
        for raw in raws:
            yield raw.normalised(preprocessing, device, pool)
