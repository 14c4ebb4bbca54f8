"""Matching loss L_match: whether a text belongs to an image, with hard negatives (IRM, eq. 8)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor
from torch.nn import functional as F

from irm.losses.precision import full_precision


@dataclass(frozen=True)
class MatchPairs:
    """The text-image pairs of one matching batch: true pairs first, then two false ones for each."""

    text_rows: Int[Tensor, " M"]
    image_rows: Int[Tensor, " M"]
    matches: Bool[Tensor, " M"]


def matching_loss(logits: Float[Tensor, "M 2"], matches: Bool[Tensor, " M"]) -> Float[Tensor, ""]:
    """Cross entropy of (does not match, matches)."""
    return F.cross_entropy(full_precision(logits), matches.long())


def draw_hard_negatives(
    similarity: Float[Tensor, "B B"], labels: Int[Tensor, " B"], generator: Generator
) -> Int[Tensor, " B"]:
    """For each row a column of another person, drawn in proportion to the softmax of the similarities.

    Args:
        similarity: cosines divided by the temperature.
        labels: identities, of the rows and of the columns.
        generator: on the CPU, so that any device draws the same.

    Raises:
        ValueError: when the batch shows a single person.
    """
    stranger = labels[:, None] != labels[None, :]
    # On a GPU this check would make the host wait; a person alone in the batch gets the first column there.
    if similarity.device.type == "cpu" and not stranger.any(dim=1).all():
        raise ValueError("a batch for matching needs at least two people; this one has only one")
    shares = similarity.detach().float().masked_fill(~stranger, float("-inf")).softmax(dim=1)
    # As torch.multinomial with a single draw, but with random numbers of the CPU and without synchronising.
    noise = torch.empty(shares.shape).exponential_(generator=generator)
    return (shares / noise.to(shares.device, non_blocking=True)).argmax(dim=1)


def match_pairs(
    similarity: Float[Tensor, "B B"], labels: Int[Tensor, " B"], generator: Generator
) -> MatchPairs:
    """B true pairs, a hard image for each text, a hard text for each image.

    Args:
        similarity: of text i (rows) and image j (columns): cosines divided by the temperature.
        labels: identities; text i belongs to image i.
        generator: on the CPU.

    Raises:
        ValueError: when the batch holds a single person.
    """
    rows = torch.arange(len(labels), device=similarity.device)
    hard_images = draw_hard_negatives(similarity, labels, generator)
    hard_texts = draw_hard_negatives(similarity.T, labels, generator)
    return MatchPairs(
        text_rows=torch.cat([rows, rows, hard_texts]),
        image_rows=torch.cat([rows, hard_images, rows]),
        matches=torch.arange(3 * len(rows), device=similarity.device) < len(rows),
    )
