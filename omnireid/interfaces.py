"""All the benchmark asks of a model: embed a batch and, where it can, score text-image pairs."""

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
    """What a batch leaves behind for scoring pairs later, from one forward pass.

    ``features`` are what ``Embedder.embed`` would return. ``mask`` is True at real tokens. All on the CPU.
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
    """Turns a batch into retrieval features; cosine similarity of two features is the score.

    One that also has a ``device`` gets its pictures there, moved as 8-bit levels. One that also has a
    ``metric`` (omnireid.metrics.Metric) has its pictures compared by that; texts and pictures are by cosine.
    """

    preprocessing: Preprocessing

    def embed(self, batch: Batch, side: Side) -> Float[Tensor, "B D"]:
        """Features of the batch as query or as gallery, float32 on the CPU, any norm."""
        ...


@runtime_checkable
class PairScorer(Protocol):
    """Scores pairs jointly: the second stage of text-to-image search (IRM, appendix D.2), or two pictures."""

    def states(self, batch: Batch, side: Side) -> PairStates:
        """Features and token states of a batch; called instead of ``embed`` where pairs are scored again."""
        ...

    def score_pairs(self, text: PairStates, image: PairStates) -> Float[Tensor, " B"]:
        """Matching score of row i of the texts with row i of the images; larger is closer."""
        ...


@runtime_checkable
class GridScorer(PairScorer, Protocol):
    """A scorer that compares every query of a block with every gallery picture of another at once."""

    def score_grid(self, query: PairStates, gallery: PairStates) -> Float[Tensor, "q g"]:
        """Matching scores, larger is closer, float32 on the CPU."""
        ...


@runtime_checkable
class PictureMatching(Protocol):
    """An embedder that may also have a matcher of pictures, as QAConv is (MLLM, table 4)."""

    def picture_scorer(self) -> GridScorer | None:
        """The matcher; None where the model has none."""
        ...
