"""What an image is asked and what should be answered: the common instruction or a prompt (MLLM 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

from instructions.continuation import BASELINE_PROMPTS, CONTINUE_IMAGE, IMAGE_SLOT
from irm.mllm.dialogue import Turn
from irm.mllm.shapes import IMAGE_TOKEN

FIRST_QUESTION = CONTINUE_IMAGE.replace(IMAGE_SLOT, IMAGE_TOKEN)
# The image is shown once; later turns repeat what was asked of it.
FURTHER_QUESTION = CONTINUE_IMAGE.partition(f"{IMAGE_SLOT} . ")[2]


def common_turns(words: Sequence[str], draw: torch.Generator, *, max_turns: int) -> list[Turn]:
    """One instruction for all images; each continuation is a turn, in drawn order (section 3.2).

    What stands before the image is the same for all, so that a latent feature depends on the image alone.
    """
    if not words:
        return [Turn(FIRST_QUESTION)]
    drawn = [words[place] for place in torch.randperm(len(words), generator=draw).tolist()[:max_turns]]
    return [Turn(FURTHER_QUESTION if turn else FIRST_QUESTION, text) for turn, text in enumerate(drawn)]


def diverse_turns(words: Sequence[str], draw: torch.Generator, *, max_turns: int) -> list[Turn]:
    """A random one of the 20 prompts for each image-text pair; the caption is the answer (section 4.1)."""
    order = torch.randperm(len(words), generator=draw).tolist()[:max_turns]
    prompts = torch.randint(len(BASELINE_PROMPTS), (max(len(order), 1),), generator=draw).tolist()
    questions = [BASELINE_PROMPTS[prompt].text for prompt in prompts]
    questions[0] = f"{IMAGE_TOKEN}\n{questions[0]}"
    if not order:
        return [Turn(questions[0])]
    return [Turn(question, words[place]) for question, place in zip(questions, order, strict=True)]


def turns_of(
    words: Sequence[str],
    draw: torch.Generator,
    *,
    instruction: Literal["common", "diverse"],
    max_turns: int,
) -> list[Turn]:
    """The dialogue of one image; an image without words is shown and not asked for an answer."""
    turns = common_turns if instruction == "common" else diverse_turns
    return turns(words, draw, max_turns=max_turns)
