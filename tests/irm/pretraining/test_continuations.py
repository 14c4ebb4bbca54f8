"""Step 1: a language model is asked once for each caption, whatever happens in between."""

import pytest
import torch

from irm.mllm.parts import load_language_model, small_tokenizer
from irm.pretraining.continuations import Writer, judged, write_continuations
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
    together = writer.answers(CAPTIONS[:3])
    assert together == [writer.answers([caption])[0] for caption in CAPTIONS[:3]]


def test_a_chat_model_is_asked_in_its_template(writer):
    assert writer.prompt("A man.").endswith("less than 20 words.\n\nA man.\n")
    writer.tokenizer.chat_template = (
        "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}[go]"
    )
    assert writer.prompt("A man.").startswith("[user]Continue the following text in a coherent")
    assert writer.prompt("A man.").endswith("A man.[go]")


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
