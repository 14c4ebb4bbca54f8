"""What the loader passes to a model: a batch of images with instructions, labels and provenance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class InstructionBatch:
    """Instructions of a batch: sentences for some rows, clothes images for the others.

    ``sentences[i]`` belongs to row ``sentence_rows[i]``, ``clothes[j]`` to row ``clothes_rows[j]``; together
    the rows are 0..B-1, each once. Sentences stay strings: tokenization is up to the model.
    """

    sentences: tuple[str, ...]
    sentence_rows: Int[Tensor, " S"]
    clothes: Float[Tensor, "C 3 h w"] | None
    clothes_rows: Int[Tensor, " C"]
    asked: Int[Tensor, " B"]  # the outfit that a row's instruction describes; UNKNOWN if not specified
    bare: Bool[Tensor, " B"]  # rows with the neutral sentence, which describes no outfit

    # Moving a batch to a device leaves these on the host: only the host reads them.
    ON_HOST: ClassVar[tuple[str, ...]] = ("sentence_rows", "clothes_rows", "asked", "bare")

    def __len__(self) -> int:
        return len(self.sentence_rows) + len(self.clothes_rows)

    def part(self, start: int, stop: int) -> InstructionBatch:
        """The instructions of rows start..stop-1, counted from there."""
        read = [i for i, row in enumerate(self.sentence_rows.tolist()) if start <= row < stop]
        worn = [i for i, row in enumerate(self.clothes_rows.tolist()) if start <= row < stop]
        return InstructionBatch(
            sentences=tuple(self.sentences[i] for i in read),
            sentence_rows=self.sentence_rows[read] - start,
            clothes=None if self.clothes is None or not worn else self.clothes[worn[0] : worn[-1] + 1],
            clothes_rows=self.clothes_rows[worn] - start,
            asked=self.asked[start:stop],
            bare=self.bare[start:stop],
        )


@dataclass(frozen=True)
class Batch:
    """One task's batch.

    ``images`` is None for text queries; ``instruction`` is None for images without one (``t2i`` galleries).
    ``texts`` are the descriptions of ``t2i`` (one per row), in training and on the query side.
    ``labels`` are contiguous training classes; at test time they equal ``pids``.
    ``worn`` is the outfit that each image shows (``clothes_id``), or UNKNOWN.
    ``indices`` index the record list from which the batch was drawn.
    """

    task: str
    domain: str  # whose classifier and batch-norm statistics apply, e.g. "trad/market1501"
    images: Float[Tensor, "B 3 H W"] | None
    instruction: InstructionBatch | None
    texts: tuple[str, ...] | None
    pids: Int[Tensor, " B"]
    labels: Int[Tensor, " B"]
    camids: Int[Tensor, " B"]
    indices: Int[Tensor, " B"]
    worn: Int[Tensor, " B"]

    ON_HOST: ClassVar[tuple[str, ...]] = ("pids", "camids", "indices", "worn")  # as above

    def __len__(self) -> int:
        return len(self.pids)

    def part(self, start: int, stop: int) -> Batch:
        """Rows start..stop-1."""
        rows = slice(start, stop)
        return replace(
            self,
            images=None if self.images is None else self.images[rows],
            instruction=None if self.instruction is None else self.instruction.part(start, stop),
            texts=None if self.texts is None else self.texts[rows],
            pids=self.pids[rows],
            labels=self.labels[rows],
            camids=self.camids[rows],
            indices=self.indices[rows],
            worn=self.worn[rows],
        )
