"""The head of masked language modelling, and the queue of momentum features (ALBEF, RaSa)."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

EMPTY_LABEL = -100  # label of an empty place of a queue


class WordHead(nn.Module):
    """Logits of all words for each place: BERT's head, whose matrix is that of the word embeddings."""

    def __init__(self, dim: int, *, vocab_size: int) -> None:
        """Build the head, with BERT's initialisation.

        Args:
            dim: width E of the states.
            vocab_size: number V of words.
        """
        super().__init__()
        self.dense = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim, eps=1e-12)
        self.bias = nn.Parameter(torch.zeros(vocab_size))
        nn.init.normal_(self.dense.weight, std=0.02)
        nn.init.zeros_(self.dense.bias)

    def forward(
        self, states: Float[Tensor, "*M E"], embeddings: Float[Tensor, "V E"]
    ) -> Float[Tensor, "*M V"]:
        """Logits.

        Args:
            states: of words after cross-attention to the image.
            embeddings: the text encoder's word embeddings.
        """
        return F.linear(self.norm(F.gelu(self.dense(states))), embeddings, self.bias)


class FeatureQueue(nn.Module):
    """Features (unit vectors) and labels of the last K pairs, first in, first out."""

    image: Float[Tensor, "K J"]
    text: Float[Tensor, "K J"]
    labels: Int[Tensor, " K"]
    place: Int[Tensor, ""]

    def __init__(self, length: int, dim: int) -> None:
        """Fill the queue with noise of no identity, as ALBEF does.

        Args:
            length: K.
            dim: width J of the space that images and texts share.
        """
        super().__init__()
        for name in ("image", "text"):
            self.register_buffer(name, F.normalize(torch.randn(length, dim), dim=-1))
        self.register_buffer("labels", torch.full((length,), EMPTY_LABEL))
        self.register_buffer("place", torch.tensor(0))

    @torch.no_grad()
    def push(
        self, image: Float[Tensor, "B J"], text: Float[Tensor, "B J"], labels: Int[Tensor, " B"]
    ) -> None:
        """Put a batch in the place of the oldest."""
        length = len(self.labels)
        image, text, labels = image[-length:], text[-length:], labels[-length:]
        rows = (self.place + torch.arange(len(labels), device=labels.device)) % length
        self.image[rows] = F.normalize(image.to(self.image), dim=-1)
        self.text[rows] = F.normalize(text.to(self.text), dim=-1)
        self.labels[rows] = labels
        self.place.copy_((self.place + len(labels)) % length)
