"""The language-model writer, over a tiny Llama and over a scripted one."""

import random

import pytest

from instructions import ATTRIBUTES, AttributeSet, LLMWriter, missing_words
from instructions.llm_writer import REQUEST, clean, request

PERSON = AttributeSet(
    {
        "coat_color": "red coat",
        "gender_code": "female",
        "cap_style": "without hat",
        "hair_color": "agnostic color hair",
    }
)
COMPLETE = "A woman wears a red coat. She has no hat. The hair color is not visible."


@pytest.fixture(scope="module")
def tokenizer():
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    known = f"{COMPLETE} {REQUEST} {' '.join(word for words in ATTRIBUTES.values() for word in words)}"
    words = [
        "<unk>",
        "<pad>",
        "</s>",
        "USER",
        "ASSISTANT",
        *sorted({*known.split(), *known.replace(".", " .").split()}),
    ]
    core = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token="<unk>", pad_token="<pad>", eos_token="</s>"
    )


@pytest.fixture(scope="module")
def llama(tokenizer):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=256,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    ).eval()


class Scripted:
    """A model that gives prepared answers, in order, and remembers what it was asked."""

    def __init__(self, tokenizer, *answers):
        import torch

        self.device = torch.device("cpu")
        self.tokenizer, self.answers, self.asked = tokenizer, list(answers), []

    def generate(self, input_ids, **_):
        import torch

        self.asked.append(self.tokenizer.decode(input_ids[0]))
        answer = self.tokenizer(self.answers.pop(0), return_tensors="pt", add_special_tokens=False)[
            "input_ids"
        ]
        return torch.cat([input_ids, answer.long()], dim=1)


def test_a_tiny_llama_writes_a_complete_text_twice_the_same(llama, tokenizer):
    writer = LLMWriter(llama, tokenizer, max_new_tokens=12, retries=1)
    written = writer.write_checked(PERSON, random.Random(0))
    assert missing_words(PERSON, written.text) == []
    assert written.source in {"model+template", "template"}
    assert written.attempts == 2
    assert written.missing
    assert writer.write(PERSON, random.Random(0)) == written.text


def test_the_global_random_state_is_left_alone(llama, tokenizer):
    import torch

    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    LLMWriter(llama, tokenizer, max_new_tokens=4, retries=0).write(PERSON, random.Random(0))
    assert torch.equal(torch.rand(3), expected)


def test_a_complete_answer_is_taken_as_it_is(tokenizer):
    model = Scripted(tokenizer, COMPLETE)
    written = LLMWriter(model, tokenizer).write_checked(PERSON, random.Random(0))
    assert (written.text, written.source, written.attempts, written.missing) == (COMPLETE, "model", 1, ())
    assert model.asked[0].startswith(REQUEST)


def test_an_incomplete_answer_is_asked_for_again(tokenizer):
    model = Scripted(tokenizer, "A woman wears a red coat.", COMPLETE)
    written = LLMWriter(model, tokenizer).write_checked(PERSON, random.Random(0))
    assert (written.source, written.attempts) == ("model", 2)


def test_what_the_best_answer_lacks_is_appended(tokenizer):
    model = Scripted(tokenizer, "A woman wears a red coat.", "A woman.")
    written = LLMWriter(model, tokenizer, retries=1).write_checked(PERSON, random.Random(0))
    assert written.text.startswith("A woman wears a red coat. ")
    assert (written.source, written.missing) == ("model+template", ("agnostic color hair", "without hat"))
    assert missing_words(PERSON, written.text) == []
    assert "they" not in written.text.lower().split()


def test_a_useless_model_leaves_the_template(tokenizer):
    model = Scripted(tokenizer, "contain sentences.", "")
    written = LLMWriter(model, tokenizer, retries=1).write_checked(PERSON, random.Random(0))
    assert (written.source, written.missing) == ("template", PERSON.words())
    assert missing_words(PERSON, written.text) == []


def test_a_chat_template_is_used_where_there_is_one(tokenizer):
    import copy

    chatty = copy.deepcopy(tokenizer)
    chatty.chat_template = "{% for message in messages %}USER {{ message.content }} {% endfor %}ASSISTANT "
    model = Scripted(chatty, COMPLETE)
    LLMWriter(model, chatty).write(PERSON, random.Random(0))
    assert model.asked[0].startswith(f"USER {REQUEST}")
    assert model.asked[0].endswith("ASSISTANT")


def test_nothing_to_say_asks_no_model():
    written = LLMWriter(model=None, tokenizer=None).write_checked(AttributeSet({}), random.Random(0))
    assert (written.source, written.attempts) == ("template", 0)


def test_the_request_is_the_papers_sentence_and_the_words():
    assert request(PERSON) == (
        "Generate sentences to describe a person. The above sentences should contain all the attribute "
        "information I gave you in the following.\nred coat, female, agnostic color hair, without hat"
    )


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("1. A man walks.\n2. He is old.", "A man walks. He is old."),
        ("Sure, here are the sentences:\n* “A man walks.”", "A man walks."),
        ("Attributes:\nA man walks. And then he", "A man walks."),
        ("a man without end", "a man without end"),
        ("", ""),
    ],
)
def test_an_answer_is_stripped_to_its_sentences(answer, text):
    assert clean(answer) == text
