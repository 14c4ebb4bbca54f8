"""MLLMReID's words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructions import (
    BASELINE_PROMPTS,
    CONTINUE_IMAGE,
    CONTINUE_IMAGE_TURN,
    CONTINUE_TEXT,
    IMAGE_SLOT,
    limit_words,
)


def test_the_common_instructions_are_those_of_section_3_2():
    assert CONTINUE_TEXT == (
        "Continue the following text in a coherent and engaging style with less than 20 words."
    )
    assert CONTINUE_IMAGE.startswith(
        "continue the following image <ImageFeature> . When continuing, focus on the "
    )
    assert CONTINUE_IMAGE.endswith(
        "persons in the picture and generate a continuation related to the persons."
    )
    assert f"###Human: {CONTINUE_IMAGE}\n###Assistant:" == CONTINUE_IMAGE_TURN
    assert CONTINUE_IMAGE.count(IMAGE_SLOT) == 1


def test_there_are_twenty_distinct_prompts_six_of_them_printed():
    assert len({prompt.text for prompt in BASELINE_PROMPTS}) == 20
    printed = [prompt.text for prompt in BASELINE_PROMPTS if prompt.printed]
    assert len(printed) == 6
    assert [text.endswith(",") for text in printed] == [False, False, True, True, False, False]
    assert printed[3] == "Analyze the observable characteristics of persons in the image,"
    assert all("persons" in prompt.text for prompt in BASELINE_PROMPTS)


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        ("She walks on.", "She walks on."),
        ('Sure! Here\'s a continuation:\n\n"She walks on."', "She walks on."),
        ("Certainly, here is the text: She walks on.", "She walks on."),
        ("Continuation: She walks on.\nShe never stops.", "She walks on."),
        ("Sure-footed, she walks on.", "Sure-footed, she walks on."),
        ("She says 'wait'", "She says 'wait'"),
        ("\n\n", ""),
        ("", ""),
        (" ".join(["word"] * 19), " ".join(["word"] * 19)),
        (" ".join(["word"] * 20), " ".join(["word"] * 19)),
        (f"She walks on. {' '.join(['word'] * 30)}", "She walks on."),
        (f'"She walks on." {" ".join(["word"] * 30)}', "She walks on."),
    ],
)
def test_a_continuation_is_the_first_line_cut_to_fewer_than_twenty_words(answer, kept):
    assert limit_words(answer) == kept


@given(st.text(), st.integers(1, 30))
def test_the_limit_always_holds_and_holds_still(text, fewer_than):
    limited = limit_words(text, fewer_than=fewer_than)
    assert len(limited.split()) < fewer_than
    assert "\n" not in limited
