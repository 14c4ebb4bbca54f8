"""What the released code adds to eq. 8: a momentum teacher, a queue, hidden and replaced words (RaSa).

With several ranks, each encodes its own texts. The features of all ranks are gathered for the contrastive
loss and fill identical queues; the first rank draws random numbers for the whole batch; losses on words are
scaled so that their mean over ranks is the loss of the whole batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from irm.losses import (
    ContrastiveKeys,
    HiddenWords,
    contrastive_loss,
    hide_words,
    replace_words,
    replaced_words_loss,
    word_prediction_loss,
)
from irm.losses.words import IGNORED
from irm.models import IRM
from irm.models.instruction_encoder import read_words
from irm.models.neck import module_key
from irm.models.words import FeatureQueue, WordHead
from irm.training.global_batch import local_rows
from irm.training.moving_average import MovingAverage
from irm.training.ranks import from_first_rank, gather_rows, max_over_ranks, mean_over_ranks, this_rank


@dataclass(frozen=True)
class LessonRule:
    """Settings of the lessons; the defaults are the released code's."""

    queue: int = 65_536  # length of the queue in pairs; 0: the batch alone
    momentum: float = 0.995  # moving average of the teacher's weights
    distillation: float = 0.4  # share of the teacher's prediction in a target (alpha)
    within_modality: bool = True  # also image against images, text against texts
    hidden_share: float = 0.15  # share of words to be predicted
    replaced_share: float = 0.30  # share of words hidden from the teacher, which then rewrites the sentence
    axis: Literal["words", "places"] = "places"  # see ``word_prediction_loss``


class TextSide(nn.Module):
    """The text side of one model: sentence encoder, match head, projection and word head."""

    def __init__(self, model: IRM, words: WordHead) -> None:
        super().__init__()
        assert model.match_head is not None
        encoder = model.instruction_encoder
        self.text, self.match_head = encoder.text, model.match_head
        self.projection, self.words = model.text_projection, words
        self.read = partial(read_words, pooling=encoder.pooling, match_reads=encoder.match_reads)

    def project(self, token_ids: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B J"]:
        """Unit vectors of sentences."""
        return F.normalize(self.projection(self.read(self.text, token_ids, mask).pooled), dim=-1)

    def states(
        self, token_ids: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"], images: Float[Tensor, "B M D"]
    ) -> Float[Tensor, "B T E"]:
        """States of the words after cross-attention to their image."""
        return self.match_head.states(self.read(self.text, token_ids, mask), images)

    def logits(
        self, token_ids: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"], images: Float[Tensor, "B M D"]
    ) -> Float[Tensor, "B T V"]:
        """Logits over the vocabulary for each place."""
        embeddings = self.text.embeddings.word_embeddings.weight
        return self.words(self.states(token_ids, mask, images), embeddings)


class Lessons(nn.Module):
    """The teacher, an exponential average of the text side, and what it teaches."""

    def __init__(self, model: IRM, rule: LessonRule, *, domains: tuple[str, ...]) -> None:
        """Make the teacher of a model.

        Args:
            model: with a match head.
            rule: the settings.
            domains: each has its own queue, because labels of different data sets mean different people.
        """
        super().__init__()
        self.rule = rule
        text = model.instruction_encoder.text
        self.words = WordHead(text.embed_dim, vocab_size=text.vocab_size)
        self.replaced = nn.Linear(text.embed_dim, 2)
        self.teacher = MovingAverage(TextSide(model, self.words), rule.momentum)
        self.teacher.requires_grad_(False).eval()
        dim = model.retrieval.projection_dim
        self.queues = nn.ModuleDict(
            {module_key(domain): FeatureQueue(rule.queue, dim) for domain in domains if rule.queue}
        )

    def train(self, mode: bool = True) -> Lessons:
        """The teacher stays in evaluation mode."""
        super().train(mode)
        self.teacher.eval()
        return self

    def update_teacher(self, model: IRM) -> None:
        """Update the teacher towards the model; the first call copies the model."""
        self.teacher.update_parameters(TextSide(model, self.words))

    def contrastive(
        self,
        model: IRM,
        image: Float[Tensor, "B J"],
        text: Float[Tensor, "B J"],
        labels: Int[Tensor, " B"],
        *,
        texts: Sequence[str],
        domain: str,
    ) -> Float[Tensor, ""]:
        """L_cl against the teacher's text features, the live image features (no image teacher) and the queue.

        Args:
            model: gives the temperature.
            image: image features of all ranks, as are ``text`` and ``labels``.
            text: text features of the live encoder.
            labels: identities of the rows.
            texts: this rank's sentences.
            domain: selects the queue.
        """
        with torch.no_grad():
            taught = gather_rows(self._teacher().project(*_on_device(model, *_read(model, texts))))
        keys = ContrastiveKeys(image.detach(), taught, labels)
        queue = self.queues[module_key(domain)] if self.rule.queue else None
        if queue is not None:
            assert isinstance(queue, FeatureQueue)
            keys = ContrastiveKeys(
                # Copies, because the queue moves on before the gradient is taken.
                torch.cat([keys.image, queue.image.clone()]),
                torch.cat([keys.text, queue.text.clone()]),
                torch.cat([keys.labels, queue.labels.clone()]),
            )
            queue.push(image.detach(), taught, labels)
        return contrastive_loss(
            image,
            text,
            labels,
            temperature=model.temperature,
            keys=keys,
            distillation=self.rule.distillation,
            within_modality=self.rule.within_modality,
        )

    def hidden_words(
        self, model: IRM, texts: Sequence[str], images: Float[Tensor, "B M D"]
    ) -> Float[Tensor, ""]:
        """Masked language modelling with the image in view; rows are this rank's."""
        token_ids, mask = _read(model, texts)
        hidden = self._hide(model, token_ids, mask, self.rule.hidden_share)
        (mask,) = _on_device(model, mask)
        with torch.no_grad():
            taught = self._teacher().logits(hidden.token_ids, mask, images).softmax(dim=-1)
        logits = TextSide(model, self.words).logits(hidden.token_ids, mask, images)
        return word_prediction_loss(
            logits,
            hidden.labels,
            taught=taught,
            distillation=self.rule.distillation,
            axis=self.rule.axis,
            count=_count(hidden),
        )

    def replaced_words(
        self, model: IRM, texts: Sequence[str], images: Float[Tensor, "B M D"]
    ) -> Float[Tensor, ""]:
        """Replaced-token detection: the teacher rewrites the sentence, the model finds what changed."""
        token_ids, mask = _read(model, texts)
        hidden = self._hide(model, token_ids, mask, self.rule.replaced_share)
        token_ids, mask = _on_device(model, token_ids, mask)
        with torch.no_grad():
            guesses = self._teacher().logits(hidden.token_ids, mask, images)
        chance = torch.rand(len(token_ids) * this_rank().world, token_ids.shape[1])
        written = replace_words(token_ids, mask, guesses, local_rows(from_first_rank(chance)))
        states = TextSide(model, self.words).states(written.token_ids, mask, images)
        return replaced_words_loss(self.replaced(states), written.labels, count=_count(written))

    def _hide(self, model: IRM, token_ids: Tensor, mask: Tensor, share: float) -> HiddenWords:
        """Hide words, drawn on the host for all ranks' rows; returns this rank's, on the model's device."""
        assert model.tokenizer is not None
        whole = hide_words(
            gather_rows(token_ids),
            gather_rows(mask),
            torch.default_generator,  # the loop seeds it for each step
            share=share,
            mask_id=model.tokenizer.tokenizer.mask_token_id,
            vocab_size=model.tokenizer.vocab_size,
        )
        own = (local_rows(from_first_rank(one)) for one in (whole.token_ids, whole.labels))
        return HiddenWords(*_on_device(model, *own))

    def _teacher(self) -> TextSide:
        assert isinstance(self.teacher.module, TextSide)
        return self.teacher.module


def _read(model: IRM, texts: Sequence[str]) -> tuple[Int[Tensor, "B T"], Bool[Tensor, "B T"]]:
    """Token ids and mask on the host, as long as the longest text of any rank."""
    assert model.tokenizer is not None
    token_ids, mask = model.tokenizer(texts)
    missing = max_over_ranks(token_ids.shape[1]) - token_ids.shape[1]
    token_ids = F.pad(token_ids, (0, missing), value=model.tokenizer.tokenizer.pad_token_id)
    return token_ids, F.pad(mask, (0, missing))


def _on_device(model: IRM, *tensors: Tensor) -> tuple[Tensor, ...]:
    return tuple(one.to(model.device, non_blocking=True) for one in tensors)


def _count(words: HiddenWords) -> Float[Tensor, ""]:
    """The mean number of labelled places per rank."""
    found = mean_over_ranks((words.labels != IGNORED).sum().float())
    return found.clamp(min=1 / this_rank().world)
