"""Dialogues as tokens: the template as printed, labels on answers only, several turns, chat templates."""

import pytest

from instructions.continuation import CONTINUE_IMAGE_TURN, IMAGE_SLOT
from irm.mllm import Turn
from irm.mllm.dialogue import IGNORED
from irm.mllm.shapes import IMAGE_TOKEN
from irm.pretraining.turns import FIRST_QUESTION


def spoken(vlm, ids):
    return vlm.tokenizer.decode([i for i in ids if i != vlm.image_token_id])


def test_the_minigpt4_template_is_the_turn_that_the_paper_prints(make_vlm, make_encoder):
    vlm = make_vlm()
    ids, labels = make_encoder(vlm).encode([Turn(FIRST_QUESTION)])
    assert ids.count(vlm.image_token_id) == vlm.num_image_tokens
    assert spoken(vlm, ids) == "<s>" + CONTINUE_IMAGE_TURN.replace(IMAGE_SLOT, "")
    assert set(labels) == {IGNORED}


def test_only_answers_and_their_ends_are_learnt_in_every_turn(make_vlm, make_encoder):
    vlm = make_vlm()
    turns = [Turn(f"look at {IMAGE_TOKEN}", "a red coat"), Turn("go on", "She waits.")]
    ids, labels = make_encoder(vlm).encode(turns)
    assert len(ids) == len(labels)
    assert all(label in (IGNORED, token) for token, label in zip(ids, labels, strict=True))
    assert spoken(vlm, [label for label in labels if label != IGNORED]) == " a red coat</s> She waits.</s>"


def test_a_long_answer_is_cut_and_still_ends(make_vlm, make_encoder):
    vlm = make_vlm()
    ids, labels = make_encoder(vlm, max_answer_tokens=4).encode([Turn(f"{IMAGE_TOKEN} x", "a man " * 50)])
    learnt = [label for label in labels if label != IGNORED]
    assert len(learnt) == 4
    assert learnt[-1] == vlm.tokenizer.eos_token_id == ids[-1]


def test_padding_stands_on_the_right_and_is_masked(make_vlm, make_encoder, dialogues):
    vlm = make_vlm()
    batch = make_encoder(vlm).batch(dialogues)
    for row, turns in enumerate(dialogues):
        ids, labels = make_encoder(vlm).encode(turns)
        length = len(ids)
        assert batch.input_ids[row, :length].tolist() == ids
        assert batch.labels[row, :length].tolist() == labels
        assert batch.attention_mask[row].tolist() == [1] * length + [0] * (batch.input_ids.shape[1] - length)
        assert (batch.labels[row, length:] == IGNORED).all()
    assert batch.num_answer_tokens == int((batch.labels != IGNORED).sum())


CHAT = (
    "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% if m['role'] == 'assistant' %}</s>"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
)


def test_a_chat_models_own_template_is_spoken(make_vlm, make_encoder):
    vlm = make_vlm()
    vlm.tokenizer.chat_template = CHAT
    turns = [Turn(f"look at {IMAGE_TOKEN} .", "a red coat"), Turn("go on", "She waits.")]
    ids, labels = make_encoder(vlm, template="chat").encode(turns)
    said = spoken(vlm, ids)
    assert said == "[user]look at  .[assistant]a red coat</s>[user]go on[assistant]She waits.</s>"
    assert spoken(vlm, [label for label in labels if label != IGNORED]) == "a red coat</s>She waits.</s>"


def test_a_template_that_rewrites_what_was_said_is_refused(make_vlm, make_encoder):
    vlm = make_vlm()
    vlm.tokenizer.chat_template = "{{ messages | length }}" + CHAT
    with pytest.raises(ValueError, match="rewrites earlier turns; set max_turns: 1"):
        make_encoder(vlm, template="chat").encode([Turn(f"{IMAGE_TOKEN} x", "a")])


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        ("chat", "the tokenizer has no chat template"),
        ("minigpt5", "there is no dialogue template 'minigpt5'"),
    ],
)
def test_an_unknown_template_is_refused(make_vlm, make_encoder, template, complaint):
    with pytest.raises(ValueError, match=complaint):
        make_encoder(make_vlm(), template=template)


def test_a_dialogue_shows_one_image(make_vlm, make_encoder):
    encoder = make_encoder(make_vlm())
    for turns in ([Turn("no image", "a")], [Turn(f"{IMAGE_TOKEN} a", "b"), Turn(f"{IMAGE_TOKEN} c", "d")]):
        with pytest.raises(ValueError, match="a dialogue has one image"):
            encoder.encode(turns)
