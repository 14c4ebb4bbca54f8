"""What a picture is asked: the paper's instruction once, or one of twenty prompts."""

import torch

from instructions.continuation import BASELINE_PROMPTS, CONTINUE_IMAGE
from irm.mllm.shapes import IMAGE_TOKEN
from irm.pretraining.asking import FIRST_QUESTION, FURTHER_QUESTION, turns_of


def test_common_instruction_asks_the_same_of_every_picture():
    turns = turns_of(["one", "two", "three"], "common", 2)
    assert [turn.question for turn in turns] == [FIRST_QUESTION, FURTHER_QUESTION]
    assert len({turn.answer for turn in turns} & {"one", "two", "three"}) == 2
    assert FIRST_QUESTION.startswith(f"continue the following image {IMAGE_TOKEN} . When continuing, ")
    assert CONTINUE_IMAGE.endswith(FURTHER_QUESTION)


def test_the_baseline_draws_one_of_twenty_prompts_and_shows_the_picture_first():
    torch.manual_seed(0)
    seen = set()
    for _ in range(300):
        (turn,) = turns_of(["a caption"], "diverse", 2)
        assert turn.answer == "a caption"
        image, prompt = turn.question.split("\n")
        assert image == IMAGE_TOKEN
        seen.add(prompt)
    assert seen == {prompt.text for prompt in BASELINE_PROMPTS}


def test_a_picture_without_words_is_shown_and_asked_for_nothing():
    for mode in ("common", "diverse"):
        (turn,) = turns_of([], mode, 2)
        assert turn.answer is None
        assert turn.question.count(IMAGE_TOKEN) == 1
