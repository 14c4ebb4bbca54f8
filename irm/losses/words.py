"""Masked language modelling and replaced-word detection on words that attend to an image (RaSa; released)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor
from torch.nn import functional as F

from irm.losses.precision import full_precision

IGNORED = -100  # label of places that do not contribute to a loss


@dataclass(frozen=True)
class HiddenWords:
    """Sentences with hidden words, and what stood there."""

    token_ids: Int[Tensor, "B T"]
    labels: Int[Tensor, "B T"]  # IGNORED where nothing was hidden


def word_prediction_loss(
    logits: Float[Tensor, "B T V"],
    labels: Int[Tensor, "B T"],
    *,
    taught: Float[Tensor, "B T V"] | None = None,
    distillation: float = 0.0,
    axis: Literal["words", "places"] = "words",
    count: Float[Tensor, ""] | None = None,
) -> Float[Tensor, ""]:
    """Cross entropy of the hidden words, partly against a teacher's prediction (ALBEF: masked language loss).

    Args:
        logits: of all V words for each place.
        labels: the words; IGNORED where none was hidden.
        taught: the teacher's probabilities; take no gradient.
        distillation: the teacher's share (alpha).
        axis: what the student's softmax runs over in the distillation term: the words, as in ALBEF, or the
            places of a sentence, as in the released code, by mistake.
        count: what the sum over hidden words is divided by; by default their number. Where several ranks
            share a batch it is the mean over the ranks, so that the mean of their losses is that of the
            batch.

    Raises:
        ValueError: when ``distillation`` comes without a teacher.
    """
    with torch.autocast(logits.device.type, enabled=False):
        logits, hidden = full_precision(logits), labels != IGNORED
        # A sum over a count, not a mean: a batch in which nothing was hidden has loss zero instead of NaN.
        # Selecting places by a mask would make the host wait for their number.
        count = hidden.sum().clamp(min=1) if count is None else count
        words = logits.log_softmax(dim=-1)
        hard = (
            F.nll_loss(words.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum") / count
        )
        if not distillation:
            return hard
        if taught is None:
            raise ValueError("distillation needs the teacher's probabilities; pass taught")
        guess = words if axis == "words" else logits.log_softmax(dim=1)
        soft = -((guess * taught.detach()).sum(dim=-1) * hidden).sum() / count
        return (1 - distillation) * hard + distillation * soft


def replaced_words_loss(
    logits: Float[Tensor, "B T 2"], labels: Int[Tensor, "B T"], *, count: Float[Tensor, ""] | None = None
) -> Float[Tensor, ""]:
    """Cross entropy of (original, replaced) over the places not IGNORED; ``count`` as above."""
    count = (labels != IGNORED).sum().clamp(min=1) if count is None else count
    rows, places = full_precision(logits).flatten(0, 1), labels.flatten()
    return F.cross_entropy(rows, places, ignore_index=IGNORED, reduction="sum") / count


def hide_words(
    token_ids: Int[Tensor, "B T"],
    mask: Bool[Tensor, "B T"],
    generator: Generator,
    *,
    share: float,
    mask_id: int,
    vocab_size: int,
) -> HiddenWords:
    """Hide a share of the words, as BERT does: 80 % by [MASK], 10 % by any word, 10 % stay.

    The first token and padding are never hidden.

    Args:
        token_ids: the sentences, their first token being [CLS].
        mask: True where a token is real.
        generator: on the CPU, so that any device hides the same.
        share: of words that are hidden.
        mask_id: of [MASK].
        vocab_size: number V of words.
    """
    given, real = token_ids.cpu(), mask.cpu().clone()
    real[:, 0] = False
    chance = torch.rand(3, *given.shape, generator=generator)
    hidden = (chance[0] < share) & real
    drawn = torch.randint(vocab_size, given.shape, generator=generator)
    changed = given.masked_fill(hidden & (chance[1] < 0.8), mask_id)
    by_any = hidden & (chance[1] >= 0.8) & (chance[2] < 0.5)
    changed = torch.where(by_any, drawn, changed)
    labels = given.masked_fill(~hidden, IGNORED)
    return HiddenWords(changed.to(token_ids.device), labels.to(token_ids.device))


def replace_words(
    token_ids: Int[Tensor, "B T"],
    mask: Bool[Tensor, "B T"],
    guesses: Float[Tensor, "B T V"],
    chance: Float[Tensor, "B T"],
) -> HiddenWords:
    """Sample every word anew from a teacher's predictions; the labels mark those that changed.

    Args:
        token_ids: the sentences as they were.
        mask: True where a token is real.
        guesses: logits of all V words for each place.
        chance: uniform in 0..1, one per place: where on the cumulative distribution its word is taken.
    """
    sums = full_precision(guesses.detach()).softmax(dim=-1).cumsum(dim=-1)
    position = chance.to(sums.device, sums.dtype, non_blocking=True)
    aim = position[..., None] * sums[..., -1:]  # rounding leaves the last sum a little off one
    drawn = torch.searchsorted(sums, aim, right=True)[..., 0].clamp(max=guesses.shape[-1] - 1)
    judged = mask.clone()
    judged[:, 0] = False
    drawn = torch.where(judged, drawn, token_ids)
    labels = (drawn != token_ids).long().masked_fill(~judged, IGNORED)
    return HiddenWords(drawn, labels)
