"""Class graphs for graph samplers: which people look alike to the current model (MLLM, table 4)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from irm.embedder import IRMEmbedder
from irm.models import IRM
from irm.training.ranks import from_first_rank
from omnireid.extraction import Settings, SideInstructions, embed_side
from omnireid.loading.graph_sampler import ClassGraph, GraphSampler, class_graph
from omnireid.loading.instruct import gallery_instructions
from omnireid.loading.mixture import Mixture
from omnireid.loading.source_loader import Source
from omnireid.matching import score_all
from omnireid.records import Split


class ClassGraphs:
    """Builds each graph at the start of its pass, and keeps it for the checkpoint.

    People are compared by one image each, by the matcher's scores if the model has a matcher, otherwise by
    cosine; in evaluation mode and without augmentation, as the authors do.
    """

    def __init__(self, model: IRM, mixture: Mixture) -> None:
        self._model, self._mixture = model, mixture
        self._samplers = mixture.graph_samplers()

    def refresh(self, step: int) -> None:
        """Build the graphs that a step needs, if they are not there yet."""
        for domain, sampler in self._samplers.items():
            number = sampler.pass_of(step)
            if sampler.graph is None or sampler.graph.number != number:
                source = self._mixture.sources[self._mixture.domains.index(domain)]
                distances = self._distances(source, sampler, number)
                graph = class_graph(number, distances.numpy(), sampler.num_identities)
                neighbours = from_first_rank(torch.from_numpy(np.ascontiguousarray(graph.neighbours)))
                sampler.set_graph(ClassGraph(number, neighbours.numpy()))

    def valid_until(self, step: int, stop: int) -> int:
        """The first step after this one, up to ``stop``, that needs a new graph."""
        ends = ((one.pass_of(step) + 1) * one.batches_per_graph for one in self._samplers.values())
        return min(stop, *ends)

    def _distances(self, source: Source, sampler: GraphSampler, number: int) -> Float[Tensor, "C C"]:
        """Pairwise distances of a pass's exemplars, one per person."""
        was_training = self._model.training
        embedder = IRMEmbedder(self._model)
        shown = Split(source.dataset, (), (), [source.records[row] for row in sampler.exemplars(number)])
        settings = Settings(cache=self._mixture.cache)
        try:
            asked = SideInstructions("own", gallery_instructions(shown, source.task))
            people = embed_side(embedder, shown, "gallery", source.task, asked=asked, settings=settings)
            scorer = embedder.image_scorer()
            if scorer is not None and people.states is not None:
                return -score_all(scorer, people.states, people.states, settings.batch_size)
            unit = torch.nn.functional.normalize(people.vectors, dim=1)
            return -unit @ unit.T
        finally:
            self._model.train(was_training)

    def state_dict(self) -> dict[str, Any]:
        """The graphs of the passes that are under way."""
        return {
            domain: {"number": graph.number, "neighbours": torch.from_numpy(graph.neighbours)}
            for domain, sampler in self._samplers.items()
            if (graph := sampler.graph) is not None
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Follow the graphs that were saved."""
        for domain, saved in state.items():
            self._samplers[domain].set_graph(ClassGraph(saved["number"], saved["neighbours"].numpy()))
