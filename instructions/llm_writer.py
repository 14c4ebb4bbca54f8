"""Attributes to English by a large language model, prompted with the paper's request (IRM, section 3).

The paper used Alpaca-LoRA and corrected its output by hand; here an automatic check replaces the correction.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from typing import Any, Literal

from instructions.attributes import AttributeSet
from instructions.continuation import without_preamble
from instructions.evidence import missing_words
from instructions.template_writer import TemplateWriter

REQUEST = (
    "Generate sentences to describe a person. "
    "The above sentences should contain all the attribute information I gave you in the following."
)


@dataclass(frozen=True, slots=True)
class Written:
    """A text and its origin: the model alone, the model plus template sentences, or templates."""

    text: str
    source: Literal["model", "model+template", "template"]
    attempts: int  # number of requests to the model
    missing: tuple[str, ...]  # the words that the model's best text did not name


@dataclass(frozen=True)
class LLMWriter:
    """Asks any causal language model; the template writer adds what its best answer leaves out.

    ``model`` and ``tokenizer`` are those of transformers. The device is the model's own. Sampling is seeded
    from the rng given to ``write``.
    """

    model: Any
    tokenizer: Any
    retries: int = 2
    max_new_tokens: int = 160
    temperature: float = 0.7
    fallback: TemplateWriter = field(default_factory=TemplateWriter)

    def write(self, attributes: AttributeSet, rng: random.Random) -> str:
        """Several sentences that name every attribute."""
        return self.write_checked(attributes, rng).text

    def write_checked(self, attributes: AttributeSet, rng: random.Random) -> Written:
        """The text with its origin: the first complete answer, else the most complete one with additions."""
        if len(attributes) == 0:
            return Written(self.fallback.write(attributes, rng), "template", attempts=0, missing=())
        best, missing = "", list(attributes.words())
        for attempt in range(1, self.retries + 2):
            text = clean(self._ask(request(attributes), seed=rng.getrandbits(32)))
            lacking = missing_words(attributes, text)
            if not lacking and text:
                return Written(text, "model", attempts=attempt, missing=())
            if len(lacking) < len(missing):
                best, missing = text, lacking
        words = attributes.to_dict()
        rest = AttributeSet({name: word for name, word in words.items() if word in missing})
        if not best:
            text = self.fallback.write(attributes, rng)
            return Written(text, "template", attempts=self.retries + 1, missing=tuple(missing))
        # The appended sentences keep the gender, so that their pronouns agree with the model's text.
        gender = {"gender_code": words["gender_code"]} if "gender_code" in words else {}
        text = f"{best} {self.fallback.write(rest.merge(AttributeSet(gender)), rng)}"
        return Written(text, "model+template", attempts=self.retries + 1, missing=tuple(missing))

    def _ask(self, prompt: str, seed: int) -> str:
        import torch

        if getattr(self.tokenizer, "chat_template", None):
            messages = [{"role": "user", "content": prompt}]
            prompt = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            inputs = self.tokenizer(prompt, return_tensors="pt", add_special_tokens=False)
        else:
            inputs = self.tokenizer(f"{prompt}\n", return_tensors="pt")
        device = self.model.device
        pad = self.tokenizer.pad_token_id
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), torch.inference_mode():
            torch.manual_seed(seed)
            output = self.model.generate(
                input_ids=inputs["input_ids"].to(device),
                attention_mask=inputs["attention_mask"].to(device),
                do_sample=True,
                temperature=self.temperature,
                max_new_tokens=self.max_new_tokens,
                pad_token_id=self.tokenizer.eos_token_id if pad is None else pad,
            )
        answer = output[0, inputs["input_ids"].shape[1] :]
        return str(self.tokenizer.decode(answer, skip_special_tokens=True))


def request(attributes: AttributeSet) -> str:
    """The paper's request, followed by the attribute words.

    >>> request(AttributeSet({"coat_color": "red coat", "gender_code": "male"})).splitlines()[-1]
    'red coat, male'
    """
    return f"{REQUEST}\n{', '.join(attributes.words())}"


def clean(answer: str) -> str:
    r"""One paragraph without polite preamble, list marks, quotes or an unfinished last sentence.

    >>> clean('Sure! Here is a description:\n\n- "A man wears a red coat. He sta')
    'A man wears a red coat.'
    """
    lines = [re.sub(r"^\s*(?:[-*•]|\d+[.)])\s+", "", line).strip() for line in answer.splitlines()]
    text = " ".join(line for line in lines if line and not line.endswith(":"))
    text = text.replace('"', "").replace("“", "").replace("”", "")
    text = without_preamble(text)
    end = max(text.rfind(mark) for mark in ".!?")
    return text[: end + 1].strip() if end >= 0 else text.strip()
