import torch

from irm.models.sentence_cache import SentenceCache
from irm.models.tokens import InstructionTokens


def counting_encoder():
    """A sentence of n letters has n tokens, each of value n; calls are noted."""
    calls = []

    def encode(sentences):
        calls.append(list(sentences))
        (sentence,) = sentences
        length = len(sentence)
        tokens = torch.full((1, length, 2), float(length))
        return InstructionTokens(tokens, torch.ones(1, length, dtype=torch.bool), tokens[:, 0])

    return encode, calls


def test_a_sentence_is_encoded_once_and_alone():
    encode, calls = counting_encoder()
    cache = SentenceCache(10)
    found = cache.look_up(["aa", "bbb", "aa"], encode, weights=1)
    cache.look_up(["bbb", "c"], encode, weights=1)
    assert calls == [["aa"], ["bbb"], ["c"]]
    assert found.mask.sum(dim=1).tolist() == [2, 3, 2] and found.pooled[:, 0].tolist() == [2, 3, 2]
    assert (found.tokens[0, 2] == 0).all()


def test_the_least_recently_used_sentence_is_dropped_first():
    encode, calls = counting_encoder()
    cache = SentenceCache(2)
    for sentence in ("a", "bb", "a", "ccc", "a", "bb"):
        cache.look_up([sentence], encode, weights=1)
    assert calls == [["a"], ["bb"], ["ccc"], ["bb"]] and len(cache) == 2


def test_a_batch_larger_than_the_cache_is_still_whole():
    encode, _ = counting_encoder()
    found = SentenceCache(1).look_up(["a", "bb", "ccc"], encode, weights=1)
    assert found.pooled[:, 0].tolist() == [1, 2, 3]


def test_other_weights_empty_the_cache():
    encode, calls = counting_encoder()
    cache = SentenceCache(10)
    cache.look_up(["a"], encode, weights=1)
    cache.look_up(["a"], encode, weights=2)
    assert len(calls) == 2


def test_what_was_kept_in_inference_mode_can_be_used_in_training():
    encode, _ = counting_encoder()
    cache = SentenceCache(10)
    with torch.inference_mode():
        cache.look_up(["abc"], encode, weights=1)
    layer = torch.nn.Linear(2, 2)
    layer(cache.look_up(["abc"], encode, weights=1).tokens).sum().backward()
    assert layer.weight.grad is not None


def test_filling_makes_the_same_batches_of_the_same_set():
    def encode(sentences):
        calls.append(list(sentences))
        tokens = torch.zeros(len(sentences), 3, 2)
        mask = torch.arange(3)[None] < torch.tensor([len(sentence) for sentence in sentences])[:, None]
        return InstructionTokens(tokens, mask, tokens[:, 0])

    batches = []
    for given in (["bb", "a", "ccc", "a"], ["ccc", "bb", "a"]):
        calls, cache = [], SentenceCache(10)
        cache.fill(given, encode, weights=1, batch_size=2)
        found = cache.look_up(["a", "bb", "ccc"], encode, weights=1)
        assert found.mask.sum(dim=1).tolist() == [1, 2, 3]
        batches.append(calls)
    assert batches[0] == batches[1] == [["a", "bb"], ["ccc"]]
