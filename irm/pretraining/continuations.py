"""Common Instruction, step 1: a language model continues each caption in fewer than 20 words (MLLM 3.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from transformers import StoppingCriteria, StoppingCriteriaList

from instructions.continuation import CONTINUE_TEXT, limit_words, without_preamble
from omnireid.captioning.continuations import Continuation, ContinuationCache, distinct, question_key

FEWER_THAN = 20  # words, as the instruction says
VERSION = 1  # of what is done to an answer: raise it when the same answer would give another text
RETRY_TEMPERATURE = 0.7
# Chat models say "Sure, here is a continuation of the text in a coherent and engaging style with less than 20
# words:" and more of the kind first: some 25 tokens, which must not be taken from the answer's.
COURTESY_TOKENS = 32
Progress = Callable[[int, int], None]


class Answers(Protocol):
    """All that step 1 asks of a language model, whatever runs it."""

    @property
    def name(self) -> str:
        """Of the model, as it was asked for."""

    @property
    def batch_size(self) -> int:
        """Captions at a time; after each batch the cache is written."""

    @property
    def asked(self) -> dict[str, Any]:
        """All that shapes an answer beside the caption."""

    def answers(self, captions: Sequence[str], *, temperature: float = 0.0, seed: int = 0) -> list[str]:
        """What the model says to each caption; greedy at temperature zero."""


def question(caption: str) -> str:
    """The common instruction, and the caption below it."""
    return f"{CONTINUE_TEXT}\n\n{caption}"


@dataclass(frozen=True)
class Writer:
    """A causal language model of transformers that continues captions, many at a time."""

    model: Any
    tokenizer: Any
    name: str
    batch_size: int = 16
    max_new_tokens: int = 48  # of the answer; a courtesy before it has room of its own

    @property
    def asked(self) -> dict[str, Any]:
        """All that shapes an answer beside the caption."""
        revision = getattr(self.model.config, "_commit_hash", None)  # of a model from the hub
        return {
            "model": self.name,
            "instruction": CONTINUE_TEXT,
            "template": getattr(self.tokenizer, "chat_template", None),
            "max_new_tokens": self.max_new_tokens,
            "version": VERSION,
            **({"revision": revision} if revision else {}),
        }

    def prompt(self, caption: str) -> str:
        """The question; a model without a chat template is asked in plain text."""
        if not getattr(self.tokenizer, "chat_template", None):
            return f"{self.tokenizer.bos_token or ''}{question(caption)}\n"
        messages = [{"role": "user", "content": question(caption)}]
        return str(self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))

    def answers(self, captions: Sequence[str], *, temperature: float = 0.0, seed: int = 0) -> list[str]:
        """What the model says to each caption; greedy at temperature zero."""
        prompts = [self.prompt(caption) for caption in captions]
        self.tokenizer.padding_side = "left"  # or else generation would begin behind the padding
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        inputs = self.tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False)
        inputs = {name: inputs[name].to(self.model.device) for name in ("input_ids", "attention_mask")}
        length = inputs["input_ids"].shape[1]
        sampling = {"do_sample": True, "temperature": temperature} if temperature else {"do_sample": False}
        with torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(seed)
            output = self.model.generate(
                **inputs,
                max_new_tokens=self.max_new_tokens + COURTESY_TOKENS,
                pad_token_id=self.tokenizer.pad_token_id,
                stopping_criteria=StoppingCriteriaList(
                    [EnoughWords(self.tokenizer, length, self.max_new_tokens)]
                ),
                **sampling,
            )
        return list(self.tokenizer.batch_decode(output[:, length:], skip_special_tokens=True))


class EnoughWords(StoppingCriteria):
    """Stops a row of which nothing further is kept, and one without courtesy at the answer's length."""

    def __init__(self, tokenizer: Any, prompt_length: int, max_new_tokens: int) -> None:
        self._tokenizer, self._start, self._limit = tokenizer, prompt_length, max_new_tokens

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:  # noqa: ARG002 (transformers' interface)
        """Which rows are to stop."""
        texts = self._tokenizer.batch_decode(input_ids[:, self._start :], skip_special_tokens=True)
        is_long = input_ids.shape[1] - self._start >= self._limit
        is_done = [_is_enough(text) or (is_long and without_preamble(text) == text) for text in texts]
        return torch.tensor(is_done, device=input_ids.device)


def _is_enough(text: str) -> bool:
    said = without_preamble(text).strip()
    lines = said.splitlines()
    # A first line that ends in a colon is a courtesy of another kind, and the answer follows it.
    has_line = len(lines) > 1 and not lines[0].rstrip().endswith(":")
    return has_line or len(said.split()) > FEWER_THAN + 12  # it has words, too


def write_continuations(
    writer: Answers,
    captions: Sequence[str],
    cache: ContinuationCache,
    *,
    retries: int = 1,
    progress: Progress | None = None,
) -> list[Continuation]:
    """A continuation of each distinct caption, from the cache where it was asked before.

    Captions of similar length share a batch. An answer that is empty or repeats the caption is asked for
    again with a temperature, ``retries`` times; what stays of no use has an empty text.

    Args:
        writer: the language model.
        captions: any number, repetitions allowed.
        cache: what is known already; gets every batch as it is done.
        retries: further questions for one answer.
        progress: called with the number of distinct captions done.
    """
    wanted = distinct(captions)
    keys = {caption: question_key(caption, writer.asked) for caption in wanted}
    missing = sorted((each for each in wanted if keys[each] not in cache), key=lambda each: (len(each), each))
    done = len(wanted) - len(missing)
    for start in range(0, len(missing), writer.batch_size):
        batch = missing[start : start + writer.batch_size]
        cache.add(_answered(writer, batch, [keys[each] for each in batch], retries))
        done += len(batch)
        if progress is not None:
            progress(done, len(wanted))
    found = [cache.get(keys[caption]) for caption in wanted]
    return [each for each in found if each is not None]


def _answered(
    writer: Answers, captions: Sequence[str], keys: Sequence[str], retries: int
) -> list[Continuation]:
    made = [
        judged(caption, answer, key, writer.name)
        for caption, answer, key in zip(captions, writer.answers(captions), keys, strict=True)
    ]
    for attempt in range(retries):
        rows = [row for row, each in enumerate(made) if not each.text]
        for row in rows:
            # One at a time and under the question's own seed: the draw must not depend on its neighbours.
            seed = int(keys[row][:8], 16) + attempt
            answer = writer.answers([captions[row]], temperature=RETRY_TEMPERATURE, seed=seed)[0]
            made[row] = judged(captions[row], answer, keys[row], writer.name, flags=("asked twice",))
    return made


def judged(caption: str, answer: str, key: str, model: str, flags: tuple[str, ...] = ()) -> Continuation:
    """What of an answer is trained on: fewer than 20 words, and none where it says nothing new."""
    text = limit_words(answer, fewer_than=FEWER_THAN)
    if not text:
        return Continuation(key, caption, "", answer, model, (*flags, "empty"))
    if _plain(text) in _plain(caption):
        return Continuation(key, caption, "", answer, model, (*flags, "copied"))
    if len(text.split()) < len(" ".join(answer.split()).split()):
        flags = (*flags, "truncated")
    return Continuation(key, caption, text, answer, model, flags)


def _plain(text: str) -> str:
    return " ".join(text.lower().split()).strip(".!? ")
