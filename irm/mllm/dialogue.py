"""Images and answers as token ids: templates, image slots, turns, labels on answers only (MLLM 3.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from irm.mllm.shapes import IMAGE_TOKEN

IGNORED = -100  # label of a position that is not predicted
CHAT = "chat"  # the language model's own template


@dataclass(frozen=True)
class Turn:
    """A question, in which the image token may stand, and the answer to be learnt; no answer is no target."""

    question: str
    answer: str | None = None


@dataclass(frozen=True)
class Template:
    """What stands before the first question, each question, and each answer; an answer ends with EOS."""

    opening: str
    question: str
    answer: str


TEMPLATES: dict[str, Template] = {
    "minigpt4": Template("", "###Human: ", "\n###Assistant:"),  # as MLLM 3.2 prints it
    "vicuna_v1": Template(
        "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
        "helpful, detailed, and polite answers to the user's questions. ",
        "USER: ",
        " ASSISTANT:",
    ),
    "plain": Template("", "", "\n"),
}


@dataclass(frozen=True)
class DialogueBatch:
    """Dialogues of a batch, padded on the right, which changes nothing for causal attention."""

    input_ids: Int[Tensor, "B L"]
    attention_mask: Int[Tensor, "B L"]
    labels: Int[Tensor, "B L"]  # IGNORED everywhere but on answers

    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """In the order in which the model takes them."""
        return self.input_ids, self.attention_mask, self.labels

    @property
    def num_answer_tokens(self) -> int:
        """How many tokens the language loss is a mean of."""
        return int((self.labels[:, 1:] != IGNORED).sum())


class DialogueEncoder:
    """Makes batches of dialogues for one model."""

    def __init__(
        self,
        tokenizer: Any,
        *,
        image_token_id: int,
        num_image_tokens: int,
        template: str = "minigpt4",
        max_answer_tokens: int = 160,
    ) -> None:
        """Remember how this model is spoken to.

        Args:
            tokenizer: of the language model.
            image_token_id: what image slots are filled with.
            num_image_tokens: slots an image takes.
            template: a key of ``TEMPLATES``, or "chat" for the tokenizer's own.
            max_answer_tokens: longer answers are cut.

        Raises:
            ValueError: for an unknown template, or a tokenizer without the one asked for.
        """
        if template == CHAT and not getattr(tokenizer, "chat_template", None):
            raise ValueError("the tokenizer has no chat template; choose another: " + ", ".join(TEMPLATES))
        if template != CHAT and template not in TEMPLATES:
            raise ValueError(
                f"there is no dialogue template {template!r}; known: {', '.join((*TEMPLATES, CHAT))}"
            )
        if tokenizer.eos_token_id is None:
            raise ValueError(
                "the tokenizer has no end-of-sentence token, so generated answers would never end"
            )
        self._tokenizer, self._template = tokenizer, template
        self._image = [image_token_id] * num_image_tokens
        self._max_answer = max_answer_tokens
        pad = tokenizer.pad_token_id
        self._pad = tokenizer.eos_token_id if pad is None else pad

    def encode(self, turns: Sequence[Turn]) -> tuple[list[int], list[int]]:
        """Token ids and labels of one dialogue, whose text is tokenised as a whole, as when it is answered.

        A segment's tokens are what it adds to those of the text before it. By itself a tokenizer of
        SentencePiece's kind would give it a word border ("▁") of its own, which no answer begins with.

        Raises:
            ValueError: when there is not exactly one image token in the questions.
        """
        if sum(turn.question.count(IMAGE_TOKEN) for turn in turns) != 1:
            raise ValueError(
                f"a dialogue has one image, so its questions must contain exactly one {IMAGE_TOKEN}"
            )
        ids: list[int] = []
        labels: list[int] = []
        before: list[int] = []
        text = ""
        for segment, is_answer in self._chat(turns) if self._template == CHAT else self._plain(turns):
            text += segment
            whole = self._ids(text)
            is_added = whole[: len(before)] == before  # or else a token spans the border
            added = whole[len(before) :] if is_added else self._ids(segment)
            before = [*before, *added]
            tokens = self._cut(added) if is_answer else self._with_slots(added)
            ids += tokens
            labels += tokens if is_answer else [IGNORED] * len(tokens)
        return ids, labels

    def batch(self, dialogues: Sequence[Sequence[Turn]]) -> DialogueBatch:
        """Dialogues as tensors."""
        encoded = [self.encode(turns) for turns in dialogues]
        length = max(len(ids) for ids, _ in encoded)
        rows = [
            (
                ids + [self._pad] * (length - len(ids)),
                [1] * len(ids) + [0] * (length - len(ids)),
                labels + [IGNORED] * (length - len(ids)),
            )
            for ids, labels in encoded
        ]
        return DialogueBatch(*torch.tensor(rows).unbind(dim=1))

    def _plain(self, turns: Sequence[Turn]) -> Iterator[tuple[str, bool]]:
        """Segments of a dialogue under one of our templates."""
        template = TEMPLATES[self._template]
        opening = (self._tokenizer.bos_token or "") + template.opening
        for turn in turns:
            yield f"{opening}{template.question}{turn.question}{template.answer}", False
            opening = ""
            if turn.answer is not None:
                yield f" {turn.answer}{self._tokenizer.eos_token}", True

    def _chat(self, turns: Sequence[Turn]) -> Iterator[tuple[str, bool]]:
        """Segments of a dialogue under the tokenizer's template: what each message adds to those before."""
        messages: list[dict[str, str]] = []
        said = ""
        for turn in turns:
            messages.append({"role": "user", "content": turn.question})
            for answered in (False, True):
                if answered:
                    if turn.answer is None:
                        return
                    messages.append({"role": "assistant", "content": turn.answer})
                whole = self._tokenizer.apply_chat_template(
                    messages, tokenize=False, add_generation_prompt=not answered
                )
                if not whole.startswith(said):
                    raise ValueError("the tokenizer's chat template rewrites earlier turns; set max_turns: 1")
                yield whole[len(said) :], answered
                said = whole

    def _with_slots(self, ids: list[int]) -> list[int]:
        """The ids with all of an image's slots in place of the image token."""
        return [each for token in ids for each in (self._image if token == self._image[0] else [token])]

    def _cut(self, answer: list[int]) -> list[int]:
        """An answer of at most the agreed length; its end is kept, so that answers are known to end."""
        if len(answer) <= self._max_answer:
            return answer
        return [*answer[: self._max_answer - 1], self._tokenizer.eos_token_id]

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])
