"""The interfaces of a model to the benchmark: embed a batch and, optionally, score pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from jaxtyping import Bool, Float, Int
from torch import Tensor

from omnireid.loading.batch import Batch
from omnireid.loading.transforms import Preprocessing

Side = Literal["query", "gallery"]


@dataclass(frozen=True)
class PairStates:
    """What is kept of a batch's forward pass for scoring pairs later.

    ``features`` are what ``Embedder.embed`` would return; ``mask`` is True at real tokens. All on the CPU.
    """

    features: Float[Tensor, "B D"]
    tokens: Float[Tensor, "B L E"]
    mask: Bool[Tensor, "B L"]

    def __len__(self) -> int:
        return len(self.features)

    def take(self, rows: Int[Tensor, " M"]) -> PairStates:
        """The same states for some rows, in the order given."""
        return PairStates(self.features[rows], self.tokens[rows], self.mask[rows])


@runtime_checkable
class Embedder(Protocol):
    """Turns a batch into retrieval features, which are compared by cosine similarity.

    If it has a ``device``, it gets its images there (transferred as 8-bit). If it has a ``metric``
    (omnireid.metrics.Metric), image queries are compared by that; text queries always by cosine.
    """

    preprocessing: Preprocessing

    def embed(self, batch: Batch, side: Side) -> Float[Tensor, "B D"]:
        """Features of the batch as queries or as gallery: float32, on the CPU, of any norm."""
        ...


@runtime_checkable
class PairScorer(Protocol):
    """Scores pairs jointly: the second stage of text-to-image search (IRM, D.2), or an image matcher."""

    def states(self, batch: Batch, side: Side) -> PairStates:
        """Features and token states of a batch; called instead of ``embed`` where pairs are re-scored."""
        ...

    def score_pairs(self, text: PairStates, image: PairStates) -> Float[Tensor, " B"]:
        """Matching score of row i of the texts with row i of the images; larger is closer."""
        ...


@runtime_checkable
class GridScorer(PairScorer, Protocol):
    """A scorer that compares a block of queries with a block of gallery images at once."""

    def score_grid(self, query: PairStates, gallery: PairStates) -> Float[Tensor, "q g"]:
        """Matching scores, larger is closer, float32 on the CPU."""
        ...


@runtime_checkable
class ImageMatching(Protocol):
    """An embedder that may also have an image matcher such as QAConv (MLLM, table 4)."""

    def image_scorer(self) -> GridScorer | None:
        """The matcher; None where the model has none."""
        ...
