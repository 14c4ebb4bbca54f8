"""MLLMReID's texts: two common instructions, the limit of fewer than 20 words, the baseline's 20 prompts.

The common instructions are from section 3.2 of the paper, the prompts that they replace from table 3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources

import yaml

# Step 1, text to text: the caption follows, and a language model answers with a continuation of it.
CONTINUE_TEXT = "Continue the following text in a coherent and engaging style with less than 20 words."

# Step 2, image to the same continuation: the placeholder marks where the image tokens go.
IMAGE_SLOT = "<ImageFeature>"
CONTINUE_IMAGE = (
    f"continue the following image {IMAGE_SLOT} . When continuing, focus on the persons in the picture "
    "and generate a continuation related to the persons."
)
CONTINUE_IMAGE_TURN = f"###Human: {CONTINUE_IMAGE}\n###Assistant:"

_COURTESY = re.compile(
    r"\s*(?:sure(?: thing)?|certainly|of course|absolutely|okay|ok)[,.!:]\s*", re.IGNORECASE
)
_HEADING = re.compile(r"\s*(?:here(?:['’]s| is| are)\b[^:\n]*|continuation|answer|output):\s*", re.IGNORECASE)
_QUOTES = "\"'“”‘’`*"


@dataclass(frozen=True, slots=True)
class Prompt:
    """A descriptive prompt of the baseline, and whether the paper prints it."""

    text: str
    printed: bool


def _prompts() -> tuple[Prompt, ...]:
    path = resources.files("instructions").joinpath("data", "descriptive_prompts.yaml")
    prompts = yaml.safe_load(path.read_text(encoding="utf-8"))
    return tuple(
        Prompt(text, printed=kind == "printed") for kind in ("printed", "ours") for text in prompts[kind]
    )


BASELINE_PROMPTS: tuple[Prompt, ...] = _prompts()


def limit_words(text: str, fewer_than: int = 20) -> str:
    r"""The continuation in a model's answer, cut to fewer than the given number of words.

    Only the first line is used, without preamble and quotes. A long one is cut at its last full stop within
    the limit, or in mid-sentence if there is none. The result is empty if the answer has no words.

    >>> limit_words('Sure! Here is a continuation:\n\n"He walks on. The rain is falling."', fewer_than=6)
    'He walks on.'
    """
    lines = (line.strip() for line in without_preamble(text).splitlines())
    line = next((line for line in lines if line), "")
    quoted = line[:1] in _QUOTES
    words = (line.strip(_QUOTES) if quoted else line).split()
    if len(words) < fewer_than:
        return " ".join(words)
    words = words[: fewer_than - 1]
    ends = [place for place, word in enumerate(words) if word.rstrip(_QUOTES).endswith((".", "!", "?"))]
    text = " ".join(words[: ends[-1] + 1] if ends else words)
    return text.strip(_QUOTES) if quoted else text


def without_preamble(answer: str) -> str:
    """The answer without the polite opening of chat models.

    >>> without_preamble("Certainly! Here's the text: A man walks.")
    'A man walks.'
    """
    for pattern in (_COURTESY, _HEADING):
        answer = answer[match.end() :] if (match := pattern.match(answer)) else answer
    return answer
