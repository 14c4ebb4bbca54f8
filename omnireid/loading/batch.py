"""What the loader hands to a model: a batch of pictures with their instructions, labels and provenance."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class InstructionBatch:
    """Instructions of a batch: sentences for some rows, clothes pictures for the others.

    ``sentences[i]`` belongs to row ``sentence_rows[i]``, ``clothes[j]`` to row ``clothes_rows[j]``; together
    the rows are 0..B-1, each once. Sentences stay strings: a tokenizer is the model's business.
    """

    sentences: tuple[str, ...]
    sentence_rows: Int[Tensor, " S"]
    clothes: Float[Tensor, "C 3 h w"] | None
    clothes_rows: Int[Tensor, " C"]
    outfits: Int[Tensor, " C"] | None = None  # which outfit each clothes picture shows; None: not all known

    def __len__(self) -> int:
        return len(self.sentence_rows) + len(self.clothes_rows)


@dataclass(frozen=True)
class Batch:
    """One task's batch.

    ``images`` is None for text queries; ``instruction`` is None where an image stands alone (``t2i``
    galleries).
    ``texts`` are the descriptions of ``t2i`` (one a row), in training and on the query side.
    ``labels`` are contiguous training classes; on the test side they equal ``pids``.
    ``indices`` point into the record list the batch was drawn from.
    """

    task: str
    domain: str  # which data set the classes and the batch-norm statistics belong to, e.g. "trad/market1501"
    images: Float[Tensor, "B 3 H W"] | None
    instruction: InstructionBatch | None
    texts: tuple[str, ...] | None
    pids: Int[Tensor, " B"]
    labels: Int[Tensor, " B"]
    camids: Int[Tensor, " B"]
    indices: Int[Tensor, " B"]

    def __len__(self) -> int:
        return len(self.pids)
