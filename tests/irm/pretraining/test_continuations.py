"""Step 1: a language model is asked once for each caption, whatever happens in between."""

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch

from irm.mllm.parts import load_language_model, small_tokenizer
from irm.pretraining.continuations import EnoughWords, Writer, judged, write_continuations
from irm.pretraining.vllm_writer import VLLMWriter
from omnireid.captioning.continuations import ContinuationCache

CAPTIONS = [f"A man in a {colour} coat walks past the {place}." for colour in ("red", "blue", "green")
            for place in ("bank", "shop")]  # fmt: skip


class Counting(Writer):
    """A writer that can be told to fail, and remembers what it was asked."""

    asked_captions: list
    fail_after: int

    def answers(self, captions, **options):
        log = self.__dict__.setdefault("asked_captions", [])
        if len(log) >= self.__dict__.get("fail_after", 10**6):
            raise KeyboardInterrupt
        log.extend(captions)
        return super().answers(captions, **options)


@pytest.fixture
def writer():
    torch.manual_seed(0)
    model = load_language_model("tiny").eval()
    return Counting(model, small_tokenizer(CAPTIONS), "tiny", batch_size=2, max_new_tokens=12)


def test_an_interrupted_run_goes_on_and_asks_nothing_twice(writer, tmp_path):
    whole = write_continuations(writer, CAPTIONS, ContinuationCache(tmp_path / "whole.jsonl"), retries=0)
    assert len(whole) == 6
    writer.asked_captions.clear()
    writer.__dict__["fail_after"] = 4
    path = tmp_path / "stopped.jsonl"
    with pytest.raises(KeyboardInterrupt):
        write_continuations(writer, CAPTIONS, ContinuationCache(path), retries=0)
    with path.open("ab") as file:
        file.write(b'{"key": "torn by a cra')
    writer.__dict__["fail_after"] = 10**6
    resumed = write_continuations(writer, CAPTIONS * 2, ContinuationCache(path), retries=0)
    assert resumed == whole
    assert sorted(writer.asked_captions) == sorted(CAPTIONS)
    assert write_continuations(writer, CAPTIONS, ContinuationCache(path)) == whole
    assert len(writer.asked_captions) == 6


def test_the_answer_does_not_depend_on_its_batch(writer):
    captions = ["A man.", *CAPTIONS[:3], f"{CAPTIONS[3]} {CAPTIONS[4]}"]  # unlike lengths need padding
    together = writer.answers(captions)
    assert together == [writer.answers([caption])[0] for caption in captions]
    assert len(set(together)) > 1


def test_a_chat_model_is_asked_in_its_template(writer):
    assert writer.prompt("A man.").endswith("less than 20 words.\n\nA man.\n")
    writer.tokenizer.chat_template = (
        "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}[go]"
    )
    assert writer.prompt("A man.").startswith("[user]Continue the following text in a coherent")
    assert writer.prompt("A man.").endswith("A man.[go]")


def test_an_answer_keeps_its_nineteen_words_behind_a_courtesy():
    courtesy = (
        "Sure, here is a continuation of the text in a coherent and engaging style with less than 20 words:"
    )
    words = "He walks on past the shop and waits at the corner until a bus with bright yellow lights appears."
    assert len(words.split()) == 19
    said = {"plain": words + " It" * 30, "polite": f"{courtesy}\n\n{words}" + " It" * 30}
    tokenizer = small_tokenizer([courtesy, words, " It"])
    kept = {}
    for name, text in said.items():
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        enough = EnoughWords(tokenizer, 0, max_new_tokens=24)
        lengths = [n for n in range(1, len(ids)) if enough(torch.tensor([ids[:n]]), None).item()]
        kept[name] = judged("A man.", tokenizer.decode(ids[: lengths[0]]), "key", "model").text
        assert name == "polite" or lengths[0] == 24  # tokens, as before there was any courtesy
    assert kept["polite"] == words


@pytest.mark.parametrize(
    ("answer", "text", "flags"),
    [
        ("He waits for his bus.", "He waits for his bus.", ()),
        ("word " * 30, ("word " * 19).strip(), ("truncated",)),
        ("  \n", "", ("empty",)),
        ("a man in a RED coat", "", ("copied",)),
    ],
)
def test_an_answer_is_kept_where_it_is_short_and_new(answer, text, flags):
    made = judged("A man in a red coat.", answer, "key", "model")
    assert (made.text, made.flags) == (text, flags)
    assert len(made.text.split()) < 20


def test_another_revision_of_a_model_is_another_question(writer):
    before = writer.asked
    writer.model.config._commit_hash = "0123abc"
    assert writer.asked == {**before, "revision": "0123abc"}


@pytest.fixture
def vllm(monkeypatch):
    """The names of vLLM that are imported, in its documented form: nothing of the engine itself."""

    class LLM:
        def __init__(self, model, enable_prefix_caching):
            assert enable_prefix_caching
            self.model, self.calls = model, []

        def get_tokenizer(self):
            return SimpleNamespace(chat_template=None if self.model == "base" else "a template")

        def chat(self, messages, sampling_params, use_tqdm):
            assert not use_tqdm  # the program shows its own progress
            self.calls.append((messages, sampling_params))
            texts = [f"The answer to {talk[-1]['content'][-9:]}" for talk in messages]
            return [SimpleNamespace(outputs=[SimpleNamespace(text=text)]) for text in texts]

    module = ModuleType("vllm")
    module.LLM, module.SamplingParams = LLM, lambda **fields: fields
    monkeypatch.setitem(sys.modules, "vllm", module)


def test_vllm_is_asked_for_whole_batches_and_shares_the_cache(vllm, tmp_path, writer):
    backend = VLLMWriter.load("somebody/chat", batch_size=4)
    made = write_continuations(backend, CAPTIONS, ContinuationCache(tmp_path / "c.jsonl"))
    assert [each.text for each in made] == [f"The answer to {caption[-9:]}" for caption in CAPTIONS]
    assert [len(messages) for messages, _ in backend.engine.calls] == [4, 2]
    messages, sampling = backend.engine.calls[0]
    assert messages[0][0]["role"] == "user"
    assert messages[0][0]["content"].startswith("Continue the following text in a coherent")
    assert sampling == {"temperature": 0.0, "max_tokens": 80, "seed": 0}
    write_continuations(backend, CAPTIONS, ContinuationCache(tmp_path / "c.jsonl"))
    assert len(backend.engine.calls) == 2
    assert backend.asked.items() != writer.asked.items()


@pytest.mark.parametrize(
    ("model", "complaint"),
    [("base", "base has no chat template"), ("smollm2", "takes a hub id or a folder, not smollm2")],
)
def test_a_model_that_vllm_cannot_ask_is_one_sentence(vllm, model, complaint):
    with pytest.raises(ValueError, match=complaint):
        VLLMWriter.load(model)


def test_vllm_that_is_not_installed_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(ValueError, match="--backend vllm needs vLLM: run pip install vllm"):
        VLLMWriter.load("somebody/chat")
