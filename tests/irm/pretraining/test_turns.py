"""What an image is asked: the paper's instruction once, or one of twenty prompts."""

import torch

from instructions.continuation import BASELINE_PROMPTS, CONTINUE_IMAGE
from irm.mllm.shapes import IMAGE_TOKEN
from irm.pretraining.turns import FIRST_QUESTION, FURTHER_QUESTION, turns_of


def asked(words, instruction):
    return turns_of(words, torch.Generator().manual_seed(0), instruction=instruction, max_turns=2)


def test_common_instruction_asks_the_same_of_every_image():
    turns = asked(["one", "two", "three"], "common")
    assert [turn.question for turn in turns] == [FIRST_QUESTION, FURTHER_QUESTION]
    assert len({turn.answer for turn in turns} & {"one", "two", "three"}) == 2
    assert FIRST_QUESTION.startswith(f"continue the following image {IMAGE_TOKEN} . When continuing, ")
    assert CONTINUE_IMAGE.endswith(FURTHER_QUESTION)


def test_the_baseline_draws_one_of_twenty_prompts_and_shows_the_image_first():
    seen, draw = set(), torch.Generator().manual_seed(0)
    for _ in range(300):
        (turn,) = turns_of(["a caption"], draw, instruction="diverse", max_turns=2)
        assert turn.answer == "a caption"
        image, prompt = turn.question.split("\n")
        assert image == IMAGE_TOKEN
        seen.add(prompt)
    assert seen == {prompt.text for prompt in BASELINE_PROMPTS}


def test_a_image_without_words_is_shown_and_asked_for_nothing():
    for mode in ("common", "diverse"):
        (turn,) = asked([], mode)
        assert turn.answer is None
        assert turn.question.count(IMAGE_TOKEN) == 1
