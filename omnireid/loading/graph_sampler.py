"""Batches of identities with similar features: graph sampling (Liao and Shao, CVPR 2022; MLLM, table 4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from omnireid.loading.keyed_random import Purpose, generator
from omnireid.loading.samplers import PKSampler


@dataclass(frozen=True)
class ClassGraph:
    """Neighbours during one pass over the people: row c is person c, then the people most similar to c."""

    number: int  # of the pass
    neighbours: Int[np.ndarray, "C P"]


def class_graph(number: int, distances: Float[np.ndarray, "C C"], num_identities: int) -> ClassGraph:
    """The graph of a pass from the distances of its exemplars; ties go to the lower number.

    Args:
        number: of the pass.
        distances: from every person to every other, smaller is closer; the diagonal is ignored.
        num_identities: P, including the person itself.
    """
    apart = np.array(distances, dtype=np.float64)
    np.fill_diagonal(apart, -np.inf)
    return ClassGraph(number, np.argsort(apart, axis=1, kind="stable")[:, :num_identities])


class GraphSampler(PKSampler):
    """Each person is the anchor of one batch per pass, with its P - 1 nearest people, K images each.

    The order of batches follows from (seed, step) and the graph of the pass. The graph depends on the model
    as it was when the pass began, so the training loop computes it then, from ``exemplars``, and stores it in
    the checkpoint, because the weights change afterwards.

    The authors take a person's images in turn, shuffled after all were taken; here each batch draws them
    anew, as ``PKSampler`` does, so that any step can be reproduced directly.
    """

    graph: ClassGraph | None = None

    @property
    def batches_per_graph(self) -> int:
        """Batches of a pass: one per person."""
        return len(self.pids)

    def pass_of(self, step: int) -> int:
        """The pass to which a step belongs."""
        return step // self.batches_per_graph

    def exemplars(self, number: int) -> Int[np.ndarray, " C"]:
        """One random image of each person, from which the similarities of a pass are computed."""
        rng = generator(self._seed, Purpose.EXEMPLARS, stream=self._stream, step=number)
        places = [rng.integers(len(self.rows(identity))) for identity in range(len(self.pids))]
        return np.array([self.rows(identity)[place] for identity, place in enumerate(places)])

    def set_graph(self, graph: ClassGraph) -> None:
        """Use the graph of a pass for its batches."""
        assert graph.neighbours.shape == (len(self.pids), self.num_identities)
        self.graph = graph

    def _identities(self, step: int) -> Int[np.ndarray, " P"]:
        number, place = divmod(step, self.batches_per_graph)
        assert self.graph is not None and self.graph.number == number, "no graph was made for this pass"
        return self.graph.neighbours[self._pass(number)[place]]
