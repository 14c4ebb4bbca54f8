"""The second stage of text search: the match head re-scores the nearest images (IRM, appendix D.2)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8

from irm.retrieval.model import NOBODY, SearchModel
from omnireid.loading.collate import Sample, collate

BATCH = 128  # pairs at a time, as the benchmark has it


def order_by_match(
    model: SearchModel, text: str, pictures: Sequence[UInt8[np.ndarray, "_H _W 3"]]
) -> Float[np.ndarray, " K"]:
    """Logit of "matches" over "does not match" of a text with each picture."""
    samples = [Sample(index=0, record=NOBODY, label=0, text=text)]
    asked = collate(samples, None, task="t2i", domain="t2i").normalised(model.preprocessing)
    scores = []
    with model.lock:
        words = model.embedder.states(asked, "query")
        for first in range(0, len(pictures), BATCH):
            pixels = model.resized(pictures[first : first + BATCH])
            rows = [Sample(index=row, record=NOBODY, label=0) for row in range(len(pixels))]
            batch = collate(rows, pixels, task="t2i", domain="t2i").normalised(model.preprocessing)
            states = model.embedder.states(batch, "gallery")
            repeated = words.take(torch.zeros(len(pixels), dtype=torch.int64))
            scores.append(model.embedder.score_pairs(repeated, states))
    return torch.cat(scores).double().numpy()
