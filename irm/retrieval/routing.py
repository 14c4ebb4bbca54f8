"""Routing of free text: the nearest known sentence decides which view of the gallery is searched.

The sixty sentences of the banks represent their tasks; twenty descriptions of nobody in particular represent
"a description". The nearest of all of them wins, so that no threshold depends on the text encoder.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from instructions.attributes import ATTRIBUTES, AttributeSet
from instructions.banks import BANKS
from instructions.sentences import TemplateWriter
from irm.retrieval.answer import Route
from irm.retrieval.model import SearchModel
from irm.retrieval.views import VIEWS

SHORT = (
    "a man in a red coat", "a woman wearing a blue dress", "someone with a black backpack and jeans",
    "a person in white shoes", "a girl with long hair and a grey hat", "dark trousers and a striped shirt",
    "in a green jacket and blue trousers", "wearing a yellow jacket", "an old man carrying a bag",
)  # fmt: skip
NUM_WRITTEN = 11  # long descriptions, like the paper's captions; with SHORT, twenty as in each bank


class Router:
    """Compares texts with anchor sentences, which are encoded at the first call."""

    def __init__(self, model: SearchModel) -> None:
        self.model = model
        self._anchors: tuple[list[tuple[str, str]], torch.Tensor] | None = None

    def route(self, text: str, views: Sequence[str]) -> Route:
        """Which view a sentence is searched in.

        Args:
            text: Of the user.
            views: Those of the gallery, views for descriptions in order of preference.
        """
        anchors, features = self.warm()
        with self.model.lock:
            asked = self.model.embedder.model.encode_sentences([text]).pooled.float().cpu()
        similarities = (F.normalize(asked, dim=-1) @ features.T)[0].numpy()
        order = np.argsort(-similarities, kind="stable")
        descriptive = next((name for name in views if VIEWS[name].task in ("li", "ctcc")), None)
        for place in order:
            task, sentence = anchors[place]
            view = descriptive if task == "li" else task if task in views else None
            if view is not None:
                kind = "a description" if task == "li" else f"the instruction of task {task}"
                shown = sentence if len(sentence) <= 80 else f"{sentence[:77]}..."
                reason = f"understood as {kind}: nearest to {shown!r} ({similarities[place]:.2f})"
                return Route(view, sentence, float(similarities[place]), reason)
        return Route(views[0], "", 0.0, f"the gallery has only the view {views[0]}")

    def warm(self) -> tuple[list[tuple[str, str]], torch.Tensor]:
        """The anchors and their features, encoded at the first call."""
        if self._anchors is None:
            anchors = [(bank, sentence) for bank, sentences in BANKS.items() for sentence in sentences]
            anchors += [("li", sentence) for sentence in descriptions()]
            with self.model.lock:
                model = self.model.embedder.model
                pooled = model.encode_sentences([sentence for _, sentence in anchors]).pooled
            self._anchors = anchors, F.normalize(pooled.float().cpu(), dim=-1)
        return self._anchors


def descriptions() -> list[str]:
    """Short and long descriptions; the same in every process."""
    rng = random.Random(0)
    writer = TemplateWriter()
    drawn = [
        AttributeSet({name: rng.choice(words) for name, words in ATTRIBUTES.items()})
        for _ in range(NUM_WRITTEN)
    ]
    return [*SHORT, *(writer.write(one, rng) for one in drawn)]
