"""LLaMA's tokenizers put "▁" before words: labels are the answer's tokens as the whole text has them."""

import json

import pytest

from irm.mllm import DialogueEncoder, Turn
from irm.mllm.dialogue import IGNORED
from irm.mllm.parts import load_tokenizer
from irm.mllm.shapes import IMAGE_TOKEN

TEXTS = ["a red coat", "She waits .", "look at", "go on", "###Human: ###Assistant: [INST] [/INST]"]
TURNS = [Turn(f"look at {IMAGE_TOKEN} .", "a red coat"), Turn("go on", "She waits")]
SPOKEN = (
    "<s>###Human: look at <image> .\n###Assistant: a red coat</s>###Human: go on\n###Assistant: She waits</s>"
)
LLAMA_2_CHAT = (
    "{% for m in messages %}{% if m['role'] == 'user' %}"
    "{{ bos_token + '[INST] ' + m['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + m['content'] + ' ' + eos_token }}{% endif %}{% endfor %}"
)
CHATTED = "<s>[INST] look at <image> . [/INST] a red coat </s><s>[INST] go on [/INST] She waits </s>"


def published():
    """A tokenizer.json as LLaMA 2's: BPE with bytes, whose normalizer writes "▁" for spaces."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    made = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.pre_tokenizer = pre_tokenizers.Split(
        "▁", "merged_with_next"
    )  # as SentencePiece learns: no word pairs
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, show_progress=False)
    made.train_from_iterator(TEXTS * 9, trainer)
    made.pre_tokenizer = None
    made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return made


@pytest.fixture(params=["as published", "legacy", "not legacy", "from a folder"])
def tokenizer(request, tmp_path):
    from transformers import LlamaTokenizer, PreTrainedTokenizerFast

    made = published()
    if request.param == "as published":
        found = PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="</s>")
    elif request.param == "from a folder":
        made.save(str(tmp_path / "tokenizer.json"))
        told = {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>"}
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(told))
        (tmp_path / "config.json").write_text('{"model_type": "llama"}')
        found = load_tokenizer(str(tmp_path))
    else:
        model = json.loads(made.to_str())["model"]
        merges = [tuple(pair) for pair in model["merges"]]
        found = LlamaTokenizer(vocab=model["vocab"], merges=merges, legacy=request.param == "legacy")
    found.add_tokens([IMAGE_TOKEN], special_tokens=True)
    return found


def encode(tokenizer, turns, template="minigpt4"):
    image = tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
    encoder = DialogueEncoder(tokenizer, image_token_id=image, num_image_tokens=3, template=template)
    ids, labels = encoder.encode(turns)
    place = ids.index(image)
    assert ids[place : place + 3] == [image] * 3 and ids.count(image) == 3
    return ids[:place] + ids[place + 2 :], labels[:place] + labels[place + 2 :]


def whole_with_mask(tokenizer, text, question_ends):
    """LLaVA's recipe, read token by token: one tokenisation, masked up to each question's end."""
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    labels, read, is_answer = [], "", False
    for token, piece in zip(ids, tokenizer.convert_ids_to_tokens(ids), strict=True):
        labels.append(token if is_answer else IGNORED)
        read += piece
        is_answer = (is_answer or read.endswith(question_ends)) and piece != "</s>"
    return ids, labels


def test_a_dialogue_has_the_tokens_of_its_whole_text_and_learns_its_answers(tokenizer):
    found = encode(tokenizer, TURNS)
    assert found == whole_with_mask(tokenizer, SPOKEN, "###Assistant:")
    learnt = tokenizer.convert_ids_to_tokens([label for label in found[1] if label != IGNORED])
    assert learnt == ["▁a", "▁red", "▁coat", "</s>", "▁She", "▁waits", "</s>"]


def test_what_is_learnt_follows_the_question_as_it_is_asked(tokenizer):
    ids, labels = encode(tokenizer, TURNS[:1])
    asked, _ = encode(tokenizer, [Turn(TURNS[0].question)])
    assert ids[: len(asked)] == asked
    assert [label != IGNORED for label in labels] == [place >= len(asked) for place in range(len(ids))]


def test_llama_2s_own_chat_is_learnt_alike(tokenizer):
    tokenizer.chat_template = LLAMA_2_CHAT
    assert encode(tokenizer, TURNS, "chat") == whole_with_mask(tokenizer, CHATTED, "[/INST]")


def test_an_answer_whose_first_letters_belong_to_the_questions_last_token_is_tokenised_by_itself():
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    letters = {each: place for place, each in enumerate(["</s>", "\n", " ", "a", "x", "\n "])}
    made = Tokenizer(models.BPE(letters, [("\n", " ")]))
    found = PreTrainedTokenizerFast(tokenizer_object=made, eos_token="</s>")
    found.add_tokens([IMAGE_TOKEN], special_tokens=True)
    ids, labels = encode(found, [Turn(f"{IMAGE_TOKEN}x", "a")], "plain")
    assert found.convert_ids_to_tokens(ids) == [IMAGE_TOKEN, "x", "\n", " ", "a", "</s>"]
    assert labels == [IGNORED] * 3 + ids[3:]
