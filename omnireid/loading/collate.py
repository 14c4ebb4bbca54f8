"""Collates samples into a batch; images stay 8-bit until they are on the model's device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from instructions.instruction import Instruction
from omnireid.loading.batch import Batch, InstructionBatch
from omnireid.loading.buffer_pool import BufferPool
from omnireid.loading.transforms import Preprocessing
from omnireid.records import UNKNOWN, Record


@dataclass(frozen=True)
class Sample:
    """One row of a future batch: a record, its instruction and its text."""

    index: int
    record: Record
    label: int
    instruction: Instruction | None = None
    clothes: UInt8[np.ndarray, "h w 3"] | None = None
    text: str | None = None


@dataclass(frozen=True)
class RawBatch:
    """A batch in transit between processes: images are still 8-bit, a quarter of the bytes.

    Each tensor sent between processes holds an open file, a limited resource; so only images are tensors.
    """

    task: str
    domain: str
    pixels: UInt8[Tensor, "B H W 3"] | None
    clothes_pixels: UInt8[Tensor, "C h w 3"] | None
    instructions: tuple[Instruction, ...] | None
    texts: tuple[str, ...] | None
    numbers: Int[np.ndarray, "5 B"]  # pids, labels, camids, indices, outfits
    flipped: Bool[np.ndarray, " B"] | None = None  # images still to be flipped; None: none

    def normalised(
        self,
        preprocessing: Preprocessing,
        device: torch.device | str | None = None,
        pool: BufferPool | None = None,
    ) -> Batch:
        """The batch with images normalised for the model, on ``device`` or where they are."""
        images, clothes = None, None
        if self.pixels is not None:
            images = preprocessing.normalise(self.pixels.to(device, non_blocking=True), self.flipped, pool)
        if self.clothes_pixels is not None:
            moved = self.clothes_pixels.to(device, non_blocking=True)
            clothes = preprocessing.normalise_clothes(moved, pool)
        pids, labels, camids, indices, worn = torch.from_numpy(self.numbers).unbind()
        return Batch(
            task=self.task,
            domain=self.domain,
            images=images,
            instruction=None if self.instructions is None else _gathered(self.instructions, clothes),
            texts=self.texts,
            pids=pids,
            labels=labels,
            camids=camids,
            indices=indices,
            worn=worn,
        )

    def pin_memory(self) -> RawBatch:
        """The same with images in pinned memory, from which a GPU copies asynchronously."""
        return replace(
            self,
            pixels=None if self.pixels is None else self.pixels.pin_memory(),
            clothes_pixels=None if self.clothes_pixels is None else self.clothes_pixels.pin_memory(),
        )


def collate(
    samples: Sequence[Sample],
    pixels: UInt8[np.ndarray, "B H W 3"] | None,
    *,
    task: str,
    domain: str,
    flipped: Bool[np.ndarray, " B"] | None = None,
) -> RawBatch:
    """Make a batch of samples; sentences and texts are unchanged, since cleaning is up to the tokenizer.

    Args:
        samples: the rows.
        pixels: their images at the model's size, or None for text queries.
        task: name of the task.
        domain: whose classifier and batch-norm statistics apply.
        flipped: which images are still to be flipped.
    """
    instructions = tuple(sample.instruction for sample in samples if sample.instruction is not None)
    texts = tuple(sample.text for sample in samples if sample.text is not None)
    clothes = [sample.clothes for sample in samples if sample.clothes is not None]
    assert len(instructions) in (0, len(samples)), "either every row has an instruction or none"
    assert len(texts) in (0, len(samples)), "either every row has a text or none"
    rows = [
        (one.record.pid, one.label, one.record.camid, one.index, one.record.clothes_id) for one in samples
    ]
    return RawBatch(
        task=task,
        domain=domain,
        pixels=None if pixels is None else torch.from_numpy(pixels),
        clothes_pixels=torch.from_numpy(np.stack(clothes)) if clothes else None,
        instructions=instructions or None,
        texts=texts or None,
        numbers=np.ascontiguousarray(np.array(rows, dtype=np.int64).T),
        flipped=flipped,
    )


def _gathered(
    instructions: Sequence[Instruction], clothes: Float[Tensor, "C 3 h w"] | None
) -> InstructionBatch:
    sentences = {row: one.sentence for row, one in enumerate(instructions) if one.sentence is not None}
    clothes_rows = [row for row, one in enumerate(instructions) if one.clothes is not None]
    asked = [UNKNOWN if one.outfit is None else one.outfit for one in instructions]
    return InstructionBatch(
        sentences=tuple(sentences.values()),
        sentence_rows=torch.tensor(list(sentences), dtype=torch.int64),
        clothes=clothes,
        clothes_rows=torch.tensor(clothes_rows, dtype=torch.int64),
        asked=torch.tensor(asked, dtype=torch.int64),
        bare=torch.tensor([one.source == "neutral" for one in instructions]),
    )
